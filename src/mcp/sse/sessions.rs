//! The open sessions of the HTTP+SSE transport.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::{Mutex, MutexGuard};
use rmcp::model::ClientJsonRpcMessage;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The sessions of one server, by id.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

pub(super) struct Session {
    pub(super) inbox: mpsc::Sender<ClientJsonRpcMessage>,
    /// The hash of the token the `GET` carried, if it did.
    pub(super) bearer: Option<blake3::Hash>,
    pub(super) last_post: Instant,
}

impl Sessions {
    /// Keeps `session` under a fresh id of 256 random bits; none if there are `limit` already.
    pub(super) fn insert(&self, session: Session, limit: usize) -> Option<String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok()?;
        let id = URL_SAFE_NO_PAD.encode(random);
        let mut sessions = self.0.lock();
        if sessions.len() >= limit {
            return None;
        }
        sessions.insert(id.clone(), session);
        Some(id)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock()
    }

    pub(super) fn last_post(&self, id: &str) -> Option<Instant> {
        self.0.lock().get(id).map(|session| session.last_post)
    }
}
