//! The component's side of the interface: turns the generated types into the SDK's and back, and keeps the configured
//! policy in a static, where the host's snapshot finds it. Only `export_policy!` uses it.
//!
//! `bindings.rs` and the `.bin` files are generated; see `bindgen/`.

use std::{collections::BTreeMap, sync::OnceLock};

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "generated")]
#[rustfmt::skip]
pub mod bindings;

use bindings::exports::team_table::policy::types as wit;

use crate::{
    Arguments, FactRequest, Facts, Fault, InboxMessage, Policy, Principal, Reason, ReviewOutcome, ToolCall,
    Verdict,
};

/// The types of each world, for the component linker.
pub const AUTHORIZATION: &[u8] = include_bytes!("authorization.bin");
/// As [`AUTHORIZATION`].
pub const ESCALATION: &[u8] = include_bytes!("escalation.bin");
/// As [`AUTHORIZATION`].
pub const BOTH: &[u8] = include_bytes!("both.bin");

/// Copies constant bytes into an array, which is what a custom section is made of.
#[must_use]
pub const fn section<const N: usize>(bytes: &[u8]) -> [u8; N] {
    match bytes.first_chunk() {
        Some(chunk) => *chunk,
        None => [0; N],
    }
}

/// `metadata.configure`.
pub fn configure<P: Policy>(state: &OnceLock<P>, settings: &str) -> Result<wit::Description, Vec<String>> {
    let policy = crate::configure::<P>(settings)?;
    let facts = policy.facts().into_iter().map(wit::FactRequest::from).collect();
    state.set(policy).map_err(|_| vec!["an instance is configured only once".to_owned()])?;
    Ok(wit::Description {
        name: P::NAME.to_owned(),
        version: P::VERSION.to_owned(),
        summary: P::SUMMARY.to_owned(),
        facts,
    })
}

/// `authorizer.authorize`.
pub fn authorize<P: Policy>(
    state: &OnceLock<P>,
    call: wit::ToolCall,
    facts: Vec<wit::Fact>,
    ask: fn(&P, &ToolCall, &Facts) -> Option<Result<Verdict, Fault>>,
) -> wit::Verdict {
    answer(state.get().and_then(|policy| ask(policy, &call.into(), &read(facts)))).into()
}

/// `escalator.review`.
pub fn review<P: Policy>(
    state: &OnceLock<P>,
    message: wit::InboxMessage,
    facts: Vec<wit::Fact>,
    ask: fn(&P, &InboxMessage, &Facts) -> Option<Result<ReviewOutcome, Fault>>,
) -> wit::ReviewOutcome {
    answer(state.get().and_then(|policy| ask(policy, &message.into(), &read(facts)))).into()
}

/// Traps on a fault, and on an evaluation before `configure`: the interface has no other word for "no answer", and the
/// host never reads a trap as consent.
fn answer<T>(answer: Option<Result<T, Fault>>) -> T {
    match answer {
        Some(Ok(answer)) => answer,
        Some(Err(_)) | None => core::arch::wasm32::unreachable(),
    }
}

fn read(facts: Vec<wit::Fact>) -> Facts {
    facts
        .into_iter()
        .map(|fact| (FactRequest { name: fact.name, params: entries(fact.params) }, fact.value))
        .collect()
}

fn entries(entries: Vec<wit::Entry>) -> BTreeMap<String, String> {
    // Inserted one by one: `collect` would sort first, and a sort is ten kilobytes of code in every policy.
    let mut map = BTreeMap::new();
    map.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
    map
}

impl From<FactRequest> for wit::FactRequest {
    fn from(request: FactRequest) -> Self {
        let params = request.params.into_iter().map(|(key, value)| wit::Entry { key, value }).collect();
        Self { name: request.name, params }
    }
}

impl From<wit::Principal> for Principal {
    fn from(wit: wit::Principal) -> Self {
        Self {
            name: wit.name,
            role: wit.role,
            capabilities: wit.capabilities,
            authenticated: wit.authenticated,
        }
    }
}

impl From<wit::ToolCall> for ToolCall {
    fn from(wit: wit::ToolCall) -> Self {
        Self {
            tool: wit.tool,
            principal: wit.principal.into(),
            arguments: Arguments::from_json(wit.arguments),
            transport: wit.transport,
            now: wit.now,
            extra: entries(wit.extra),
        }
    }
}

