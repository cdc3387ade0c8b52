//! Persons: who decides for the agents, in which role, and who acts where no agent does.

use super::agent;
use super::clock::{DAY, HOUR, MINUTE, Millis};
use super::escalation::OPERATOR;
use super::refusal::Refusal;

/// How long a one-time link is good for: long enough to be sent to somebody who sits at a screen, too short to lie about.
pub const LINK_LASTS: Millis = 15 * MINUTE;
/// How long a session lasts after it was last used.
pub const SESSION_LASTS: Millis = 30 * DAY;
/// How old the time of last use may be before it is written anew: one write an hour for a page that is always open.
pub const SEEN_EVERY: Millis = HOUR;
/// Most agents that one approver decides for.
pub const MAX_AGENTS: usize = 64;

/// What a person may do. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything.
    Viewer,
    /// Decides for, and writes to, the agents that answer to them.
    Approver,
    /// Decides for every agent and changes the policies.
    Operator,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Approver, Self::Operator];

    /// The word in the database and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Operator => "operator",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// `invalid_argument`, with the words allowed.
    pub fn parse(word: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(|| {
            Refusal::invalid(
                format!("{:?} is not a role of a person", word.chars().take(32).collect::<String>()),
                "use one of viewer, approver, operator",
            )
        })
    }
}

/// Somebody who was invited.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Person {
    /// Key of the row.
    pub id: i64,
    /// Name, unique without regard to case.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The agents that an approver decides for, by name.
    pub agents: Vec<String>,
    /// When they were invited first.
    pub created_at: Millis,
    /// When they were removed.
    pub removed_at: Option<Millis>,
}

impl Person {
    /// Whether they decide for this agent, and may write to it.
    #[must_use]
    pub fn decides_for(&self, agent: &str) -> bool {
        match self.role {
            Role::Operator => true,
            Role::Approver => self.agents.iter().any(|name| name == agent),
            Role::Viewer => false,
        }
    }
}

/// Who acts where no agent does: the command line, which has the database file itself, or a person in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The command line.
    Operator,
    /// A person who has signed in.
    Person(Person),
}

impl Actor {
    /// The name in audit rows: `operator`, or `person:` and the name. No agent's name has a colon.
    #[must_use]
    pub fn audit_name(&self) -> String {
        match self {
            Self::Operator => OPERATOR.to_owned(),
            Self::Person(person) => format!("person:{}", person.name),
        }
    }

    /// The name alone, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Operator => OPERATOR,
            Self::Person(person) => &person.name,
        }
    }

    /// The person, if it is one.
    #[must_use]
    pub const fn person(&self) -> Option<&Person> {
        match self {
            Self::Operator => None,
            Self::Person(person) => Some(person),
        }
    }

    /// Refuses to decide for, or write to, an agent that does not answer to this person.
    ///
    /// # Errors
    /// `permission_denied`.
    pub fn check_decides_for(&self, agent: &str) -> Result<(), Refusal> {
        match self {
            Self::Person(person) if !person.decides_for(agent) => Err(Refusal::denied(
                format!("{agent} does not answer to {}", person.name),
                format!(
                    "an operator can give you the agent: team-table person invite {} --agents {agent}",
                    person.name
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses what needs a higher role.
    ///
    /// # Errors
    /// `permission_denied`.
    pub fn check_role(&self, needed: Role) -> Result<(), Refusal> {
        match self {
            Self::Person(person) if person.role < needed => Err(Refusal::denied(
                format!(
                    "this needs the role {}, and {} is {}",
                    needed.as_str(),
                    person.name,
                    person.role.as_str()
                ),
                "ask an operator to do it, or to invite you again with that role",
            )),
            _ => Ok(()),
        }
    }
}

/// Accepts what is an agent's name too, except the operator's.
///
/// # Errors
/// `invalid_argument` or `permission_denied`.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    agent::check_name("name", name)?;
    agent::check_free_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_operators_decide_for_agents_that_are_not_theirs() {
        let person = |role, agents: &[&str]| Person {
            id: 1,
            name: "anna".into(),
            role,
            agents: agents.iter().map(|&name| name.to_owned()).collect(),
            created_at: 0,
            removed_at: None,
        };
        assert!(person(Role::Operator, &[]).decides_for("a"));
        assert!(person(Role::Approver, &["a"]).decides_for("a"));
        assert!(!person(Role::Approver, &["a"]).decides_for("A"));
        assert!(!person(Role::Viewer, &["a"]).decides_for("a"));
        let viewer = Actor::Person(person(Role::Viewer, &[]));
        assert!(viewer.check_role(Role::Viewer).is_ok() && viewer.check_role(Role::Approver).is_err());
        assert!(Actor::Operator.check_role(Role::Operator).is_ok());
        assert_eq!((viewer.audit_name().as_str(), viewer.name()), ("person:anna", "anna"));
    }
}
