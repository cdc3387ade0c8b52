//! `search`: words in messages, tasks and shared context.

use serde::{Deserialize, Serialize};

use super::View;
use crate::domain::clock::{self, Millis};
use crate::domain::person::Actor;
use crate::storage::{Db, Hit, Page, Place, ReadTx, Result, SearchKind, SearchQuery};

/// What to search for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Search {
    /// Words that must all be there.
    pub text: String,
    /// Only these kinds, separated by commas; all of them when empty.
    pub kinds: String,
    /// Only what this agent wrote or got, does or reviews.
    pub agent: Option<String>,
    /// The `next` of the page before.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// What was found, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchData {
    /// The hits.
    pub hits: Vec<HitView>,
    /// What to pass as `before` for what follows.
    pub next: Option<i64>,
}

/// Something that was found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HitView {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// When it was sent or last changed.
    pub at: String,
    /// The first line of a message, the title of a task, the key of an entry.
    pub title: String,
    /// The part of the text that matches, on one line.
    pub excerpt: String,
    /// What of it matches: the first character, and the first one behind.
    pub matches: Vec<[usize; 2]>,
}

impl From<Hit> for HitView {
    fn from(Hit { place, at, title, excerpt }: Hit) -> Self {
        let characters = |bytes: usize| excerpt.text.get(..bytes).map_or(0, |part| part.chars().count());
        let matches =
            excerpt.matches.iter().map(|range| [characters(range.start), characters(range.end)]).collect();
        Self { place, at: clock::format(at), title, matches, excerpt: excerpt.text }
    }
}

impl View for Search {
    const NAME: &'static str = "search";
    type Data = SearchData;

    fn limit(&self) -> u32 {
        self.limit
    }

    /// Brings the index up to date.
    fn prepare(&self, db: &Db) -> Result<()> {
        db.update_search()
    }

    fn read(&self, tx: &ReadTx<'_>, _by: &Actor, now: Millis) -> Result<SearchData> {
        let words = self.kinds.split(',').filter(|word| !word.is_empty());
        let query = SearchQuery {
            text: self.text.clone(),
            kinds: words.map(SearchKind::parse).collect::<std::result::Result<_, _>>()?,
            agent: self.agent.clone(),
            before: self.before,
            limit: self.limit.into(),
        };
        let Page { rows, next } = tx.search(&query, now)?;
        Ok(SearchData { hits: rows.into_iter().map(Into::into).collect(), next })
    }
}
