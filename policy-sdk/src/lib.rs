#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! [`Policy`] with [`Authorize`] or [`Review`] is what an author implements and [`export_policy!`] is what turns it into a
//! component. `types` is what is asked and answered, [`facts`] what the host knows; `guest` is the glue, compiled
//! for WebAssembly only, so that `cargo test` needs nothing but a native compiler. `cases` (feature `test-kit`)
//! runs a policy's test cases, and is shared with the host, as is `settings`, what a policy says of its settings; `strategies` (feature `proptest`) asks a policy
//! everything that a host might; `limits` is how long an answer may be. [`glob`] and [`secrets`] are for rules that would
//! otherwise need regular expressions.
//!
//! This crate must not know the server or wasmtime.

#[cfg(feature = "test-kit")]
pub mod cases;
pub mod facts;
mod fault;
pub mod glob;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod limits;
pub mod secrets;
#[cfg(feature = "test-kit")]
pub mod settings;
#[cfg(feature = "proptest")]
pub mod strategies;
mod types;

use serde::de::DeserializeOwned;

pub use facts::{FactRequest, Facts};
pub use fault::Fault;
pub use types::{Arguments, InboxMessage, Principal, Reason, ReviewOutcome, ToolCall, Verdict};

/// The version of this crate, which every policy built with it carries in its section `team-table:sdk`.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A policy that has been configured. Implement [`Authorize`] or [`Review`] (or both) as well.
///
/// A policy is a pure function of its input, its facts and its settings: it has no clock but `now`, no randomness, no
/// files, no network and no memory of earlier evaluations. Every evaluation starts from the same configured state.
pub trait Policy: Sized + Send + Sync + 'static {
    /// What the operator may set. Derive `Deserialize` with `#[serde(default, deny_unknown_fields)]`, so that an omitted
    /// setting takes the value of your `Default`, and a mistyped one is refused.
    type Settings: DeserializeOwned;

    /// Short name, `[a-z][a-z0-9-]*`.
    const NAME: &'static str;
    /// The policy's own version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// One line for `team-table policy list`.
    const SUMMARY: &'static str;

    /// Checks the settings and does everything that is expensive: the host calls this once, when the policy is
    /// activated, and starts every evaluation from a snapshot of the result.
    ///
    /// # Errors
    ///
    /// One sentence per bad setting: what was wrong and what is allowed.
    fn configure(settings: Self::Settings) -> Result<Self, Vec<String>>;

    /// The facts that an evaluation may need. Only these are computed, for every evaluation.
    fn facts(&self) -> Vec<FactRequest> {
        Vec::new()
    }
}

/// May this agent make this tool call?
pub trait Authorize: Policy {
    /// Judges one call.
    ///
    /// # Errors
    ///
    /// A [`Fault`] fails the evaluation, and the host refuses the call.
    fn authorize(&self, call: &ToolCall, facts: &Facts) -> Result<Verdict, Fault>;
}

/// May this message be answered automatically, or must a person see it?
pub trait Review: Policy {
    /// Judges one message.
    ///
    /// # Errors
    ///
    /// A [`Fault`] fails the evaluation, and the host hands the message to a person.
    fn review(&self, message: &InboxMessage, facts: &Facts) -> Result<ReviewOutcome, Fault>;
}

/// What [`export_policy!`] knows of a policy; implemented by that macro only.
#[doc(hidden)]
pub trait Exported: Policy {
    /// The tools whose calls it judges, a name on each line; empty: all.
    const TOOLS: &'static str = "";
    /// The embedded cases, empty when there are none.
    const CASES: &'static str;
    /// The embedded description of the settings, empty when there is none.
    const SETTINGS: &'static str;

    /// `None`: the policy does not export this hook.
    fn ask_authorize(&self, _call: &ToolCall, _facts: &Facts) -> Option<Result<Verdict, Fault>> {
        None
    }

    /// `None`: the policy does not export this hook.
    fn ask_review(&self, _message: &InboxMessage, _facts: &Facts) -> Option<Result<ReviewOutcome, Fault>> {
        None
    }
}

