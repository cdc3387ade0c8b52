//! `GET /events/{agent}`: an agent's events as they are committed, resumable by `Last-Event-ID`. A stream
//! costs its connection and nothing else: no task, no buffer. Must not depend on the source of the events.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::frame;
use crate::events::EventStream;
use crate::mcp::http::{App, Counted, bearer, refusal};
use crate::mcp::protocol::Caller;

/// Heartbeats are aligned so that many streams are written in one wake-up: this many batches in each heartbeat interval. A
/// write for which the processor must wake up takes several times as long as one among others.
const BATCHES: u128 = 30;

/// The route.
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    agent: Result<Path<String>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(agent)) = agent else {
        return refusal(StatusCode::BAD_REQUEST, "the agent's name is not percent-encoded UTF-8");
    };
    let Ok(after) = last_event_id(&headers) else {
        return refusal(StatusCode::BAD_REQUEST, "Last-Event-ID must be the id of an event");
    };
    if let Some(refused) = bearer::throttled(&app, &caller).await {
        return refused;
    }
    match app.table.event_stream(caller.bearer.as_deref(), &agent, after).await {
        Ok(events) => {
            let connected = if events.has_gap() {
                json!({"agent": agent, "gap": true}).to_string()
            } else {
                json!({"agent": agent}).to_string()
            };
            let state = Open {
                _counted: Counted::new(&app.counters.event_streams),
                next_beat: next_beat(&app),
                app,
                events,
            };
            frame::response(chunks(state, connected))
        }
        Err(error) => bearer::refused(&app, &caller, &error),
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, ()> {
    match headers.get("last-event-id").map(|id| id.to_str().map(str::trim)) {
        None | Some(Ok("")) => Ok(None),
        Some(Ok(id)) => id.parse().ok().filter(|id| *id >= 0).map(Some).ok_or(()),
        Some(Err(_)) => Err(()),
    }
}

/// Everything one open stream holds.
struct Open {
    app: Arc<App>,
    events: EventStream,
    next_beat: Instant,
    _counted: Counted,
}

fn chunks(open: Open, connected: String) -> impl futures_util::Stream<Item = Bytes> + Send + 'static {
    futures_util::stream::unfold((open, Some(connected)), |(mut open, connected)| async move {
        let mut chunk = String::new();
        if let Some(data) = connected {
            // Numbered too, so that a client that reconnects before its first event misses nothing either.
            frame::frame(&mut chunk, Some(open.events.position()), "connected", &data);
        } else if !open.wait(&mut chunk).await {
            return None;
        }
        Some((Bytes::from(chunk), (open, None)))
    })
}

fn next_beat(app: &App) -> Instant {
    beat_after(Instant::now(), app.started, app.options.limits.heartbeat)
}

/// When to beat after `now`: `every` later or, to be in company, a little earlier.
fn beat_after(now: Instant, started: Instant, every: Duration) -> Instant {
    let step = (every.as_nanos() / BATCHES).max(1);
    let over = (now.duration_since(started) + every).as_nanos() % step;
    // Less than `every`.
    now + every - Duration::from_nanos(u64::try_from(over).unwrap_or(0))
}

impl Open {
    /// Appends what happens next to `chunk`; false if the stream is over.
    async fn wait(&mut self, chunk: &mut String) -> bool {
        tokio::select! {
            biased;
            () = self.app.closing.cancelled() => return false,
            // Before events, so that a busy stream beats too.
            () = tokio::time::sleep_until(self.next_beat) => {
                self.next_beat = next_beat(&self.app);
                frame::frame(chunk, Some(self.events.position()), "heartbeat", "{}");
            }
            events = self.events.next() => {
                if events.is_empty() {
                    // The token it was opened with is no longer valid.
                    return false;
                }
                for event in events {
                    frame::frame(chunk, Some(event.id), &event.kind, &event.data);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_opened_at_about_the_same_time_beat_together_and_none_is_late() {
        let (started, every) = (Instant::now(), Duration::from_secs(30));
        let opened = |millis| started + Duration::from_millis(millis);
        let beat = |millis| beat_after(opened(millis), started, every);
        assert_eq!(beat(7_001), beat(7_999));
        assert_ne!(beat(7_999), beat(8_000));
        for millis in [0, 1, 999, 1_000, 61_234] {
            let wait = beat(millis) - opened(millis);
            assert!(wait <= every && wait + Duration::from_secs(1) > every, "{wait:?}");
            // From then on exactly, though the timer always is a little late.
            let second = beat_after(beat(millis) + Duration::from_millis(2), started, every);
            assert_eq!(second - beat(millis), every);
        }
        assert_eq!(beat_after(started, started, Duration::ZERO), started);
    }
}