impl From<wit::InboxMessage> for InboxMessage {
    fn from(wit: wit::InboxMessage) -> Self {
        Self {
            id: wit.id,
            agent: wit.agent,
            sender: wit.sender.into(),
            content: wit.content,
            thread: wit.thread,
            reply_to: wit.reply_to,
            broadcast: wit.broadcast,
            automatic: wit.automatic,
            created_at: wit.created_at,
            now: wit.now,
            extra: entries(wit.extra),
        }
    }
}

impl From<Reason> for wit::Reason {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code, message: reason.message, notes: reason.notes }
    }
}

impl From<Verdict> for wit::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Abstain => Self::Abstain,
            Verdict::Allow => Self::Allow,
            Verdict::Deny(reason) => Self::Deny(reason.into()),
            Verdict::Escalate(reason) => Self::Escalate(reason.into()),
        }
    }
}

impl From<ReviewOutcome> for wit::ReviewOutcome {
    fn from(outcome: ReviewOutcome) -> Self {
        match outcome {
            ReviewOutcome::Pass => Self::Pass,
            ReviewOutcome::Reply(text) => Self::Reply(text),
            ReviewOutcome::Ignore(reason) => Self::Ignore(reason.into()),
            ReviewOutcome::Escalate(reason) => Self::Escalate(reason.into()),
        }
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($policy:ty, $world:ident, [$($hook:ident)+]) => {
        #[allow(unsafe_code, reason = "a component's exports and sections have fixed names")]
        const _: () = {
            use $crate::guest::{self, bindings::exports::team_table::policy as wit};

            static POLICY: ::std::sync::OnceLock<$policy> = ::std::sync::OnceLock::new();
            struct Component;

            impl wit::metadata::Guest for Component {
                fn configure(settings: String) -> Result<wit::types::Description, Vec<String>> {
                    guest::configure(&POLICY, &settings)
                }
            }
            $crate::__export_team_table_policy_metadata_1_0_0_cabi!(
                Component with_types_in wit::metadata
            );
            $($crate::__component_hook!($hook);)+

            #[unsafe(link_section = "component-type:team-table-policy")]
            #[used]
            static WORLD: [u8; guest::$world.len()] = guest::section(guest::$world);

            #[unsafe(link_section = "team-table:sdk")]
            #[used]
            static SDK: [u8; $crate::SDK_VERSION.len()] = guest::section($crate::SDK_VERSION.as_bytes());

            #[unsafe(link_section = "team-table:tools")]
            #[used]
            static TOOLS: [u8; <$policy as $crate::Exported>::TOOLS.len()] =
                guest::section(<$policy as $crate::Exported>::TOOLS.as_bytes());

            #[unsafe(link_section = "team-table:cases")]
            #[used]
            static CASES: [u8; <$policy as $crate::Exported>::CASES.len()] =
                guest::section(<$policy as $crate::Exported>::CASES.as_bytes());

            #[unsafe(link_section = "team-table:settings")]
            #[used]
            static SETTINGS: [u8; <$policy as $crate::Exported>::SETTINGS.len()] =
                guest::section(<$policy as $crate::Exported>::SETTINGS.as_bytes());
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __component_hook {
    (authorize) => {
        impl wit::authorizer::Guest for Component {
            fn authorize(call: wit::types::ToolCall, facts: Vec<wit::types::Fact>) -> wit::types::Verdict {
                guest::authorize(&POLICY, call, facts, $crate::Exported::ask_authorize)
            }
        }
        $crate::__export_team_table_policy_authorizer_1_0_0_cabi!(
            Component with_types_in wit::authorizer
        );
    };
    (review) => {
        impl wit::escalator::Guest for Component {
            fn review(message: wit::types::InboxMessage, facts: Vec<wit::types::Fact>) -> wit::types::ReviewOutcome {
                guest::review(&POLICY, message, facts, $crate::Exported::ask_review)
            }
        }
        $crate::__export_team_table_policy_escalator_1_0_0_cabi!(
            Component with_types_in wit::escalator
        );
    };
}
