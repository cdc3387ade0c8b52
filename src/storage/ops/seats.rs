//! Seats: the live sessions of clients, who sits there, what they were told of, and what wants to wake them.

use serde_json::json;

use super::audit::Entry;
use crate::domain::agent::Member;
use crate::domain::clock::{HOUR, Millis, SECOND};
use crate::domain::event::{Audience, EventKind};
use crate::domain::seat::{AllNews, Client, News, SHOWN, Seat};
use crate::storage::error::{Error, Result};
use crate::storage::sqlite::Row;
use crate::storage::tx::{ReadTx, WriteTx};
use crate::storage::value::params;

/// Where counting what is new stops.
const COUNTED: i64 = 100;
/// A ring that was not answered by then counts as lost: the next message rings again.
const RING_LASTS: Millis = 30 * SECOND;
/// A seat without a sign of life for so long is given up, whatever its process does. A Codex thread, which is no process, lives on in
/// Codex's daemon when its terminal is closed.
const FORGOTTEN_AFTER: Millis = 24 * HOUR;
/// Names tried for a session that takes one by itself: NAME, NAME-2 and so on.
const MAX_NAMES: usize = 50;

/// A session that begins.
#[derive(Debug, Clone)]
pub struct NewSeat {
    /// The client.
    pub client: Client,
    /// What its hooks and its MCP process share.
    pub key: String,
    /// Its process, if the key is one, and when that started.
    pub process: Option<(i64, i64)>,
    /// The client's own name for the session.
    pub session: String,
    /// The folder it works in.
    pub folder: String,
    /// How it is woken.
    pub wake: Option<String>,
    /// A person sits in front of it.
    pub attended: bool,
}

/// A message that wants to wake an agent.
#[derive(Debug, Clone)]
pub struct DueWake {
    /// The seat to ring.
    pub seat: Seat,
    /// The message.
    pub message_id: i64,
    /// Its thread.
    pub thread_id: i64,
    /// `message`, `task`, `person` or `broadcast`.
    pub kind: &'static str,
    /// Who wrote it; `None` for the operator.
    pub sender: Option<Member>,
    /// The sender's name.
    pub sender_name: String,
    /// Whom it wakes.
    pub recipient: Member,
}

/// What the facts of a wake are about.
#[derive(Debug, Clone)]
pub struct WakeScope {
    /// Whom it wakes.
    pub recipient_id: i64,
    /// Who wrote the message.
    pub sender_id: Option<i64>,
    /// The thread of the message.
    pub thread_id: i64,
}

fn read_seat(row: &Row<'_>) -> Result<Seat> {
    Ok(Seat {
        id: row.get("id")?,
        key: row.get("key")?,
        pid: row.get("pid")?,
        started: row.get("started")?,
        wake: row.get("wake")?,
        busy: row.get("busy")?,
        attended: row.get("attended")?,
        reserved: row.get("reserved")?,
        role: row.get("role")?,
        rung_at: row.get("rung_at")?,
        continued: row.get("continued")?,
    })
}

