//! Tests of the store on real databases: SQLite files, and a PostgreSQL server where one is installed.

mod house;
mod loss;
mod migrations;
mod outcomes;
mod statements;
mod writing;
