//! The first look at a module, before any of it runs: size, well-formedness, no imports, the exports of a known interface
//! version, the SDK it was built with, and the test cases it carries. Runs nothing and compiles nothing.

use std::collections::BTreeSet;

use team_table_policy_sdk::settings::{self, Setting};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::domain::decision::Hook;

use crate::policy::PolicyError;
use crate::policy::eval::{AUTHORIZER, ESCALATOR, Limits, METADATA, VERSION};

/// The custom section in which the SDK leaves its version.
const SDK_SECTION: &str = "team-table:sdk";
/// The custom section in which a policy carries its test cases, as TOML.
const CASES_SECTION: &str = "team-table:cases";
/// The custom section in which a policy describes its settings, as TOML.
const SETTINGS_SECTION: &str = "team-table:settings";
/// The custom section in which an authorizer names the tools that it judges, a name on each line.
const TOOLS_SECTION: &str = "team-table:tools";
/// The SDK's major version whose components this host runs: the version of the interface.
const SDK_MAJOR: &str = "1";
/// The package all of our interfaces belong to.
const PACKAGE: &str = "team-table:policy/";

/// A module that passed the gate.
#[derive(Debug, Clone)]
pub struct Gated<'a> {
    /// Its bytes, read once.
    pub bytes: &'a [u8],
    /// Digest (hex blake3) of those bytes.
    pub digest: String,
    /// The hooks it answers.
    pub hooks: Vec<Hook>,
    /// The SDK it was built with; `None` when it does not say, as modules made without the SDK.
    pub sdk: Option<String>,
    /// Its test cases, as TOML; `None` when it carries none.
    pub cases: Option<String>,
    /// The description of its settings, as TOML; `None` when it describes none.
    pub settings: Option<String>,
    /// The tools whose calls it judges; `None` when it does not say: all.
    pub tools: Option<BTreeSet<String>>,
}

/// Looks at nothing but the size.
pub(super) fn check_size(bytes: &[u8], limits: Limits) -> Result<(), PolicyError> {
    let (size, limit) = (bytes.len() as u64, limits.module_bytes());
    if size > limit { Err(PolicyError::TooBig { size, limit }) } else { Ok(()) }
}

/// Looks at a module's bytes.
///
/// # Errors
/// The first thing that keeps it from being a policy.
pub fn inspect(bytes: &[u8], limits: Limits) -> Result<Gated<'_>, PolicyError> {
    check_size(bytes, limits)?;
    if !bytes.starts_with(b"\0asm") {
        return Err(PolicyError::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(PolicyError::CoreModule);
    }
    let invalid = |error: wasmparser::BinaryReaderError| PolicyError::Invalid(error.to_string());
    Validator::new_with_features(WasmFeatures::default()).validate_all(bytes).map_err(invalid)?;
    let mut seen = Seen::default();
    for payload in Parser::new(0).parse_all(bytes) {
        seen.payload(payload.map_err(invalid)?).map_err(invalid)?;
    }
    seen.judge(bytes)
}

impl Gated<'_> {
    /// What the module says of its settings; nothing when it does not describe them.
    ///
    /// # Errors
    /// When the description cannot be read.
    pub fn described(&self) -> Result<Vec<Setting>, PolicyError> {
        let text = self.settings.as_deref().unwrap_or_default();
        settings::parse(text).map_err(PolicyError::SettingsUnreadable)
    }
}

/// What a pass over a component finds.
#[derive(Default)]
struct Seen {
    depth: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    sdk: Option<String>,
    cases: Option<String>,
    settings: Option<String>,
    tools: Option<String>,
}

impl Seen {
    fn payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => self.depth += 1,
            Payload::End(_) => self.depth -= 1,
            Payload::ComponentImportSection(section) if self.depth == 1 => {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 1 => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) => {
                let slot = match section.name() {
                    SDK_SECTION => &mut self.sdk,
                    CASES_SECTION => &mut self.cases,
                    SETTINGS_SECTION => &mut self.settings,
                    TOOLS_SECTION => &mut self.tools,
                    _ => return Ok(()),
                };
                slot.get_or_insert_default().push_str(&String::from_utf8_lossy(section.data()));
            }
            _ => {}
        }
        Ok(())
    }

    fn judge(self, bytes: &[u8]) -> Result<Gated<'_>, PolicyError> {
        if !self.imports.is_empty() {
            return Err(PolicyError::Imports(self.imports.join(", ")));
        }
        let foreign = self.exports.iter().find(|name| {
            let version =
                name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@')).map(|(_, version)| version);
            version.is_some_and(|version| version != VERSION)
        });
        if let Some(export) = foreign {
            return Err(PolicyError::Version { export: export.clone(), supported: VERSION });
        }
        let exports = |name: &str| self.exports.iter().any(|export| export == name);
        let hooks: Vec<_> = [(AUTHORIZER, Hook::Authorization), (ESCALATOR, Hook::Review)]
            .into_iter()
            .filter_map(|(name, hook)| exports(name).then_some(hook))
            .collect();
        if hooks.is_empty() {
            return Err(PolicyError::NoHook { supported: VERSION });
        }
        if !exports(METADATA) {
            return Err(PolicyError::NoMetadata { supported: VERSION });
        }
        let sdk = self.sdk.map(|text| text.trim().to_owned());
        if let Some(found) = &sdk
            && found.split('.').next() != Some(SDK_MAJOR)
        {
            return Err(PolicyError::Sdk { found: found.chars().take(40).collect(), supported: SDK_MAJOR });
        }
        let digest = blake3::hash(bytes).to_hex().to_string();
        let settings = self.settings.filter(|text| !text.trim().is_empty());
        let named = |text: String| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
        let tools = self.tools.map(named).filter(|tools| !tools.is_empty());
        Ok(Gated { bytes, digest, hooks, sdk, cases: self.cases, settings, tools })
    }
}
