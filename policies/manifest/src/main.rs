//! `policies-manifest ROOT DIST RUSTC-VERSION` writes the manifest of the components in DIST to DIST/manifest.toml.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [root, dist, rustc] = arguments.as_slice() else {
        return Err(io::Error::other("usage: policies-manifest ROOT DIST RUSTC-VERSION"));
    };
    let dist = Path::new(dist);
    fs::write(dist.join("manifest.toml"), policies_manifest::manifest(Path::new(root), dist, rustc)?)
}
