//! The arguments of a statement, in one form for both engines.
//!
//! The drivers take arguments through a trait that is generic over the database, so that a call would have to be written
//! once per engine. [`args!`](crate::args) turns any mix of values into a plain slice of [`Value`] instead, which each engine
//! binds in its own way. Null keeps its type: PostgreSQL wants to know it when it prepares the statement.

use std::borrow::Cow;

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;

use crate::clock::Micros;
use crate::db::DbError;
use crate::ids::Id;

/// The type of a value, and so of a null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `INTEGER` with a check for 0 and 1; `boolean`.
    Bool,
    /// `INTEGER`; `bigint`.
    Int,
    /// `REAL`; `double precision`. Never money.
    Real,
    /// `TEXT`; `text`.
    Text,
    /// `BLOB`; `bytea`.
    Blob,
    /// `BLOB` of 16 bytes; `uuid`.
    Id,
}

/// One argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Nothing, where that kind is expected.
    Null(Kind),
    /// Yes or no.
    Bool(bool),
    /// An integer; moments are integers too.
    Int(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Blob(Cow<'a, [u8]>),
    /// An identifier.
    Id(Id),
}

/// What can be an argument of a statement.
pub trait Bind {
    /// The kind of every value of this type, null included.
    const KIND: Kind;

    /// This value as an argument.
    fn value(&self) -> Value<'_>;
}

/// The arguments of a statement: `args![terminal.id, terminal.name, now]`, `args![]`. The first one is `$1`.
#[macro_export]
macro_rules! args {
    ($($argument:expr),* $(,)?) => { &[$($crate::db::Bind::value(&$argument)),*] as &[$crate::db::Value<'_>] };
}

impl Value<'_> {
    /// The same value, owning what it borrowed.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null(kind) => Value::Null(kind),
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Real(value) => Value::Real(value),
            Self::Text(value) => Value::Text(Cow::Owned(value.into_owned())),
            Self::Blob(value) => Value::Blob(Cow::Owned(value.into_owned())),
            Self::Id(value) => Value::Id(value),
        }
    }
}

/// Statements that run elsewhere than where they were asked for own their arguments.
pub(super) fn owned(args: &[Value<'_>]) -> Vec<Value<'static>> {
    args.iter().cloned().map(Value::into_owned).collect()
}

/// Binds the arguments for one engine; text and bytes are copied once, by the driver.
macro_rules! binder {
    ($name:ident, $arguments:ty) => {
        pub(super) fn $name(args: &[Value<'_>]) -> Result<$arguments, DbError> {
            let mut bound = <$arguments>::default();
            for value in args {
                match value {
                    Value::Null(Kind::Bool) => bound.add(None::<bool>),
                    Value::Null(Kind::Int) => bound.add(None::<i64>),
                    Value::Null(Kind::Real) => bound.add(None::<f64>),
                    Value::Null(Kind::Text) => bound.add(None::<String>),
                    Value::Null(Kind::Blob) => bound.add(None::<Vec<u8>>),
                    Value::Null(Kind::Id) => bound.add(None::<Id>),
                    Value::Bool(value) => bound.add(*value),
                    Value::Int(value) => bound.add(*value),
                    Value::Real(value) => bound.add(*value),
                    Value::Text(value) => bound.add(&**value),
                    Value::Blob(value) => bound.add(&**value),
                    Value::Id(value) => bound.add(*value),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            Ok(bound)
        }
    };
}

binder!(for_sqlite, SqliteArguments);
binder!(for_postgres, PgArguments);

impl<T: Bind + ?Sized> Bind for &T {
    const KIND: Kind = T::KIND;

    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<T: Bind> Bind for Option<T> {
    const KIND: Kind = T::KIND;

    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null(T::KIND), Bind::value)
    }
}

/// Types that are an argument as they are: `type => kind, |value| the argument`.
macro_rules! bind {
    ($($type:ty => $kind:ident, |$value:ident| $argument:expr;)*) => { $(
        impl Bind for $type {
            const KIND: Kind = Kind::$kind;

            fn value(&self) -> Value<'_> {
                let $value = self;
                Value::$kind($argument)
            }
        }
    )* };
}

bind! {
    bool => Bool, |value| *value;
    i64 => Int, |value| *value;
    i32 => Int, |value| i64::from(*value);
    i16 => Int, |value| i64::from(*value);
    u32 => Int, |value| i64::from(*value);
    u16 => Int, |value| i64::from(*value);
    u8 => Int, |value| i64::from(*value);
    Micros => Int, |value| value.get();
    f64 => Real, |value| *value;
    str => Text, |value| Cow::Borrowed(value);
    String => Text, |value| Cow::Borrowed(value.as_str());
    Cow<'_, str> => Text, |value| Cow::Borrowed(&**value);
    [u8] => Blob, |value| Cow::Borrowed(value);
    Vec<u8> => Blob, |value| Cow::Borrowed(value.as_slice());
    Id => Id, |value| *value;
}

impl<const N: usize> Bind for [u8; N] {
    const KIND: Kind = Kind::Blob;

    fn value(&self) -> Value<'_> {
        Value::Blob(Cow::Borrowed(self))
    }
}
