//! A tool call as a case to judge: who calls, what about, and what must still hold when it is carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::call::{Call, Candidate, Context, Target};
use super::super::registry::{Parsed, Row};
use crate::auth::{self, AuthError, Caller, Credential};
use crate::domain::clock::Millis;
use crate::domain::decision::{Input, PrincipalView, ToolCall};
use crate::domain::principal::Principal;
use crate::domain::refusal::{Code, Refusal};
use crate::domain::seat::Seat;
use crate::judgement::{Case, Confirmation, Held, Version};
use crate::policy::PolicySet;
use crate::storage::{self, FactScope, ReadTx, WriteTx};

/// A call as it came in, with its arguments read.
pub(super) struct Arrived {
    pub(super) row: &'static Row,
    pub(super) parsed: Parsed,
    /// Without the token.
    pub(super) arguments: Map<String, Value>,
    pub(super) credential: Credential,
    pub(super) transport: &'static str,
    pub(super) require_tokens: bool,
}

/// A call on its way: everything known before the policies are asked.
#[derive(Clone)]
pub(super) struct CallCase {
    pub(super) row: &'static Row,
    pub(super) call: Arc<dyn Call>,
    pub(super) context: Context,
    /// Whether the call left its target out and stands for the best.
    pub(super) implied: bool,
    /// What a person gave for this call; it is used up with it.
    pub(super) approval: Option<i64>,
    /// The state of the log when the caller was authenticated, which is not done again with every judgement.
    pub(super) opened: Version,
    arrived: Arc<Arrived>,
    input: Arc<Input>,
    scope: FactScope,
}

impl CallCase {
    /// Who calls, and what about.
    ///
    /// # Errors
    /// Those of storage; inside, a credential that proves no member.
    pub(super) fn open(
        tx: &ReadTx<'_>,
        arrived: &Arc<Arrived>,
        now: Millis,
        last_look: bool,
    ) -> storage::Result<Result<Self, AuthError>> {
        let Arrived { row, parsed, arguments, credential, transport, require_tokens } = arrived.as_ref();
        let call = parsed.call();
        let (principal, proof, view) = match parsed {
            Parsed::Register(register) => {
                let (wanted, role, capabilities) = register.wanted();
                let proof = match auth::prove_registration(tx, credential, wanted)? {
                    Ok(proof) => proof,
                    Err(rejected) => return Ok(Err(rejected)),
                };
                let view = PrincipalView {
                    name: if proof.is_some() { wanted.to_owned() } else { String::new() },
                    role: role.to_owned(),
                    capabilities: capabilities.to_vec(),
                    authenticated: proof.is_some(),
                };
                (None, proof, view)
            }
            Parsed::Call(_) => {
                let principal = match auth::authenticate(tx, credential, call.name(), *require_tokens)? {
                    Ok(Caller::Member(principal)) => Some(principal),
                    Ok(Caller::Anonymous) => None,
                    Err(rejected) => return Ok(Err(rejected)),
                };
                let view = principal.as_ref().map_or_else(nobody, Principal::view);
                (principal, None, view)
            }
        };
        let argued = credential.argument.as_deref().is_some_and(|token| !token.trim().is_empty());
        let kept_token = credential.ambient.clone().filter(|_| proof.is_some() && !argued);
        let seat = tx.first_seat(&credential.seats)?;
        let context = Context { principal, now, proof, kept_token, seat, recipients: None, last_look };
        let mut scope = FactScope {
            now,
            principal: context.caller_id().map(|id| (id, view.name.clone())),
            ..FactScope::default()
        };
        call.target(&mut scope);
        let input = Input::Authorization(ToolCall {
            tool: row.spec.name.to_owned(),
            principal: view,
            arguments: Value::Object(arguments.clone()),
            transport: (*transport).to_owned(),
            now,
        });
        Ok(Ok(Self {
            row: *row,
            call,
            context,
            implied: false,
            approval: None,
            opened: (0, 0),
            arrived: Arc::clone(arrived),
            input: Arc::new(input),
            scope,
        }))
    }

    /// The seat that the caller does not sit in yet, though it calls from there.
    pub(super) fn sits_down(&self, tx: &ReadTx<'_>) -> storage::Result<Option<(Seat, Principal)>> {
        let (Some(seat), Some(principal)) = (&self.context.seat, &self.context.principal) else {
            return Ok(None);
        };
        let there = tx.seat_of(principal.id)?.is_some_and(|there| there.id == seat.id);
        Ok((!there).then(|| (seat.clone(), principal.clone())))
    }

    /// What the policies see.
    pub(super) fn question(&self) -> &ToolCall {
        match self.input.as_ref() {
            Input::Authorization(call) => call,
            Input::Review(_) => unreachable!("a call is made with a tool call"),
        }
    }

