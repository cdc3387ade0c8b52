//! Agents, also called members once registered: names, roles, capabilities, presence.

use serde::Serialize;

use super::clock::{self, MINUTE, Millis};
use super::principal::Principal;
use super::refusal::Refusal;
use super::seat::Seat;
use super::text;

/// Longest agent name, in characters. Clients are told of it.
pub const MAX_NAME: usize = 64;
/// Longest role, in characters.
pub const MAX_ROLE: usize = 32;
/// Most capabilities of one agent.
pub const MAX_CAPABILITIES: usize = 20;
/// Longest capability, in characters.
pub const MAX_CAPABILITY: usize = 64;
/// An agent seen within this time is `online`, else `away`.
pub const ONLINE_WITHIN: Millis = 5 * MINUTE;
/// The role of an agent that asks for none.
pub const DEFAULT_ROLE: &str = "agent";
/// Roles that only the operator grants.
pub const PRIVILEGED_ROLES: [&str; 2] = ["admin", "lead"];

/// The roles that the built-in policy `tool-authorization` knows without a setting.
pub const ROLES: [&str; 10] =
    ["admin", "agent", "coder", "design", "designer", "lead", "ops", "qa", "reviewer", "tester"];

/// Whether a role is one that only the operator grants.
#[must_use]
pub fn is_privileged(role: &str) -> bool {
    PRIVILEGED_ROLES.contains(&role)
}

/// A member of the table, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Row key; another holder of the same name later has another id.
    pub id: i64,
    /// Unique among current holders.
    pub name: String,
    /// Role.
    pub role: String,
    /// Whether the operator granted the role; a granted role survives re-registration.
    pub granted: bool,
    /// What the agent says it can do.
    pub capabilities: Vec<String>,
    /// False once deregistered.
    pub active: bool,
    /// First registration of this holder.
    pub registered_at: Millis,
    /// Last call of any kind.
    pub last_heartbeat: Millis,
}

/// A member as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberView {
    /// Name.
    pub name: String,
    /// Role.
    pub role: String,
    /// Capabilities.
    pub capabilities: Vec<String>,
    /// `active` or `inactive`.
    pub status: &'static str,
    /// Time of the first registration.
    pub registered_at: String,
    /// Time of the last call of any kind.
    pub last_heartbeat: String,
    /// `busy`, `idle` or `unattended` in a client's session that is known to live, else `online` or `away`.
    pub presence: &'static str,
    /// Whether a message starts a turn of it; left out where it does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wakes: bool,
}

impl Member {
    /// `online` when seen within [`ONLINE_WITHIN`] and active, else `away`.
    #[must_use]
    pub fn presence(&self, now: Millis) -> &'static str {
        if self.active && now - self.last_heartbeat <= ONLINE_WITHIN { "online" } else { "away" }
    }

    /// The member as the caller of something. `authenticated`: whether a token (or the operator) proved it.
    #[must_use]
    pub fn into_principal(self, authenticated: bool) -> Principal {
        let Self { id, name, role, capabilities, .. } = self;
        Principal { id, name, role, capabilities, authenticated }
    }

    /// `active` or `inactive`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        if self.active { "active" } else { "inactive" }
    }

    /// The member as clients see it; `seat` is the live session that it sits in.
    #[must_use]
    pub fn view(&self, seat: Option<&Seat>, now: Millis) -> MemberView {
        MemberView {
            presence: seat.map_or_else(|| self.presence(now), Seat::presence),
            wakes: seat.is_some_and(|seat| seat.wake.is_some()),
            status: self.status(),
            registered_at: clock::format(self.registered_at),
            last_heartbeat: clock::format(self.last_heartbeat),
            name: self.name.clone(),
            role: self.role.clone(),
            capabilities: self.capabilities.clone(),
        }
    }
}

/// Accepts `[A-Za-z0-9 _.-]{1,64}` that begins and ends with a letter or digit.
///
/// # Errors
/// `invalid_argument`, with the rule.
pub fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '.' | '-');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let length = name.chars().count();
    if (1..=MAX_NAME).contains(&length)
        && name.chars().all(allowed)
        && ends(name.chars().next())
        && ends(name.chars().next_back())
    {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME).collect();
    Err(Refusal::invalid(
        format!("{what} {shown:?} is not an agent name"),
        "use 1 to 64 ASCII letters (A-Z, a-z), digits, spaces, '_', '.' or '-', beginning and ending with a letter or digit",
    ))
}

/// Refuses names that agents could be deceived with.
///
/// # Errors
/// `permission_denied` for the operator's name.
pub fn check_free_name(name: &str) -> Result<(), Refusal> {
    if name.eq_ignore_ascii_case(super::escalation::OPERATOR) {
        return Err(Refusal::denied(format!("the name {name:?} is reserved"), "choose another name"));
    }
    Ok(())
}

/// Accepts `[a-z][a-z0-9_-]{0,31}`.
///
/// # Errors
/// `invalid_argument`, with the rule.
pub fn check_role(role: &str) -> Result<(), Refusal> {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if role.len() <= MAX_ROLE && role.starts_with(|c: char| c.is_ascii_lowercase()) && role.chars().all(rest)
    {
        return Ok(());
    }
    let shown: String = role.chars().take(MAX_ROLE).collect();
    Err(Refusal::invalid(
        format!("{shown:?} is not a role"),
        "use 1 to 32 lower-case letters, digits, '_' or '-', beginning with a letter",
    ))
}

/// Accepts at most [`MAX_CAPABILITIES`] of at most [`MAX_CAPABILITY`] characters, none blank.
///
/// # Errors
/// `invalid_argument`, with the limit.
pub fn check_capabilities(capabilities: &[String]) -> Result<(), Refusal> {
    if capabilities.len() > MAX_CAPABILITIES {
        return Err(Refusal::invalid(
            format!("{} capabilities given, the limit is {MAX_CAPABILITIES}", capabilities.len()),
            format!("name the {MAX_CAPABILITIES} that matter most"),
        ));
    }
    capabilities.iter().try_for_each(|one| text::filled("a capability", one, MAX_CAPABILITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_the_contract() {
        for good in ["a", "A1", "claude-code", "gpt 5.5", "x_y.z-1", &"n".repeat(64)] {
            assert!(check_name("name", good).is_ok(), "{good:?}");
        }
        for bad in ["", " ", "-a", "a-", ".a", "a ", "a/b", "é", "a\n", "*", &"n".repeat(65)] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roles_follow_the_contract() {
        for good in ["a", "agent", "qa-2", "x_y", &"r".repeat(32)] {
            assert!(check_role(good).is_ok(), "{good:?}");
        }
        for bad in ["", "Agent", "1a", "a b", "-a", &"r".repeat(33)] {
            assert!(check_role(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn capabilities_are_bounded_in_number_and_length() {
        let many = |n: usize, len: usize| vec!["c".repeat(len); n];
        assert!(check_capabilities(&many(20, 64)).is_ok());
        assert!(check_capabilities(&many(21, 1)).is_err());
        assert!(check_capabilities(&many(1, 65)).is_err());
        assert!(check_capabilities(&[" ".into()]).is_err());
    }

    proptest! {
        #[test]
        fn no_name_with_a_separator_or_control_character_passes(
            name in ".*[/\\\\\0\r\n\t*%].*"
        ) {
            prop_assert!(check_name("name", &name).is_err());
        }
    }
}
