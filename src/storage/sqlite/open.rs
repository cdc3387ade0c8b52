//! Opening a database: owner-only files, the refusals, migrations under `user_version`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::file::OpenFile;
use super::legacy;
use crate::os::{self, Private};
use crate::storage::error::{Error, OpenError, Result};
use crate::storage::{Durability, OpenOptions};

/// How long a writer waits for other processes before it says `unavailable`. A commit takes milliseconds,
/// so even a swarm of processes queues for less.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Append-only; the schema version is the number of them that have run.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_fewer_pages.sql"),
    include_str!("migrations/0003_promises.sql"),
    include_str!("migrations/0004_seats.sql"),
    include_str!("migrations/0005_receipts.sql"),
    include_str!("migrations/0006_persons.sql"),
    include_str!("migrations/0007_secrets.sql"),
];

/// "TTbl": marks the file as ours (`PRAGMA application_id`).
pub(super) const APPLICATION_ID: i64 = 0x5454_626C;

/// Opens the writer's connection, with the schema brought up to date. The file is to be dropped after the last
/// connection to it.
pub(super) fn open(path: &Path, options: OpenOptions) -> Result<(Connection, OpenFile), OpenError> {
    let shown = || path.display().to_string();
    let io = |error: std::io::Error| OpenError::Io { path: shown(), reason: error.to_string() };
    let prepare = |source: Error| OpenError::Prepare { path: shown(), source };
    create_owner_only(path).map_err(io)?;
    let file = OpenFile::register(path, || check_header(path))?;
    if os::FILES_TAKE_ACCESS_OF_FOLDER {
        // SQLite uses those that are there. It takes away the log of a database without content: see below.
        for suffix in ["-wal", "-shm"] {
            os::open_private(&with_suffix(path, suffix), Private::Keep).map_err(io)?;
        }
    }
    let mut connection = connect(path, options).map_err(|error| classify(path, error))?;
    match state(&connection).map_err(|error| classify(path, error))? {
        State::Ours(version) if version > known() => {
            return Err(OpenError::Newer { path: shown(), found: version, known: known() });
        }
        State::Foreign => return Err(OpenError::Foreign { path: shown() }),
        State::Ours(version) if version == known() => {}
        _ if !options.migrate => return Err(OpenError::Older { path: shown() }),
        State::Ours(_) | State::Empty => migrate(&mut connection).map_err(prepare)?,
        State::Python => legacy::upgrade(&mut connection, path).map_err(prepare)?,
    }
    // What is damaged where every call looks shows now rather than in the middle of one.
    connection
        .execute_batch(
            "SELECT 1 FROM members LIMIT 1; SELECT 1 FROM messages LIMIT 1; SELECT 1 FROM events LIMIT 1",
        )
        .map_err(|error| classify(path, error.into()))?;
    set_durability(&connection, options).map_err(prepare)?;
    restrict(path).map_err(io)?;
    // Missing in a new database and in a backup. Not worth failing for: `doctor` then has nothing to compare.
    let _ = note_home(&connection, &file);
    if os::FILES_TAKE_ACCESS_OF_FOLDER {
        // The log of a new database was made just now.
        restrict(path).map_err(io)?;
    }
    Ok((connection, file))
}

/// Notes in which file the database is, if that is not noted.
fn note_home(connection: &Connection, file: &OpenFile) -> Result<()> {
    if home(connection)?.is_none() {
        connection.execute("INSERT OR IGNORE INTO home (id, inode) VALUES (1, ?1)", [file.inode()])?;
        // Into the file itself: a copy of the file alone must carry it.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(())
}

/// The number of the file in which the database was made or restored.
pub(super) fn home(connection: &Connection) -> Result<Option<i64>> {
    Ok(connection.query_row("SELECT inode FROM home WHERE id = 1", [], |row| row.get(0)).optional()?)
}

/// Opens another connection for reading to an open file; another file that is at its path by now is refused.
pub(super) fn reader(file: &OpenFile, options: OpenOptions) -> Result<Connection> {
    file.check()?;
    let connection = connect(file.path(), options)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// A change that changes nothing: shows whether the file can be written.
pub(crate) fn rewrite_version(connection: &Connection) -> Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(connection.pragma_update(None, "user_version", version)?)
}

/// Refuses to go on where a newer program has changed the schema.
pub(super) fn check_version(connection: &Connection) -> Result<()> {
    let version: i64 = connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    if version > known() { Err(Error::Upgraded) } else { Ok(()) }
}

pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn connect(path: &Path, options: OpenOptions) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(128);
    // SQLite was built with STAT4 and would plan a statement anew whenever a bound value changes, an eighth of all that a
    // call costs, for statistics that are never gathered here.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection
        .execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY")?;
    Ok(connection)
}

