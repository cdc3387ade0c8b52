//! Members and their tokens.

use serde_json::json;

use super::audit::Entry;
use super::listing::Listing;
use crate::domain::agent::{self, Member};
use crate::domain::clock::Millis;
use crate::domain::escalation::OPERATOR;
use crate::domain::event::{Audience, EventKind};
use crate::domain::principal::Principal;
use crate::domain::refusal::{Code, Refusal};
use crate::storage::error::{Error, Result};
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Characters of a member in a list besides its texts.
const MEMBER_FRAME: usize = 245;

/// A token as presented: its hashes of both kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Our derived hash.
    pub hash: [u8; 32],
    /// The sha-256 hash the Python Team Table kept.
    pub legacy: [u8; 32],
}

/// What `register` asks for, already checked.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The name to hold.
    pub name: String,
    /// The role asked for.
    pub role: String,
    /// What the agent says it can do.
    pub capabilities: Vec<String>,
    /// The member whose token was presented, if one was.
    pub proof: Option<i64>,
    /// Hash of the token to issue; `None` keeps the one that proved the seat.
    pub token: Option<[u8; 32]>,
}

fn read_member(row: &Row<'_>) -> Result<(Member, String)> {
    let member = Member {
        id: row.get("id")?,
        name: row.get("name")?,
        role: row.get("role")?,
        granted: row.get("granted")?,
        capabilities: Vec::new(),
        active: row.get::<bool>("active")? && row.get("current")?,
        registered_at: row.get("registered_at")?,
        last_heartbeat: row.get("last_heartbeat")?,
    };
    Ok((member, row.get("capabilities")?))
}

fn complete((member, capabilities): (Member, String)) -> Result<Member> {
    Ok(Member { capabilities: serde_json::from_str(&capabilities)?, ..member })
}

impl ReadTx<'_> {
    /// The present (or, when inactive, last) holder of a name.
    pub fn member(&self, name: &str) -> Result<Option<Member>> {
        self.one("SELECT * FROM members WHERE name = ?1 AND current = 1", [name], read_member)?
            .map(complete)
            .transpose()
    }

    /// Whether an agent still holds its name.
    pub fn is_seated(&self, agent: &Principal) -> Result<bool> {
        Ok(self.member(&agent.name)?.is_some_and(|member| member.active && member.id == agent.id))
    }

    /// The member a token was issued to, unless it was revoked. One who has left, or whose name was taken
    /// since, is not `active`.
    pub fn member_by_token(&self, claim: &Claim) -> Result<Option<Member>> {
        let issued = |hash, legacy: bool| {
            self.one(
                "SELECT m.* FROM tokens t JOIN members m ON m.id = t.member_id
                  WHERE t.hash = ?1 AND t.legacy = ?2 AND t.revoked_at IS NULL",
                params![hash, legacy],
                read_member,
            )
        };
        match issued(&claim.hash, false)? {
            None => issued(&claim.legacy, true)?,
            found => found,
        }
        .map(complete)
        .transpose()
    }

    /// The holders of all names, by name; those who have left only when asked for.
    pub fn members(&self, include_inactive: bool) -> Result<Vec<Member>> {
        self.all(
            "SELECT * FROM members WHERE current = 1 AND (active = 1 OR ?1) ORDER BY name",
            [include_inactive],
            read_member,
        )?
        .into_iter()
        .map(complete)
        .collect()
    }

    /// The holders of all names that sort after `after`, by name, as one list result takes them, and how many more there
    /// are.
    pub fn listed_members(&self, include_inactive: bool, after: &str) -> Result<(Vec<Member>, usize)> {
        let mut members = self.members(include_inactive)?;
        members.retain(|member| member.name.as_str() > after);
        let mut listing = Listing::new(i64::MAX, MEMBER_FRAME);
        let fits = members
            .iter()
            .take_while(|member| {
                listing.take(&[&member.name, &member.role, &member.capabilities.join("\",\"")])
            })
            .count();
        let remaining = members.len() - fits;
        members.truncate(fits);
        Ok((members, remaining))
    }

    /// The active member of that name.
    ///
    /// # Errors
    /// `not_found`, with the closest names in the hint.
    pub fn recipient(&self, name: &str) -> Result<Member> {
        if let Some(member) = self.member(name)?.filter(|member| member.active) {
            return Ok(member);
        }
        let mut near: Vec<(f64, String)> = self
            .members(false)?
            .into_iter()
            .map(|member| {
                (strsim::jaro_winkler(&member.name.to_lowercase(), &name.to_lowercase()), member.name)
            })
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near: Vec<String> =
            near.into_iter().filter(|(score, _)| *score > 0.6).take(3).map(|(_, name)| name).collect();
        let hint = if near.is_empty() {
            "call list_members to see who is here".to_owned()
        } else {
            format!("did you mean {}? list_members shows everyone", near.join(", "))
        };
        let shown: String = name.chars().take(agent::MAX_NAME).collect();
        Err(Refusal::not_found(format!("no member named {shown:?}"), hint).into())
    }
}

