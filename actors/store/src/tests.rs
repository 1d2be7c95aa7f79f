//! Tests of the store on real databases: SQLite files, and a PostgreSQL server where one is installed.

mod loss;
mod migrations;
mod statements;
mod writing;
