-- Live sessions of clients: where an agent sits, and how it is woken. A row goes when its session ends.
CREATE TABLE seats (
    id INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    -- What the client's hooks and its MCP process share: 'pid:PID:START', 'codex:THREAD' or 'qwen:SESSION'.
    key TEXT NOT NULL UNIQUE,
    -- The client's process, where the key is one, and when it started; another process with that number is another session.
    pid INTEGER,
    started INTEGER,
    session TEXT NOT NULL DEFAULT '',
    folder TEXT NOT NULL DEFAULT '',
    -- How it is woken: 'bell:FILE', 'codex:HOME', 'input:FILE'; NULL where it cannot be.
    wake TEXT,
    -- A turn runs.
    busy INTEGER NOT NULL DEFAULT 0,
    -- A person sits in front of it.
    attended INTEGER NOT NULL DEFAULT 1,
    -- The name and role that this session asked for when it started, until it has them.
    reserved TEXT UNIQUE,
    role TEXT,
    -- The message that wants to wake it, until that is decided.
    due INTEGER,
    -- When it was rung, until what rang was announced.
    rung_at INTEGER,
    -- Since a person last typed here: wakes, and turns that went on because of news.
    wakes INTEGER NOT NULL DEFAULT 0,
    continued INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX seats_due ON seats (id) WHERE due IS NOT NULL;

-- Who sits there. A member without a seat keeps its row: what was announced to it, and whether a session took the name by itself.
CREATE TABLE seat_members (
    member_id INTEGER PRIMARY KEY REFERENCES members (id),
    seat_id INTEGER REFERENCES seats (id) ON DELETE SET NULL,
    announced_upto INTEGER NOT NULL DEFAULT 0,
    -- No token was ever given out for it: the seat is its only proof.
    automatic INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX seat_members_by_seat ON seat_members (seat_id);

-- Wakes of the last hour.
CREATE TABLE wakes (
    id INTEGER PRIMARY KEY,
    member_id INTEGER NOT NULL REFERENCES members (id),
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX wakes_by_member ON wakes (member_id, at);
