//! Persons, their one-time links and their sessions.

use serde_json::json;

use super::audit::Entry;
use crate::domain::clock::Millis;
use crate::domain::event::{Audience, EventKind};
use crate::domain::person::{Actor, LINK_LASTS, MAX_AGENTS, Person, Role, SESSION_LASTS, check_name};
use crate::domain::refusal::{Code, Refusal};
use crate::storage::error::{Error, Result};
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Characters of a browser's description of itself that are kept.
const MAX_DEVICE: usize = 200;

/// An invitation to make.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Whom.
    pub name: String,
    /// The role; `None` keeps that of a person who is known already.
    pub role: Option<Role>,
    /// The agents they decide for; `None` keeps those of a person who is known already.
    pub agents: Option<Vec<String>>,
    /// Hash of the link's code.
    pub link: [u8; 32],
}

/// A session of a browser or command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Number.
    pub id: i64,
    /// Whose.
    pub person: String,
    /// When the link was followed.
    pub created_at: Millis,
    /// When it was last used, to the hour.
    pub seen_at: Millis,
    /// What the browser calls itself.
    pub device: String,
}

fn read_person(row: &Row<'_>) -> Result<(Person, String)> {
    let role = Role::parse(row.text("role")?).unwrap_or(Role::Viewer);
    let person = Person {
        id: row.get("id")?,
        name: row.get("name")?,
        role,
        agents: Vec::new(),
        created_at: row.get("created_at")?,
        removed_at: row.get("removed_at")?,
    };
    Ok((person, row.get("agents")?))
}

fn complete((person, agents): (Person, String)) -> Result<Person> {
    Ok(Person { agents: serde_json::from_str(&agents)?, ..person })
}

fn read_session(row: &Row<'_>) -> Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        person: row.get("name")?,
        created_at: row.get("created_at")?,
        seen_at: row.get("seen_at")?,
        device: row.get("device")?,
    })
}

impl ReadTx<'_> {
    /// A person who was invited and not removed.
    pub fn person(&self, name: &str) -> Result<Option<Person>> {
        Ok(self.person_ever(name)?.filter(|person| person.removed_at.is_none()))
    }

    fn person_ever(&self, name: &str) -> Result<Option<Person>> {
        self.one(
            "SELECT *, (SELECT json_group_array(a.agent) FROM person_agents a WHERE a.person_id = p.id) AS agents
               FROM persons p WHERE name = ?1",
            [name],
            read_person,
        )?
        .map(complete)
        .transpose()
    }

    /// All persons, by name; those who were removed too.
    pub fn persons(&self) -> Result<Vec<Person>> {
        self.all(
            "SELECT *, (SELECT json_group_array(a.agent) FROM person_agents a WHERE a.person_id = p.id) AS agents
               FROM persons p ORDER BY name",
            (),
            read_person,
        )?
        .into_iter()
        .map(complete)
        .collect()
    }

    /// Whom a link is for, while it can be followed.
    pub fn person_by_link(&self, link: &[u8; 32], now: Millis) -> Result<Option<Person>> {
        self.one(
            "SELECT p.*, (SELECT json_group_array(a.agent) FROM person_agents a WHERE a.person_id = p.id) AS agents
               FROM person_links l JOIN persons p ON p.id = l.person_id
              WHERE l.hash = ?1 AND l.used_at IS NULL AND l.expires_at > ?2 AND p.removed_at IS NULL",
            params![link, now],
            read_person,
        )?
        .map(complete)
        .transpose()
    }

    /// As [`person_by_link`](Self::person_by_link).
    ///
    /// # Errors
    /// `unauthenticated`, in the same words whether the link never was, was used or is too old.
    pub fn check_link(&self, link: &[u8; 32], now: Millis) -> Result<Person> {
        Ok(self.person_by_link(link, now)?.ok_or_else(|| {
            Refusal::new(
                Code::Unauthenticated,
                "this link is not valid (any more)",
                "a link works once, within 15 minutes: ask an operator for another, or run team-table console",
            )
        })?)
    }

    /// Whose session a secret is of, and the session.
    pub fn person_by_session(&self, secret: &[u8; 32], now: Millis) -> Result<Option<(Person, Session)>> {
        let found = self.one(
            "SELECT p.*, s.id AS session, s.created_at AS session_created_at, s.seen_at, s.device, (SELECT json_group_array(a.agent) FROM person_agents a WHERE a.person_id = p.id) AS agents
               FROM person_sessions s JOIN persons p ON p.id = s.person_id
              WHERE s.hash = ?1 AND s.seen_at > ?2 AND p.removed_at IS NULL",
            params![secret, now - SESSION_LASTS],
            |row| {
                let session = Session {
                    id: row.get("session")?,
                    person: row.get("name")?,
                    created_at: row.get("session_created_at")?,
                    seen_at: row.get("seen_at")?,
                    device: row.get("device")?,
                };
                Ok((read_person(row)?, session))
            },
        )?;
        found.map(|(person, session)| Ok((complete(person)?, session))).transpose()
    }

    /// The sessions of a person, or of all, that have not ended; the last used first.
    pub fn sessions(&self, person: Option<&str>, now: Millis) -> Result<Vec<Session>> {
        self.all(
            "SELECT s.*, p.name FROM person_sessions s JOIN persons p ON p.id = s.person_id
              WHERE (?1 IS NULL OR p.name = ?1) AND s.seen_at > ?2 AND p.removed_at IS NULL
              ORDER BY s.seen_at DESC, s.id DESC",
            params![person, now - SESSION_LASTS],
            read_session,
        )
    }
}

