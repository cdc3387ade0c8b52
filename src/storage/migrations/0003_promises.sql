-- What strangers found: each part below stands on its own.

-- What the policies were and when: few rows among many, looked for at every start of a process.
CREATE INDEX audit_of_policies ON audit (target_type, target_id) WHERE target_type IN ('policy', 'policy_set');

-- Names pass on nothing: a task belongs to members, not to whoever has their names later. Its messages are one thread.
ALTER TABLE tasks ADD COLUMN assignee_id INTEGER;
ALTER TABLE tasks ADD COLUMN reviewer_id INTEGER;
ALTER TABLE tasks ADD COLUMN thread_id INTEGER;
UPDATE tasks SET assignee_id = (SELECT id FROM members WHERE name = assignee AND current = 1),
                 reviewer_id = (SELECT id FROM members WHERE name = reviewer AND current = 1),
                 creator_id = coalesce(creator_id, (SELECT id FROM members WHERE name = creator AND current = 1));
DROP INDEX tasks_ready_best;
CREATE INDEX tasks_ready_best ON tasks (assignee_id, priority, id) WHERE status = 'pending' AND unmet = 0;
CREATE INDEX tasks_by_reviewer ON tasks (reviewer, id);
DROP VIEW task_rows;
CREATE VIEW task_rows AS
SELECT t.id, t.title, t.description, t.status, t.priority, t.creator, t.creator_id, t.assignee, t.assignee_id,
       t.reviewer, t.reviewer_id, t.result, t.parent_id, t.unmet, t.created_at, t.updated_at,
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
UPDATE escalations SET announced_at = created_at;
