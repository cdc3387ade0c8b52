-- A database of the Python Team Table 0.2.1: its own CREATE statements (db.py), and what a small team leaves in it.
PRAGMA journal_mode = WAL;

CREATE TABLE members (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL DEFAULT 'agent',
    capabilities TEXT NOT NULL DEFAULT '[]',
    status TEXT NOT NULL DEFAULT 'active',
    registered_at TEXT NOT NULL,
    last_heartbeat TEXT NOT NULL
);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL,
    read INTEGER NOT NULL DEFAULT 0,
    archived_at TEXT
);

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT 'pending',
    priority TEXT NOT NULL DEFAULT 'medium',
    creator TEXT NOT NULL,
    assignee TEXT,
    result TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE shared_context (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    set_by TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE broadcast_reads (
    agent_name TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (agent_name, message_id),
    FOREIGN KEY (message_id) REFERENCES messages(id)
);

CREATE TABLE broadcast_hidden (
    agent_name TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (agent_name, message_id)
);

CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    action TEXT NOT NULL,
    target_type TEXT,
    target_id TEXT,
    details TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE auth_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent_name TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    created_at TEXT NOT NULL,
    last_used_at TEXT,
    revoked_at TEXT
);

INSERT INTO members VALUES ('alice', 'lead', '["planning", "review"]', 'active', '2025-03-01T10:00:00.123456+00:00', '2025-03-02T08:15:30.500000+00:00');
INSERT INTO members VALUES ('bob', 'coder', '[]', 'active', '2025-03-01T10:05:00+00:00', '2025-03-02T08:00:00+00:00');
INSERT INTO members VALUES ('carol', 'agent', 'not json', 'inactive', '2025-03-01T11:00:00.000001+00:00', '2025-03-01T12:00:00.999000+00:00');
INSERT INTO members VALUES ('Dave 2.0', 'tester', '["qa"]', 'active', '2025-03-01T11:30:00.250000+00:00', '2025-03-02T07:00:00.250000+00:00');
INSERT INTO messages (id, sender, recipient, content, created_at, read, archived_at) VALUES
    (1, 'alice', 'bob', 'read already', '2025-03-01T10:10:00.111111+00:00', 1, NULL),
    (2, 'alice', 'bob', 'still unread: it''s "quoted" 🎉', '2025-03-01T10:11:00.222222+00:00', 0, NULL),
    (3, 'bob', 'alice', 'archived', '2025-03-01T10:12:00.333333+00:00', 1, '2025-03-01T20:00:00.000000+00:00'),
    (4, 'alice', '*', 'to everyone', '2025-03-01T10:13:00.444444+00:00', 0, NULL),
    (7, 'ghost', 'bob', 'from one who is gone', '2025-03-01T10:14:00.555555+00:00', 0, NULL),
    (8, 'bob', '*', 'from bob to everyone', '2025-03-01T10:15:00.666666+00:00', 0, NULL),
    (9, 'bob', '*', 'archived for everyone', '2025-03-01T10:16:00.777777+00:00', 0, '2025-03-01T20:00:00.000000+00:00'),
    (12, 'bob', 'alice', 'unread for alice', '2025-03-01T10:17:00.888888+00:00', 0, NULL);
INSERT INTO broadcast_reads VALUES ('bob', 4);
INSERT INTO tasks VALUES
    (1, 'Write the parser', 'with tests', 'done', 'high', 'alice', 'bob', 'merged', '2025-03-01T10:20:00.100000+00:00', '2025-03-01T15:00:00.200000+00:00'),
    (2, 'Review it', '', 'pending', 'medium', 'alice', NULL, NULL, '2025-03-01T10:21:00.100000+00:00', '2025-03-01T10:21:00.100000+00:00'),
    (3, 'Ship it', '', 'in_progress', 'low', 'bob', 'alice', NULL, '2025-03-01T10:22:00.100000+00:00', '2025-03-01T16:00:00.300000+00:00'),
    (5, 'Celebrate', 'later', 'blocked', 'low', 'ghost', 'carol', 'no budget', '2025-03-01T10:23:00.100000+00:00', '2025-03-01T10:23:00.100000+00:00');
INSERT INTO shared_context VALUES
    ('repo', 'git@example.org:x.git', 'alice', '2025-03-01T10:30:00.500000+00:00'),
    ('bob/notes', 'line one
line two', 'bob', '2025-03-01T10:31:00+00:00');
INSERT INTO audit_log (id, timestamp, agent_name, action, target_type, target_id, details) VALUES
    (1, '2025-03-01T10:00:00.123456+00:00', 'alice', 'register', 'member', 'alice', '{"role": "lead"}'),
    (2, '2025-03-01T10:10:00.111111+00:00', 'alice', 'send_message', 'message', '1', '{"recipient": "bob"}'),
    (4, '2025-03-01T10:40:00.000000+00:00', 'bob', 'issue_token', 'token', NULL, '{}'),
    (5, '2025-03-01T10:50:00.010000+00:00', 'bob', 'archive_messages', NULL, NULL, '{"archived_count": 2}');
INSERT INTO broadcast_hidden VALUES ('Dave 2.0', 8);
INSERT INTO broadcast_reads VALUES ('Dave 2.0', 8);
-- SHA-256 of "alice-python-token", "alice-revoked-token", "bob-python-token", "ghost-python-token", "carol-python-token".
INSERT INTO auth_tokens (agent_name, token_hash, created_at, last_used_at, revoked_at) VALUES
    ('alice', 'de922db615218b0a7beb6ccb6fc89244e587427b514d8840b0a2e9a2fb258879', '2025-03-01T10:00:00.000000+00:00', NULL, '2025-03-01T10:00:30.000000+00:00'),
    ('alice', 'c88c436df68d13071af0e80afe15593f58a1a6e5254bdf7bcda32dbf34b6bb13', '2025-03-01T10:00:30.000000+00:00', '2025-03-02T08:15:30.500000+00:00', NULL),
    ('bob', 'fbc2ae1cfb471351c33e91250503046a08f83cb0a1a6964e51a34e70e53f917d', '2025-03-01T10:05:00.000000+00:00', NULL, NULL),
    ('ghost', 'cbe37715920949de00d9b813f7d8c9d2a02c5dd0976418e1c5128fa4c50aaec9', '2025-03-01T09:00:00.000000+00:00', NULL, NULL),
    ('carol', 'e5f529b2ce38efbac1915da5dc4526524d3bfea87ba7a2bef745a54f0bb236df', '2025-03-01T11:00:00.000000+00:00', NULL, NULL);
