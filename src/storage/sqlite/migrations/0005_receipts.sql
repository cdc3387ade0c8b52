-- When a member was told, by a hook or by `wait`, of its unread messages up to one: what the sender's receipt shows. The first
-- row at or above a message is its own.
CREATE TABLE announcements (
    member_id INTEGER NOT NULL REFERENCES members (id),
    upto INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (member_id, upto)
) STRICT, WITHOUT ROWID;
