//! In whose name something is done: an agent does it in its own, a person in the operator's.

use std::borrow::Cow;

use crate::domain::escalation::OPERATOR;
use crate::domain::person::Actor;
use crate::domain::principal::Principal;
use crate::domain::task::appended;

/// Who does something, as others see it and as it is recorded.
#[derive(Debug, Clone)]
pub(super) struct Voice<'a> {
    /// The name that agents see.
    pub(super) name: &'a str,
    /// The member; `None` for the operator, who is none.
    pub(super) id: Option<i64>,
    /// The name in audit rows.
    pub(super) audit: Cow<'a, str>,
    /// The person, where one has signed in.
    pub(super) person: Option<&'a str>,
}

impl<'a> Voice<'a> {
    /// The operator, for a person if one is known.
    pub(super) const fn operator(person: Option<&'a str>) -> Self {
        Self { name: OPERATOR, id: None, audit: Cow::Borrowed(OPERATOR), person }
    }

    /// A task's result with what was said now. An agent's first words are the result; those of the operator always carry a
    /// name that no agent can have.
    pub(super) fn said_after(&self, before: &str, text: &str) -> String {
        let name = match (self.id, self.person) {
            (Some(_), _) => return appended(before, self.name, text),
            (None, Some(person)) => Cow::Owned(format!("{person} ({OPERATOR})")),
            (None, None) => Cow::Borrowed(self.name),
        };
        if before.is_empty() && !text.is_empty() {
            return format!("{name}: {text}");
        }
        appended(before, &name, text)
    }
}

impl<'a> From<&'a Principal> for Voice<'a> {
    fn from(agent: &'a Principal) -> Self {
        Self { name: &agent.name, id: Some(agent.id), audit: Cow::Borrowed(&agent.name), person: None }
    }
}

impl<'a> From<&'a Actor> for Voice<'a> {
    fn from(by: &'a Actor) -> Self {
        let person = by.person().map(|person| person.name.as_str());
        Self { audit: by.audit_name().into(), ..Self::operator(person) }
    }
}
