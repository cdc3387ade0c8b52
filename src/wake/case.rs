//! The question whether a message may wake its recipient.

use std::sync::Arc;

use serde_json::json;

use crate::domain::clock::Millis;
use crate::domain::decision::{Input, PrincipalView, ToolCall, WAKE};
use crate::judgement::{Case, Confirmation, Held, Version};
use crate::storage::{self, DueWake, FactScope, WakeScope, WriteTx};

/// A wake to decide.
#[derive(Clone)]
pub(super) struct WakeCase {
    wake: Arc<DueWake>,
    input: Arc<Input>,
    scope: FactScope,
}

impl WakeCase {
    pub(super) fn new(wake: DueWake, now: Millis) -> Self {
        let sender = wake.sender.clone().map(|member| member.into_principal(true));
        let principal = sender.as_ref().map_or_else(
            || PrincipalView {
                name: wake.sender_name.clone(),
                role: String::new(),
                capabilities: Vec::new(),
                authenticated: true,
            },
            |sender| sender.view(),
        );
        let scope = FactScope {
            now,
            principal: sender.as_ref().map(|sender| (sender.id, sender.name.clone())),
            member: Some(wake.recipient.name.clone()),
            wake: Some(WakeScope {
                recipient_id: wake.recipient.id,
                sender_id: sender.map(|sender| sender.id),
                thread_id: wake.thread_id,
            }),
            ..FactScope::default()
        };
        let arguments = json!({
            "recipient": wake.recipient.name, "message_id": wake.message_id, "kind": wake.kind,
        });
        let input = Input::Authorization(ToolCall {
            tool: WAKE.to_owned(),
            principal,
            arguments,
            transport: "table".to_owned(),
            now,
        });
        Self { wake: Arc::new(wake), input: Arc::new(input), scope }
    }

    pub(super) fn wake(&self) -> &DueWake {
        &self.wake
    }

    pub(super) const fn now(&self) -> Millis {
        self.scope.now
    }

    /// What the recipient's person is shown. All wakes of one agent are one question.
    pub(super) fn held(&self) -> Held {
        let recipient = &self.wake.recipient;
        Held {
            agent: recipient.name.clone(),
            asker: self.wake.sender_name.clone(),
            action: WAKE.to_owned(),
            subject: *blake3::hash(format!("wake of {}", recipient.id).as_bytes()).as_bytes(),
            arguments: json!({ "recipient": recipient.name }).to_string(),
            message: None,
        }
    }
}

impl Case for WakeCase {
    fn input(&self) -> &Arc<Input> {
        &self.input
    }

    fn scope(&self) -> &FactScope {
        &self.scope
    }

    /// The recipient: its person decides, and it is the one whose budget is spent.
    fn agent_id(&self) -> Option<i64> {
        Some(self.wake.recipient.id)
    }

    fn confirm_and_consume(&mut self, tx: &WriteTx<'_>, _at: Version) -> storage::Result<Confirmation> {
        let due = tx.due(self.wake.seat.id)? == Some(self.wake.message_id);
        Ok(if due { Confirmation::Holds } else { Confirmation::Gone })
    }
}