impl WriteTx<'_> {
    /// Takes a name, or renews the holder's registration and token.
    ///
    /// # Errors
    /// `already_exists` when the name is active and `proof` is not its holder's.
    pub fn register(&self, wanted: &Registration, now: Millis) -> Result<Member> {
        let holder = self.member(&wanted.name)?;
        let proven = holder.as_ref().is_some_and(|member| wanted.proof == Some(member.id));
        if holder.as_ref().is_some_and(|member| member.active) && !proven {
            return Err(Refusal::new(
                Code::AlreadyExists,
                format!("the name {:?} is taken", wanted.name),
                format!(
                    "if it is yours, pass its token to renew the registration (lost: ask your operator for \
                     `team-table agent rotate-token \"{}\"`); if it is another agent's, choose another name",
                    wanted.name
                ),
            )
            .into());
        }
        let alike: Option<String> = self.one(
            "SELECT name FROM members WHERE current = 1 AND active = 1 AND name <> ?1 AND lower(name) = lower(?1)",
            [&wanted.name],
            |row| row.get(0),
        )?;
        if let Some(alike) = alike {
            return Err(Refusal::new(
                Code::AlreadyExists,
                format!(
                    "the name {:?} differs from {alike:?} only by case, and {alike} is at the table",
                    wanted.name
                ),
                format!("choose another name; if you are {alike}, register as {alike} with its token"),
            )
            .into());
        }
        let capabilities = serde_json::to_string(&wanted.capabilities)?;
        let id = if let Some(member) = holder.filter(|_| proven) {
            let role = if member.granted { &member.role } else { &wanted.role };
            self.execute(
                    "UPDATE members SET role = ?2, capabilities = ?3, active = 1, last_heartbeat = ?4 WHERE id = ?1",
                    params![member.id, role, capabilities, now],
                )?;
            if wanted.token.is_some() {
                self.execute(
                    "UPDATE tokens SET revoked_at = ?2 WHERE member_id = ?1 AND revoked_at IS NULL",
                    [member.id, now],
                )?;
            }
            member.id
        } else {
            self.execute("UPDATE members SET current = 0 WHERE name = ?1 AND current = 1", [&wanted.name])?;
            self.insert(
                "INSERT INTO members (name, role, capabilities, registered_at, last_heartbeat)
                     VALUES (?1, ?2, ?3, ?4, ?4)",
                params![wanted.name, wanted.role, capabilities, now],
            )?
        };
        if let Some(token) = &wanted.token {
            self.issue_token(id, token, now)?;
        }
        let name = wanted.name.as_str();
        let member = self.member(name)?.ok_or_else(|| Error::Fault("a new member is not there".into()))?;
        self.member_changed(
            now,
            name,
            "register",
            &member,
            &json!({ "role": member.role, "renewed": proven }),
        )?;
        Ok(member)
    }

    /// Gives a name up. Its token stays good for one thing: taking the same name back with its inbox,
    /// while no other member has.
    pub fn deregister(&self, member: &Member, now: Millis) -> Result<()> {
        self.execute("UPDATE members SET active = 0, last_heartbeat = ?2 WHERE id = ?1", [member.id, now])?;
        self.member_changed(now, &member.name, "deregister", member, &json!({}))
    }

    /// Notes that a member was just seen.
    pub fn touch(&self, member_id: i64, now: Millis) -> Result<()> {
        self.execute(
            "UPDATE members SET last_heartbeat = ?2 WHERE id = ?1 AND last_heartbeat < ?2",
            [member_id, now],
        )?;
        Ok(())
    }

    /// Operator: gives a member a role that survives re-registration.
    ///
    /// # Errors
    /// `not_found`, or `invalid_argument` for what is not a role.
    pub fn grant(&self, name: &str, role: &str, now: Millis) -> Result<Member> {
        agent::check_role(role)?;
        let member = self.holder(name)?;
        self.execute("UPDATE members SET role = ?2, granted = 1 WHERE id = ?1", params![member.id, role])?;
        self.member_changed(now, OPERATOR, "grant", &member, &json!({ "from": member.role, "role": role }))?;
        self.holder(name)
    }

    /// Operator: revokes a member's tokens and, with them, a granted role. Returns how many tokens died.
    ///
    /// # Errors
    /// `not_found`.
    pub fn revoke(&self, name: &str, now: Millis) -> Result<usize> {
        let member = self.holder(name)?;
        let revoked = self.execute(
            "UPDATE tokens SET revoked_at = ?2 WHERE member_id = ?1 AND revoked_at IS NULL",
            [member.id, now],
        )?;
        self.execute(
            "UPDATE members SET granted = 0, active = 0, role = CASE granted WHEN 1 THEN ?2 ELSE role END WHERE id = ?1",
            params![member.id, agent::DEFAULT_ROLE],
        )?;
        self.member_changed(now, OPERATOR, "revoke", &member, &json!({ "tokens": revoked }))?;
        Ok(revoked)
    }

    /// Operator: revokes a member's tokens and issues a new one.
    ///
    /// # Errors
    /// `not_found`.
    pub fn rotate_token(&self, name: &str, token: &[u8; 32], now: Millis) -> Result<()> {
        let member = self.holder(name)?;
        self.execute(
            "UPDATE tokens SET revoked_at = ?2 WHERE member_id = ?1 AND revoked_at IS NULL",
            [member.id, now],
        )?;
        self.issue_token(member.id, token, now)?;
        self.member_changed(now, OPERATOR, "rotate_token", &member, &json!({}))
    }

    fn holder(&self, name: &str) -> Result<Member> {
        Ok(self.member(name)?.ok_or_else(|| {
            Refusal::not_found(format!("no member named {name:?}"), "team-table agent list shows them all")
        })?)
    }

    fn issue_token(&self, member_id: i64, hash: &[u8; 32], now: Millis) -> Result<()> {
        self.execute(
            "INSERT INTO tokens (hash, member_id, created_at) VALUES (?1, ?2, ?3)",
            params![hash, member_id, now],
        )?;
        Ok(())
    }

    fn member_changed(
        &self,
        now: Millis,
        actor: &str,
        action: &str,
        member: &Member,
        details: &serde_json::Value,
    ) -> Result<()> {
        let data = json!({ "name": member.name, "change": action });
        self.event(now, EventKind::Member, Some(member.id), Audience::Member(member.id), &data)?;
        self.audit(&Entry {
            at: now,
            agent: actor,
            action,
            target: ("member", &member.name),
            details: &details.to_string(),
        })
    }
}
