//! Takes over a database of the Python Team Table (PyPI `team-table`, 0.1 and 0.2): copies it aside, then
//! rebuilds it in place in one transaction.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::open::{run_migrations, with_suffix};
use crate::os::{self, Private};
use crate::storage::error::{Error, Result};
use crate::storage::ops::AuditEntry;

/// The tables a Python Team Table may have. 0.1 lacks the later ones; they are taken as empty.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS members (name TEXT PRIMARY KEY, role TEXT, capabilities TEXT, status TEXT,
    registered_at TEXT, last_heartbeat TEXT);
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT, recipient TEXT,
    content TEXT, created_at TEXT, read INTEGER, archived_at TEXT);
CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, description TEXT,
    status TEXT, priority TEXT, creator TEXT, assignee TEXT, result TEXT, created_at TEXT, updated_at TEXT);
CREATE TABLE IF NOT EXISTS shared_context (key TEXT PRIMARY KEY, value TEXT, set_by TEXT, updated_at TEXT);
CREATE TABLE IF NOT EXISTS broadcast_reads (agent_name TEXT, message_id INTEGER);
CREATE TABLE IF NOT EXISTS broadcast_hidden (agent_name TEXT, message_id INTEGER);
CREATE TABLE IF NOT EXISTS audit_log (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, agent_name TEXT,
    action TEXT, target_type TEXT, target_id TEXT, details TEXT);
CREATE TABLE IF NOT EXISTS auth_tokens (id INTEGER PRIMARY KEY AUTOINCREMENT, agent_name TEXT,
    token_hash TEXT, created_at TEXT, last_used_at TEXT, revoked_at TEXT);
";

const NAMES: [&str; 8] = [
    "members",
    "messages",
    "tasks",
    "shared_context",
    "broadcast_reads",
    "broadcast_hidden",
    "audit_log",
    "auth_tokens",
];

/// Whether the tables are those of a Python Team Table.
pub(super) fn is_python(connection: &Connection) -> Result<bool> {
    let known: i64 = connection.query_row(
        "SELECT count(*) FROM pragma_table_info('messages') AS column
          WHERE column.name IN ('id', 'sender', 'recipient', 'content', 'created_at', 'read')",
        [],
        |row| row.get(0),
    )?;
    let members: i64 = connection.query_row(
        "SELECT count(*) FROM pragma_table_info('members') AS column
          WHERE column.name IN ('name', 'role', 'capabilities', 'last_heartbeat')",
        [],
        |row| row.get(0),
    )?;
    Ok(known == 6 && members == 4)
}

/// Copies the database to `<path>.bak-<seconds>` and rebuilds it. Another process that opens it meanwhile
/// waits, then finds it done.
pub(super) fn upgrade(connection: &mut Connection, path: &Path) -> Result<()> {
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if is_python(&transaction)? {
        let copy = back_up(path)?;
        let rebuilt = rebuild(&transaction).and_then(|()| Ok(transaction.commit()?));
        // Nothing has happened to the original then: a copy would be one more with every start.
        rebuilt.inspect_err(|_| drop(std::fs::remove_file(&copy)))?;
    } else {
        transaction.commit()?;
    }
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    Ok(())
}

/// Copies through a connection of its own: the caller's transaction keeps writers out and has changed
/// nothing yet.
fn back_up(path: &Path) -> Result<PathBuf> {
    let seconds = crate::domain::clock::Clock::System.now() / 1_000;
    let copy = with_suffix(path, &format!(".bak-{seconds}"));
    let fault = |error: std::io::Error| Error::Unwritable(format!("{}: {error}", copy.display()));
    os::open_private(&copy, Private::New).map_err(fault)?;
    let source = Connection::open(path)?;
    let mut target = Connection::open(&copy)?;
    Backup::new(&source, &mut target)?.run_to_completion(1_000, std::time::Duration::ZERO, None)?;
    tracing::info!(backup = %copy.display(), "copied the Python Team Table database before its upgrade");
    Ok(copy)
}

fn rebuild(connection: &Connection) -> Result<()> {
    connection.execute_batch(TABLES)?;
    let archived: i64 = connection.query_row(
        "SELECT count(*) FROM pragma_table_info('messages') AS column WHERE column.name = 'archived_at'",
        [],
        |row| row.get(0),
    )?;
    if archived == 0 {
        connection.execute_batch("ALTER TABLE messages ADD COLUMN archived_at TEXT")?;
    }
    for name in NAMES {
        connection.execute_batch(&format!("ALTER TABLE {name} RENAME TO py_{name}"))?;
    }
    run_migrations(connection)?;
    connection.execute_batch(include_str!("migrations/from_python.sql"))?;
    copy_audit(connection)?;
    for name in NAMES {
        connection.execute_batch(&format!("DROP TABLE py_{name}"))?;
    }
    Ok(())
}

/// The audit rows get their place in the chain, which SQL cannot compute.
fn copy_audit(connection: &Connection) -> Result<()> {
    let mut statement = connection.prepare(
        "SELECT coalesce(CAST(unixepoch(timestamp, 'subsec') * 1000 AS INTEGER), 0), agent_name, action,
                coalesce(target_type, ''), coalesce(target_id, ''), details
           FROM py_audit_log ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let tx = crate::storage::tx::WriteTx::new(connection);
    while let Some(row) = rows.next()? {
        tx.audit(&AuditEntry {
            at: row.get(0)?,
            agent: &row.get::<_, String>(1)?,
            action: &row.get::<_, String>(2)?,
            target: (&row.get::<_, String>(3)?, &row.get::<_, String>(4)?),
            details: &row.get::<_, String>(5)?,
        })?;
    }
    Ok(())
}