/// Configures a policy from the JSON text of its settings, as the component does.
///
/// # Errors
///
/// One sentence per bad setting.
pub fn configure<P: Policy>(settings: &str) -> Result<P, Vec<String>> {
    let mut text = serde_json::Deserializer::from_str(settings);
    let settings = serde_path_to_error::deserialize(&mut text).map_err(|error| {
        let path = error.path().to_string();
        // The text was written by the host: a line and a column in it would only puzzle the operator.
        let error = error.inner().to_string();
        let what = error.rsplit_once(" at line ").map_or(error.as_str(), |(what, _)| what);
        let what = match what.rsplit_once("expected u") {
            Some((what, "8" | "16" | "32" | "64" | "size")) => format!("{what}expected a whole number"),
            _ => what.to_owned(),
        };
        let named = path == "." || what.contains(&format!("`{path}`"));
        vec![if named { what } else { format!("`{path}`: {what}") }]
    })?;
    P::configure(settings)
}

/// Exports a policy from its crate, once per crate.
///
/// ```ignore
/// export_policy!(MyPolicy: authorization);
/// export_policy!(MyPolicy: authorization, tools = ["broadcast", "send_message"]);
/// export_policy!(MyPolicy: escalation, cases = "cases/cases.toml");
/// export_policy!(MyPolicy: authorization + escalation, cases = "cases/cases.toml", settings = "src/settings.toml");
/// ```
///
/// `tools` are those whose calls the policy judges: about others it is not asked, and the facts it wants are not read. Without them it
/// judges all calls. `cases` and `settings` are paths from the crate's root, and both files are embedded in the module. The host runs `cases` before it activates the
/// policy; of `settings` it makes the form in which the operator sets them (the module `settings` says what is in it).
#[macro_export]
macro_rules! export_policy {
    ($policy:ty: authorization $(, tools = [$($tool:literal),+ $(,)?])? $(, cases = $cases:literal)? $(, settings = $settings:literal)?) => {
        $crate::__export_policy!($policy, AUTHORIZATION, [authorize], [$($($tool)+)?], [$($cases)?], [$($settings)?]);
    };
    ($policy:ty: escalation $(, cases = $cases:literal)? $(, settings = $settings:literal)?) => {
        $crate::__export_policy!($policy, ESCALATION, [review], [], [$($cases)?], [$($settings)?]);
    };
    ($policy:ty: authorization + escalation $(, tools = [$($tool:literal),+ $(,)?])? $(, cases = $cases:literal)? $(, settings = $settings:literal)?) => {
        $crate::__export_policy!($policy, BOTH, [authorize review], [$($($tool)+)?], [$($cases)?], [$($settings)?]);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_policy {
    ($policy:ty, $world:ident, [$($hook:ident)+], [$($tool:literal)*], [$($cases:literal)?], [$($settings:literal)?]) => {
        impl $crate::Exported for $policy {
            const TOOLS: &'static str = concat!("" $(, $tool, "\n")*);
            const CASES: &'static str =
                concat!("" $(, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $cases)))?);
            const SETTINGS: &'static str =
                concat!("" $(, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $settings)))?);
            $($crate::__export_hook!($hook);)+
        }

        #[cfg(target_arch = "wasm32")]
        $crate::__export_component!($policy, $world, [$($hook)+]);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_hook {
    (authorize) => {
        fn ask_authorize(
            &self,
            call: &$crate::ToolCall,
            facts: &$crate::Facts,
        ) -> Option<Result<$crate::Verdict, $crate::Fault>> {
            Some($crate::Authorize::authorize(self, call, facts))
        }
    };
    (review) => {
        fn ask_review(
            &self,
            message: &$crate::InboxMessage,
            facts: &$crate::Facts,
        ) -> Option<Result<$crate::ReviewOutcome, $crate::Fault>> {
            Some($crate::Review::review(self, message, facts))
        }
    };
}
