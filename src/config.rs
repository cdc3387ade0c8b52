//! The configuration: flag before environment before default, checked once. The only place that reads
//! environment variables.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::os::{self, HOME};
use crate::storage::Durability;

/// The flags every command takes. Each has an environment variable of the same name.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server options")]
pub struct Flags {
    /// Database file [env: `TEAM_TABLE_DB`] [default: `~/.team-table/team_table.db`]
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// A table on another machine, such as `https://table.example.com:8741` or, with an agent of several, `https://bob@…`, for serve on stdio, setup, run, wait and hooks with an agent's token, for board, task, message, context, search and escalation with a person's session [env: `TEAM_TABLE_URL`]
    #[arg(long, global = true, help_heading = "Global options", value_name = "URL")]
    pub url: Option<String>,
    /// Policy directory [env: `TEAM_TABLE_POLICIES`] [default: `policies/` beside the database]
    #[arg(long, global = true, help_heading = "Global options", value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// Log filter, such as debug or `team_table::policy=debug` [env: `TEAM_TABLE_LOG`] [default: info for serve, error for the other commands]
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILTER")]
    pub log: Option<String>,
    /// stdio, sse or streamable-http; the last two start one HTTP server [env: `TEAM_TABLE_TRANSPORT`] [default: stdio]
    #[arg(long, global = true, hide_short_help = true)]
    pub transport: Option<String>,
    /// Address to listen on [env: `TEAM_TABLE_HOST`] [default: 0.0.0.0]
    #[arg(long, global = true, hide_short_help = true)]
    pub host: Option<String>,
    /// Port to listen on [env: `TEAM_TABLE_PORT`] [default: 8741]
    #[arg(long, global = true, hide_short_help = true)]
    pub port: Option<String>,
    /// true or false: whether every call must carry a token [env: `TEAM_TABLE_REQUIRE_TOKENS`] [default: true]
    #[arg(long, global = true, hide_short_help = true, value_name = "BOOL")]
    pub require_tokens: Option<String>,
    /// The agent's token, for stdio clients; better in the environment, where `ps` does not show it [env: `TEAM_TABLE_TOKEN`]
    #[arg(long, global = true, hide_short_help = true)]
    pub token: Option<String>,
    /// Browser origins let through besides loopback, separated by commas [env: `TEAM_TABLE_ALLOWED_ORIGINS`]
    #[arg(long, global = true, hide_short_help = true, value_name = "LIST")]
    pub allowed_origins: Option<String>,
    /// Names the Host header may carry besides loopback ones, separated by commas [env: `TEAM_TABLE_ALLOWED_HOSTS`]
    #[arg(long, global = true, hide_short_help = true, value_name = "LIST")]
    pub allowed_hosts: Option<String>,
    /// What a proxy puts in front of every path, such as /team [env: `TEAM_TABLE_PATH_PREFIX`]
    #[arg(long, global = true, hide_short_help = true, value_name = "PATH")]
    pub path_prefix: Option<String>,
    /// Certificate, with those that vouch for it, PEM: the network transports then speak https only [env: `TEAM_TABLE_TLS_CERT`]
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM, readable by its owner only; SIGHUP reads both again [env: `TEAM_TABLE_TLS_KEY`]
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// on or off: whether the HTTP server serves the console at /console [env: `TEAM_TABLE_CONSOLE`] [default: on]
    #[arg(long, global = true, hide_short_help = true, value_name = "WORD")]
    pub console: Option<String>,
    /// full (survives a power cut) or normal (faster) [env: `TEAM_TABLE_DURABILITY`] [default: full]
    #[arg(long, global = true, hide_short_help = true)]
    pub durability: Option<String>,
}

/// How clients reach the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Standard input and output.
    Stdio,
    /// One HTTP server with both network transports.
    Network,
}

/// Where the certificate of the HTTP server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that vouch for it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The address of a table on another machine, and an agent's name.
pub type Elsewhere = Option<(String, Option<String>)>;

