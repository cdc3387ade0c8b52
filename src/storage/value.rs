//! Values on their way into a statement and out of a row, whatever the engine.

use std::borrow::Cow;

use super::error::{Error, Result};

/// One value: bound to a parameter, or read from a column. Texts and bytes are borrowed, never copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// What can be bound to a parameter of a statement.
pub(super) trait Bind {
    fn value(&self) -> Value<'_>;
}

/// What can be read from a column.
pub(super) trait Column: Sized {
    /// `None` when the column holds another type.
    fn read(value: Value<'_>) -> Option<Self>;
}

/// The parameters of a statement, in the order of their numbers: `?1`, `?2` and so on.
pub(super) trait Params: Copy {
    fn values(&self) -> impl AsRef<[Value<'_>]>;
}

/// Which column of a row: by its position from 0, or by its name.
pub(super) enum Which {
    At(usize),
    Named(&'static str),
}

/// Parameters of different types.
macro_rules! params {
    ($($value:expr),+ $(,)?) => { [$($crate::storage::value::Bind::value(&$value)),+] };
}
pub(super) use params;

impl Params for () {
    fn values(&self) -> impl AsRef<[Value<'_>]> {
        []
    }
}

impl<T: Bind + Copy, const N: usize> Params for [T; N] {
    fn values(&self) -> impl AsRef<[Value<'_>]> {
        self.each_ref().map(Bind::value)
    }
}

impl Bind for Value<'_> {
    fn value(&self) -> Value<'_> {
        *self
    }
}

impl Bind for i64 {
    fn value(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl Bind for bool {
    fn value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl Bind for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Bind for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Bind for Cow<'_, str> {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Bind for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl Bind for [u8; 32] {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn value(&self) -> Value<'_> {
        T::value(self)
    }
}

impl<T: Bind> Bind for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Bind::value)
    }
}

impl From<usize> for Which {
    fn from(position: usize) -> Self {
        Self::At(position)
    }
}

impl From<&'static str> for Which {
    fn from(name: &'static str) -> Self {
        Self::Named(name)
    }
}

impl Column for i64 {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Integer(number) = value { Some(number) } else { None }
    }
}

impl Column for bool {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value).map(|number| number != 0)
    }
}

impl Column for String {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl Column for Vec<u8> {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Bytes(bytes) = value { Some(bytes.to_vec()) } else { None }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }
}

/// A value of another type than the schema promises: the database was changed by another program.
pub(super) fn unexpected(column: &Which) -> Error {
    match column {
        Which::At(position) => Error::Fault(format!("column {position} holds another type than expected")),
        Which::Named(name) => Error::Fault(format!("column {name} holds another type than expected")),
    }
}

/// Reads `value` as a `T`.
pub(super) fn typed<T: Column>(column: &Which, value: Value<'_>) -> Result<T> {
    T::read(value).ok_or_else(|| unexpected(column))
}
