//! `doctor`: looks at everything a table needs and says how to mend what is wrong.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::processes::{self, Process};
use super::{CliError, output, remote, setup};
use crate::app;
use crate::config::{Config, TlsFiles, Transport};
use crate::domain::clock::{Clock, SECOND};
use crate::mcp::{self, Tls};
use crate::os::{self, Access};
use crate::policy::Source;
use crate::storage::{CLOCK_TOLERANCE, ChainReport, Db};

/// Longest wait for the policies to load.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest answer of a server that is asked whether it is ready, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Look at nothing but the server at this address, such as `http://127.0.0.1:8741`: status 0 when it is ready
    #[arg(long, value_name = "URL")]
    ready: Option<String>,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    what: &'static str,
    ok: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    pub(super) fn good(what: &'static str, found: impl Display) -> Self {
        Self { what, ok: true, found: found.to_string(), mend: None }
    }

    /// Nothing is wrong, and something could be better.
    pub(super) fn note(what: &'static str, found: impl Display, mend: impl Display) -> Self {
        Self { ok: true, ..Self::bad(what, found, mend) }
    }

    pub(super) fn bad(what: &'static str, found: impl Display, mend: impl Display) -> Self {
        Self { what, ok: false, found: found.to_string(), mend: Some(mend.to_string()) }
    }
}

pub(super) fn run(config: &Config, arguments: &DoctorArguments) -> Result<(), CliError> {
    let mut findings = Vec::new();
    if let Some(address) = &arguments.ready {
        findings.push(server(address)?);
    } else {
        database(config, &mut findings);
        findings.push(policies(config));
        if config.transport == Transport::Network {
            findings.push(port(config));
        }
        if let Some(files) = &config.tls {
            findings.push(certificate(files));
        }
        findings.extend(setup::findings(config));
        findings.extend(remote::findings(config));
    }
    let ok = findings.iter().all(|finding| finding.ok);
    if output::is_json() {
        output::json(&json!({ "ok": ok, "findings": findings }))?;
    } else {
        for finding in &findings {
            let mark = match (finding.ok, &finding.mend) {
                (true, None) => "ok   ",
                (true, Some(_)) => "note ",
                (false, _) => "WRONG",
            };
            output::line(&format!("{mark}  {}: {}", finding.what, finding.found))?;
            if let Some(mend) = &finding.mend {
                output::line(&format!("       to mend it: {mend}"))?;
            }
        }
    }
    if ok { Ok(()) } else { Err(CliError::Found) }
}

fn database(config: &Config, findings: &mut Vec<Finding>) {
    findings.extend(processes(&config.db));
    if !config.db.exists() {
        findings.push(Finding::good(
            "database",
            format!("{} will be created at the first start", config.db.display()),
        ));
        return;
    }
    if let Some(stranger) = strangers(config) {
        findings.push(stranger);
        return;
    }
    findings.push(permissions(&config.db));
    let db = match app::open_db(config) {
        Ok(db) => db,
        Err(error) => {
            findings.push(Finding::bad(
                "database",
                error,
                "restore a backup, or name another file with --db",
            ));
            return;
        }
    };
    findings.push(Finding::good("database", format!("{} opens", config.db.display())));
    findings.push(writable(&db));
    findings.extend(clock(&db));
    findings.extend(copied(&db));
    findings.push(match db.read(|tx| tx.integrity()) {
        Ok(problems) if problems.is_empty() => Finding::good("integrity", "no damage"),
        Ok(problems) => {
            Finding::bad("integrity", problems.join("; "), "stop every process, then restore a backup")
        }
        Err(error) => Finding::bad("integrity", error, "stop every process, then restore a backup"),
    });
    findings.push(match db.read(|tx| tx.verify_audit()) {
        Ok(ChainReport::Intact { rows }) => Finding::good("audit chain", format!("{rows} rows, intact")),
        Ok(ChainReport::Broken { id, .. }) => Finding::bad(
            "audit chain",
            format!("row {id} does not follow from the one before it"),
            "somebody changed the log outside team-table: compare with a backup",
        ),
        Err(error) => Finding::bad("audit chain", error, "see integrity"),
    });
}

/// Whether the file came here by `cp`. No fault if the original was closed, and nothing in the copy tells.
fn copied(db: &Db) -> Option<Finding> {
    db.is_plain_copy().ok().filter(|copied| *copied).map(|_| {
        Finding::note(
            "copy",
            "this file was copied or moved here by other means than team-table restore: if a process used the original \
             meanwhile, its newest changes are missing",
            "copy the original anew with team-table backup and put it here with team-table restore; if it was closed, a \
             backup and restore of this file ends the notice",
        )
    })
}

/// Whether the machine's clock was set back. Asked first, so that what is stored meanwhile is not from the future.
fn clock(db: &Db) -> Option<Finding> {
    let newest = db.read(|tx| tx.newest()).ok()?;
    let behind = newest - Clock::System.now();
    (behind > CLOCK_TOLERANCE).then(|| {
        Finding::bad(
            "clock",
            format!(
                "the clock of this machine jumped: it is {} s behind the newest time in the database, {}",
                behind / SECOND,
                output::local_time(newest)
            ),
            "set the clock right (NTP). Until it has caught up, the table's time goes on at half its pace, so that limits \
             and leases neither freeze nor run back",
        )
    })
}

