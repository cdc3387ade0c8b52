//! `setup`, `run` and what `doctor` says of them, with a stand-in for a client that keeps a plugin as the real one does. What the
//! real ones do is seen in `.ci/clients`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::harness::{Home, mode, set_mode};

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
    "plugin list --json")
        echo "["
        for plugin in "{installed}"/*; do [ -e "$plugin" ] && cat "$plugin" && echo , ; done
        echo '{{"id": "another@market", "scope": "user"}}]'
        echo 'a warning: ]' >&2 ;;
    "plugin install"*"--scope project")
        printf '{{"id": "team-table@team-table", "scope": "project", "projectPath": "%s"}}' "$PWD" > "{installed}/$(basename "$PWD")" ;;
    "plugin install"*) echo '{{"id": "team-table@team-table", "scope": "user"}}' > "{installed}/user" ;;
    "plugin uninstall"*"--scope project") rm "{installed}/$(basename "$PWD")" ;;
    "plugin uninstall"*) rm "{installed}/user" ;;
esac
"#,
            log = bin.join("log").display(),
            installed = installed.display(),
        );
        fs::create_dir(&installed).unwrap();
        machine.install("claude", &script);
        machine
    }

    fn install(&self, program: &str, script: &str) {
        let file = self.home.path().join("bin").join(program);
        fs::write(&file, script).unwrap();
        set_mode(&file, 0o755);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_in(self.home.path(), arguments)
    }

    fn run_in(&self, folder: &Path, arguments: &[&str]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.home.path().join("bin").display());
        self.home.command().current_dir(folder).env("PATH", path).args(arguments).output().unwrap()
    }

    /// A new folder to work in.
    fn project(&self, name: &str) -> PathBuf {
        let folder = self.home.path().canonicalize().unwrap().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        self.succeed_in(self.home.path(), arguments)
    }

    fn succeed_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.run_in(folder, arguments);
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
    let mode = mode(&dir.join("claude/hooks/hooks.json"));
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

const SERVERS: &str = "{\n  // of the person\n  \"mcpServers\": {\n    \"zed\": { \"url\": \"http://x\" },\n    \"ann\": { \"command\": \"a\" }\n  }\n}\n";
const HOOKS: &str = "{ \"version\": 1, \"hooks\": { \"stop\": [ { \"command\": \"./mine.sh\" } ] } }";

/// Everything in a folder: its files, what is in them, and who may read them.
fn all(folder: &Path) -> Vec<(PathBuf, String, u32)> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let mode = mode(&path);
        (path.clone(), fs::read_to_string(&path).unwrap(), mode)
    };
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(entry).collect();
    all.sort();
    all
}

#[test]
fn cursor_keeps_what_others_put_into_its_files_and_gets_them_back_byte_for_byte() {
    let machine = Machine::new("2.1.331");
    assert_eq!(machine.succeed(&["setup", "cursor", "--yes"]), "cursor: not installed\n");
    let folder = machine.home.path().join(".cursor");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("mcp.json"), SERVERS).unwrap();
    set_mode(&folder.join("mcp.json"), 0o640);
    fs::write(folder.join("hooks.json"), HOOKS).unwrap();
    let before = all(&folder);
    let setup = ["setup", "cursor", "--name", "bob", "--role", "coder", "--yes"];
    assert!(machine.succeed(&setup).contains("cursor: is set up; "));

    let servers = fs::read_to_string(folder.join("mcp.json")).unwrap();
    assert!(servers.starts_with(SERVERS.strip_suffix("\n  }\n}\n").unwrap()), "{servers}");
    assert!(servers.contains(&format!("\"command\": \"{}\"", env!("CARGO_BIN_EXE_team-table"))), "{servers}");
    let hooks = fs::read_to_string(folder.join("hooks.json")).unwrap();
    let hooks: Value = serde_json::from_str(&hooks).unwrap();
    assert_eq!(hooks["hooks"]["stop"][0]["command"], "./mine.sh");
    let line = |event: &str, at: usize| hooks["hooks"][event][at]["command"].as_str().unwrap().to_owned();
    assert!(line("stop", 1).contains("team-table hook cursor stop --db "), "{hooks}");
    assert!(line("sessionStart", 0).ends_with(" --name bob --role coder"), "{hooks}");
    assert!(line("postToolUse", 0).contains(" hook cursor tool "), "{hooks}");
    assert!(line("sessionEnd", 0).contains(" hook cursor end "), "{hooks}");
    let mode = mode(&folder.join("mcp.json"));
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(machine.succeed(&["setup", "cursor", "--status"]), "cursor: set up\n");
    assert_eq!(machine.finding("cursor")["ok"], true);

    let once = all(&folder);
    assert_eq!(once.len(), 4, "two backups: {once:?}");
    assert!(machine.succeed(&setup).starts_with("cursor: is set up already"));
    assert_eq!(all(&folder), once);

    assert!(machine.succeed(&["setup", "cursor", "--name", "amy", "--yes"]).contains("cursor: is set up; "));
    assert_eq!(all(&folder).len(), 5, "of hooks.json there are two now");
    assert_eq!(machine.succeed(&["setup", "cursor", "--undo", "--yes"]), "cursor: is removed\n");
    assert_eq!(all(&folder), before);
    assert_eq!(machine.succeed(&["setup", "cursor", "--undo", "--yes"]), "cursor: was not set up\n");
    assert_eq!(machine.succeed(&["setup", "cursor", "--status"]), "cursor: not set up\n");
}

#[test]
fn what_a_person_changed_in_cursors_files_since_setup_outlives_undo() {
    let machine = Machine::new("2.1.331");
    machine.install("cursor-agent", "#!/bin/sh\n");
    let folder = machine.home.path().join(".cursor");
    machine.succeed(&["setup", "cursor", "--yes"]);
    assert_eq!(all(&folder).len(), 2, "nothing to back up");
    let servers = fs::read_to_string(folder.join("mcp.json")).unwrap();
    fs::write(folder.join("mcp.json"), servers.replacen('{', "{ \"since\": 1,", 1)).unwrap();
    machine.succeed(&["setup", "cursor", "--undo", "--yes"]);
    let left = all(&folder);
    assert_eq!(left.len(), 2, "hooks.json was ours alone; the other file and its backup stay: {left:?}");
    let servers: Value = serde_json::from_str(&left[0].1).unwrap();
    assert_eq!(servers, serde_json::json!({ "since": 1, "mcpServers": {} }));

    // Of a machine where nothing was, nothing is left.
    fs::remove_dir_all(&folder).unwrap();
    machine.succeed(&["setup", "cursor", "--yes"]);
    machine.succeed(&["setup", "cursor", "--undo", "--yes"]);
    assert!(!folder.exists());
}

#[test]
fn a_file_of_cursor_that_is_no_json_is_refused_and_neither_is_touched() {
    let machine = Machine::new("2.1.331");
    let folder = machine.home.path().join(".cursor");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("mcp.json"), SERVERS).unwrap();
    let foreign = "{ \"hooks\": {} , \"version\": 2 }";
    for broken in ["{ \"version\": 1, ", "[]", foreign] {
        fs::write(folder.join("hooks.json"), broken).unwrap();
        let before = all(&folder);
        let output = machine.run(&["setup", "cursor", "--yes"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("hooks.json is left as it is: it"), "{said}");
        assert!(said.contains("add this by hand:") && said.contains("hook cursor stop"), "{said}");
        assert_eq!(all(&folder), before);
    }
    fs::write(folder.join("hooks.json"), HOOKS).unwrap();
    fs::write(folder.join("mcp.json"), "{\"mcpServers\": {\"team-table\": {\"url\": \"http://x\"}}}")
        .unwrap();
    let before = all(&folder);
    let output = machine.run(&["setup", "cursor", "--yes"]);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("a server team-table that is not of team-table setup")
    );
    assert_eq!(machine.succeed(&["setup", "cursor", "--undo", "--yes"]), "cursor: was not set up\n");
    assert_eq!(all(&folder), before);
}

#[test]
fn a_file_of_cursor_that_is_a_link_stays_one() {
    let machine = Machine::new("2.1.331");
    let (folder, dotfiles) = (machine.home.path().join(".cursor"), machine.project("dotfiles"));
    fs::create_dir(&folder).unwrap();
    fs::write(dotfiles.join("mcp.json"), SERVERS).unwrap();
    set_mode(&dotfiles.join("mcp.json"), 0o604);
    let before = all(&dotfiles);
    std::os::unix::fs::symlink("../dotfiles/mcp.json", folder.join("mcp.json")).unwrap();
    machine.succeed(&["setup", "cursor", "--yes"]);
    let link = fs::read_link(folder.join("mcp.json")).unwrap();
    assert_eq!(link, Path::new("../dotfiles/mcp.json"));
    let [(_, text, mode)] = &all(&dotfiles)[..] else { panic!("something else came there") };
    assert!(text.contains("\"team-table\": {"), "{text}");
    assert_eq!(*mode, 0o604);
    machine.succeed(&["setup", "cursor", "--undo", "--yes"]);
    assert_eq!(all(&dotfiles), before);
    assert!(fs::read_link(folder.join("mcp.json")).is_ok());

    fs::remove_file(dotfiles.join("mcp.json")).unwrap();
    let output = machine.run(&["setup", "cursor", "--yes"]);
    assert_eq!(output.status.code(), Some(1), "a link to nothing: {output:?}");
}

#[test]
fn claude_is_set_up_in_one_project_and_others_keep_theirs() {
    let machine = Machine::new("2.1.331");
    let [one, two] = ["one", "two"].map(|name| machine.project(name));
    let status = |folder: &Path| machine.succeed_in(folder, &["setup", "claude", "--status", "--project"]);
    let said = machine.succeed_in(&one, &["setup", "claude", "--project", "--name", "bob", "--yes"]);
    assert!(said.contains("whoever shares the project runs team-table setup claude once"), "{said}");
    let dir = machine.integrations();
    let [add, install] = [
        format!("plugin marketplace add {}", dir.display()),
        "plugin install team-table@team-table --scope project".into(),
    ];
    assert_eq!(machine.told(), [add.clone(), install.clone()]);
    assert_eq!([status(&one), status(&two)], ["claude: set up\n", "claude: not set up\n"]);
    assert_eq!(machine.succeed(&["setup", "claude", "--status"]), "claude: not set up\n");

    let said = machine.succeed_in(&one, &["setup", "claude", "--project", "--yes"]);
    assert!(said.starts_with("claude: is set up already"), "no name is none that is taken away: {said}");
    machine.succeed_in(&two, &["setup", "claude", "--project", "--yes"]);
    assert_eq!(machine.told()[2..], [add, install]);
    let hooks = fs::read_to_string(dir.join("claude/hooks/hooks.json")).unwrap();
    assert!(hooks.contains("bob"), "{hooks}");

    let said = machine.succeed_in(&one, &["setup", "claude", "--undo", "--project", "--yes"]);
    assert!(said.contains("it stays set up elsewhere"), "{said}");
    let uninstall = "plugin uninstall team-table@team-table --scope project";
    assert_eq!(machine.told()[4..], [uninstall], "removing the marketplace would remove it from the other");
    assert_eq!([status(&one), status(&two)], ["claude: not set up\n", "claude: set up\n"]);
    machine.succeed_in(&two, &["setup", "claude", "--undo", "--project", "--yes"]);
    assert_eq!(machine.told()[5..], [uninstall, "plugin marketplace remove team-table"]);
    assert!(!dir.exists());
}

#[test]
fn files_in_a_project_name_nothing_of_this_machine() {
    let machine = Machine::new("2.1.331");
    machine.install("opencode", "#!/bin/sh\necho 1.18.33\n");
    machine.install("cursor", "#!/bin/sh\n");
    let project = machine.project("shared");
    let setup = ["setup", "cursor", "opencode", "--project", "--name", "bob", "--yes"];
    let said = machine.succeed_in(&project, &setup);
    assert_eq!(said.matches("whoever shares the project needs it there").count(), 2, "{said}");
    let files = [".cursor/mcp.json", ".cursor/hooks.json", ".opencode/plugin/team-table.js"];
    let texts = files.map(|file| fs::read_to_string(project.join(file)).unwrap());
    for text in &texts {
        assert!(!text.contains(env!("CARGO_BIN_EXE_team-table")) && !text.contains("--db"), "{text}");
    }
    assert!(texts[0].contains("\"command\": \"team-table\""), "{}", texts[0]);
    assert!(texts[1].contains("\"team-table hook cursor start --name bob --role agent\""), "{}", texts[1]);
    let table =
        r#"const TABLE = {"arguments":[],"command":"team-table","seat":["--name","bob","--role","agent"]};"#;
    assert!(texts[2].starts_with(table), "{}", texts[2]);
    for of_user in [".cursor", ".config/opencode"] {
        assert!(!machine.home.path().join(of_user).exists(), "{of_user}");
    }
    assert_eq!(machine.succeed_in(&project, &setup).matches("is set up already").count(), 2);
    let status = |more: &[&str]| {
        machine.succeed_in(&project, &[&["setup", "cursor", "opencode", "--status"], more].concat())
    };
    assert_eq!(status(&["--project"]), "opencode: set up\ncursor: set up\n");
    assert_eq!(status(&[]), "opencode: not set up\ncursor: not set up\n");
    machine.succeed_in(&project, &["setup", "cursor", "opencode", "--undo", "--project", "--yes"]);
    assert_eq!(
        fs::read_dir(project.join(".cursor")).err().map(|error| error.kind()),
        Some(std::io::ErrorKind::NotFound)
    );
    assert!(!project.join(files[2]).exists());
}

#[test]
fn clients_without_plugins_of_one_project_refuse_it() {
    let machine = Machine::new("2.1.331");
    for client in ["codex", "gemini", "qwen"] {
        let log = machine.home.path().join("bin").join(format!("{client}.log"));
        machine.install(client, &format!("#!/bin/sh\n: > {}\n", log.display()));
        for more in [&[][..], &["--undo"], &["--status"]] {
            let output = machine.run(&[&["setup", client, "--project", "--yes"], more].concat());
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("for all projects of its user only. Leave --project away"), "{said}");
        }
        assert!(!log.exists(), "{client} was run");
    }
    // Asked for all, it does what can be done.
    let said = machine.succeed_in(&machine.project("one"), &["setup", "--project", "--yes"]);
    assert!(said.contains("claude: is set up") && said.contains("codex: left as it is"), "{said}");
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
fn a_role_that_only_the_operator_grants_is_refused_before_anything_is_done() {
    let machine = Machine::new("2.1.331");
    for role in ["lead", "admin"] {
        for arguments in
            [&["setup", "claude", "--yes"][..], &["setup", "claude", "--dry-run"], &["run", "claude"]]
        {
            let output = machine.run(&[arguments, &["--name", "bob", "--role", role]].concat());
            assert!(!output.status.success(), "{output:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains(&format!("the role {role} is granted by the operator")), "{said}");
            assert!(said.contains(&format!("team-table agent grant \"bob\" {role}")), "{said}");
        }
    }
    assert_eq!(machine.told(), Vec::<String>::new());
    assert!(!machine.integrations().exists());
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
