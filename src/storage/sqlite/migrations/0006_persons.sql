-- Persons: who decides for the agents of this table, and the sessions in which they do.

-- A removed person keeps its row: the record names it, and its name is not given to anybody else.
CREATE TABLE persons (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL COLLATE NOCASE UNIQUE,
    -- 'viewer', 'approver' or 'operator'.
    role       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;

-- The agents that an approver decides for, by name.
CREATE TABLE person_agents (
    person_id INTEGER NOT NULL REFERENCES persons (id),
    agent     TEXT    NOT NULL,
    PRIMARY KEY (person_id, agent)
) STRICT, WITHOUT ROWID;

-- One-time links, by hash. Following one begins a session.
CREATE TABLE person_links (
    hash       BLOB    NOT NULL PRIMARY KEY,
    person_id  INTEGER NOT NULL REFERENCES persons (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

-- Sessions of browsers and of command lines on other machines, by the hash of their secret. A row goes when it is revoked.
CREATE TABLE person_sessions (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    person_id  INTEGER NOT NULL REFERENCES persons (id),
    created_at INTEGER NOT NULL,
    -- Renewed at most once an hour; a session ends 30 days after it.
    seen_at    INTEGER NOT NULL,
    -- What the browser calls itself, for the list of sessions.
    device     TEXT    NOT NULL
) STRICT;
CREATE INDEX person_sessions_by_person ON person_sessions (person_id);

-- Public keys of authenticators, as webauthn-rs writes them.
CREATE TABLE passkeys (
    id         BLOB    NOT NULL PRIMARY KEY,
    person_id  INTEGER NOT NULL REFERENCES persons (id),
    credential TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_by_person ON passkeys (person_id);

-- Who decided, how many persons must approve, and who has so far.
ALTER TABLE escalations ADD COLUMN resolved_by TEXT;
ALTER TABLE escalations ADD COLUMN approvals INTEGER NOT NULL DEFAULT 1;
CREATE TABLE approvals (
    escalation_id INTEGER NOT NULL REFERENCES escalations (id),
    person        TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    note          TEXT,
    PRIMARY KEY (escalation_id, person)
) STRICT, WITHOUT ROWID;

-- The person whose words a message is, in an agent's name or the operator's.
ALTER TABLE messages ADD COLUMN person TEXT;

-- The tasks that are parts of one.
CREATE INDEX tasks_by_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;

-- Full-text search for persons. The index is brought up to date by the searcher, so that agents' calls pay nothing.
-- `search` keeps no text: `search_documents` says where it is. The number of a document is the time of what it holds, in
-- milliseconds since 1970, times 4096, and more to tell those of one millisecond apart: the highest are the newest.
CREATE TABLE search_documents (
    id   INTEGER PRIMARY KEY,
    -- 'message', 'task' or 'context'.
    kind TEXT NOT NULL,
    -- The number, or the key.
    ref  TEXT NOT NULL,
    UNIQUE (kind, ref)
) STRICT;
CREATE VIRTUAL TABLE search USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2');
-- How far the index goes: every message and task up to these numbers, and of what was there when the index was begun, context
-- up to this key (NULL: all); of what changed since, all up to the event `event` (NULL: the index is not begun).
CREATE TABLE search_position (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    message INTEGER NOT NULL,
    task    INTEGER NOT NULL,
    context TEXT,
    event   INTEGER
) STRICT;
INSERT INTO search_position VALUES (1, 0, 0, '', NULL);

-- When something was last looked at or done: 'audit' (the chain was verified), 'backup'.
CREATE TABLE checks (
    name    TEXT    NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,
    details TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- The size of the database at the end of each day (days since 1970), in bytes.
CREATE TABLE sizes (
    day   INTEGER NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Processes that use this database, each until it ends; one that was killed is told by its number and the time it started.
CREATE TABLE processes (
    pid        INTEGER NOT NULL,
    started    INTEGER NOT NULL,
    -- 'stdio', 'server', 'console' or 'poll'.
    kind       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (pid, started)
) STRICT, WITHOUT ROWID;
