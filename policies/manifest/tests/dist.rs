//! The committed components were built from the committed sources, as far as that can be told without building them.

use std::{fs, path::Path};

#[test]
fn sources_and_components_agree_with_the_manifest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dist = root.join("policies/dist");
    let committed = fs::read_to_string(dist.join("manifest.toml")).unwrap();
    let rustc = committed.lines().find_map(|line| line.strip_prefix("rustc = ")).unwrap().trim_matches('"');
    let computed = policies_manifest::manifest(&root, &dist, rustc).unwrap();
    assert_eq!(committed, computed, "run .ci/wasm/build-policies.sh and commit policies/dist");
}
