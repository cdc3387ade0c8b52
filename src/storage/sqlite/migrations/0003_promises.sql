-- What strangers found: each part below stands on its own.

-- What the policies were and when: few rows among many, looked for at every start of a process.
CREATE INDEX audit_of_policies ON audit (target_type, target_id) WHERE target_type IN ('policy', 'policy_set');

-- Names pass on nothing: rights and counters belong to the member row that held the name at that time. A row of
-- before this migration belongs to the holder of the name when it was last written, or to its first holder.
ALTER TABLE tasks ADD COLUMN assignee_id INTEGER REFERENCES members (id);
ALTER TABLE tasks ADD COLUMN reviewer_id INTEGER REFERENCES members (id);
-- A task's messages are one thread.
ALTER TABLE tasks ADD COLUMN thread_id INTEGER;
ALTER TABLE context ADD COLUMN set_by_id INTEGER REFERENCES members (id);
-- The member whose name the key begins with, if one had it when the entry was written.
ALTER TABLE context ADD COLUMN owner_id INTEGER REFERENCES members (id);
ALTER TABLE decisions ADD COLUMN agent_id INTEGER REFERENCES members (id);
UPDATE tasks SET
    creator_id = coalesce(creator_id, (SELECT m.id FROM members m WHERE m.name = tasks.creator
        ORDER BY m.registered_at > tasks.created_at, abs(m.registered_at - tasks.created_at) LIMIT 1)),
    assignee_id = (SELECT m.id FROM members m WHERE m.name = tasks.assignee
        ORDER BY m.registered_at > tasks.updated_at, abs(m.registered_at - tasks.updated_at) LIMIT 1),
    reviewer_id = (SELECT m.id FROM members m WHERE m.name = tasks.reviewer
        ORDER BY m.registered_at > tasks.created_at, abs(m.registered_at - tasks.created_at) LIMIT 1);
UPDATE context SET
    set_by_id = (SELECT m.id FROM members m WHERE m.name = context.set_by
        ORDER BY m.registered_at > context.updated_at, abs(m.registered_at - context.updated_at) LIMIT 1),
    owner_id = (SELECT m.id FROM members m WHERE m.name = substr(context.key, 1, instr(context.key, '/') - 1)
        ORDER BY m.registered_at > context.updated_at, abs(m.registered_at - context.updated_at) LIMIT 1)
 WHERE true;
UPDATE decisions SET agent_id = (SELECT m.id FROM members m WHERE m.name = decisions.agent
        ORDER BY m.registered_at > decisions.at, abs(m.registered_at - decisions.at) LIMIT 1);
DROP INDEX decisions_by_agent;
CREATE INDEX decisions_by_member ON decisions (agent_id, action, at, outcome, done);
DROP INDEX tasks_ready_best;
CREATE INDEX tasks_ready_best ON tasks (assignee_id, priority, id) WHERE status = 'pending' AND unmet = 0;
CREATE INDEX tasks_by_reviewer ON tasks (reviewer, id);
DROP VIEW task_rows;
CREATE VIEW task_rows AS
SELECT t.id, t.title, t.description, t.status, t.priority, t.creator, t.assignee, t.reviewer, t.result,
       t.parent_id, t.unmet, t.created_at, t.updated_at, t.creator_id, t.assignee_id, t.reviewer_id,
       (SELECT json_group_array(d.depends_on) FROM task_dependencies d WHERE d.task_id = t.id) AS depends_on,
       (SELECT m.last_heartbeat FROM members m
         WHERE m.id = t.assignee_id AND m.current = 1 AND m.active = 1) AS assignee_seen
  FROM tasks t;

-- What a daemon has handled stays unread for its agent, with what was said in its name.
ALTER TABLE inbox ADD COLUMN handled_at INTEGER;
ALTER TABLE inbox ADD COLUMN answer_id INTEGER;
CREATE INDEX inbox_unhandled ON inbox (member_id, message_id) WHERE read_at IS NULL AND handled_at IS NULL;
-- A held call is announced once, whichever daemon is there.
ALTER TABLE escalations ADD COLUMN announced_at INTEGER;
-- While it is open, nothing in the inbox is answered automatically.
ALTER TABLE escalations ADD COLUMN holds_inbox INTEGER NOT NULL DEFAULT 0;
UPDATE escalations SET holds_inbox = 1 WHERE code = 'reply_limit';
UPDATE escalations SET announced_at = created_at;

-- The size of the decision log, with what several rows share counted once.
CREATE TABLE blob_bytes (bytes INTEGER NOT NULL) STRICT;
INSERT INTO blob_bytes SELECT coalesce(sum(length(CAST(content AS BLOB))), 0) FROM blobs;
CREATE TRIGGER blob_added AFTER INSERT ON blobs BEGIN
    UPDATE blob_bytes SET bytes = bytes + length(CAST(new.content AS BLOB));
END;
CREATE TRIGGER blob_removed AFTER DELETE ON blobs BEGIN
    UPDATE blob_bytes SET bytes = bytes - length(CAST(old.content AS BLOB));
END;
UPDATE decisions SET bytes_so_far = sums.bytes
  FROM (SELECT id, sum(length(CAST(coalesce(input, '') AS BLOB)) + length(CAST(facts AS BLOB))
                       + length(CAST(verdicts AS BLOB)) + 200) OVER (ORDER BY id) AS bytes FROM decisions) AS sums
 WHERE sums.id = decisions.id;

-- What the refused calls of one agent have stored on one day (days since 1970); 0 stands for callers without a name.
CREATE TABLE refused_bytes (
    agent_id INTEGER NOT NULL PRIMARY KEY,
    day      INTEGER NOT NULL,
    bytes    INTEGER NOT NULL
) STRICT;

-- How far back the counting facts of a set look, and when a process last said that it runs under it.
ALTER TABLE policy_sets ADD COLUMN window_seconds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE policy_sets ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;

-- When a daemon last renewed: part of what time must not run back behind.
ALTER TABLE leases ADD COLUMN renewed_at INTEGER NOT NULL DEFAULT 0;

-- The number of the file that holds this database, so that a copy by other means than `team-table backup` is told.
CREATE TABLE home (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), inode INTEGER NOT NULL) STRICT;