impl WriteTx<'_> {
    /// Invites a person, or gives one who is known another link and, if wanted, another role and other agents. A link of
    /// before that was not followed is void.
    ///
    /// # Errors
    /// `invalid_argument` for what cannot be a name, and for a new person without a role; `not_found` for an agent that
    /// never was a member; `failed_precondition` when the person was removed.
    pub fn invite(&self, by: &Actor, wanted: &Invitation, now: Millis) -> Result<Person> {
        by.check_role(Role::Operator)?;
        check_name(&wanted.name)?;
        let known = self.person_ever(&wanted.name)?;
        if known.as_ref().is_some_and(|person| person.removed_at.is_some()) {
            return Err(Refusal::precondition(
                format!("{} was removed, and the record names that person", wanted.name),
                "invite the person under another name",
            )
            .into());
        }
        let role = wanted.role.or(known.as_ref().map(|person| person.role)).ok_or_else(|| {
            Refusal::invalid(
                format!("{} is new here and needs a role", wanted.name),
                "add --role viewer, --role approver or --role operator",
            )
        })?;
        if wanted.agents.as_ref().is_some_and(|agents| agents.len() > MAX_AGENTS) {
            return Err(Refusal::invalid(
                format!("more than {MAX_AGENTS} agents"),
                "make the person an operator, who decides for all of them",
            )
            .into());
        }
        for agent in wanted.agents.iter().flatten() {
            if self.member(agent)?.is_none() {
                return Err(Refusal::not_found(
                    format!("no member named {agent:?}"),
                    "team-table agent list --all shows them",
                )
                .into());
            }
        }
        let id = match &known {
            Some(person) => {
                self.execute(
                    "UPDATE persons SET role = ?2 WHERE id = ?1",
                    params![person.id, role.as_str()],
                )?;
                self.execute(
                    "DELETE FROM person_links WHERE person_id = ?1 AND used_at IS NULL",
                    [person.id],
                )?;
                person.id
            }
            None => self.insert(
                "INSERT INTO persons (name, role, created_at) VALUES (?1, ?2, ?3)",
                params![wanted.name, role.as_str(), now],
            )?,
        };
        if let Some(agents) = &wanted.agents {
            self.execute("DELETE FROM person_agents WHERE person_id = ?1", [id])?;
            for agent in agents {
                self.execute(
                    "INSERT OR IGNORE INTO person_agents (person_id, agent) VALUES (?1, ?2)",
                    params![id, agent],
                )?;
            }
        }
        self.execute(
            "INSERT INTO person_links (hash, person_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
            params![wanted.link, id, now, now + LINK_LASTS],
        )?;
        let person = self
            .person(&wanted.name)?
            .ok_or_else(|| Error::Fault("a person who was invited is not there".into()))?;
        let details = json!({ "role": role.as_str(), "agents": person.agents });
        self.person_changed(&by.audit_name(), "invite_person", &person.name, &details, now)?;
        Ok(person)
    }

    /// Follows a link: it is used up, and a session begins.
    ///
    /// # Errors
    /// `unauthenticated`, in the same words whether the link never was, was used or is too old.
    pub fn open_session(
        &self,
        link: &[u8; 32],
        secret: &[u8; 32],
        device: &str,
        now: Millis,
    ) -> Result<Person> {
        let person = self.check_link(link, now)?;
        self.execute("UPDATE person_links SET used_at = ?2 WHERE hash = ?1", params![link, now])?;
        self.begin_session(&person, secret, device, "link", now)?;
        Ok(person)
    }

    /// Begins a session of a person who has proved who they are.
    pub fn begin_session(
        &self,
        person: &Person,
        secret: &[u8; 32],
        device: &str,
        proof: &str,
        now: Millis,
    ) -> Result<()> {
        let device: String = device.chars().take(MAX_DEVICE).collect();
        // What has ended is of no use to anybody.
        self.execute("DELETE FROM person_sessions WHERE seen_at <= ?1", [now - SESSION_LASTS])?;
        self.execute("DELETE FROM person_links WHERE expires_at <= ?1", [now])?;
        let id = self.insert(
            "INSERT INTO person_sessions (hash, person_id, created_at, seen_at, device) VALUES (?1, ?2, ?3, ?3, ?4)",
            params![secret, person.id, now, device],
        )?;
        let actor = Actor::Person(person.clone()).audit_name();
        let details = json!({ "session": id, "proof": proof, "device": device });
        self.person_changed(&actor, "open_session", &person.name, &details, now)
    }

    /// Notes that a session was used.
    pub fn touch_session(&self, id: i64, now: Millis) -> Result<()> {
        self.execute("UPDATE person_sessions SET seen_at = ?2 WHERE id = ?1 AND seen_at < ?2", [id, now])?;
        Ok(())
    }

    /// Ends a session, one's own or, for an operator, anybody's.
    ///
    /// # Errors
    /// `not_found`, also for another person's session where one may not end it.
    pub fn revoke_session(&self, by: &Actor, id: i64, now: Millis) -> Result<Session> {
        let session = self.one(
            "SELECT s.*, p.name FROM person_sessions s JOIN persons p ON p.id = s.person_id WHERE s.id = ?1",
            [id],
            read_session,
        )?;
        let own = |session: &Session| {
            by.person().is_none_or(|person| person.role == Role::Operator || person.name == session.person)
        };
        let session = session.filter(own).ok_or_else(|| {
            Refusal::not_found(format!("there is no session {id}"), "team-table person sessions lists them")
        })?;
        self.execute("DELETE FROM person_sessions WHERE id = ?1", [id])?;
        let details = json!({ "session": id });
        self.person_changed(&by.audit_name(), "revoke_session", &session.person, &details, now)?;
        Ok(session)
    }

    /// Removes a person: sessions, links and passkeys end, and the name is not used again.
    ///
    /// # Errors
    /// `not_found`.
    pub fn remove_person(&self, by: &Actor, name: &str, now: Millis) -> Result<usize> {
        by.check_role(Role::Operator)?;
        let person = self.person(name)?.ok_or_else(|| {
            Refusal::not_found(
                format!("there is no person named {name:?}"),
                "team-table person list shows them",
            )
        })?;
        self.execute("UPDATE persons SET removed_at = ?2 WHERE id = ?1", [person.id, now])?;
        let sessions = self.execute("DELETE FROM person_sessions WHERE person_id = ?1", [person.id])?;
        self.execute("DELETE FROM person_links WHERE person_id = ?1", [person.id])?;
        self.execute("DELETE FROM passkeys WHERE person_id = ?1", [person.id])?;
        self.execute("DELETE FROM person_agents WHERE person_id = ?1", [person.id])?;
        let details = json!({ "sessions": sessions });
        self.person_changed(&by.audit_name(), "remove_person", &person.name, &details, now)?;
        Ok(sessions)
    }

    /// The audit row, and the event on which open pages look whether their session is still there.
    pub(super) fn person_changed(
        &self,
        by: &str,
        action: &str,
        person: &str,
        details: &serde_json::Value,
        now: Millis,
    ) -> Result<()> {
        let data = json!({ "person": person, "change": action });
        self.event(now, EventKind::Person, None, Audience::Nobody, &data)?;
        self.audit(&Entry {
            at: now,
            agent: by,
            action,
            target: ("person", person),
            details: &details.to_string(),
        })
    }
}