/// Other processes at this table that keep it from working.
fn processes(db: &Path) -> Vec<Finding> {
    let lost = processes::with_a_lost_file(db).into_iter().map(|Process { pid, program }| {
        Finding::bad(
            "processes",
            format!(
                "process {pid} ({program}) still uses a file that was removed from {} or replaced there",
                db.display()
            ),
            format!("restart that client or server, or end it: kill {pid}"),
        )
    });
    let stopped = processes::stopped_writer(db).map(|Process { pid, program }| {
        let since = processes::last_write(db).map(|at| format!(" since {}", output::local_time(at)));
        Finding::bad(
            "processes",
            format!(
                "process {pid} ({program}) is suspended and holds the write lock: every change waits for it, and none was \
                 written{}",
                since.unwrap_or_default()
            ),
            format!("let it go on: kill -CONT {pid}; or end it: kill -KILL {pid}"),
        )
    });
    lost.chain(stopped).collect()
}

fn writable(db: &Db) -> Finding {
    match db.write(|tx| tx.probe()) {
        Ok(()) => Finding::good("writing", "a commit goes through"),
        Err(error) => {
            Finding::bad("writing", error, "free disk space, check who owns the file, or stop what locks it")
        }
    }
}

/// A file of the table that belongs to another user than the table: what `sudo` leaves behind.
fn strangers(config: &Config) -> Option<Finding> {
    let db = std::path::absolute(&config.db).ok()?;
    let folder = db.parent()?;
    // In a folder that everybody may use, such as /tmp, the file alone tells.
    let owner = os::owner_number(if os::is_shared_folder(folder) { &db } else { folder })?;
    let beside = ["", "-wal", "-shm"].map(|suffix| {
        let mut file = db.clone().into_os_string();
        file.push(suffix);
        PathBuf::from(file)
    });
    let folders = [config.policies.clone(), config.policy_cache(), config.policy_state()];
    let inside = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
    let files = beside.into_iter().chain(folders.clone()).chain(inside.map(|entry| entry.path()));
    let (stranger, uid) = files
        .filter_map(|file| Some((os::owner_number(&file)?, file)))
        .find_map(|(uid, file)| (uid != owner).then_some((file, uid)))?;
    Some(Finding::bad(
        "owner",
        format!("{} belongs to user {uid}, the table to user {owner}", stranger.display()),
        format!("sudo chown -R {owner} {}* {}", db.display(), config.policies.display()),
    ))
}

fn permissions(db: &Path) -> Finding {
    let folder = db.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for (path, is_open) in
        [(db, (|access| access.others_use) as fn(&Access) -> bool), (folder, |access| access.others_write)]
    {
        match Access::at(path) {
            Ok(access) if is_open(&access) => {
                let found = format!("{} can be used by others ({})", path.display(), access.shown);
                return Finding::bad("permissions", found, Access::remedy(path));
            }
            Ok(_) => {}
            Err(error) => return Finding::bad("permissions", error, format!("check {}", path.display())),
        }
    }
    Finding::good(
        "permissions",
        "nobody but the owner (and the system's administrators) can open the database, or write to its folder",
    )
}

fn policies(config: &Config) -> Finding {
    let host = match app::look_at_policies(config) {
        Ok(host) => host,
        Err(error) => {
            return Finding::bad("policies", error, "this machine cannot run WebAssembly: report it");
        }
    };
    let Some(status) = host.wait_for(PATIENCE, |_| true) else {
        return Finding::bad("policies", "they take longer than a minute to load", "team-table policy list");
    };
    let names: Vec<&str> = status.deciding.iter().map(|policy| policy.name.as_str()).collect();
    match (&status.error, status.source) {
        (None, _) => {
            let off = super::policy::not_deciding(&status.not_deciding).map(|off| format!("; {off}"));
            let off = off.unwrap_or_default();
            Finding::good("policies", format!("{} active: {}{off}", names.len(), names.join(", ")))
        }
        (Some(error), Source::Nothing) => {
            Finding::bad("policies", format!("every call is refused: {error}"), mend_policies(config))
        }
        (Some(error), _) => {
            Finding::bad("policies", format!("an older set decides: {error}"), mend_policies(config))
        }
    }
}

fn mend_policies(config: &Config) -> String {
    format!("correct or remove {}", config.policies.join("policy-set.toml").display())
}

fn server(address: &str) -> Result<Finding, CliError> {
    let place = format!("{}/readyz", address.trim_end_matches('/'));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = output::visible(address);
    Ok(match runtime.block_on(mcp::fetch_document(&place, MAX_ANSWER)) {
        Ok(_) => Finding::good("server", format!("{shown} is ready")),
        Err(error) => {
            let mend = "start it, or look at what its log and team-table doctor say";
            Finding::bad("server", format!("{shown}: {error}"), mend)
        }
    })
}

fn port(config: &Config) -> Finding {
    match std::net::TcpListener::bind(config.listen) {
        Ok(_) => Finding::good("port", format!("{} is free", config.listen)),
        Err(error) => Finding::bad(
            "port",
            format!("{}: {error}", config.listen),
            "a server may be running there already (that is fine); else choose another with --port",
        ),
    }
}

fn certificate(files: &TlsFiles) -> Finding {
    let tls = match Tls::load(&files.cert, &files.key) {
        Ok(tls) => tls,
        Err(error) => {
            return Finding::bad(
                "certificate",
                error,
                "mend the files, then send SIGHUP to a running server",
            );
        }
    };
    let shown = files.cert.display();
    match tls.valid_until() {
        Some(until) if until < Clock::System.now() => Finding::bad(
            "certificate",
            format!("{shown} expired at {}", output::local_time(until)),
            "renew it, then send SIGHUP to a running server",
        ),
        Some(until) => {
            Finding::good("certificate", format!("{shown} is valid until {}", output::local_time(until)))
        }
        None => Finding::good("certificate", format!("{shown} and its key belong together")),
    }
}