    /// The member whose unread messages the reply tells of; `None` where the call itself returns them.
    pub(super) fn badge_of(&self) -> Option<i64> {
        self.context.caller_id().filter(|_| !self.row.is_inbox)
    }

    /// The same call as a candidate: with the target that it left out.
    pub(super) fn standing_for(&self, candidate: &Candidate) -> Self {
        let mut case = Self { call: Arc::clone(&candidate.call), implied: true, ..self.clone() };
        candidate.call.target(&mut case.scope);
        let (name, value) = &candidate.argument;
        case.with_argument(name, value)
    }

    /// The case of one of the many targets of the call.
    pub(super) fn about(&self, target: Target, id: &Value) -> Self {
        let mut case = self.clone();
        let text = || id.as_str().map(str::to_owned);
        let argument = match target {
            Target::Context => {
                case.scope.context = text();
                "key"
            }
            Target::Task => {
                case.scope.task = id.as_i64();
                "task_id"
            }
            Target::Member => {
                case.scope.member = text();
                "recipient"
            }
        };
        case.with_argument(argument, id)
    }

    fn with_argument(mut self, name: &str, value: &Value) -> Self {
        let mut question = self.question().clone();
        if let Some(arguments) = question.arguments.as_object_mut() {
            arguments.insert(name.to_owned(), value.clone());
        }
        self.input = Arc::new(Input::Authorization(question));
        self
    }

    /// What an approval is for: this agent, tool and arguments.
    pub(super) fn subject(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("team-table held call v1");
        hasher.update(&self.context.caller_id().unwrap_or(0).to_le_bytes());
        hasher.update(self.row.spec.name.as_bytes());
        hasher.update(&[0]);
        // In the order of the names: the same arguments in another order are the same call.
        let arguments: BTreeMap<&String, &Value> =
            self.question().arguments.as_object().into_iter().flatten().collect();
        hasher.update(serde_json::to_string(&arguments).unwrap_or_default().as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// What its person is shown of the call when it is held.
    pub(super) fn held(&self) -> Held {
        let name = self.context.principal.as_ref().map(|principal| principal.name.as_str());
        let caller = name.or(self.call.name()).unwrap_or_default();
        Held {
            agent: caller.to_owned(),
            asker: caller.to_owned(),
            action: self.row.spec.name.to_owned(),
            subject: self.subject(),
            arguments: self.question().arguments.to_string(),
            message: None,
        }
    }

    /// Whether a policy counts calls of this tool: then even a call that changes nothing is recorded before it is
    /// answered, so that the count is exact.
    pub(super) fn is_counted(&self, set: &PolicySet) -> bool {
        set.counts_calls_of(self.row.spec.name)
    }

    /// A token may have been revoked, or a name lost, since the call was authenticated.
    fn check_still_valid(&self, tx: &WriteTx<'_>) -> storage::Result<()> {
        let Arrived { credential, require_tokens, .. } = self.arrived.as_ref();
        let same = if let Some(principal) = &self.context.principal {
            auth::authenticate(tx, credential, self.call.name(), *require_tokens)?.map(|caller| {
                caller.principal().is_some_and(|now| now.id == principal.id && now.role == principal.role)
            })
        } else if self.context.proof.is_some() {
            let proof = auth::prove_registration(tx, credential, self.call.name().unwrap_or_default())?;
            proof.map(|proof| proof == self.context.proof)
        } else {
            Ok(true)
        };
        match same {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::new(
                Code::Unavailable,
                "your registration changed while the call was judged; nothing was changed",
                "try the same call again",
            )
            .into()),
            Err(rejected) => Err(rejected.refusal.into()),
        }
    }
}

impl Case for CallCase {
    fn input(&self) -> &Arc<Input> {
        &self.input
    }

    fn scope(&self) -> &FactScope {
        &self.scope
    }

    fn agent_id(&self) -> Option<i64> {
        self.context.caller_id()
    }

    fn confirm_and_consume(&mut self, tx: &WriteTx<'_>, at: Version) -> storage::Result<Confirmation> {
        // Where the log has not moved, all that was looked up is still as it was.
        if at != self.opened {
            self.context.now = tx.not_before(self.context.now)?;
            self.check_still_valid(tx)?;
        }
        if !self.call.is_still_best(tx, &self.context)? {
            return Ok(Confirmation::Moved);
        }
        match self.approval {
            Some(approval) if !tx.use_approval(approval, self.context.now)? => Ok(Confirmation::Moved),
            _ => Ok(Confirmation::Holds),
        }
    }
}

fn nobody() -> PrincipalView {
    PrincipalView { name: String::new(), role: String::new(), capabilities: Vec::new(), authenticated: false }
}
