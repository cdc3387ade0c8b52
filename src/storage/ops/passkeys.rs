//! Passkeys: public keys by which persons sign in.

use serde_json::json;

use crate::domain::clock::Millis;
use crate::domain::person::{Actor, Person};
use crate::domain::refusal::Refusal;
use crate::storage::error::{Error, Result};
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Most passkeys of one person.
const MAX_PASSKEYS: i64 = 20;

/// A passkey as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The credential's id.
    pub id: Vec<u8>,
    /// JSON: where it is good for, and the public key.
    pub credential: String,
    /// When it was added.
    pub created_at: Millis,
    /// When it was last used.
    pub used_at: Option<Millis>,
}

impl ReadTx<'_> {
    /// The passkeys of a person, the oldest first.
    pub fn passkeys(&self, person: &Person) -> Result<Vec<PasskeyRow>> {
        self.all(
            "SELECT * FROM passkeys WHERE person_id = ?1 ORDER BY created_at, id LIMIT ?2",
            [person.id, MAX_PASSKEYS],
            |row| {
                Ok(PasskeyRow {
                    id: row.get("id")?,
                    credential: row.get("credential")?,
                    created_at: row.get("created_at")?,
                    used_at: row.get("used_at")?,
                })
            },
        )
    }
}

impl ReadTx<'_> {
    /// The id of the passkey that a name without one seems to have: always the same, and known to this table alone.
    pub fn made_up_passkey(&self, name: &str) -> Result<[u8; 32]> {
        let secret: Option<Vec<u8>> =
            self.one("SELECT value FROM secrets WHERE purpose = 'made_up_passkeys'", (), |row| row.get(0))?;
        let secret = secret.and_then(|secret| <[u8; 32]>::try_from(secret).ok());
        let secret =
            secret.ok_or_else(|| Error::Fault("the secret of made-up passkeys is missing".into()))?;
        // A person is found in whatever case the name is written.
        Ok(*blake3::keyed_hash(&secret, name.to_ascii_lowercase().as_bytes()).as_bytes())
    }
}

impl WriteTx<'_> {
    /// Adds a passkey of the person who acts.
    ///
    /// # Errors
    /// `failed_precondition` when there are too many, or it is there already.
    pub fn add_passkey(&self, person: &Person, id: &[u8], credential: &str, now: Millis) -> Result<()> {
        let count = self.number("SELECT count(*) FROM passkeys WHERE person_id = ?1", [person.id])?;
        if count >= MAX_PASSKEYS {
            return Err(Refusal::precondition(
                format!("{} has {count} passkeys already", person.name),
                "remove one of them first",
            )
            .into());
        }
        let added = self.execute(
            "INSERT OR IGNORE INTO passkeys (id, person_id, credential, created_at) VALUES (?1, ?2, ?3, ?4)",
            params![id, person.id, credential, now],
        )?;
        if added == 0 {
            return Err(Refusal::precondition("this passkey is known already", "use another device").into());
        }
        let actor = Actor::Person(person.clone()).audit_name();
        self.person_changed(&actor, "add_passkey", &person.name, &json!({ "passkeys": count + 1 }), now)
    }

    /// Notes that a passkey was used, with what the authenticator counts.
    pub fn use_passkey(&self, id: &[u8], credential: &str, now: Millis) -> Result<()> {
        self.execute(
            "UPDATE passkeys SET credential = ?2, used_at = ?3 WHERE id = ?1",
            params![id, credential, now],
        )?;
        Ok(())
    }

    /// Removes a passkey of the person who acts.
    ///
    /// # Errors
    /// `not_found`.
    pub fn remove_passkey(&self, person: &Person, id: &[u8], now: Millis) -> Result<()> {
        let removed =
            self.execute("DELETE FROM passkeys WHERE id = ?1 AND person_id = ?2", params![id, person.id])?;
        if removed == 0 {
            return Err(
                Refusal::not_found("there is no such passkey", "the page of people lists yours").into()
            );
        }
        let actor = Actor::Person(person.clone()).audit_name();
        self.person_changed(&actor, "remove_passkey", &person.name, &json!({}), now)
    }
}
