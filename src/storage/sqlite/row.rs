//! Statements and rows: the six operations that everything in `ops` is made of.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use crate::storage::error::{Error, Result};
use crate::storage::value::{Column, Params, Value, Which, typed, unexpected};

/// A row of a result.
pub(crate) struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    columns: &'a Columns,
}

/// Where the columns of a statement are by name. SQLite compares a name with those of all columns, which costs more than to
/// read the value.
#[derive(Default)]
struct Columns {
    /// A name as it lies in the program, address and length, and the position of the column that had it last.
    known: RefCell<Vec<((usize, usize), usize)>>,
}

impl Columns {
    fn of(sql: &'static str) -> Rc<Self> {
        thread_local! {
            static ALL: RefCell<HashMap<(usize, usize), Rc<Columns>>> = RefCell::default();
        }
        ALL.with_borrow_mut(|all| Rc::clone(all.entry(place(sql)).or_default()))
    }

    fn position(&self, row: &rusqlite::Row<'_>, name: &'static str) -> Result<usize> {
        let (mut known, statement) = (self.known.borrow_mut(), row.as_ref());
        let found = known.iter_mut().find(|(known, _)| *known == place(name));
        if let Some((_, position)) = found {
            // In another database the columns may be in another order.
            if !statement.column_name(*position).is_ok_and(|there| there == name) {
                *position = statement.column_index(name)?;
            }
            return Ok(*position);
        }
        let position = statement.column_index(name)?;
        known.push((place(name), position));
        Ok(position)
    }
}

/// What tells one text of the program from another without a look at its letters.
fn place(text: &'static str) -> (usize, usize) {
    (text.as_ptr().addr(), text.len())
}

impl Row<'_> {
    /// A column's value, copied out.
    pub(crate) fn get<T: Column>(&self, column: impl Into<Which>) -> Result<T> {
        let column = column.into();
        typed(&column, self.value(&column)?)
    }

    /// A text column's value, borrowed.
    pub(crate) fn text(&self, column: impl Into<Which>) -> Result<&str> {
        let column = column.into();
        if let Value::Text(text) = self.value(&column)? { Ok(text) } else { Err(unexpected(&column)) }
    }

    fn value(&self, column: &Which) -> Result<Value<'_>> {
        let position = match *column {
            Which::At(position) => position,
            Which::Named(name) => self.columns.position(self.row, name)?,
        };
        let value = self.row.get_ref(position)?;
        Ok(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(|_| unexpected(column))?),
            ValueRef::Blob(bytes) => Value::Bytes(bytes),
            ValueRef::Real(_) => return Err(unexpected(column)),
        })
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Prepares a statement, once for a connection, and binds its parameters.
fn bound<'c>(
    connection: &'c Connection,
    sql: &'static str,
    params: impl Params,
) -> Result<CachedStatement<'c>> {
    let mut statement = connection.prepare_cached(sql)?;
    let values = params.values();
    let values = values.as_ref();
    let wanted = statement.parameter_count();
    if values.len() != wanted {
        return Err(Error::Fault(format!("{} parameters for {wanted}: {sql}", values.len())));
    }
    for (number, value) in (1..).zip(values) {
        statement.raw_bind_parameter(number, value)?;
    }
    Ok(statement)
}

/// The first row, if there is one.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &'static str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = bound(connection, sql, params)?;
    let columns = Columns::of(sql);
    let mut rows = statement.raw_query();
    rows.next()?.map(|row| read(&Row { row, columns: &columns })).transpose()
}

/// Rows until `read` says, by `false`, that it has enough.
pub(crate) fn each(
    connection: &Connection,
    sql: &'static str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<bool>,
) -> Result<()> {
    let mut statement = bound(connection, sql, params)?;
    let columns = Columns::of(sql);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if !read(&Row { row, columns: &columns })? {
            break;
        }
    }
    Ok(())
}

/// Runs a change; returns the number of rows it touched.
pub(crate) fn execute(connection: &Connection, sql: &'static str, params: impl Params) -> Result<usize> {
    Ok(bound(connection, sql, params)?.raw_execute()?)
}
