//! Every SQL statement of terminals. A row is a record for later, not the terminal: nothing here is needed to serve one.

use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, args};

use crate::types::{TerminalInfo, TerminalState};

/// Records of one owner that are told at most.
const MAX_TOLD: u32 = 10_000;

/// The word in a row names no state.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a state of a terminal")]
pub struct UnknownState(String);

impl std::str::FromStr for TerminalState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::from_word(word).ok_or_else(|| UnknownState(word.to_owned()))
    }
}

/// What is recorded of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: Id,
    pub(crate) owner: Option<Id>,
    pub(crate) name: String,
    pub(crate) shell: String,
    pub(crate) cwd: String,
    pub(crate) cols: u16,
    pub(crate) rows: u16,
    pub(crate) state: TerminalState,
    pub(crate) pid: u32,
    pub(crate) exit_code: Option<i32>,
    pub(crate) created_at: Micros,
    pub(crate) ended_at: Option<Micros>,
}

impl Record {
    /// Of a terminal as it is now.
    pub(crate) fn new(info: TerminalInfo, ended_at: Option<Micros>) -> Self {
        Self {
            id: info.id,
            owner: info.owner,
            name: info.name,
            shell: info.shell,
            cwd: info.cwd,
            cols: info.cols,
            rows: info.rows,
            state: info.state,
            pid: info.pid,
            exit_code: info.exit_code,
            created_at: info.created_at,
            ended_at,
        }
    }

    /// What is told about a terminal of which only the record is left.
    pub(crate) fn info(&self) -> TerminalInfo {
        TerminalInfo {
            id: self.id,
            owner: self.owner,
            name: self.name.clone(),
            shell: self.shell.clone(),
            cwd: self.cwd.clone(),
            cols: self.cols,
            rows: self.rows,
            pid: self.pid,
            state: self.state,
            exit_code: self.exit_code,
            created_at: self.created_at,
            last_seq: 0,
            viewers: 0,
        }
    }
}

impl FromRow for Record {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            owner: row.get("owner")?,
            name: row.get("name")?,
            shell: row.get("shell")?,
            cwd: row.get("cwd")?,
            cols: row.get("cols")?,
            rows: row.get("rows")?,
            state: row.parse("state")?,
            pid: row.get::<Option<u32>>("pid")?.unwrap_or(0),
            exit_code: row.get("exit_code")?,
            created_at: row.get("created_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

/// What to do with the row of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Insert it or bring it up to date.
    Save(Box<Record>),
    /// Delete it.
    Remove(Id),
}

/// Applies all changes, or none.
pub(crate) async fn apply(db: &Db, changes: Vec<Change>) -> Result<(), DbError> {
    db.write(async move |tx| {
        for change in &changes {
            match change {
                Change::Save(record) => save(tx, record).await?,
                Change::Remove(id) => remove(tx, *id).await?,
            }
        }
        Ok(())
    })
    .await
}

async fn save(tx: &mut Conn, record: &Record) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO terminals (id, name, shell, cwd, cols, rows, state, pid, exit_code, created_at, ended_at, owner)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, cols = excluded.cols, rows = excluded.rows,
             state = excluded.state, exit_code = excluded.exit_code, ended_at = excluded.ended_at",
        args![
            record.id,
            record.name.as_str(),
            record.shell.as_str(),
            record.cwd.as_str(),
            record.cols,
            record.rows,
            record.state.as_str(),
            record.pid,
            record.exit_code,
            record.created_at,
            record.ended_at,
            record.owner
        ],
    )
    .await?;
    Ok(())
}

async fn remove(tx: &mut Conn, id: Id) -> Result<(), DbError> {
    tx.execute("DELETE FROM terminals WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Takes over from an earlier daemon: what it left as running is lost, what ended before `forget_before` is deleted.
/// Returns the newest `most` of what remains.
pub(crate) async fn adopt(
    db: &Db,
    now: Micros,
    forget_before: Micros,
    most: u32,
) -> Result<Vec<Record>, DbError> {
    db.write(async move |tx| {
        tx.execute(
            "UPDATE terminals SET state = 'lost', ended_at = $1 WHERE state = 'running'",
            args![now],
        )
        .await?;
        tx.execute(
            "DELETE FROM terminals WHERE ended_at < $1",
            args![forget_before],
        )
        .await?;
        tx.fetch_all(
            "SELECT id, name, shell, cwd, cols, rows, state, pid, exit_code, created_at, ended_at, owner
             FROM terminals ORDER BY id DESC LIMIT $1",
            args![most],
        )
        .await
    })
    .await
}

/// The records of one owner, the newest first.
pub(crate) async fn records_of(db: &Db, owner: Id) -> Result<Vec<Record>, DbError> {
    db.fetch_all(
        "SELECT id, name, shell, cwd, cols, rows, state, pid, exit_code, created_at, ended_at, owner
         FROM terminals WHERE owner = $1 ORDER BY id DESC LIMIT $2",
        args![owner, MAX_TOLD],
    )
    .await
}

/// Deletes the records of one owner.
pub(crate) async fn remove_of(tx: &mut Conn, owner: Id) -> Result<(), DbError> {
    tx.execute("DELETE FROM terminals WHERE owner = $1", args![owner])
        .await?;
    Ok(())
}
