//! What a client's hooks tell of its session and what they are answered; and the same as JSON, for a table on another machine:
//! `POST /seat/event`, `/seat/ring` and `/seat/news`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::seat::{self, AllNews, Client};

/// The longest name of a session on another machine, in bytes.
pub const MAX_SESSION: usize = 256;
/// The longest path of a folder that is taken note of, in bytes.
const MAX_FOLDER: usize = 4_096;
/// The longest that one request waits, in seconds: proxies cut off at 60.
pub const MAX_WAIT: u64 = 50;

/// What happened in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It begins, or begins anew (resumed, cleared, compacted).
    Start,
    /// A turn begins.
    Prompt,
    /// Tools were used; the model is asked next.
    Tool,
    /// A turn ends.
    Stop,
    /// A turn ended early, by its person or by a failure: it may not go on.
    Broken,
    /// Its bell was rung.
    Bell,
    /// It is over.
    End,
}

/// What a hook answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", content = "text", rename_all = "snake_case")]
pub enum Said {
    /// Nothing.
    Nothing,
    /// What the model is told, and the file that the client shall watch.
    Started {
        /// For the model.
        context: Option<String>,
        /// The bell file, on the machine of the hook.
        #[serde(skip)]
        watch: Option<PathBuf>,
        /// A name is reserved, and is to be registered.
        #[serde(skip)]
        register: bool,
    },
    /// What the model is told besides.
    Context(String),
    /// The turn must go on, because of this.
    GoOn(String),
    /// The session must start a turn, because of this.
    Wake(String),
}

/// An event of a session on another machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the session")]
pub struct Report {
    /// What happened.
    pub event: Event,
    /// The client.
    pub client: Client,
    /// What tells the session from others of the same agent: 1 to 256 bytes.
    pub session: String,
    /// The folder it works in, at most 4,096 bytes.
    pub folder: String,
    /// A person sits in front of it.
    pub attended: bool,
    /// The turn begins because a person typed.
    pub typed: bool,
    /// Its machine asks `/seat/ring`, and can start a turn.
    pub wakes: bool,
    /// The answer to an earlier event did not arrive: what is unread is announced again.
    #[serde(default)]
    pub again: bool,
}

impl Report {
    /// # Errors
    /// `validation_error` for a session or folder that is too long.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |what: &str, max: usize| {
            Refusal::invalid(format!("{what} is empty or too long"), format!("use 1 to {max} bytes"))
        };
        if !(1..=MAX_SESSION).contains(&self.session.len()) {
            return Err(refuse("session", MAX_SESSION));
        }
        if self.folder.len() > MAX_FOLDER {
            return Err(refuse("folder", MAX_FOLDER));
        }
        Ok(())
    }
}

/// Asks whether a session on another machine is rung, and waits until it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RingQuestion {
    /// See [`Report::session`].
    pub session: String,
    /// The ring that was seen last; it is not waited for.
    pub after: Option<i64>,
    /// How long to wait, at most [`MAX_WAIT`].
    pub seconds: u64,
}

/// The answer to a [`RingQuestion`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// The agent whose token it is.
    pub agent: String,
    /// The agent still sits in this session.
    pub here: bool,
    /// When it was rung for what is not announced yet, in milliseconds since 1970-01-01T00:00:00Z.
    pub rung_at: Option<i64>,
}

/// Asks for an agent's news, and waits until there are some. They count as announced when a later question says that they were shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewsQuestion {
    /// The last message that was shown; 0 for none.
    pub shown: i64,
    /// How long to wait, at most [`MAX_WAIT`].
    pub seconds: u64,
}

/// The answer to a [`NewsQuestion`]: empty when nothing came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewsAnswer {
    /// Whose inbox it is.
    pub agent: String,
    /// What a hook would show.
    pub notice: String,
    /// The first messages.
    pub messages: Vec<i64>,
    /// How many there are, counted up to 100.
    pub count: i64,
    /// The newest of them.
    pub newest: i64,
}

impl NewsAnswer {
    /// What is new for an agent.
    #[must_use]
    pub fn new(agent: &str, news: Option<&AllNews>) -> Self {
        Self {
            agent: agent.to_owned(),
            notice: news.map(seat::notice).unwrap_or_default(),
            messages: news.iter().flat_map(|news| &news.first).map(|message| message.id).collect(),
            count: news.map_or(0, |news| news.count),
            newest: news.iter().flat_map(|news| &news.newest).map(|(_, id)| *id).max().unwrap_or(0),
        }
    }
}
