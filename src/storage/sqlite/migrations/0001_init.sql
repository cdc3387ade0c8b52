-- The first schema. Times are milliseconds since 1970-01-01T00:00:00Z.
-- Migrations are append-only: once released, this file is never edited.

-- One row per holder of a name. A name that was given up and taken again has several; the latest is current.
CREATE TABLE members (
    id             INTEGER PRIMARY KEY,
    name           TEXT    NOT NULL,
    role           TEXT    NOT NULL,
    granted        INTEGER NOT NULL DEFAULT 0,
    capabilities   TEXT    NOT NULL DEFAULT '[]',
    active         INTEGER NOT NULL DEFAULT 1,
    current        INTEGER NOT NULL DEFAULT 1,
    registered_at  INTEGER NOT NULL,
    last_heartbeat INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX members_by_name ON members (name) WHERE current = 1;

-- Only hashes. `legacy` ones are the sha-256 hashes of the Python Team Table.
CREATE TABLE tokens (
    hash       BLOB    NOT NULL PRIMARY KEY,
    member_id  INTEGER NOT NULL REFERENCES members (id),
    legacy     INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_member ON tokens (member_id) WHERE revoked_at IS NULL;

CREATE TABLE messages (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    sender          TEXT    NOT NULL,
    sender_id       INTEGER REFERENCES members (id),
    recipient       TEXT    NOT NULL,
    content         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    thread_id       INTEGER NOT NULL,
    reply_to        INTEGER,
    origin          TEXT    NOT NULL DEFAULT 'agent',
    idempotency_key TEXT
) STRICT;
CREATE INDEX messages_by_sender ON messages (sender_id, created_at, origin, recipient);
CREATE INDEX messages_by_thread ON messages (thread_id, id);
CREATE UNIQUE INDEX messages_by_idempotency_key ON messages (sender_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- One row per message and recipient, a broadcast's included: what is unread is one index range per member.
CREATE TABLE inbox (
    member_id  INTEGER NOT NULL REFERENCES members (id),
    message_id INTEGER NOT NULL REFERENCES messages (id),
    read_at    INTEGER,
    PRIMARY KEY (member_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_unread ON inbox (member_id, message_id) WHERE read_at IS NULL;

CREATE TABLE tasks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    title           TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    priority        INTEGER NOT NULL,
    creator         TEXT    NOT NULL,
    creator_id      INTEGER REFERENCES members (id),
    assignee        TEXT    NOT NULL,
    reviewer        TEXT    NOT NULL,
    result          TEXT    NOT NULL DEFAULT '',
    parent_id       INTEGER REFERENCES tasks (id),
    unmet           INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    idempotency_key TEXT
) STRICT;
CREATE INDEX tasks_by_status ON tasks (status, id);
CREATE INDEX tasks_by_assignee ON tasks (assignee, id);
CREATE INDEX tasks_by_assignee_status ON tasks (assignee, status, id);
CREATE INDEX tasks_ready ON tasks (id) WHERE status = 'pending' AND unmet = 0;
CREATE INDEX tasks_ready_best ON tasks (assignee, priority, id) WHERE status = 'pending' AND unmet = 0;
CREATE UNIQUE INDEX tasks_by_idempotency_key ON tasks (creator_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE task_dependencies (
    task_id    INTEGER NOT NULL REFERENCES tasks (id),
    depends_on INTEGER NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (task_id, depends_on)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_dependents ON task_dependencies (depends_on, task_id);

-- A task as it is read: with what it depends on and when its assignee was last seen.
CREATE VIEW task_rows AS
SELECT t.id, t.title, t.description, t.status, t.priority, t.creator, t.assignee, t.reviewer, t.result,
       t.parent_id, t.unmet, t.created_at, t.updated_at,
       (SELECT json_group_array(d.depends_on) FROM task_dependencies d WHERE d.task_id = t.id) AS depends_on,
       (SELECT m.last_heartbeat FROM members m
         WHERE m.name = t.assignee AND m.current = 1 AND m.active = 1) AS assignee_seen
  FROM tasks t;

CREATE TABLE context (
    key        TEXT    NOT NULL PRIMARY KEY,
    value      TEXT    NOT NULL,
    set_by     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX context_by_expiry ON context (expires_at) WHERE expires_at IS NOT NULL;

-- The durable event log. `audience`: a member's id, 0 for everyone, NULL for nobody.
CREATE TABLE events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    actor_id INTEGER,
    audience INTEGER,
    data     TEXT    NOT NULL
) STRICT;
CREATE INDEX events_by_audience ON events (audience, id) WHERE audience IS NOT NULL;

-- Who did what. Each row's hash covers the hash before it, so that a changed or missing row shows.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    agent       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    target_type TEXT    NOT NULL,
    target_id   TEXT    NOT NULL,
    details     TEXT    NOT NULL,
    decision_id INTEGER,
    hash        BLOB    NOT NULL
) STRICT;
CREATE INDEX audit_by_agent ON audit (agent, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_time ON audit (at);

-- Every judgement, with all that is needed to make it again. `input` over 4 KiB lies in `blobs`, by digest.
CREATE TABLE decisions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    hook        TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    done        INTEGER NOT NULL,
    policy      TEXT,
    code        TEXT,
    message     TEXT,
    set_digest  TEXT    NOT NULL,
    input       TEXT,
    input_blob  BLOB,
    facts       TEXT    NOT NULL,
    verdicts    TEXT    NOT NULL,
    micros      INTEGER NOT NULL,
    size        INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_by_agent ON decisions (agent, at, action, outcome, done);
CREATE INDEX decisions_by_time ON decisions (at);

-- Every policy set that ever decided here: modules by digest, settings and limits, to make its decisions again.
CREATE TABLE policy_sets (
    digest   TEXT NOT NULL PRIMARY KEY,
    policies TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    digest  BLOB    NOT NULL PRIMARY KEY,
    content TEXT    NOT NULL,
    uses    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Numbers that would cost a scan to compute.
CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('decision_bytes', 0);

CREATE TRIGGER decision_added AFTER INSERT ON decisions BEGIN
    UPDATE counters SET value = value + new.size WHERE name = 'decision_bytes';
END;
CREATE TRIGGER decision_removed AFTER DELETE ON decisions BEGIN
    UPDATE counters SET value = value - old.size WHERE name = 'decision_bytes';
    UPDATE blobs SET uses = uses - 1 WHERE digest = old.input_blob;
    DELETE FROM blobs WHERE digest = old.input_blob AND uses <= 0;
END;

-- Questions and held calls that wait for a person.
CREATE TABLE escalations (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    hook        TEXT    NOT NULL,
    agent       TEXT    NOT NULL,
    agent_id    INTEGER REFERENCES members (id),
    asker       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    subject     BLOB    NOT NULL,
    arguments   TEXT    NOT NULL,
    message_id  INTEGER REFERENCES messages (id),
    thread_id   INTEGER,
    policy      TEXT    NOT NULL,
    module      TEXT    NOT NULL,
    code        TEXT    NOT NULL,
    message     TEXT    NOT NULL,
    facts       TEXT    NOT NULL,
    decision_id INTEGER,
    status      TEXT    NOT NULL DEFAULT 'open',
    created_at  INTEGER NOT NULL,
    resolved_at INTEGER,
    reply       TEXT,
    note        TEXT,
    used_at     INTEGER,
    repeats     INTEGER NOT NULL DEFAULT 0,
    reminders   INTEGER NOT NULL DEFAULT 0,
    reminded_at INTEGER
) STRICT;
CREATE INDEX escalations_by_subject ON escalations (agent_id, subject, status);
CREATE INDEX escalations_by_agent ON escalations (agent, id);
CREATE INDEX escalations_open ON escalations (agent_id, id) WHERE status = 'open';
CREATE INDEX escalations_waiting ON escalations (id) WHERE status = 'open';

-- Which poll daemon answers for an agent; the others wait.
CREATE TABLE leases (
    agent_id   INTEGER NOT NULL PRIMARY KEY REFERENCES members (id),
    holder     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
