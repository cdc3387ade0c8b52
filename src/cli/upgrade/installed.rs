//! How this program was installed: by what lies around it. Only what a package manager has itself written down counts as certain.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::setup::shell_line;
use crate::config::Config;

/// The name of the wheel: `team-table` in that registry is another project.
pub(in crate::cli) const WHEEL: &str = "team-table-mcp";
const NAME: &str = env!("CARGO_PKG_NAME");

/// What upgrades this installation, where it is known for certain; else every way there is.
pub(super) fn how_to_upgrade(config: &Config) -> Vec<String> {
    let program = std::env::current_exe().and_then(fs::canonicalize).unwrap_or_default();
    certain(&program, Path::new("/var/lib/dpkg/info"), config.cargo_home.as_deref())
        .map_or_else(every_way, |way| vec![way])
}

fn every_way() -> Vec<String> {
    [
        format!("uv tool upgrade {WHEEL}        (or: pipx upgrade {WHEEL}; pip install --upgrade {WHEEL})"),
        format!("npm install -g {NAME}@latest"),
        format!("sudo apt install ./{NAME}_VERSION_ARCH.deb"),
        format!("brew upgrade {NAME}"),
        format!("scoop update {NAME}"),
        format!("cargo binstall {NAME}               (or: cargo install --locked {NAME})"),
    ]
    .into()
}

fn certain(program: &Path, dpkg: &Path, cargo_home: Option<&Path>) -> Option<String> {
    let folder = program.parent()?;
    let parts: Vec<_> = program.iter().map(|part| part.to_string_lossy()).collect();
    let has = |wanted: &[&str]| parts.windows(wanted.len()).any(|window| window == wanted);
    if has(&["node_modules", "@team-table"]) {
        // The folder in which npm was run, or where it keeps what -g installs.
        let root: PathBuf = program.iter().take_while(|part| *part != "node_modules").collect();
        return Some(if root.ends_with("lib") {
            format!("npm install -g {NAME}@latest")
        } else {
            shell_line(["npm", "install", "--prefix", &root.to_string_lossy(), &format!("{NAME}@latest")])
        });
    }
    if has(&["Cellar", NAME]) {
        return Some(format!("brew upgrade {NAME}"));
    }
    if has(&["scoop", "apps", NAME]) {
        return Some(format!("scoop update {NAME}"));
    }
    if lists(&dpkg.join(format!("{NAME}.list")), |line| Path::new(line) == program) {
        return Some(format!("sudo apt install ./{NAME}_VERSION_ARCH.deb"));
    }
    if let Some(way) = wheel(folder) {
        return Some(way);
    }
    let home = cargo_home?;
    let is_ours =
        |line: &str| line.trim_start_matches('"').starts_with(&format!("{NAME} ")) && line.contains(NAME);
    if fs::canonicalize(home.join("bin")).ok()? == folder && lists(&home.join(".crates.toml"), is_ours) {
        let local = lists(&home.join(".crates.toml"), |line| is_ours(line) && line.contains("path+file"));
        return Some(if local {
            "cargo install --path . --locked     (in the newer sources)".to_owned()
        } else {
            format!("cargo binstall {NAME}               (or: cargo install --locked {NAME})")
        });
    }
    None
}

/// The wheel that has put the program into this folder.
fn wheel(folder: &Path) -> Option<String> {
    let prefix = folder.parent()?;
    if lists(&prefix.join("uv-receipt.toml"), |line| line.contains(WHEEL)) {
        return Some(format!("uv tool upgrade {WHEEL}"));
    }
    if prefix.join("pipx_metadata.json").is_file() {
        return Some(format!("pipx upgrade {WHEEL}"));
    }
    // lib/python3.x/site-packages, or dist-packages; Lib/site-packages on Windows.
    let libraries =
        fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = libraries
        .flat_map(|library| ["site-packages", "dist-packages"].map(|name| library.join(name)))
        .chain([prefix.join("Lib").join("site-packages")]);
    let begin = format!("{}-", WHEEL.replace('-', "_"));
    for packages in folders {
        let found = fs::read_dir(packages).into_iter().flatten().flatten().find(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with(&begin) && name.ends_with(".dist-info")
        });
        if let Some(found) = found
            && lists(&found.path().join("RECORD"), |line| line.contains(&format!("/{NAME}")))
        {
            let python = ["python3", "python", "python.exe"]
                .map(|name| folder.join(name))
                .into_iter()
                .find(|python| python.exists())
                .map_or_else(|| "python3".into(), |python| python.to_string_lossy().into_owned());
            return Some(shell_line([&python, "-m", "pip", "install", "--upgrade", WHEEL]));
        }
    }
    None
}