/// A checked configuration.
#[derive(Clone)]
pub struct Config {
    /// Database file.
    pub db: PathBuf,
    /// Where the system wants what can be made again, and what must stay; without it both are beside the database.
    pub kept: Option<[PathBuf; 2]>,
    /// A table on another machine, in place of the one in the database, without `/` or `/mcp` at its end; and the agent there,
    /// where one is named.
    pub url: Elsewhere,
    /// What a commit survives.
    pub durability: Durability,
    /// How clients reach the table.
    pub transport: Transport,
    /// Where the HTTP server listens.
    pub listen: SocketAddr,
    /// Whether every call must carry a token.
    pub require_tokens: bool,
    /// The agent's token, for stdio.
    pub token: Option<String>,
    /// Policy directory.
    pub policies: PathBuf,
    /// Browser origins let through besides loopback.
    pub allowed_origins: Vec<String>,
    /// Host names let through besides loopback.
    pub allowed_hosts: Vec<String>,
    /// What a proxy puts in front of every path; empty or `/…` without a slash at its end.
    pub path_prefix: String,
    /// The HTTP server's certificate; without one it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Whether the HTTP server serves the console.
    pub console: bool,
    /// Log filter, if one was asked for.
    pub log: Option<String>,
    /// The compiler of `policy build`, where it is not the one on the path (`TEAM_TABLE_WASM_RUSTC`; has no flag).
    pub wasm_rustc: Option<PathBuf>,
    /// Colour nothing (`NO_COLOR`, any value but an empty one: no-color.org).
    pub no_color: bool,
    /// Where cargo keeps the sources of libraries.
    pub cargo_home: Option<PathBuf>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("db", &self.db)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// What a client tells its hooks and its MCP servers of a session, by variables of the environment.
#[derive(Debug, Clone, Default)]
pub struct SessionEnvironment {
    /// Claude Code's process (`CLAUDE_PID`).
    pub claude_pid: Option<u32>,
    /// Whether a person sits in front of it (`CLAUDE_CODE_SESSION_ATTENDED` is not 0).
    pub attended: bool,
    /// Codex' folder (`CODEX_HOME`), or empty.
    pub codex_home: String,
    /// The file that Qwen Code was started to read from (`TEAM_TABLE_INPUT_FILE`, set by `team-table run`).
    pub input_file: Option<String>,
    /// The name that the session takes by itself (`TEAM_TABLE_SEAT`).
    pub seat: Option<String>,
    /// Cursor runs the hooks of other clients (`CURSOR_VERSION`).
    pub cursor: bool,
}

impl SessionEnvironment {
    /// Reads the environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            claude_pid: text("CLAUDE_PID").and_then(|pid| pid.parse().ok()),
            attended: text("CLAUDE_CODE_SESSION_ATTENDED").as_deref() != Some("0"),
            codex_home: text("CODEX_HOME").unwrap_or_default(),
            input_file: text("TEAM_TABLE_INPUT_FILE"),
            seat: text("TEAM_TABLE_SEAT"),
            cursor: text("CURSOR_VERSION").is_some(),
        }
    }
}

/// The folders in which programs are looked for (`PATH`).
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// Whether a browser can be opened here: there is a screen (`DISPLAY` or `WAYLAND_DISPLAY`; macOS and Windows always have one).
#[must_use]
pub fn has_screen() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    os::ALWAYS_HAS_SCREEN || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// The name of the user of this process (`USER`, else `LOGNAME`, else `USERNAME`).
#[must_use]
pub fn user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
}

/// The settings of Gemini CLI's user.
#[must_use]
pub fn gemini_settings() -> Option<PathBuf> {
    let home = std::env::var_os(HOME).filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".gemini").join("settings.json"))
}

/// opencode's own folder: `opencode` below `XDG_CONFIG_HOME`, else below `~/.config`.
#[must_use]
pub fn opencode_folder() -> Option<PathBuf> {
    let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = path("XDG_CONFIG_HOME").or_else(|| Some(path(HOME)?.join(".config")))?;
    Some(config.join("opencode"))
}

/// Cursor's own folder: `.cursor` in the home directory.
#[must_use]
pub fn cursor_folder() -> Option<PathBuf> {
    let home = std::env::var_os(HOME).filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".cursor"))
}

/// A value that cannot be used. Stops the start with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// One setting is wrong.
    #[error("{variable} (--{flag}) is {value:?}: {allowed}")]
    Value {
        /// Environment variable.
        variable: String,
        /// Its flag.
        flag: String,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Combination(String),
}