impl ReadTx<'_> {
    /// The seat with this key.
    pub fn seat(&self, key: &str) -> Result<Option<Seat>> {
        self.one("SELECT * FROM seats WHERE key = ?1", [key], read_seat)
    }

    /// The seat with the first of these keys that has one.
    pub fn first_seat(&self, keys: &[String]) -> Result<Option<Seat>> {
        for key in keys {
            if let Some(seat) = self.seat(key)? {
                return Ok(Some(seat));
            }
        }
        Ok(None)
    }

    /// The seat of a member.
    pub fn seat_of(&self, member_id: i64) -> Result<Option<Seat>> {
        self.one(
            "SELECT s.* FROM seat_members m JOIN seats s ON s.id = m.seat_id WHERE m.member_id = ?1",
            [member_id],
            read_seat,
        )
    }

    /// The seat of the active member of this name.
    pub fn seat_of_name(&self, name: &str) -> Result<Option<Seat>> {
        self.one(
            "SELECT s.* FROM members who JOIN seat_members sm ON sm.member_id = who.id JOIN seats s ON s.id = sm.seat_id
              WHERE who.name = ?1 AND who.current = 1 AND who.active = 1",
            [name],
            read_seat,
        )
    }

    /// All seats.
    pub fn seats(&self) -> Result<Vec<Seat>> {
        self.all("SELECT * FROM seats ORDER BY id", (), read_seat)
    }

    /// The active members in a seat, the first to sit down first.
    pub fn seated(&self, seat_id: i64) -> Result<Vec<Member>> {
        let names: Vec<String> = self.all(
            "SELECT a.name FROM seat_members m JOIN members a ON a.id = m.member_id
              WHERE m.seat_id = ?1 AND a.current = 1 AND a.active = 1 ORDER BY m.member_id",
            [seat_id],
            |row| row.get(0),
        )?;
        names.iter().filter_map(|name| self.member(name).transpose()).collect()
    }

    /// The seats of all members that have one.
    pub fn seats_by_member(&self) -> Result<Vec<(i64, Seat)>> {
        self.all(
            "SELECT sm.member_id, s.* FROM seat_members sm JOIN seats s ON s.id = sm.seat_id",
            (),
            |row| Ok((row.get("member_id")?, read_seat(row)?)),
        )
    }

    /// Whether it is kept what a member was told of.
    pub fn keeps_announced(&self, member_id: i64) -> Result<bool> {
        Ok(self.number("SELECT EXISTS (SELECT 1 FROM seat_members WHERE member_id = ?1)", [member_id])? > 0)
    }

    /// The message that wants to wake a seat.
    pub fn due(&self, seat_id: i64) -> Result<Option<i64>> {
        let due = self.one("SELECT due FROM seats WHERE id = ?1", [seat_id], |row| row.get(0))?;
        Ok(due.flatten())
    }

    /// What the agents of a seat, or one agent wherever it sits, were not told of yet.
    pub fn news(&self, seat_id: Option<i64>, member_id: Option<i64>) -> Result<AllNews> {
        let first = self.all(
            "SELECT n.member_id, a.name, m.id, m.sender, m.thread_id, m.content,
                    (SELECT s.role FROM members s WHERE s.id = m.sender_id AND s.current = 1 AND s.active = 1) AS role
               FROM seat_members n JOIN members a ON a.id = n.member_id
               JOIN inbox i ON i.member_id = n.member_id AND i.message_id > n.announced_upto
               JOIN messages m ON m.id = i.message_id
              WHERE (n.seat_id = ?1 OR n.member_id = ?2) AND a.current = 1 AND a.active = 1 AND i.read_at IS NULL
              ORDER BY i.message_id LIMIT ?3",
            params![seat_id, member_id, i64::try_from(SHOWN).unwrap_or(0)],
            |row| {
                Ok(News {
                    member_id: row.get("member_id")?,
                    to: row.get("name")?,
                    id: row.get("id")?,
                    sender: row.get("sender")?,
                    role: row.get("role")?,
                    thread_id: row.get("thread_id")?,
                    content: row.get("content")?,
                })
            },
        )?;
        if first.is_empty() {
            return Ok(AllNews::default());
        }
        let count = self.number(
            "SELECT count(*) FROM (SELECT 1 FROM seat_members n
               JOIN inbox i ON i.member_id = n.member_id AND i.message_id > n.announced_upto
              WHERE (n.seat_id = ?1 OR n.member_id = ?2) AND i.read_at IS NULL LIMIT ?3)",
            params![seat_id, member_id, COUNTED],
        )?;
        let newest = self.all(
            "SELECT n.member_id, (SELECT max(i.message_id) FROM inbox i
                                   WHERE i.member_id = n.member_id AND i.read_at IS NULL) AS newest
               FROM seat_members n WHERE n.seat_id = ?1 OR n.member_id = ?2",
            [seat_id, member_id],
            |row| Ok((row.get(0)?, row.get::<Option<i64>>(1)?)),
        )?;
        let newest = newest.into_iter().filter_map(|(member, id)| Some((member, id?))).collect();
        Ok(AllNews { first, count, newest })
    }

    /// The messages that want to wake somebody.
    pub fn due_wakes(&self) -> Result<Vec<DueWake>> {
        let seats =
            self.all("SELECT * FROM seats WHERE due IS NOT NULL ORDER BY id LIMIT 50", (), |row| {
                Ok((read_seat(row)?, row.get::<i64>("due")?))
            })?;
        let mut due = Vec::new();
        for (seat, message_id) in seats {
            let recipient = self.one(
                "SELECT a.name FROM seat_members n JOIN members a ON a.id = n.member_id
                   JOIN inbox i ON i.member_id = n.member_id AND i.message_id = ?2
                  WHERE n.seat_id = ?1 AND a.current = 1 AND a.active = 1 LIMIT 1",
                [seat.id, message_id],
                |row| row.get::<String>(0),
            )?;
            let message = self.message(message_id)?;
            let recipient = recipient.map(|name| self.member(&name)).transpose()?.flatten();
            let (Some(message), Some(recipient)) = (message, recipient) else { continue };
            let kind = if message.recipient == crate::domain::message::EVERYONE {
                "broadcast"
            } else {
                match message.origin.as_str() {
                    "task" => "task",
                    "person" => "person",
                    _ => "message",
                }
            };
            let sender = self.member(&message.sender)?.filter(|member| member.active);
            due.push(DueWake {
                seat,
                message_id,
                thread_id: message.thread_id,
                kind,
                sender,
                sender_name: message.sender,
                recipient,
            });
        }
        Ok(due)
    }

    /// How often a member was woken in the last hour.
    pub(super) fn wakes_in_hour(&self, scope: &WakeScope, now: Millis) -> Result<i64> {
        self.number(
            "SELECT count(*) FROM wakes WHERE member_id = ?1 AND at > ?2",
            [scope.recipient_id, now - HOUR],
        )
    }

    /// How often the session of a member was woken since a person typed there.
    pub(super) fn wakes_since_person(&self, scope: &WakeScope) -> Result<i64> {
        let wakes = self.one(
            "SELECT s.wakes FROM seat_members m JOIN seats s ON s.id = m.seat_id WHERE m.member_id = ?1",
            [scope.recipient_id],
            |row| row.get(0),
        )?;
        Ok(wakes.unwrap_or(0))
    }

    /// How many of the thread's last messages went back and forth between two members.
    pub(super) fn ping_pong(&self, scope: &WakeScope) -> Result<i64> {
        let mut count = 0;
        let mut last = None;
        let between = [Some(scope.recipient_id), scope.sender_id];
        self.while_wanted(
            "SELECT sender_id FROM messages WHERE thread_id = ?1 ORDER BY id DESC LIMIT 100",
            [scope.thread_id],
            |row| row.get::<Option<i64>>(0),
            |sender| {
                let turns = sender.is_some() && between.contains(&sender) && last != Some(sender);
                last = Some(sender);
                count += i64::from(turns);
                turns
            },
        )?;
        Ok(count)
    }
}

