//! The search index: brought up to date in bounded steps by the searcher, so that agents' calls write nothing for it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::search::{SearchKind, context_text, task_text};
use crate::domain::clock::Millis;
use crate::domain::event::EventKind;
use crate::storage::Db;
use crate::storage::error::{Error, Result};
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Most documents that one step of the index takes in.
const STEP: i64 = 500;
/// Where a step ends besides: bytes of text. A step holds up the writers of the table for about 20 ms.
const STEP_BYTES: usize = 256 * 1024;
/// Most events that one step looks at.
const STEP_EVENTS: i64 = 5_000;
/// Documents that can stand in one millisecond before they go into the next.
const PER_MILLISECOND: i64 = 4_096;

/// Something to take into the index.
struct Document {
    kind: SearchKind,
    reference: String,
    at: Millis,
    text: String,
}

/// What one step of the index still takes.
struct Budget {
    documents: i64,
    bytes: usize,
}

impl Budget {
    /// Whether another document goes in; the first always does.
    const fn has_room(&self) -> bool {
        self.documents > 0 && self.bytes > 0
    }

    fn take(&mut self, document: &Document) {
        self.documents -= 1;
        self.bytes = self.bytes.saturating_sub(document.text.len());
    }
}

/// How far the index goes; see the table `search_position`.
#[derive(Clone, PartialEq, Eq)]
struct Position {
    message: i64,
    task: i64,
    context: Option<String>,
    event: Option<i64>,
}

impl Db {
    /// Brings the search index up to date, step by step. The first time takes a few seconds for 100,000 messages.
    pub fn update_search(&self) -> Result<()> {
        while self.read(|tx| tx.is_search_behind())? {
            if !self.write(|tx| tx.index_for_search(STEP))? {
                break;
            }
        }
        Ok(())
    }
}

impl ReadTx<'_> {
    fn search_position(&self) -> Result<Position> {
        let position = self.one("SELECT * FROM search_position WHERE id = 1", (), |row| {
            Ok(Position {
                message: row.get("message")?,
                task: row.get("task")?,
                context: row.get("context")?,
                event: row.get("event")?,
            })
        })?;
        position.ok_or_else(|| Error::Fault("the search index has no position".into()))
    }

    /// Whether something happened that the search index does not know of.
    pub fn is_search_behind(&self) -> Result<bool> {
        let position = self.search_position()?;
        let newest = self.number("SELECT coalesce(max(id), 0) FROM messages", ())?;
        Ok(position.message < newest
            || position.context.is_some()
            || position.event != Some(self.last_event()?))
    }

    /// What the index should hold of a task or a context entry; `None` when there is nothing.
    fn document(&self, kind: SearchKind, reference: &str) -> Result<Option<Document>> {
        let found = if kind == SearchKind::Task {
            self.task(reference.parse().unwrap_or(0))?.map(|task| (task.updated_at, task_text(&task)))
        } else {
            self.one("SELECT key, value, updated_at FROM context WHERE key = ?1", [reference], |row| {
                let text = context_text(row.text("key")?, row.text("value")?);
                Ok((row.get("updated_at")?, text))
            })?
        };
        Ok(found.map(|(at, text)| Document { kind, reference: reference.to_owned(), at, text }))
    }
}

