//! `policy build`: cargo builds the crate for WebAssembly, its linker makes a component of it, and the host's gate has a look.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde_json::{Value, json};

use super::candidate::refused;
use super::{CliError, hooks, output};
use crate::config::Config;
use crate::policy::{Limits, inspect};

const TARGET: &str = "wasm32-unknown-unknown";
/// Comes with every rustup toolchain since Rust 1.82; links a core module and makes a component of it in one go.
const LINKER: &str = "wasm-component-ld";

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The policy's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Small and fast, and slower to build; what is installed should be built so
    #[arg(long)]
    release: bool,
    /// Where the component goes [default: NAME.wasm in the policy's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(config: &Config, arguments: &BuildArguments) -> Result<(), CliError> {
    let (name, bytes) = build(config, &arguments.dir, arguments.release)?;
    let file = format!("{name}.wasm");
    let beside = || if arguments.dir == Path::new(".") { file.into() } else { arguments.dir.join(file) };
    let out = arguments.out.clone().unwrap_or_else(beside);
    let gated = inspect(&bytes, Limits::default()).map_err(|error| refused(&out, &error))?;
    fs::write(&out, &bytes)?;
    let sdk = gated.sdk.as_deref().unwrap_or("unknown");
    if output::is_json() {
        let cases = gated.cases.is_some();
        let (file, size, digest) = (out.display().to_string(), bytes.len(), &gated.digest);
        return Ok(output::json(
            &json!({ "file": file, "bytes": size, "digest": digest, "hooks": gated.hooks, "sdk": sdk, "cases": cases }),
        )?);
    }
    output::line(&format!("built   {}, {} KiB", out.display(), bytes.len() / 1024))?;
    output::line(&format!("digest  {}", gated.digest))?;
    output::line(&format!("hooks   {}; SDK {sdk}", hooks(&gated.hooks)))?;
    if gated.cases.is_none() {
        output::line("no cases are embedded: name their file in export_policy!")?;
    }
    Ok(())
}

/// Builds the crate in a folder; returns its name and the component.
pub(super) fn build(config: &Config, dir: &Path, release: bool) -> Result<(String, Vec<u8>), CliError> {
    let name = package(dir)?;
    let rustc = config.wasm_rustc.clone().unwrap_or_else(|| "rustc".into());
    check_target(&rustc, dir)?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(dir).args(["build", "--lib", "--target", TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    // No path of this machine gets into the component: they differ, and tell who built it.
    let mut remap = Vec::new();
    let registry = config.cargo_home.as_ref().map(|home| home.join("registry/src"));
    for (from, to) in
        [fs::canonicalize(dir).ok().zip(Some("/policy")), registry.zip(Some("/cargo"))].into_iter().flatten()
    {
        remap.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    cargo.arg("--config").arg(format!("target.{TARGET}.rustflags={remap:?}"));
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER);
    if config.wasm_rustc.is_some() {
        cargo.env("RUSTC", &rustc);
    }
    // A debug build of the SDK is too large to be taken and burns ten times the fuel.
    let profile = if release { "RELEASE" } else { "DEV" };
    let level = if release { "s" } else { "1" };
    for (setting, value) in
        [("OPT_LEVEL", level), ("DEBUG", "false"), ("PANIC", "abort"), ("STRIP", "symbols")]
    {
        cargo.env(format!("CARGO_PROFILE_{profile}_{setting}"), value);
    }
    if release {
        cargo.arg("--release");
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "true").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    }
    let done = cargo.stderr(Stdio::inherit()).output().map_err(no_cargo)?;
    if !done.status.success() {
        return Err(CliError::Usage(format!("cargo could not build {name}; what it says is above")));
    }
    let component = String::from_utf8_lossy(&done.stdout).lines().filter_map(wasm_of).next_back();
    let component = component.ok_or_else(|| {
        CliError::Usage(format!(
            "{name} makes no module: its Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]"
        ))
    })?;
    Ok((name, fs::read(component)?))
}

/// The WebAssembly file that a line of cargo's messages is about.
fn wasm_of(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
    files.map(PathBuf::from).rfind(|file| has_extension(file, "wasm"))
}

fn has_extension(file: &Path, wanted: &str) -> bool {
    file.extension().is_some_and(|extension| extension == wanted)
}

/// The name in the folder's `Cargo.toml`.
pub(super) fn package(dir: &Path) -> Result<String, CliError> {
    let file = dir.join("Cargo.toml");
    let wrong = |problem: String| CliError::Usage(format!("{}: {problem}", file.display()));
    let text = fs::read_to_string(&file).map_err(|error| {
        wrong(format!("{error}; `team-table policy new NAME` begins a policy, then run this in its folder"))
    })?;
    let manifest: toml_edit::DocumentMut = text.parse().map_err(|error| wrong(format!("{error}")))?;
    let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
    name.map(str::to_owned).ok_or_else(|| wrong("it names no package".to_owned()))
}

/// Says how to get the target where the compiler has none.
fn check_target(rustc: &Path, dir: &Path) -> Result<(), CliError> {
    let mut ask = Command::new(rustc);
    let asked = ask.current_dir(dir).args(["--print", "target-libdir", "--target", TARGET]).output();
    let asked = asked
        .map_err(|error| CliError::Usage(format!("cannot run {}: {error}; {OTHER}", rustc.display())))?;
    let folder = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    let has_std = fs::read_dir(folder).into_iter().flatten().flatten().any(|file| {
        let is_std = file.file_name().to_str().is_some_and(|name| name.starts_with("libstd"));
        is_std && has_extension(&file.path(), "rlib")
    });
    if has_std {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{} cannot build for WebAssembly yet: run `rustup target add {TARGET}`, or {OTHER}",
        rustc.display()
    )))
}

const OTHER: &str = "name another compiler with TEAM_TABLE_WASM_RUSTC";

/// What is said when cargo cannot be started.
pub(super) fn no_cargo(error: io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::NotFound => CliError::Usage(
            "there is no cargo on the path: a policy in Rust needs Rust, from https://rustup.rs".into(),
        ),
        _ => CliError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_found_among_cargo_s_messages() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/libx.rlib","/t/x.wasm"]}"#;
        assert_eq!(wasm_of(line), Some("/t/x.wasm".into()));
        for other in ["", "{}", r#"{"filenames":["/t/libx.rlib"]}"#, "warning: x.wasm"] {
            assert_eq!(wasm_of(other), None, "{other}");
        }
    }
}
