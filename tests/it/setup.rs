//! `setup`, `run` and what `doctor` says of them, with a stand-in for a client that keeps a plugin as the real one does. What the
//! real ones do is seen in `.ci/clients`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::harness::Home;

/// A machine with Claude Code on it.
struct Machine {
    home: Home,
}

impl Machine {
    fn new(version: &str) -> Self {
        let machine = Self { home: Home::new() };
        let bin = machine.home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let installed = bin.join("installed");
        let script = format!(
            r#"#!/bin/sh
echo "$*" >> "{log}"
case "$*" in
    --version) echo "{version} (Claude Code)" ;;
    "plugin list --json") if [ -e "{installed}" ]; then echo '["team-table@team-table"]'; else echo '[]'; fi ;;
    "plugin install"*) : > "{installed}" ;;
    "plugin uninstall"*) rm "{installed}" ;;
esac
"#,
            log = bin.join("log").display(),
            installed = installed.display(),
        );
        machine.install("claude", &script);
        machine
    }

    fn install(&self, program: &str, script: &str) {
        let file = self.home.path().join("bin").join(program);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.home.path().join("bin").display());
        self.home.command().env("PATH", path).args(arguments).output().unwrap()
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the client was told, without what only looks.
    fn told(&self) -> Vec<String> {
        let log = fs::read_to_string(self.home.path().join("bin/log")).unwrap_or_default();
        log.lines()
            .filter(|line| !["plugin list --json", "--version"].contains(line))
            .map(Into::into)
            .collect()
    }

    fn integrations(&self) -> PathBuf {
        self.home.db().with_file_name("integrations")
    }

    fn finding(&self, what: &str) -> Value {
        let report: Value = serde_json::from_slice(&self.run(&["doctor", "--json"]).stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["what"] == what).cloned().unwrap_or_default()
    }
}

#[test]
fn setup_is_idempotent_and_undo_leaves_nothing() {
    let machine = Machine::new("2.1.331");
    let said = machine.succeed(&["setup", "claude", "--name", "bob", "--role", "coder", "--yes"]);
    assert!(said.starts_with("claude: is set up"), "{said}");
    let dir = machine.integrations();
    let installing =
        [format!("plugin marketplace add {}", dir.display()), "plugin install team-table@team-table".into()];
    assert_eq!(machine.told(), installing);
    let hooks = fs::read_to_string(dir.join("claude/hooks/hooks.json")).unwrap();
    let start =
        &serde_json::from_str::<Value>(&hooks).unwrap()["hooks"]["SessionStart"][0]["hooks"][0]["args"];
    let words: Vec<&str> = start.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words[..3], ["hook", "claude", "start"]);
    assert_eq!(words[5..], ["--name", "bob", "--role", "coder"]);
    let mode = fs::metadata(dir.join("claude/hooks/hooks.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let said = machine.succeed(&["setup", "claude", "--name", "bob", "--role", "coder", "--yes"]);
    assert!(said.starts_with("claude: is set up already"), "{said}");
    assert_eq!(machine.told(), installing);

    let said = machine.succeed(&["setup", "claude", "--undo", "--yes"]);
    assert_eq!(said, "claude: is removed\n");
    assert!(!dir.exists());
    assert_eq!(machine.succeed(&["setup", "claude", "--status"]), "claude: not set up\n");
}

#[test]
fn opencode_gets_one_file_and_only_ours_is_touched() {
    let machine = Machine::new("2.1.331");
    machine.install("opencode", "#!/bin/sh\necho 1.18.33\n");
    let folder = machine.home.path().join(".config/opencode");
    let plugin = folder.join("plugin/team-table.js");
    fs::create_dir_all(folder.join("plugin")).unwrap();
    fs::write(folder.join("opencode.json"), "{}").unwrap();
    machine.succeed(&["setup", "opencode", "--name", "bob", "--yes"]);
    let text = fs::read_to_string(&plugin).unwrap();
    let table = text.lines().next().unwrap().strip_prefix("const TABLE = ").unwrap();
    let table: Value = serde_json::from_str(table.trim_end_matches(';')).unwrap();
    assert_eq!(table["command"], env!("CARGO_BIN_EXE_team-table"));
    assert_eq!(table["seat"], serde_json::json!(["--name", "bob", "--role", "agent"]));
    assert!(
        machine.succeed(&["setup", "opencode", "--name", "bob", "--yes"]).contains("is set up already"),
        "the second time"
    );
    assert_eq!(machine.finding("opencode")["ok"], true);
    machine.succeed(&["setup", "opencode", "--undo", "--yes"]);
    assert!(!plugin.exists());
    assert_eq!(fs::read_to_string(folder.join("opencode.json")).unwrap(), "{}");

    fs::create_dir_all(folder.join("plugin")).unwrap();
    fs::write(&plugin, "// mine").unwrap();
    for arguments in [&["setup", "opencode", "--yes"][..], &["setup", "opencode", "--undo", "--yes"]] {
        let output = machine.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("is not of team-table setup"));
    }
    assert_eq!(fs::read_to_string(&plugin).unwrap(), "// mine");
}