/// One setting: its flag's name and where its value comes from.
struct Setting<'a> {
    flag: &'static str,
    given: Option<OsString>,
    environment: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Setting<'_> {
    fn variable(&self) -> String {
        format!("TEAM_TABLE_{}", self.flag.replace('-', "_").to_uppercase())
    }

    /// The value given, an empty one counting as none.
    fn raw(&self) -> Option<OsString> {
        self.given.clone().or_else(|| (self.environment)(&self.variable())).filter(|value| !value.is_empty())
    }

    fn wrong(&self, value: &str, allowed: &str) -> ConfigError {
        let (variable, flag) = (self.variable(), self.flag.to_owned());
        ConfigError::Value { variable, flag, value: value.to_owned(), allowed: allowed.to_owned() }
    }

    /// A path. No shell stands between a client's configuration and this process, so a leading `~` or `$HOME` is replaced
    /// here, and a relative path of the environment begins at the home directory: not in whatever folder the client runs.
    fn path(&self) -> Result<Option<PathBuf>, ConfigError> {
        let Some(raw) = self.raw() else { return Ok(None) };
        let shown = raw.to_string_lossy().into_owned();
        let home = || {
            let home = (self.environment)(HOME).filter(|home| !home.is_empty()).map(PathBuf::from);
            home.ok_or_else(|| {
                self.wrong(&shown, "there is no home directory to begin at: use an absolute path")
            })
        };
        let Some(text) = raw.to_str() else { return Ok(Some(raw.into())) };
        let rest = ["~", "$HOME", "${HOME}"].into_iter().find_map(|prefix| {
            text.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if let Some(rest) = rest {
            return Ok(Some(home()?.join(rest.trim_start_matches('/'))));
        }
        if text.starts_with('~') || text.contains('$') {
            return Err(self.wrong(text, "only a leading ~/ or $HOME/ is replaced here: write the path out"));
        }
        let path = PathBuf::from(text);
        if path.is_absolute() || self.given.is_some() { Ok(Some(path)) } else { Ok(Some(home()?.join(path))) }
    }

    /// The value as a program: a bare name is looked for on the `PATH`, everything else is a path.
    fn program(&self) -> Result<Option<PathBuf>, ConfigError> {
        match self.raw() {
            Some(name) if !name.to_string_lossy().contains(['/', '~', '$']) => Ok(Some(name.into())),
            _ => self.path(),
        }
    }

    /// The value read by `read`; `allowed` says what that accepts.
    fn read<T>(
        &self,
        default: T,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let Some(raw) = self.raw() else { return Ok(default) };
        let text =
            raw.to_str().ok_or_else(|| self.wrong(&raw.to_string_lossy(), "it must be valid UTF-8"))?;
        read(text.trim()).ok_or_else(|| self.wrong(text, allowed))
    }

    fn text(&self) -> Result<Option<String>, ConfigError> {
        self.read(None, "", |text| Some(Some(text.to_owned())))
    }

    fn list(&self) -> Result<Vec<String>, ConfigError> {
        let items = |text: &str| {
            text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
        };
        self.read(Vec::new(), "", |text| Some(items(text)))
    }
}

impl Flags {
    /// Refuses relative paths where a client starts the server: each project folder would get a table of its own.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check_for_clients(&self) -> Result<(), ConfigError> {
        for (flag, given) in [("db", &self.db), ("policies", &self.policies)] {
            let Some(path) = given.as_ref().filter(|path| path.is_relative()) else { continue };
            let text = path.to_string_lossy();
            if !text.starts_with('~') && !text.starts_with('$') {
                let setting = Setting { flag, given: None, environment: &|_| None };
                return Err(setting
                    .wrong(&text, "use an absolute path or ~/…: clients start this server in any folder"));
            }
        }
        Ok(())
    }
}

/// The table on another machine, which no server of its own goes with, and the agent there.
fn table_elsewhere(setting: &Setting<'_>, transport: Transport) -> Result<Elsewhere, ConfigError> {
    let allowed =
        "use https://HOST:PORT or https://AGENT@HOST:PORT, or http:// on this machine or a private network";
    let found = setting.read(None, allowed, |url| table_url(url).map(Some))?;
    match &found {
        Some((url, _)) if transport == Transport::Network => Err(ConfigError::Combination(format!(
            "TEAM_TABLE_URL={url} is for clients of that table, and TEAM_TABLE_TRANSPORT starts a server of its own: leave \
             one of them out"
        ))),
        _ => Ok(found),
    }
}

