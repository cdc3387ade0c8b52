//! Transactions: the handles on which every operation of the table families is defined, and the six primitives that
//! those are made of. A second engine adds a kind of connection here.

use std::cell::Cell;
use std::ops::Deref;

use super::error::{Error, Result};
use super::sqlite::{self, Connection, Row};
use super::value::Params;

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
    /// Something wants to wake an agent once this is committed.
    pub(super) rings: Cell<bool>,
}

impl<'a> ReadTx<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// The first row, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        sqlite::one(self.connection, sql, params, read)
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        sqlite::each(self.connection, sql, params, |row| {
            all.push(read(row)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Rows until `take` says that it has enough.
    pub(super) fn while_wanted<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
        mut take: impl FnMut(T) -> bool,
    ) -> Result<()> {
        sqlite::each(self.connection, sql, params, |row| Ok(take(read(row)?)))
    }

    /// The first column of a row that is always there, such as a count.
    pub(super) fn number(&self, sql: &'static str, params: impl Params) -> Result<i64> {
        let number = self.one(sql, params, |row| row.get(0))?;
        number.ok_or_else(|| Error::Fault(format!("no row: {sql}")))
    }

    /// What the engine finds wrong with its file, at most ten lines; takes time in proportion to its size.
    ///
    /// # Errors
    /// Only those of storage.
    pub fn integrity(&self) -> Result<Vec<String>> {
        sqlite::integrity(self.connection)
    }

    /// Bytes of the database, free pages included.
    pub(super) fn bytes(&self) -> Result<i64> {
        sqlite::bytes(self.connection)
    }

    /// The highest number that a row of `audit` ever had.
    pub(super) fn highest_audit_row(&self) -> Result<i64> {
        sqlite::highest_row(self.connection, "audit")
    }
}

impl<'a> WriteTx<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { read: ReadTx::new(connection), decision: Cell::new(None), rings: Cell::new(false) }
    }

    /// Runs a change; returns the number of rows it touched.
    pub(super) fn execute(&self, sql: &'static str, params: impl Params) -> Result<usize> {
        sqlite::execute(self.connection, sql, params)
    }

    /// Runs an insertion; returns the new row's id.
    pub(super) fn insert(&self, sql: &'static str, params: impl Params) -> Result<i64> {
        self.execute(sql, params)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Shows that the database can be written, without leaving a trace.
    ///
    /// # Errors
    /// What keeps it from being written.
    pub fn probe(&self) -> Result<()> {
        sqlite::rewrite_version(self.connection)
    }
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}
