//! Writes `policy-sdk/src/guest/`: `bindings.rs`, the Rust side of the policy interface, and one `WORLD.bin` per
//! world, the type information that the component linker needs.
//!
//! `cargo run --manifest-path policy-sdk/bindgen/Cargo.toml` after a change of `policy-sdk/wit/v1/`. The output is
//! committed, because generating it in every policy's build costs half a minute and forty crates.
//!
//! Bindings are generated once, for the world that exports everything, so that the three worlds share their types.
//! Which interfaces a policy really exports is decided by `export_policy!`, which links the matching `WORLD.bin`.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_bindgen_rust::Opts;

const WORLDS: [&str; 3] = ["authorization", "escalation", "both"];

fn main() -> Result<()> {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no parent folder")?;
    let guest = sdk.join("src/guest");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(sdk.join("wit/v1"))?;

    for name in WORLDS {
        let world = resolve.select_world(&[package], Some(name))?;
        ensure!(resolve.worlds[world].imports.is_empty(), "world {name} imports something");
        let section = wit_component::metadata::encode(
            &resolve,
            world,
            wit_component::StringEncoding::UTF8,
            None,
            false,
        )?;
        fs::write(guest.join(format!("{name}.bin")), section)?;
    }

    let both = resolve.select_world(&[package], Some("both"))?;
    let mut files = Files::default();
    let options = Opts {
        pub_export_macro: true,
        default_bindings_module: Some("team_table_policy_sdk::guest::bindings".to_owned()),
        disable_custom_section_link_helpers: true,
        generate_unused_types: true,
        ..Opts::default()
    };
    options.build().generate(&mut resolve, both, &mut files)?;
    let (_, source) = files.iter().next().context("no bindings generated")?;
    let path = guest.join("bindings.rs");
    fs::write(&path, source)?;
    // Readable diffs, in rustfmt's own style whatever the workspace's is.
    let style = "edition=2024,max_width=100,use_small_heuristics=Default";
    let formatted = Command::new("rustfmt").args(["--config", style]).arg(&path).status()?;
    ensure!(formatted.success(), "rustfmt failed");
    Ok(())
}
