//! Rows, read the same way from both engines.
//!
//! A column is asked for by name (in the `FromRow` of a domain's type) or by position (in tuples). Integers are wide in
//! both engines and checked on the way into a narrower type: an overflow is an error, never a wrong number.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _, TypeInfo as _, ValueRef as _};

use crate::clock::Micros;
use crate::db::DbError;
use crate::ids::Id;

/// One row of an answer.
pub struct Row(pub(super) Inner);

pub(super) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What can be read out of a row.
pub trait FromRow: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// [`DbError::Failed`] when a column is missing or holds something else.
    fn from_row(row: &Row) -> Result<Self, DbError>;
}

/// A column's name, or its position from 0.
pub trait At: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + std::fmt::Display + Copy {}
impl<T> At for T where T: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + std::fmt::Display + Copy {}

/// What can be read out of one column.
pub trait Column: Sized {
    /// Reads it from a row of SQLite.
    ///
    /// # Errors
    /// When the column is missing or holds something else.
    fn from_sqlite(row: &SqliteRow, at: impl At) -> Result<Self, sqlx::Error>;

    /// Reads it from a row of PostgreSQL.
    ///
    /// # Errors
    /// When the column is missing or holds something else.
    fn from_postgres(row: &PgRow, at: impl At) -> Result<Self, sqlx::Error>;
}

impl Row {
    /// The value of a column.
    ///
    /// # Errors
    /// [`DbError::Failed`] when the column is missing, null (and `T` no `Option`) or not of that type.
    pub fn get<T: Column>(&self, at: impl At) -> Result<T, DbError> {
        match &self.0 {
            Inner::Sqlite(row) => T::from_sqlite(row, at),
            Inner::Postgres(row) => T::from_postgres(row, at),
        }
        .map_err(DbError::from)
    }

    /// The value of a text column, parsed: for the enums of a domain.
    ///
    /// # Errors
    /// [`DbError::Failed`] as [`Row::get`], and when the text does not parse.
    pub fn parse<T>(&self, at: impl At) -> Result<T, DbError>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let text: String = self.get(at)?;
        text.parse().map_err(|source| malformed(at, source).into())
    }
}

/// The error for a value that is there but not what it should be.
fn malformed(
    at: impl At,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: at.to_string(),
        source: source.into(),
    }
}

/// Types that both drivers read alike.
macro_rules! native {
    ($($type:ty),*) => { $(
        impl Column for $type {
            fn from_sqlite(row: &SqliteRow, at: impl At) -> Result<Self, sqlx::Error> {
                row.try_get(at)
            }

            fn from_postgres(row: &PgRow, at: impl At) -> Result<Self, sqlx::Error> {
                row.try_get(at)
            }
        }
    )* };
}

native!(bool, f64, String, Vec<u8>, Id);

impl Column for i64 {
    fn from_sqlite(row: &SqliteRow, at: impl At) -> Result<Self, sqlx::Error> {
        row.try_get(at)
    }

    /// PostgreSQL's narrow integers (an expression may have that type) are widened.
    fn from_postgres(row: &PgRow, at: impl At) -> Result<Self, sqlx::Error> {
        match row.try_get_raw(at)?.type_info().name() {
            "INT4" => row.try_get::<i32, _>(at).map(Self::from),
            "INT2" => row.try_get::<i16, _>(at).map(Self::from),
            _ => row.try_get(at),
        }
    }
}

/// Types that are read as a wide integer and then checked.
macro_rules! narrower {
    ($($type:ty),*) => { $(
        impl Column for $type {
            fn from_sqlite(row: &SqliteRow, at: impl At) -> Result<Self, sqlx::Error> {
                Self::try_from(i64::from_sqlite(row, at)?).map_err(|source| malformed(at, source))
            }

            fn from_postgres(row: &PgRow, at: impl At) -> Result<Self, sqlx::Error> {
                Self::try_from(i64::from_postgres(row, at)?).map_err(|source| malformed(at, source))
            }
        }
    )* };
}

narrower!(i32, i16, u64, u32, u16, u8);

impl Column for Micros {
    fn from_sqlite(row: &SqliteRow, at: impl At) -> Result<Self, sqlx::Error> {
        i64::from_sqlite(row, at).map(Self)
    }

    fn from_postgres(row: &PgRow, at: impl At) -> Result<Self, sqlx::Error> {
        i64::from_postgres(row, at).map(Self)
    }
}

impl<const N: usize> Column for [u8; N] {
    fn from_sqlite(row: &SqliteRow, at: impl At) -> Result<Self, sqlx::Error> {
        let bytes: &[u8] = row.try_get(at)?;
        bytes.try_into().map_err(|source| malformed(at, source))
    }

    fn from_postgres(row: &PgRow, at: impl At) -> Result<Self, sqlx::Error> {
        let bytes: &[u8] = row.try_get(at)?;
        bytes.try_into().map_err(|source| malformed(at, source))
    }
}

impl<T: Column> Column for Option<T> {
    fn from_sqlite(row: &SqliteRow, at: impl At) -> Result<Self, sqlx::Error> {
        if row.try_get_raw(at)?.is_null() {
            Ok(None)
        } else {
            T::from_sqlite(row, at).map(Some)
        }
    }

    fn from_postgres(row: &PgRow, at: impl At) -> Result<Self, sqlx::Error> {
        if row.try_get_raw(at)?.is_null() {
            Ok(None)
        } else {
            T::from_postgres(row, at).map(Some)
        }
    }
}

/// Tuples are read by position.
macro_rules! tuple {
    ($($type:ident $at:literal),+) => {
        impl<$($type: Column),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row) -> Result<Self, DbError> {
                Ok(($(row.get::<$type>($at)?,)+))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