#[test]
fn without_a_terminal_setup_says_what_it_would_do_and_does_nothing() {
    let machine = Machine::new("2.1.331");
    let output = machine.run(&["setup", "claude"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("run claude plugin install team-table@team-table"), "{said}");
    assert!(said.contains("--yes does it"), "{said}");
    assert_eq!(machine.told(), Vec::<String>::new());
    assert!(!machine.integrations().exists());
}

#[test]
fn the_doctor_looks_at_the_hooks_of_the_clients() {
    let machine = Machine::new("2.1.331");
    assert_eq!(machine.finding("claude"), Value::Null, "it is not set up");
    machine.succeed(&["setup", "claude", "--yes"]);
    assert_eq!(machine.finding("claude")["ok"], true);
    assert_eq!(machine.finding("hooks"), Value::Null);

    machine.run(&["hook", "claude", "stop"]);
    let hooks = machine.finding("hooks");
    assert_eq!(hooks["ok"], true, "a note");
    assert!(hooks["found"].as_str().unwrap().starts_with("1 failures"), "{hooks}");

    let manifest = machine.integrations().join("claude/.claude-plugin/plugin.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace(env!("CARGO_BIN_EXE_team-table"), "/gone/team-table")).unwrap();
    let moved = machine.finding("claude");
    assert_eq!((&moved["ok"], &moved["mend"]), (&false.into(), &"team-table setup".into()), "{moved}");

    let old = Machine::new("2.1.138");
    old.succeed(&["setup", "claude", "--yes"]);
    let found = old.finding("claude");
    assert_eq!(found["ok"], false);
    assert!(found["found"].as_str().unwrap().contains("2.1.138 is older than 2.1.139"), "{found}");
}

#[test]
fn the_doctor_finds_hooks_that_codex_does_not_run() {
    let machine = Machine::new("2.1.331");
    let bin = machine.home.path().join("bin");
    let script = format!(
        r#"#!/bin/sh
case "$*" in
    --version) echo "codex-cli 0.169.0" ;;
    "plugin list --json") if [ -e "{bin}/added" ]; then echo '["team-table@team-table"]'; else echo '[]'; fi ;;
    "plugin add"*) : > "{bin}/added" ;;
    app-server)
        while read -r line; do
            case "$line" in *hooks/list*) cat "{bin}/hooks"; echo ;; *initialize*) echo '{{"id": 1, "result": {{}}}}' ;; esac
        done ;;
esac
"#,
        bin = bin.display()
    );
    machine.install("codex", &script);
    machine.succeed(&["setup", "codex", "--yes"]);
    let hooks = |status: &str| {
        let hook = |plugin: &str| serde_json::json!({ "pluginId": plugin, "trustStatus": status });
        let mut hooks = vec![hook("team-table@team-table"); 5];
        hooks.push(hook("another@market"));
        let answer = serde_json::json!({ "id": 2, "result": { "data": [{ "hooks": hooks }] } });
        fs::write(bin.join("hooks"), answer.to_string()).unwrap();
        machine.finding("codex")
    };
    let untrusted = hooks("untrusted");
    assert_eq!(untrusted["ok"], false);
    assert!(untrusted["found"].as_str().unwrap().starts_with("0 of its 5 hooks"), "{untrusted}");
    assert_eq!(hooks("trusted")["ok"], true);
}

#[test]
fn a_session_is_started_at_the_table_and_nothing_is_installed() {
    let machine = Machine::new("2.1.331");
    machine.succeed(&["run", "claude", "--name", "bob", "--", "--model", "opus"]);
    let plugin = machine.integrations().join("run/bob-agent/claude");
    assert_eq!(machine.told(), [format!("--plugin-dir {} --model opus", plugin.display())]);
    assert!(plugin.join(".claude-plugin/plugin.json").exists());
    // Two plugins of one name would ring twice.
    machine.succeed(&["setup", "claude", "--yes"]);
    let output = machine.run(&["run", "claude"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is set up already"));
}

#[test]
fn this_repository_is_a_plugin_of_each_client() {
    let home = Home::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = home.path().join("fresh");
    home.succeed(&["setup", "--publish", fresh.to_str().unwrap()]);
    let mut folders = vec![fresh.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let kept = root.join(path.strip_prefix(&fresh).unwrap());
            let text = fs::read_to_string(&path).unwrap();
            let same = fs::read_to_string(&kept).is_ok_and(|found| found == text);
            assert!(same, "{} is stale: run target/debug/team-table setup --publish .", kept.display());
        }
    }
    assert_eq!(files, 13);
}
