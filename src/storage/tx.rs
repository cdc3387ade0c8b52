//! Transactions: the handles on which every operation of the table families is defined.

use std::cell::Cell;
use std::ops::Deref;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::error::Result;
use super::open;

/// A consistent view of the database. Operations that only read are defined on it.
#[derive(Debug, Clone, Copy)]
pub struct ReadTx<'a> {
    connection: &'a Connection,
}

/// One job of the writer: it happens wholly or not at all. Operations that change something are defined
/// on it, and every one that does records its event and audit row before it returns.
#[derive(Debug)]
pub struct WriteTx<'a> {
    read: ReadTx<'a>,
    /// The decision that allowed this job's changes: every audit row names it.
    pub(super) decision: Cell<Option<i64>>,
}

impl<'a> ReadTx<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    fn statement(&self, sql: &'static str) -> Result<CachedStatement<'a>> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// The first row, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.statement(sql)?.query_row(params, read).optional()?)
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Rows until `take` says that it has enough.
    pub(super) fn while_wanted<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        mut take: impl FnMut(T) -> bool,
    ) -> Result<()> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if !take(read(row)?) {
                break;
            }
        }
        Ok(())
    }

    /// A number that is always there, such as a count.
    pub(super) fn number(&self, sql: &'static str, params: impl Params) -> Result<i64> {
        Ok(self.statement(sql)?.query_row(params, |row| row.get(0))?)
    }
}

impl<'a> WriteTx<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { read: ReadTx::new(connection), decision: Cell::new(None) }
    }

    /// Runs a change; returns the number of rows it touched.
    pub(super) fn execute(&self, sql: &'static str, params: impl Params) -> Result<usize> {
        Ok(self.statement(sql)?.execute(params)?)
    }

    /// A change that changes nothing.
    pub(super) fn rewrite_version(&self) -> Result<()> {
        open::rewrite_version(self.connection)
    }

    /// Runs an insertion; returns the new row's id.
    pub(super) fn insert(&self, sql: &'static str, params: impl Params) -> Result<i64> {
        self.execute(sql, params)?;
        Ok(self.connection.last_insert_rowid())
    }
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}
