-- Takes over a database of the Python Team Table (0.1 and 0.2). Its tables were renamed to py_* before;
-- the current schema is in place. Times there are ISO 8601 text.
INSERT INTO members (name, role, granted, capabilities, active, registered_at, last_heartbeat)
SELECT name, role, role IN ('admin', 'lead'),
       CASE WHEN json_valid(capabilities) AND json_type(capabilities) = 'array' THEN capabilities ELSE '[]' END,
       status = 'active',
       coalesce(CAST(unixepoch(registered_at, 'subsec') * 1000 AS INTEGER), 0),
       coalesce(CAST(unixepoch(last_heartbeat, 'subsec') * 1000 AS INTEGER), 0)
  FROM py_members ORDER BY rowid;

INSERT INTO messages (id, sender, sender_id, recipient, content, created_at, thread_id)
SELECT p.id, p.sender, m.id, p.recipient, p.content,
       coalesce(CAST(unixepoch(p.created_at, 'subsec') * 1000 AS INTEGER), 0), p.id
  FROM py_messages p LEFT JOIN members m ON m.name = p.sender AND m.current = 1
 ORDER BY p.id;

-- Archived messages leave the inbox, as they did there.
INSERT INTO inbox (member_id, message_id, read_at)
SELECT m.id, p.id,
       CASE WHEN p.read <> 0 THEN coalesce(CAST(unixepoch(p.created_at, 'subsec') * 1000 AS INTEGER), 0) END
  FROM py_messages p JOIN members m ON m.name = p.recipient AND m.current = 1
 WHERE p.archived_at IS NULL;

INSERT INTO inbox (member_id, message_id, read_at)
SELECT m.id, p.id,
       CASE WHEN p.read <> 0 OR EXISTS (SELECT 1 FROM py_broadcast_reads r
                                         WHERE r.agent_name = m.name AND r.message_id = p.id)
            THEN coalesce(CAST(unixepoch(p.created_at, 'subsec') * 1000 AS INTEGER), 0) END
  FROM py_messages p CROSS JOIN members m
 WHERE p.recipient = '*' AND p.archived_at IS NULL AND m.name <> p.sender
   AND NOT EXISTS (SELECT 1 FROM py_broadcast_hidden h WHERE h.agent_name = m.name AND h.message_id = p.id);

INSERT INTO tasks (id, title, description, status, priority, creator, creator_id, assignee, assignee_id, reviewer,
                   result, created_at, updated_at)
SELECT p.id, p.title, p.description, p.status,
       CASE p.priority WHEN 'high' THEN 0 WHEN 'low' THEN 2 ELSE 1 END,
       p.creator, m.id, coalesce(p.assignee, ''),
       (SELECT a.id FROM members a WHERE a.name = p.assignee AND a.current = 1), '', coalesce(p.result, ''),
       coalesce(CAST(unixepoch(p.created_at, 'subsec') * 1000 AS INTEGER), 0),
       coalesce(CAST(unixepoch(p.updated_at, 'subsec') * 1000 AS INTEGER), 0)
  FROM py_tasks p LEFT JOIN members m ON m.name = p.creator AND m.current = 1
 ORDER BY p.id;

INSERT INTO context (key, value, set_by, updated_at, version)
SELECT key, value, set_by, coalesce(CAST(unixepoch(updated_at, 'subsec') * 1000 AS INTEGER), 0), 1
  FROM py_shared_context;

INSERT OR IGNORE INTO tokens (hash, member_id, legacy, created_at, revoked_at)
SELECT unhex(p.token_hash), m.id, 1,
       coalesce(CAST(unixepoch(p.created_at, 'subsec') * 1000 AS INTEGER), 0),
       CAST(unixepoch(p.revoked_at, 'subsec') * 1000 AS INTEGER)
  FROM py_auth_tokens p JOIN members m ON m.name = p.agent_name AND m.current = 1
 WHERE length(unhex(p.token_hash)) = 32;

-- There, a name had one holder.
UPDATE tasks SET assignee_id = (SELECT m.id FROM members m WHERE m.name = tasks.assignee AND m.current = 1);
UPDATE context SET
    set_by_id = (SELECT m.id FROM members m WHERE m.name = context.set_by AND m.current = 1),
    owner_id = (SELECT m.id FROM members m
                 WHERE m.name = substr(context.key, 1, instr(context.key, '/') - 1) AND m.current = 1);