/// The address of a table without the agent and without what its routes begin with; the agent.
#[must_use]
pub fn table_url(text: &str) -> Option<(String, Option<String>)> {
    let url = text.trim_end_matches('/');
    let (scheme, rest) = url.strip_suffix("/mcp").unwrap_or(url).split_once("://")?;
    let (agent, host) =
        rest.rsplit_once('@').map_or((None, rest), |(agent, host)| (Some(agent.to_owned()), host));
    let plain = !host.is_empty() && !host.starts_with('/') && !host.contains(['?', '#', ' ']);
    let named = agent.as_deref() != Some("");
    (matches!(scheme, "https" | "http") && plain && named).then(|| (format!("{scheme}://{host}"), agent))
}

fn on_or_off(setting: &Setting<'_>) -> Result<bool, ConfigError> {
    setting.read(true, "use on or off", |word| match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    })
}

fn path_prefix(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    let prefix = text.trim_end_matches('/');
    let fits = text.starts_with('/') && prefix.chars().all(plain) && !prefix.contains("//");
    fits.then(|| prefix.to_owned())
}

impl Config {
    /// Reads the configuration of this process.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn from_process(flags: &Flags) -> Result<Self, ConfigError> {
        Self::resolve(flags, &|name| std::env::var_os(name))
    }

    fn resolve(flags: &Flags, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let text = |given: &Option<String>| given.clone().map(OsString::from);
        let path = |given: &Option<PathBuf>| given.clone().map(PathBuf::into_os_string);
        let setting = |flag, given| Setting { flag, given, environment };

        let db = match setting("db", path(&flags.db)).path()? {
            Some(db) => db,
            None => default_db(environment)?,
        };
        let transport = setting("transport", text(&flags.transport)).read(
            Transport::Stdio,
            "use stdio, sse or streamable-http",
            |word| match word.to_lowercase().as_str() {
                "stdio" => Some(Transport::Stdio),
                "sse" | "streamable-http" => Some(Transport::Network),
                _ => None,
            },
        )?;
        let host = setting("host", text(&flags.host)).read(
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "use an IP address such as 127.0.0.1, 0.0.0.0 or ::1, or localhost",
            |word| if word == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { word.parse().ok() },
        )?;
        let port = setting("port", text(&flags.port)).read(
            8741_u16,
            "use a port from 0 (any free one) to 65535",
            |word| word.parse().ok(),
        )?;
        let require_tokens = setting("require-tokens", text(&flags.require_tokens)).read(
            true,
            "use true or false",
            |word| match word.to_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            },
        )?;
        if transport == Transport::Network && !require_tokens && !host.is_loopback() {
            return Err(ConfigError::Combination(format!(
                "TEAM_TABLE_REQUIRE_TOKENS=false with TEAM_TABLE_HOST={host} would let anyone on the network act as \
                 any agent: bind to 127.0.0.1, or leave tokens on"
            )));
        }
        let url = table_elsewhere(&setting("url", text(&flags.url)), transport)?;
        let durability = setting("durability", text(&flags.durability)).read(
            Durability::Full,
            "use full or normal",
            |word| match word {
                "full" => Some(Durability::Full),
                "normal" => Some(Durability::Normal),
                _ => None,
            },
        )?;
        let log = setting("log", text(&flags.log)).read(
            None,
            "use a level (error, warn, info, debug, trace) or a list such as info,team_table::policy=debug",
            |filter| tracing_subscriber::EnvFilter::try_new(filter).is_ok().then(|| Some(filter.to_owned())),
        )?;
        let tls = match (
            setting("tls-cert", path(&flags.tls_cert)).path()?,
            setting("tls-key", path(&flags.tls_key)).path()?,
        ) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err(half_of_tls("TEAM_TABLE_TLS_CERT", "TEAM_TABLE_TLS_KEY")),
            (None, Some(_)) => return Err(half_of_tls("TEAM_TABLE_TLS_KEY", "TEAM_TABLE_TLS_CERT")),
        };
        let policies =
            setting("policies", path(&flags.policies)).path()?.unwrap_or_else(|| default_policies(&db));
        Ok(Self {
            url,
            durability,
            transport,
            listen: SocketAddr::new(host, port),
            require_tokens,
            token: setting("token", text(&flags.token)).text()?,
            policies,
            allowed_origins: setting("allowed-origins", text(&flags.allowed_origins)).list()?,
            allowed_hosts: setting("allowed-hosts", text(&flags.allowed_hosts)).list()?,
            path_prefix: setting("path-prefix", text(&flags.path_prefix)).read(
                String::new(),
                "use a path such as /team: letters, digits, - . _ ~ and slashes, beginning with a slash",
                path_prefix,
            )?,
            tls,
            console: on_or_off(&setting("console", text(&flags.console)))?,
            log,
            wasm_rustc: setting("wasm-rustc", None).program()?,
            no_color: environment("NO_COLOR").is_some_and(|value| !value.is_empty()),
            cargo_home: environment("CARGO_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(environment(HOME)?).join(".cargo"))),
            kept: os::KEPT.and_then(|kept| {
                let home = environment(kept.variable).filter(|home| !home.is_empty()).map(PathBuf::from)?;
                Some([kept.cache, kept.state].map(|folder| home.join(folder)))
            }),
            db,
        })
    }

    /// Where compiled policies are kept between starts.
    #[must_use]
    pub fn policy_cache(&self) -> PathBuf {
        match &self.kept {
            Some([cache, _]) => self.of_table(cache, "policy-cache"),
            None => self.beside_db("policy-cache"),
        }
    }

    /// Where the last good policy set of the policy directory is kept. Each directory has its own: trying another one
    /// changes nothing that a server falls back to.
    #[must_use]
    pub fn policy_state(&self) -> PathBuf {
        let of_database = match &self.kept {
            Some([_, state]) => self.of_table(state, "policy-state"),
            None => self.beside_db("policy-state"),
        };
        if self.policies == default_policies(&self.db) {
            return of_database;
        }
        let path = std::path::absolute(&self.policies).unwrap_or_else(|_| self.policies.clone());
        let name = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        of_database.join(name.get(..16).unwrap_or_default())
    }

    /// A folder of this table in one of all tables.
    fn of_table(&self, folder: &Path, name: &str) -> PathBuf {
        // However its path is written: what was rolled back in one process must be so in each.
        let whole = std::fs::canonicalize(&self.db);
        let in_folder = || Some(std::fs::canonicalize(self.db.parent()?).ok()?.join(self.db.file_name()?));
        let path = whole.ok().or_else(in_folder).unwrap_or_else(|| self.db.clone());
        let table = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        folder.join(table.get(..16).unwrap_or_default()).join(name)
    }

    fn beside_db(&self, name: &str) -> PathBuf {
        let mut file = self.db.as_os_str().to_owned();
        file.push(".");
        file.push(name);
        file.into()
    }
}