impl WriteTx<'_> {
    /// Takes what is new or has changed into the search index: at most `limit` documents and about 256 KiB of text. True while
    /// there is more. No event and no audit row: nothing at the table changes.
    pub fn index_for_search(&self, limit: i64) -> Result<bool> {
        let before = self.search_position()?;
        let mut position = before.clone();
        let since = match position.event {
            Some(event) => event,
            // What is there is taken in by the numbers and keys; what changes from now on, by its events.
            None => self.last_event()?,
        };
        position.event = Some(since);
        let mut budget = Budget { documents: limit.max(1), bytes: STEP_BYTES };
        let mut documents = Vec::new();
        self.new_messages(&mut position, &mut budget, &mut documents)?;
        self.new_tasks(&mut position, &mut budget, &mut documents)?;
        self.first_context(&mut position, &mut budget, &mut documents)?;
        let mut more = !budget.has_room() || self.changed(&mut position, &mut budget, &mut documents)?;
        // The index is written fastest from the lowest number to the highest.
        documents.sort_by_key(|document| document.at);
        for document in &documents {
            self.forget(document.kind, &document.reference)?;
            let id = self.next_document(document.at)?;
            self.execute("INSERT INTO search (rowid, text) VALUES (?1, ?2)", params![id, document.text])?;
            self.execute(
                "INSERT INTO search_documents (id, kind, ref) VALUES (?1, ?2, ?3)",
                params![id, document.kind.as_str(), document.reference],
            )?;
        }
        if !more {
            more = self.forget_vanished()?;
        }
        if position != before {
            self.execute(
                "UPDATE search_position SET message = ?1, task = ?2, context = ?3, event = ?4 WHERE id = 1",
                params![position.message, position.task, position.context, position.event],
            )?;
        }
        Ok(more)
    }

    fn new_messages(
        &self,
        position: &mut Position,
        budget: &mut Budget,
        documents: &mut Vec<Document>,
    ) -> Result<()> {
        self.while_wanted(
            "SELECT id, created_at, content FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2",
            [position.message, budget.documents],
            |row| {
                let reference = row.get::<i64>("id")?.to_string();
                let (at, text) = (row.get("created_at")?, row.get("content")?);
                Ok((row.get("id")?, Document { kind: SearchKind::Message, reference, at, text }))
            },
            |(id, document)| {
                position.message = id;
                budget.take(&document);
                documents.push(document);
                budget.has_room()
            },
        )
    }

    fn new_tasks(
        &self,
        position: &mut Position,
        budget: &mut Budget,
        documents: &mut Vec<Document>,
    ) -> Result<()> {
        if !budget.has_room() {
            return Ok(());
        }
        let ids = self.all(
            "SELECT id FROM tasks WHERE id > ?1 ORDER BY id LIMIT ?2",
            [position.task, budget.documents],
            |row| row.get::<i64>(0),
        )?;
        for id in ids {
            if !budget.has_room() {
                break;
            }
            position.task = id;
            if let Some(document) = self.document(SearchKind::Task, &id.to_string())? {
                budget.take(&document);
                documents.push(document);
            }
        }
        Ok(())
    }

    /// The context that was there when the index was begun.
    fn first_context(
        &self,
        position: &mut Position,
        budget: &mut Budget,
        documents: &mut Vec<Document>,
    ) -> Result<()> {
        let Some(after) = position.context.clone().filter(|_| budget.has_room()) else { return Ok(()) };
        let keys = self.all(
            "SELECT key FROM context WHERE key > ?1 ORDER BY key LIMIT ?2",
            params![after, budget.documents],
            |row| row.get::<String>(0),
        )?;
        for key in keys {
            if !budget.has_room() {
                return Ok(());
            }
            if let Some(document) = self.document(SearchKind::Context, &key)? {
                budget.take(&document);
                documents.push(document);
            }
            position.context = Some(key);
        }
        if budget.has_room() {
            position.context = None;
        }
        Ok(())
    }

    /// The tasks and context entries that events name. True when there are more events.
    fn changed(
        &self,
        position: &mut Position,
        budget: &mut Budget,
        documents: &mut Vec<Document>,
    ) -> Result<bool> {
        let since = position.event.unwrap_or(0);
        let events = self.all(
            "SELECT id, kind, data FROM events WHERE id > ?1 ORDER BY id LIMIT ?2",
            [since, STEP_EVENTS],
            |row| Ok((row.get::<i64>(0)?, named(row.text(1)?, row.text(2)?))),
        )?;
        let mut more = i64::try_from(events.len()).is_ok_and(|seen| seen == STEP_EVENTS);
        let mut taken: BTreeSet<(SearchKind, String)> =
            documents.iter().map(|document| (document.kind, document.reference.clone())).collect();
        for (event, named) in events {
            if let Some((kind, reference)) = named.filter(|named| !taken.contains(named)) {
                if !budget.has_room() {
                    more = true;
                    break;
                }
                match self.document(kind, &reference)? {
                    Some(document) => {
                        budget.take(&document);
                        documents.push(document);
                    }
                    None => self.forget(kind, &reference)?,
                }
                taken.insert((kind, reference));
            }
            position.event = Some(event);
        }
        Ok(more)
    }

    /// Takes a document out of the index.
    fn forget(&self, kind: SearchKind, reference: &str) -> Result<()> {
        let known = self.one(
            "SELECT id FROM search_documents WHERE kind = ?1 AND ref = ?2",
            params![kind.as_str(), reference],
            |row| row.get::<i64>(0),
        )?;
        let Some(id) = known else { return Ok(()) };
        self.execute("DELETE FROM search WHERE rowid = ?1", [id])?;
        self.execute("DELETE FROM search_documents WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Takes context out of the index that has expired and was removed, of which no event tells. True when there may be more.
    fn forget_vanished(&self) -> Result<bool> {
        let keys = self.all(
            "SELECT d.ref FROM search_documents d WHERE d.kind = 'context'
                AND NOT EXISTS (SELECT 1 FROM context c WHERE c.key = d.ref) LIMIT ?1",
            [STEP],
            |row| row.get::<String>(0),
        )?;
        for key in &keys {
            self.forget(SearchKind::Context, key)?;
        }
        Ok(i64::try_from(keys.len()).is_ok_and(|found| found == STEP))
    }

    /// A number for a document of that time.
    fn next_document(&self, at: Millis) -> Result<i64> {
        // Times that only another program could have written must not leave the range.
        let mut first = at.clamp(0, i64::MAX / PER_MILLISECOND / 2) * PER_MILLISECOND;
        loop {
            let free = self.number(
                "SELECT coalesce((SELECT max(id) + 1 FROM search_documents WHERE id >= ?1 AND id < ?2), ?1)",
                [first, first + PER_MILLISECOND],
            )?;
            if free < first + PER_MILLISECOND {
                return Ok(free);
            }
            first = free;
        }
    }
}

/// The task or context entry that an event names.
fn named(kind: &str, data: &str) -> Option<(SearchKind, String)> {
    let is = |kinds: &[EventKind]| kinds.iter().any(|known| known.as_str() == kind);
    let data = || serde_json::from_str::<Value>(data).ok();
    if is(&[EventKind::TaskAssigned, EventKind::TaskUpdated]) {
        Some((SearchKind::Task, data()?.get("id")?.as_i64()?.to_string()))
    } else if is(&[EventKind::ContextUpdated]) {
        Some((SearchKind::Context, data()?.get("key")?.as_str()?.to_owned()))
    } else {
        None
    }
}
