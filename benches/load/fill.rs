//! A database as it is after long use, written by bulk SQL on the migrated schema: consistent, all but the audit chain. Must
//! not know what is measured on it.

use std::path::Path;

use rusqlite::Connection;
use team_table::auth;
use team_table::domain::clock::Clock;
use team_table::storage::{Db, OpenOptions};

use crate::support::{Agent, TEXT};

/// How much there is of everything.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) members: usize,
    pub(crate) messages: usize,
    pub(crate) tasks: usize,
}

/// Time of the last thing that happened, before now, in milliseconds: an hour, so that no limit of calls remembers it.
const AGO: i64 = 3_600_000;

/// Fills a new database; its members with their tokens.
pub(crate) fn fill(db: &Path, size: &Size) -> Vec<Agent> {
    drop(Db::open(db, OpenOptions::default()).unwrap());
    let connection = Connection::open(db).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;
             PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE;",
        )
        .unwrap();
    let number = |count: usize| i64::try_from(count).unwrap();
    let (members, messages, tasks) = (number(size.members), number(size.messages), number(size.tasks));
    let until = Clock::System.now() - AGO;
    let run = |sql: &str, numbers: &[(&str, &dyn rusqlite::ToSql)]| {
        connection
            .prepare(sql)
            .and_then(|mut all| all.execute(numbers))
            .unwrap_or_else(|e| panic!("{sql}: {e}"))
    };
    run(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < :members)
         INSERT INTO members (id, name, role, registered_at, last_heartbeat)
         SELECT i, 'member-' || i, 'coder', :until, :until FROM n",
        &[(":members", &members), (":until", &until)],
    );
    let agents: Vec<Agent> = (1..=members)
        .map(|i| {
            let token = auth::Token::mint().unwrap();
            run(
                "INSERT INTO tokens (hash, member_id, created_at) VALUES (:hash, :member, :until)",
                &[(":hash", &token.hash()), (":member", &i), (":until", &until)],
            );
            Agent { name: format!("member-{i}"), token: token.reveal() }
        })
        .collect();
    // Over thirty days; threads of ten; everybody has written to everybody else.
    run(
        "WITH RECURSIVE n(i) AS (SELECT 1 WHERE :messages > 0 UNION ALL SELECT i + 1 FROM n WHERE i < :messages),
              m(i, s, r, at) AS (SELECT i, i % :members, (i + 1 + i / :members % (:members - 1)) % :members,
                                        :until - (:messages - i) * 2592000000 / :messages FROM n)
         INSERT INTO messages (id, sender, sender_id, recipient, content, created_at, thread_id, reply_to)
         SELECT i, 'member-' || (s + 1), s + 1, 'member-' || (r + 1), :text, at, (i - 1) / 10 * 10 + 1,
                CASE WHEN i % 10 = 1 THEN NULL ELSE i - 1 END FROM m",
        &[(":messages", &messages), (":members", &members), (":until", &until), (":text", &TEXT)],
    );
    // The last hundredth has not been read.
    run(
        "INSERT INTO inbox (member_id, message_id, read_at)
         SELECT CAST(substr(recipient, 8) AS INTEGER) AS member, id,
                CASE WHEN id <= :messages * 99 / 100 THEN created_at + 1000 END
           FROM messages ORDER BY member, id",
        &[(":messages", &messages)],
    );
    // One in twenty waits to be claimed, every member works on one, the others are done.
    run(
        "WITH RECURSIVE n(i) AS (SELECT 1 WHERE :tasks > 0 UNION ALL SELECT i + 1 FROM n WHERE i < :tasks),
              t(i, who, status) AS (SELECT i, 'member-' || (i % :members + 1),
                  CASE WHEN i > :tasks - :members THEN 'in_progress' WHEN i % 20 = 0 THEN 'pending' ELSE 'done' END FROM n)
         INSERT INTO tasks (id, title, description, status, priority, creator, creator_id, assignee, reviewer,
                            created_at, updated_at)
         SELECT i, 'Task ' || i, :text, status, i % 3, who, i % :members + 1,
                CASE WHEN status = 'pending' THEN '' ELSE who END, '',
                :until - (:tasks - i) * 2592000000 / :tasks, :until FROM t",
        &[(":tasks", &tasks), (":members", &members), (":until", &until), (":text", &TEXT)],
    );
    run(
        "INSERT INTO context (key, value, set_by, updated_at, version)
         SELECT 'note-' || id, :text, name, :until, 1 FROM members WHERE :messages > 0",
        &[(":messages", &messages), (":until", &until), (":text", &TEXT)],
    );
    run(
        "INSERT INTO events (at, kind, actor_id, audience, data)
         SELECT created_at, 'message', sender_id, CAST(substr(recipient, 8) AS INTEGER),
                json_object('id', id, 'sender', sender, 'thread_id', thread_id) FROM messages ORDER BY id",
        &[],
    );
    run(
        "INSERT INTO audit (at, agent, action, target_type, target_id, details, decision_id, hash)
         SELECT created_at, sender, 'send_message', 'message', id, json_object('recipient', recipient), id, zeroblob(32)
           FROM messages ORDER BY id",
        &[],
    );
    // The log of decisions is cut when it is long.
    run(
        "INSERT INTO decisions (id, at, hook, agent, action, outcome, done, set_digest, input, facts, verdicts, micros,
                                bytes_so_far)
         SELECT id, created_at, 'authorization', sender, 'send_message', 'allow', 1, 'filled',
                json_object('content', content), '[]', '[]', 20,
                sum(length(content) + 20) OVER (ORDER BY id)
           FROM messages WHERE id > :messages - 100000 ORDER BY id",
        &[(":messages", &messages)],
    );
    connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL;").unwrap();
    agents
}

/// Bytes of the pages that a database uses, those still in its log included.
pub(crate) fn bytes(db: &Path) -> i64 {
    let connection = Connection::open(db).unwrap();
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
}
