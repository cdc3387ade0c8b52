//! Digests of the built-in policies' sources and components, as `policies/dist/manifest.toml` holds them.
//!
//! The sources of a policy are its `Cargo.toml`, `src/` and `cases/`, and the same of the SDK (which has no cases). The lock
//! file and the root's `Cargo.toml` are left out, because most changes there concern the server only; when one does
//! change a component, the rebuild in CI (`.ci/wasm/build-policies.sh --check`) tells.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The built-in policies.
pub const POLICIES: [&str; 5] =
    ["question-detection", "rate-limit", "reply-cap", "tool-authorization", "wake-cap"];

/// The manifest of the components in `dist`, built by `rustc` (its version line).
///
/// # Errors
///
/// When a source or a component cannot be read.
pub fn manifest(root: &Path, dist: &Path, rustc: &str) -> io::Result<String> {
    let mut text = String::from(
        "# Written by .ci/wasm/build-policies.sh: what each component is, and what it was built from (blake3).\n",
    );
    let _ = writeln!(text, "rustc = {rustc:?}");
    for policy in POLICIES {
        let component = blake3::hash(&fs::read(dist.join(policy).with_extension("wasm"))?);
        let sources = sources(root, policy)?;
        let _ = write!(text, "\n[{policy}]\ncomponent = \"{component}\"\nsources = \"{sources}\"\n");
    }
    Ok(text)
}

/// The digest of everything a policy is built from: per file its path, its length and its bytes, in order of the paths.
fn sources(root: &Path, policy: &str) -> io::Result<blake3::Hash> {
    let mut files = Vec::new();
    for folder in [&format!("policies/{policy}"), "policy-sdk"] {
        files.push(format!("{folder}/Cargo.toml").into());
        for inside in ["src", "cases"] {
            let inside = Path::new(folder).join(inside);
            if root.join(&inside).is_dir() {
                collect(root, &inside, &mut files)?;
            }
        }
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let bytes = fs::read(root.join(&file))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        hasher
            .update(file.to_string_lossy().as_bytes())
            .update(&[0])
            .update(&length.to_le_bytes())
            .update(&bytes);
    }
    Ok(hasher.finalize())
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
