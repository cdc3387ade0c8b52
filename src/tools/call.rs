//! What one tool is: typed parameters that know what they act on, how to answer from a view of the
//! database, and how to change it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::clock::Millis;
use crate::domain::principal::Principal;
use crate::domain::refusal::{Code, Refusal};
use crate::domain::seat::Seat;
use crate::storage::{FactScope, ReadTx, Result, WriteTx};

/// The body of a result: one JSON object.
pub type Body = Map<String, Value>;

/// Who calls, when, and what the pipeline found out before the tool runs.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// The caller; `None` for one who registers, or reads where tokens are switched off.
    pub(super) principal: Option<Principal>,
    /// Time of the call.
    pub(super) now: Millis,
    /// For `register`: the member whose token was presented.
    pub(super) proof: Option<i64>,
    /// For `register`: the token that came with the connection, when it proved the seat and none was passed as argument.
    pub(super) kept_token: Option<String>,
    /// The seat of the client's session, on stdio.
    pub(super) seat: Option<Seat>,
    /// For a call on many members: those that the policies allow.
    pub(super) recipients: Option<Vec<String>>,
    /// The time for waiting is over: answer with what there is.
    pub(super) last_look: bool,
}

impl Context {
    /// Whose call it is: the caller, or the member whose registration is renewed.
    pub(super) fn caller_id(&self) -> Option<i64> {
        self.principal.as_ref().map(|principal| principal.id).or(self.proof)
    }

    /// The caller, where only a member can get so far.
    ///
    /// # Errors
    /// `unauthenticated` for a caller without a name.
    pub(super) fn member(&self) -> Result<&Principal, Refusal> {
        self.principal.as_ref().ok_or_else(|| {
            Refusal::new(
                Code::Unauthenticated,
                "this call needs to know who calls",
                "name yourself and pass your token",
            )
        })
    }
}

/// What came of looking at a call without changing anything.
pub(super) enum Preview {
    /// The answer; nothing needs to change.
    Answer(Body),
    /// The call is a change.
    Change,
    /// There is nothing yet, and the call may wait.
    Wait,
}

/// A call that names a target which another call leaves out.
pub(super) struct Candidate {
    pub(super) call: Arc<dyn Call>,
    /// The argument that names the target, as the policies see it.
    pub(super) argument: (&'static str, Value),
}

/// A kind of target of which a call has many. Each is judged as the same call with that target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A context key, the argument `key`.
    Context,
    /// A task, the argument `task_id`.
    Task,
    /// A member, the argument `recipient`.
    Member,
}

/// A call with its parameters parsed and checked.
pub(super) trait Call: Send + Sync + 'static {
    /// The name argument, which must be the caller's own.
    fn name(&self) -> Option<&str>;

    /// Checks the limits of the arguments that need no database.
    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// What the call acts on, for the `target.*` facts.
    fn target(&self, _scope: &mut FactScope) {}

    /// For a call that leaves its target out: the calls that it may stand for, the best first. Empty for one that names it.
    fn candidates(&self, _tx: &ReadTx<'_>, _context: &Context) -> Result<Vec<Candidate>> {
        Ok(Vec::new())
    }

    /// Whether a call that was a candidate still is the best that is left.
    fn is_still_best(&self, _tx: &ReadTx<'_>, _context: &Context) -> Result<bool> {
        Ok(true)
    }

    /// For a call whose answer lists targets: their kind, the answer's list and what identifies one in it.
    fn lists(&self) -> Option<(Target, &'static str, &'static str)> {
        None
    }

    /// Whether the call acts on many members: those of [`recipients`](Self::recipients).
    fn has_recipients(&self) -> bool {
        false
    }

    /// For a call that acts on many members: their names.
    fn recipients(&self, _tx: &ReadTx<'_>, _context: &Context) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The messages in an answer that it has marked as read.
    fn handed_out(&self, _answer: &Body) -> Vec<i64> {
        Vec::new()
    }

    /// How long the call may wait for something to return.
    fn wait(&self) -> Duration {
        Duration::ZERO
    }

    /// Looks whether the call can be answered without a change.
    fn preview(&self, _tx: &ReadTx<'_>, _context: &Context) -> Result<Preview> {
        Ok(Preview::Change)
    }

    /// Makes the change, inside the pipeline's transaction.
    fn run(&self, tx: &WriteTx<'_>, context: &Context) -> Result<Body> {
        match self.preview(tx, context)? {
            Preview::Answer(body) => Ok(body),
            Preview::Change | Preview::Wait => Ok(Body::new()),
        }
    }
}

/// A result as a JSON object.
///
/// # Errors
/// A fault when `output` is not a struct or map, which the tests of every tool would show.
pub(super) fn body(output: &impl Serialize) -> Result<Body> {
    match serde_json::to_value(output)? {
        Value::Object(body) => Ok(body),
        other => Err(crate::storage::Error::Fault(format!("a result is not an object: {other}"))),
    }
}