impl WriteTx<'_> {
    /// A session begins, or goes on under another name of its own. What is unread is announced again: its model knows nothing
    /// of it.
    pub fn open_seat(&self, new: &NewSeat, now: Millis) -> Result<Seat> {
        let process = (new.process.map(|(pid, _)| pid), new.process.map(|(_, started)| started));
        self.execute(
            "INSERT INTO seats (client, key, pid, started, session, folder, wake, attended, created_at, seen_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
             ON CONFLICT (key) DO UPDATE SET session = ?5, folder = ?6, wake = ?7, attended = ?8, seen_at = ?9,
                                             busy = 0, rung_at = NULL",
            params![
                new.client.as_str(),
                new.key,
                process.0,
                process.1,
                new.session,
                new.folder,
                new.wake,
                new.attended,
                now
            ],
        )?;
        let seat = self.seat(&new.key)?.ok_or_else(|| Error::Fault("a new seat is not there".into()))?;
        self.announce_again(seat.id)?;
        Ok(seat)
    }

    /// What is unread is new to the session.
    pub fn announce_again(&self, seat_id: i64) -> Result<()> {
        self.execute("UPDATE seat_members SET announced_upto = 0 WHERE seat_id = ?1", [seat_id])?;
        Ok(())
    }

    /// Reserves a name for a session that takes one by itself: the first of NAME, NAME-2, NAME-3 and so on that no other
    /// session has and that was never anybody's who holds a token. Keeps the name that it has.
    pub fn reserve_name(&self, seat: &Seat, name: &str, role: &str) -> Result<Option<String>> {
        if let Some(member) = self.seated(seat.id)?.first() {
            return Ok(Some(member.name.clone()));
        }
        if seat.reserved.is_some() {
            return Ok(seat.reserved.clone());
        }
        for n in 1..=MAX_NAMES {
            let name = if n == 1 { name.to_owned() } else { format!("{name}-{n}") };
            let taken = self.number(
                "SELECT EXISTS (SELECT 1 FROM seats WHERE reserved = ?1)
                     OR EXISTS (SELECT 1 FROM members taken
                                 WHERE taken.current = 1 AND taken.active = 1 AND lower(taken.name) = lower(?1)
                                   AND NOT EXISTS (SELECT 1 FROM seat_members sm WHERE sm.member_id = taken.id
                                                      AND sm.automatic = 1 AND sm.seat_id IS NULL))",
                [&name],
            )?;
            if taken == 0 {
                self.execute(
                    "UPDATE seats SET reserved = ?2, role = ?3 WHERE id = ?1",
                    params![seat.id, name, role],
                )?;
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// A member sits down. What is unread is new to the session.
    pub fn sit(&self, seat: &Seat, member_id: i64, name: &str, now: Millis) -> Result<()> {
        let automatic = seat.reserved.as_deref() == Some(name);
        self.execute(
            "INSERT INTO seat_members (member_id, seat_id, automatic) VALUES (?1, ?2, ?3)
             ON CONFLICT (member_id) DO UPDATE SET seat_id = ?2, announced_upto = 0",
            params![member_id, seat.id, automatic],
        )?;
        if automatic {
            self.execute("UPDATE seats SET reserved = NULL WHERE id = ?1", [seat.id])?;
        }
        self.audit(&Entry {
            at: now,
            agent: name,
            action: "sit",
            target: ("seat", &seat.key),
            details: &json!({ "automatic": automatic }).to_string(),
        })
    }

    /// A member whose token proves it sits down in a session on another machine, and leaves the one where it sat. Is no binding
    /// of an identity, so it is not audited: each call brings the token.
    pub fn sit_remotely(&self, seat: &Seat, member_id: i64) -> Result<()> {
        let before = self.seat_of(member_id)?.filter(|before| before.id != seat.id);
        if let Some(before) = before.filter(Seat::is_remote) {
            self.leave_seat(before.id)?;
        }
        self.execute(
            "INSERT INTO seat_members (member_id, seat_id) VALUES (?1, ?2)
             ON CONFLICT (member_id) DO UPDATE SET seat_id = ?2, announced_upto = 0, automatic = 0",
            [member_id, seat.id],
        )?;
        Ok(())
    }

    /// Marks news as announced, unless another hook of the session was faster. True for the one that may show it.
    pub fn announce(&self, news: &AllNews, now: Millis) -> Result<bool> {
        let mut first = false;
        for (member, newest) in &news.newest {
            let changed = self.execute(
                "UPDATE seat_members SET announced_upto = ?2 WHERE member_id = ?1 AND announced_upto < ?2",
                [*member, *newest],
            )?;
            if changed > 0 {
                first = true;
                // A new session is told again of what an earlier one was told of already.
                self.execute(
                    "INSERT INTO announcements (member_id, upto, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                    params![*member, *newest, now],
                )?;
            }
        }
        Ok(first)
    }

    /// A member was shown its news up to a message.
    pub fn announce_upto(&self, member_id: i64, shown: i64, now: Millis) -> Result<()> {
        let mut news = self.news(None, Some(member_id))?;
        // Not what does not exist yet.
        news.newest.retain_mut(|(_, newest)| {
            *newest = shown.min(*newest);
            true
        });
        self.announce(&news, now)?;
        Ok(())
    }

    /// A hook of a seat has looked: what rang has arrived.
    pub fn answered_ring(&self, seat: &Seat, now: Millis) -> Result<()> {
        self.execute("UPDATE seats SET rung_at = NULL, seen_at = ?2 WHERE id = ?1", [seat.id, now])?;
        Ok(())
    }

    /// Makes it possible to tell what a member was told of, though it sits nowhere.
    pub fn keep_announced(&self, member_id: i64) -> Result<()> {
        self.execute(
            "INSERT INTO seat_members (member_id) VALUES (?1) ON CONFLICT (member_id) DO NOTHING",
            [member_id],
        )?;
        Ok(())
    }

    /// A turn begins; `typed`: because a person typed, which starts the budget of wakes anew.
    pub fn begin_turn(&self, seat: &Seat, typed: bool, now: Millis) -> Result<()> {
        self.execute(
            "UPDATE seats SET busy = 1, seen_at = ?2, wakes = CASE ?3 WHEN 1 THEN 0 ELSE wakes END,
                              continued = CASE ?3 WHEN 1 THEN 0 ELSE continued END WHERE id = ?1",
            params![seat.id, now, typed],
        )?;
        Ok(())
    }

    /// A turn ends, or goes on because of news.
    pub fn end_turn(&self, seat: &Seat, goes_on: bool, now: Millis) -> Result<()> {
        self.execute(
            "UPDATE seats SET busy = ?3, seen_at = ?2, continued = CASE ?3 WHEN 1 THEN continued + 1 ELSE 0 END
              WHERE id = ?1",
            params![seat.id, now, goes_on],
        )?;
        Ok(())
    }

    /// A program waits in this session until it is rung; `way` names its process. What came while none waited wants to wake now.
    pub fn wait_in_seat(&self, seat: &Seat, way: &str, now: Millis) -> Result<()> {
        self.execute("UPDATE seats SET wake = ?2, rung_at = NULL WHERE id = ?1", params![seat.id, way])?;
        let news = self.news(Some(seat.id), None)?;
        for (member_id, newest) in news.newest.into_iter().filter(|_| !news.first.is_empty()) {
            self.want_wake(member_id, newest, now)?;
        }
        Ok(())
    }

    /// It waits no longer: nothing wakes the session, unless another program waits by now.
    pub fn stop_waiting(&self, seat_id: i64, way: &str) -> Result<()> {
        self.execute(
            "UPDATE seats SET wake = NULL, due = NULL WHERE id = ?1 AND wake = ?2",
            params![seat_id, way],
        )?;
        Ok(())
    }

    /// A session is over: its agents sit nowhere.
    pub fn leave_seat(&self, id: i64) -> Result<()> {
        self.execute("DELETE FROM seats WHERE id = ?1", [id])?;
        Ok(())
    }

    /// A message wants to wake its recipient, if it sits somewhere. One wake stands for all messages until it is announced.
    pub(super) fn want_wake(&self, member_id: i64, message_id: i64, now: Millis) -> Result<()> {
        let due = self.execute(
            "UPDATE seats SET due = ?2
              WHERE id = (SELECT seat_id FROM seat_members WHERE member_id = ?1)
                AND wake IS NOT NULL AND (rung_at IS NULL OR rung_at < ?3)",
            [member_id, message_id, now - RING_LASTS],
        )?;
        self.rings.set(self.rings.get() || due > 0);
        Ok(())
    }

    /// As [`want_wake`](Self::want_wake), for all recipients of a broadcast; what is due already stays.
    pub(super) fn want_wakes(&self, message_id: i64, now: Millis) -> Result<()> {
        let due = self.execute(
            "UPDATE seats SET due = ?1
              WHERE id IN (SELECT sm.seat_id FROM seat_members sm WHERE sm.seat_id IS NOT NULL AND EXISTS
                              (SELECT 1 FROM inbox i WHERE i.member_id = sm.member_id AND i.message_id = ?1))
                AND wake IS NOT NULL AND due IS NULL AND (rung_at IS NULL OR rung_at < ?2)",
            [message_id, now - RING_LASTS],
        )?;
        self.rings.set(self.rings.get() || due > 0);
        Ok(())
    }

    /// The wake that a message wanted is decided: it is not due any more. False when another process was faster.
    pub fn take_wake(&self, wake: &DueWake, rings: bool, now: Millis) -> Result<bool> {
        let taken = self.execute(
            "UPDATE seats SET due = NULL, rung_at = CASE ?3 WHEN 1 THEN ?4 ELSE rung_at END,
                              wakes = wakes + (?3 AND NOT busy)
              WHERE id = ?1 AND due = ?2",
            params![wake.seat.id, wake.message_id, rings, now],
        )?;
        if taken == 1 && rings {
            let data = json!({ "message_id": wake.message_id });
            self.event(now, EventKind::Wake, None, Audience::Member(wake.recipient.id), &data)?;
        }
        if taken == 1 && rings && !wake.seat.busy {
            self.execute(
                "DELETE FROM wakes WHERE member_id = ?1 AND at < ?2",
                [wake.recipient.id, now - HOUR],
            )?;
            self.execute("INSERT INTO wakes (member_id, at) VALUES (?1, ?2)", [wake.recipient.id, now])?;
        }
        Ok(taken == 1)
    }

    /// A person lets an agent be woken again.
    pub(super) fn allow_wakes(&self, member_id: i64, now: Millis) -> Result<()> {
        self.execute(
            "UPDATE seats SET wakes = 0, due = (SELECT max(message_id) FROM inbox WHERE member_id = ?1 AND read_at IS NULL)
              WHERE id = (SELECT seat_id FROM seat_members WHERE member_id = ?1) AND wake IS NOT NULL",
            [member_id],
        )?;
        self.execute("DELETE FROM wakes WHERE member_id = ?1 AND at <= ?2", [member_id, now])?;
        self.rings.set(true);
        Ok(())
    }

    /// Gives up the seats whose session is over: `gone`, and those without a sign of life; how the latter were woken.
    pub fn sweep_seats(&self, gone: &[i64], now: Millis) -> Result<Vec<String>> {
        for id in gone {
            self.leave_seat(*id)?;
        }
        let forgotten = now - FORGOTTEN_AFTER;
        let ways =
            self.all("SELECT wake FROM seats WHERE seen_at < ?1 AND wake IS NOT NULL", [forgotten], |row| {
                row.get(0)
            })?;
        self.execute("DELETE FROM seats WHERE seen_at < ?1", [forgotten])?;
        Ok(ways)
    }
}
