//! Where a view comes from: the database of this machine, or a table on another one.

use form_urlencoded::Serializer;
use serde::Serialize;

use super::CliError;
use super::remote::PersonSession;
use crate::app;
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::person::Actor;
use crate::operator::views::{Decision, DecisionDone, View};
use crate::storage::Db;

/// Where views come from, and where decisions go.
pub(super) enum ViewSource<'a> {
    /// The database.
    Here(&'a Config, Db),
    /// A table on another machine, by a person's session.
    There(Box<PersonSession>),
}

impl<'a> ViewSource<'a> {
    /// The table that the configuration names. `person`: whose session to use at a table on another machine.
    pub(super) fn open(config: &'a Config, person: Option<&str>) -> Result<Self, CliError> {
        Ok(match &config.url {
            Some((url, _)) => Self::There(PersonSession::find(config, url, person)?.into()),
            None => Self::Here(config, app::open_existing_db(config)?),
        })
    }

    /// Whether it is on another machine.
    pub(super) const fn is_remote(&self) -> bool {
        matches!(self, Self::There(_))
    }

    /// What a view shows.
    pub(super) fn view<V: View>(&self, view: &V) -> Result<V::Data, CliError> {
        match self {
            Self::Here(_, db) => {
                view.prepare(db)?;
                Ok(db.read(|tx| view.read(tx, &Actor::Operator, db.now_in(tx, &Clock::System)?))?)
            }
            Self::There(session) => session.ask(&format!("/{}?{}", V::NAME, query(view)), None::<&()>),
        }
    }

    /// Decides an escalation.
    pub(super) fn decide(&self, number: i64, decision: Decision) -> Result<DecisionDone, CliError> {
        match self {
            Self::Here(config, db) => {
                let now = db.now(&Clock::System);
                let Decision { answer, note } = decision;
                let done = db.write(move |tx| {
                    tx.resolve_escalation(&Actor::Operator, number, &answer, note.as_deref(), now)
                })?;
                app::ring(config, db)?;
                Ok(DecisionDone { escalation: number, done })
            }
            Self::There(session) => session.ask(&format!("/escalations/{number}"), Some(&decision)),
        }
    }
}

/// What is asked for, as it stands behind the `?` of an address.
fn query(view: &impl Serialize) -> String {
    let mut query = Serializer::new(String::new());
    let fields = serde_json::to_value(view).unwrap_or_default();
    for (name, value) in fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        query.append_pair(name, &text);
    }
    query.finish()
}