/// Switches to WAL and sets what a commit survives. Only once the file is known to be ours: the journal
/// mode is written into it.
fn set_durability(connection: &Connection, options: OpenOptions) -> Result<()> {
    connection.execute_batch(match options.durability {
        // macOS writes through to the disk only on demand; elsewhere the last two change nothing.
        Durability::Full => {
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON"
        }
        Durability::Normal => "PRAGMA synchronous = NORMAL",
    })?;
    // SQLite does not call the busy handler for this change, which only the first process makes.
    let deadline = std::time::Instant::now() + options.busy_timeout;
    loop {
        match connection.execute_batch("PRAGMA journal_mode = WAL").map_err(Error::from) {
            Err(Error::Busy) if std::time::Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

/// Whose file it is.
enum State {
    Empty,
    Ours(i64),
    Python,
    Foreign,
}

fn state(connection: &Connection) -> Result<State> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(if pragma("application_id")? == APPLICATION_ID {
        State::Ours(pragma("user_version")?)
    } else if tables == 0 {
        State::Empty
    } else if legacy::is_python(connection)? {
        State::Python
    } else {
        State::Foreign
    })
}

/// Runs the migrations that have not run yet, in one transaction. Safe when several processes open the
/// same new file: the second finds nothing left to do.
fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    run_migrations(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Brings the schema up to date inside the caller's transaction.
pub(super) fn run_migrations(connection: &Connection) -> Result<()> {
    let done: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(done).unwrap_or(0)) {
        connection.execute_batch(migration)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", known())?;
    Ok(())
}

/// Refuses what is not an SQLite file before SQLite touches it.
fn check_header(path: &Path) -> Result<(), OpenError> {
    let corrupt =
        |reason: &str| OpenError::Corrupt { path: path.display().to_string(), reason: reason.into() };
    let io =
        |error: std::io::Error| OpenError::Io { path: path.display().to_string(), reason: error.to_string() };
    let mut header = [0_u8; 100];
    let mut file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() == 0 {
        return Ok(());
    }
    file.read_exact(&mut header).map_err(|_| corrupt("the file is shorter than a database header"))?;
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(corrupt("it has no SQLite header"));
    }
    let field = |at: usize| {
        header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
    };
    let page = match header.get(16..18) {
        Some([0, 1]) => 65_536,
        Some(&[high, low]) => u64::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    // With a log or journal beside it, a checkpoint or a commit is under way, or was killed halfway: SQLite finds the
    // missing pages there. Looked for between header and length: when none is left, what wrote this header is done.
    let under_way = ["-wal", "-journal"]
        .into_iter()
        .any(|suffix| fs::metadata(with_suffix(path, suffix)).is_ok_and(|beside| beside.len() > 0));
    let length = file.metadata().map_err(io)?.len();
    // The page count in the header counts only when it was written with the last change (offsets 24, 92).
    if !under_way && field(24) == field(92) && u64::from(field(28)) * page > length {
        return Err(corrupt("the file was cut short"));
    }
    Ok(())
}

/// Tells damage from other trouble.
fn classify(path: &Path, error: Error) -> OpenError {
    let path = path.display().to_string();
    match error {
        Error::Engine { reason, damaged: true } => OpenError::Corrupt { path, reason },
        source => OpenError::Prepare { path, source },
    }
}

/// Makes a folder, owner-only, where there is none.
pub(super) fn create_folder(folder: &Path) -> std::io::Result<()> {
    if folder.exists() { Ok(()) } else { os::create_private_folder(folder) }
}

/// Makes the folder and the file, owner-only, where there are none.
fn create_owner_only(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_folder(folder)?;
    }
    match os::open_private(path, Private::New) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Takes everybody else's permissions off the database and the files SQLite keeps beside it (which get the database's own on Unix
/// when SQLite makes them).
fn restrict(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let file = with_suffix(path, suffix);
        if file.exists() {
            os::make_private(&file)?;
        }
    }
    Ok(())
}

/// `team_table.db` and `-wal` to `team_table.db-wal`.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