/// Whether a file of a package manager has such a line.
fn lists(path: &Path, is_it: impl Fn(&str) -> bool) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.lines().any(is_it))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) -> PathBuf {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn an_installation_is_known_by_what_its_package_manager_wrote_down() {
        let folder = tempfile::tempdir().unwrap();
        let root = &fs::canonicalize(folder.path()).unwrap();
        let dpkg = root.join("dpkg");
        let cargo = root.join("cargo");
        let way = |program: &Path| certain(program, &dpkg, Some(&cargo));

        assert_eq!(way(&put(root, "bin/team-table", "")), None);
        let listed = put(root, "usr/bin/team-table", "");
        put(root, "dpkg/team-table.list", &format!("/.\n{}\n", listed.display()));
        assert_eq!(way(&listed).unwrap(), "sudo apt install ./team-table_VERSION_ARCH.deb");

        let program = put(root, "cargo/bin/team-table", "");
        assert_eq!(way(&program), None, "cargo has not written it down");
        let record = |source: &str| format!("[v1]\n\"team-table 0.1.0 ({source})\" = [\"team-table\"]\n");
        put(root, "cargo/.crates.toml", &record("registry+https://example.com"));
        assert!(way(&program).unwrap().starts_with("cargo binstall team-table "));
        put(root, "cargo/.crates.toml", &record("path+file:///src"));
        assert!(way(&program).unwrap().starts_with("cargo install --path"));

        let global = put(root, "node/lib/node_modules/@team-table/linux-x64/bin/team-table", "");
        assert_eq!(way(&global).unwrap(), "npm install -g team-table@latest");
        let local = put(root, "app/node_modules/@team-table/linux-x64/bin/team-table", "");
        let expected = format!("npm install --prefix {} team-table@latest", root.join("app").display());
        assert_eq!(way(&local).unwrap(), expected);
        assert_eq!(
            way(&put(root, "Cellar/team-table/0.1.0/bin/team-table", "")).unwrap(),
            "brew upgrade team-table"
        );
        assert_eq!(
            way(&put(root, "scoop/apps/team-table/0.1.0/team-table", "")).unwrap(),
            "scoop update team-table"
        );
    }

    #[test]
    fn a_wheel_is_known_by_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let root = &fs::canonicalize(folder.path()).unwrap();
        let program = put(root, "venv/bin/team-table", "");
        let way = || certain(&program, &root.join("dpkg"), None);
        let record = "venv/lib/python3.11/site-packages/team_table_mcp-0.1.0.dist-info/RECORD";
        put(root, record, "team_table_mcp/__init__.py,,\n");
        assert_eq!(way(), None, "the record names no program");
        put(root, record, "../../../bin/team-table,sha256=x,1\n");
        assert_eq!(way().unwrap(), "python3 -m pip install --upgrade team-table-mcp");
        let python = put(root, "venv/bin/python3", "");
        assert_eq!(way().unwrap(), format!("{} -m pip install --upgrade team-table-mcp", python.display()));
        put(root, "venv/pipx_metadata.json", "{}");
        assert_eq!(way().unwrap(), "pipx upgrade team-table-mcp");
        put(root, "venv/uv-receipt.toml", "[tool]\nrequirements = [{ name = \"team-table-mcp\" }]\n");
        assert_eq!(way().unwrap(), "uv tool upgrade team-table-mcp");
    }
}
