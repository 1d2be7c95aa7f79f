//! Every statement of the store itself: what it asks the engines about themselves, and the row it writes as a probe.

use ground::db::{Conn, Engine, FromRow, Row};
use ground::{Db, DbError, Micros, args};

use crate::migrate::Entry;

/// The mark in the header of our SQLite files: "MSTY".
pub(crate) const APPLICATION_ID: i64 = 0x4d53_5459;

impl FromRow for Entry {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            version: row.get("version")?,
            domain: row.get("domain")?,
            name: row.get("name")?,
            checksum: row.get("checksum")?,
            applied_at: row.get("applied_at")?,
        })
    }
}

/// Leaves an SQLite connection without space, for a drill: the file may not grow, and what is free in it (64 MiB at most) is
/// asked for at once. Where that finds space all the same, nothing of it stays.
pub(crate) const FILL: &str = "PRAGMA max_page_count = 1;
    CREATE TABLE store_filler AS
        SELECT zeroblob(min((freelist_count + 2) * page_size, 67108864)) AS filler
        FROM pragma_freelist_count, pragma_page_size;
    DROP TABLE store_filler";

/// Lets the file grow again, to SQLite's own limit.
pub(crate) const LET_GROW: &str = "PRAGMA max_page_count = 4294967294";

/// Whether the database answers.
pub(crate) async fn ping(db: &Db) -> Result<(), DbError> {
    db.look::<(i64,)>("SELECT count(*) FROM store_probe", args![])
        .await
        .map(drop)
}

/// Whether this connection answers.
pub(crate) async fn ping_on(conn: &mut Conn) -> Result<(), DbError> {
    conn.fetch_one::<(i64,)>("SELECT 1", args![])
        .await
        .map(drop)
}

/// Whether the database takes writes: when this returns, the row is on disk.
pub(crate) async fn write_probe(db: &Db, now: Micros) -> Result<(), DbError> {
    db.execute(
        "UPDATE store_probe SET wrote_at = $1 WHERE id = 1",
        args![now],
    )
    .await
    .map(drop)
}

/// The size of the database in bytes.
pub(crate) async fn size_bytes(db: &Db, engine: Engine) -> Result<i64, DbError> {
    let sql = engine.pick(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        "SELECT pg_database_size(current_database())",
    );
    db.fetch_one::<(i64,)>(sql, args![])
        .await
        .map(|(bytes,)| bytes)
}

/// The highest migration that the database has; 0 when it has none.
pub(crate) async fn schema_version(db: &Db) -> Result<u32, DbError> {
    let sql = "SELECT coalesce(max(version), 0) FROM store_migrations";
    db.fetch_one::<(u32,)>(sql, args![])
        .await
        .map(|(version,)| version)
}

/// The number of a PostgreSQL server's version (150004 is 15.4) and the encoding of its database.
pub(crate) async fn server(conn: &mut Conn) -> Result<(i32, String), DbError> {
    // PostgreSQL only
    let sql =
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')";
    conn.fetch_one(sql, args![]).await
}

/// The text of the engine's version.
pub(crate) async fn engine_version(db: &Db, engine: Engine) -> Result<String, DbError> {
    let sql = engine.pick(
        "SELECT sqlite_version()",
        "SELECT current_setting('server_version')",
    );
    db.fetch_one::<(String,)>(sql, args![])
        .await
        .map(|(version,)| version)
}

/// The application's mark in an SQLite file, and how many objects its schema has.
pub(crate) async fn identity(conn: &mut Conn) -> Result<(i64, i64), DbError> {
    // SQLite only
    let sql =
        "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id";
    conn.fetch_one(sql, args![]).await
}

/// What `PRAGMA integrity_check` finds in an SQLite file: `ok`, or the first fault.
pub(crate) async fn integrity(conn: &mut Conn) -> Result<String, DbError> {
    conn.fetch_one::<(String,)>("PRAGMA integrity_check(1)", args![])
        .await
        .map(|(found,)| found)
}

/// What the faster `PRAGMA quick_check` finds: `ok`, or the first fault.
pub(crate) async fn quick_check(conn: &mut Conn) -> Result<String, DbError> {
    conn.fetch_one::<(String,)>("PRAGMA quick_check(1)", args![])
        .await
        .map(|(found,)| found)
}

/// The table of the first row whose foreign key leads nowhere, in SQLite.
pub(crate) async fn dangling_reference(conn: &mut Conn) -> Result<Option<String>, DbError> {
    // SQLite only
    let sql = "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1";
    let found = conn.fetch_optional::<(String,)>(sql, args![]).await?;
    Ok(found.map(|(table,)| table))
}

/// Opens the transaction in which one step runs, alone: no other process migrates while it is open.
pub(crate) async fn begin_step(conn: &mut Conn) -> Result<(), DbError> {
    let sql = conn.engine().pick(
        "BEGIN IMMEDIATE",
        "BEGIN; SELECT pg_advisory_xact_lock(5570193316582)",
    );
    conn.script(sql).await
}

/// Whether the database has a history of migrations.
pub(crate) async fn has_history(conn: &mut Conn) -> Result<bool, DbError> {
    let sql = conn.engine().pick(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'store_migrations')",
        // Not to_regclass: it may answer from a cache that is older than the lock.
        "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = ANY (current_schemas(false))
                        AND tablename = 'store_migrations')",
    );
    conn.fetch_one::<(bool,)>(sql, args![])
        .await
        .map(|(is_there,)| is_there)
}

/// Makes the history. It is no migration itself, since it has to be there before the first one.
pub(crate) async fn create_history(conn: &mut Conn) -> Result<(), DbError> {
    let sql = conn.engine().pick(
        "CREATE TABLE store_migrations (
             version INTEGER PRIMARY KEY, domain TEXT NOT NULL, name TEXT NOT NULL,
             checksum BLOB NOT NULL, applied_at INTEGER NOT NULL
         ) STRICT",
        "CREATE TABLE store_migrations (
             version bigint PRIMARY KEY, domain text NOT NULL, name text NOT NULL,
             checksum bytea NOT NULL, applied_at bigint NOT NULL
         )",
    );
    conn.execute(sql, args![]).await.map(drop)
}

/// The history, in order.
pub(crate) async fn history(conn: &mut Conn) -> Result<Vec<Entry>, DbError> {
    let sql = "SELECT version, domain, name, checksum, applied_at FROM store_migrations ORDER BY version LIMIT 10000";
    conn.fetch_all(sql, args![]).await
}

/// Adds a step to the history.
pub(crate) async fn record(conn: &mut Conn, entry: &Entry) -> Result<(), DbError> {
    let sql = "INSERT INTO store_migrations (version, domain, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)";
    let args = args![
        entry.version,
        entry.domain,
        entry.name,
        entry.checksum,
        entry.applied_at
    ];
    conn.execute(sql, args).await.map(drop)
}

/// Takes a step out of the history.
pub(crate) async fn forget(conn: &mut Conn, version: u32) -> Result<(), DbError> {
    conn.execute(
        "DELETE FROM store_migrations WHERE version = $1",
        args![version],
    )
    .await
    .map(drop)
}

/// Writes the application's mark and the schema's version into the header of an SQLite file, for other tools to see.
pub(crate) async fn mark(conn: &mut Conn) -> Result<(), DbError> {
    let version = "SELECT coalesce(max(version), 0) FROM store_migrations";
    let (version,) = conn.fetch_one::<(u32,)>(version, args![]).await?;
    conn.script(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}"
    ))
    .await
}
