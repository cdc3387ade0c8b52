//! What the fuzz targets share: when a panic counts, a table with a few members, and the guests of `tests/data`.
//! Must not know what any target sends.

#![allow(clippy::unwrap_used, reason = "what fails here ends the run, and should")]

pub mod mirror;

use std::backtrace::Backtrace;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use serde_json::{Map, Value, json};
use team_table::domain::clock::Clock;
use team_table::events::Hub;
use team_table::policy::{HostConfig, PolicyHost};
use team_table::storage::{Db, Durability, OpenOptions};
use team_table::tools::{Reply, Request, Table, TableOptions, Transport};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One of the policies that come with the server: enough for the way through the pipeline, and never a rate limit.
const SET: &str = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n";

/// Ends the process on every panic, in whatever thread and whoever would catch it, with one exception: the snapshotter of
/// modules asserts what it believes of a stranger's bytes, and `team_table::policy` takes such a panic for a refusal.
pub fn every_panic_counts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // libFuzzer's own, which aborts.
        let aborting = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let ours = panic.location().is_some_and(|at| !at.file().contains("/.cargo/registry/"));
            if ours || !Backtrace::force_capture().to_string().contains("wasmtime_wizer") {
                aborting(panic);
            }
        }));
    });
}

/// A table in this process on a database of its own, with the members `alice`, `bob` and `lead`, whose names are believed.
pub struct Desk {
    /// The table.
    pub table: Table,
    /// Where it runs.
    pub runtime: Runtime,
    _dir: TempDir,
}

impl Desk {
    /// Opens one. It lasts for the whole run: an input finds what those before it left, as in a server.
    #[must_use]
    pub fn open() -> Self {
        every_panic_counts();
        // In memory where there is such a place: what is tested is not the disk.
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
        let policies = dir.path().join("policies");
        std::fs::create_dir(&policies).unwrap();
        std::fs::write(policies.join("policy-set.toml"), SET).unwrap();
        let host = PolicyHost::start(HostConfig {
            dir: policies,
            cache_dir: Some(dir.path().join("cache")),
            state_dir: Some(dir.path().join("state")),
            clock: Arc::new(|| Clock::System.now()),
        });
        let host = Arc::new(host.unwrap());
        assert!(
            host.wait_for(PATIENCE, |status| status.error.is_none()).is_some(),
            "the policies do not load"
        );
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = OpenOptions { durability: Durability::Normal, ..OpenOptions::default() };
        let db = Db::open(&dir.path().join("table").join("team_table.db"), options).unwrap();
        // A program of ours ignores this signal, which says that a client hung up; libFuzzer's main does not.
        drop(runtime.block_on(async { signal(SignalKind::pipe()) }).unwrap());
        let hub = runtime.block_on(async { Hub::start(db.clone()) });
        let options = TableOptions { require_tokens: false, clock: Clock::System };
        let desk = Self { table: Table::new(db, host, hub, options), runtime, _dir: dir };
        for name in ["alice", "bob", "lead"] {
            let Value::Object(arguments) = json!({ "name": name }) else { unreachable!() };
            assert!(!desk.call("register", arguments).is_error);
        }
        desk
    }

    /// Makes a call.
    pub fn call(&self, tool: &str, arguments: Map<String, Value>) -> Reply {
        let request = Request {
            tool: tool.into(),
            arguments,
            bearer: None,
            transport: Transport::Stdio,
            seats: Vec::new(),
        };
        let answered = async { tokio::time::timeout(PATIENCE, self.table.call(request)).await };
        self.runtime.block_on(answered).expect("a call does not end").expect("a tool of the registry")
    }
}

/// The project's own folder of this name.
#[must_use]
pub fn project(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder)
}

/// A component around the core module `text`, which has `(;frame;)` where the parts go that all guests share.
#[must_use]
pub fn framed(text: &str) -> Vec<u8> {
    let frame = |part: &str| {
        let path = project("tests/data/guests/frame").join(part).with_extension("wat");
        std::fs::read_to_string(path).unwrap()
    };
    let module = text.replace("(module\n", "(core module $main\n").replace("(;frame;)", &frame("core"));
    wat::parse_str(frame("component").replace("(;module;)", &module)).unwrap()
}