fn default_db(environment: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, ConfigError> {
    let home = environment(HOME).filter(|home| !home.is_empty()).ok_or_else(|| {
        ConfigError::Combination(
            "there is no home directory: name the database with TEAM_TABLE_DB or --db".into(),
        )
    })?;
    Ok(PathBuf::from(home).join(".team-table").join("team_table.db"))
}

fn half_of_tls(given: &str, missing: &str) -> ConfigError {
    ConfigError::Combination(format!(
        "{given} needs {missing} beside it: set both, or neither for plain HTTP"
    ))
}

/// `policies/` beside the database.
fn default_policies(db: &Path) -> PathBuf {
    db.parent().unwrap_or(Path::new("")).join("policies")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_home_and_no_other_variable_is_replaced() {
        let db = |given: Option<&str>, variable: Option<&str>| {
            let flags = Flags { db: given.map(PathBuf::from), ..Flags::default() };
            let environment = |name: &str| match name {
                "HOME" => Some(OsString::from("/home/x")),
                "TEAM_TABLE_DB" => variable.map(OsString::from),
                _ => None,
            };
            Config::resolve(&flags, &environment).map(|config| config.db.display().to_string())
        };
        for written in ["~/t.db", "$HOME/t.db", "${HOME}/t.db", "t.db"] {
            assert_eq!(db(None, Some(written)).unwrap(), "/home/x/t.db", "{written}");
        }
        assert_eq!(db(Some("~/t.db"), None).unwrap(), "/home/x/t.db");
        assert_eq!(db(Some("t.db"), None).unwrap(), "t.db", "at a shell, from where one is");
        for wrong in ["$XDG_DATA_HOME/t.db", "~bob/t.db", "/data/$USER/t.db"] {
            let error = db(None, Some(wrong)).unwrap_err().to_string();
            assert!(error.contains("TEAM_TABLE_DB (--db)") && error.contains("$HOME/"), "{error}");
        }
        let flags = |db: &str| Flags { db: Some(db.into()), ..Flags::default() };
        assert!(flags("t.db").check_for_clients().is_err());
        assert!(flags("~/t.db").check_for_clients().is_ok());
        assert!(flags("/t.db").check_for_clients().is_ok());
    }

    fn resolve(flags: &Flags, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::resolve(flags, &|name| {
            let home = (name == "HOME").then(|| "/home/x".to_owned());
            variables
                .iter()
                .find(|(it, _)| it == name)
                .map(|(_, value)| value.clone())
                .or(home)
                .map(OsString::from)
        })
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = resolve(&Flags::default(), &[]).unwrap();
        assert_eq!(config.db, PathBuf::from("/home/x/.team-table/team_table.db"));
        assert_eq!(config.policies, PathBuf::from("/home/x/.team-table/policies"));
        assert_eq!((config.transport, config.require_tokens), (Transport::Stdio, true));
        assert_eq!(config.listen, "0.0.0.0:8741".parse().unwrap());
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_default() {
        let flags = Flags { port: Some("1".into()), ..Flags::default() };
        let config = resolve(&flags, &[("TEAM_TABLE_PORT", "2"), ("TEAM_TABLE_HOST", "::1")]).unwrap();
        assert_eq!(config.listen, "[::1]:1".parse().unwrap());
        assert_eq!(resolve(&Flags::default(), &[("TEAM_TABLE_PORT", "")]).unwrap().listen.port(), 8741);
    }

    #[test]
    fn a_bad_value_is_named_with_what_is_allowed() {
        for (variable, value) in [
            ("TEAM_TABLE_PORT", "http"),
            ("TEAM_TABLE_PORT", "65536"),
            ("TEAM_TABLE_HOST", "example"),
            ("TEAM_TABLE_TRANSPORT", "http"),
            ("TEAM_TABLE_REQUIRE_TOKENS", "maybe"),
            ("TEAM_TABLE_LOG", "x=y=z"),
            ("TEAM_TABLE_DURABILITY", "none"),
        ] {
            let error = resolve(&Flags::default(), &[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(value) && error.contains("use "), "{error}");
        }
    }

    #[test]
    fn believing_names_is_refused_on_an_open_network() {
        let open = [("TEAM_TABLE_REQUIRE_TOKENS", "false"), ("TEAM_TABLE_TRANSPORT", "sse")];
        assert!(resolve(&Flags::default(), &open).is_err());
        let loopback = [&open[..], &[("TEAM_TABLE_HOST", "127.0.0.1")]].concat();
        assert!(resolve(&Flags::default(), &loopback).is_ok());
        assert!(resolve(&Flags::default(), &open[..1]).is_ok(), "stdio is one person's own");
    }

    #[test]
    fn every_path_of_the_environment_begins_at_home() {
        let given = [
            ("HOME", "/home/ann"),
            ("TEAM_TABLE_TLS_CERT", "~/c.pem"),
            ("TEAM_TABLE_TLS_KEY", "$HOME/k.pem"),
            ("TEAM_TABLE_WASM_RUSTC", "~/bin/rustc"),
        ];
        let config = resolve(&Flags::default(), &given).unwrap();
        let files = TlsFiles { cert: "/home/ann/c.pem".into(), key: "/home/ann/k.pem".into() };
        assert_eq!(config.tls, Some(files));
        assert_eq!(config.wasm_rustc, Some("/home/ann/bin/rustc".into()));
        let by_name =
            resolve(&Flags::default(), &[given[0], ("TEAM_TABLE_WASM_RUSTC", "rustc-1.95")]).unwrap();
        assert_eq!(by_name.wasm_rustc, Some("rustc-1.95".into()));
    }

    #[test]
    fn a_certificate_and_its_key_are_given_together() {
        let (cert, key) = (("TEAM_TABLE_TLS_CERT", "/c.pem"), ("TEAM_TABLE_TLS_KEY", "/k.pem"));
        assert_eq!(resolve(&Flags::default(), &[]).unwrap().tls, None);
        let files = TlsFiles { cert: "/c.pem".into(), key: "/k.pem".into() };
        assert_eq!(resolve(&Flags::default(), &[cert, key]).unwrap().tls, Some(files));
        for (given, missing) in [(cert, key), (key, cert)] {
            let error = resolve(&Flags::default(), &[given, (missing.0, "")]).unwrap_err().to_string();
            assert!(error.starts_with(given.0) && error.contains(missing.0), "{error}");
        }
    }
}
