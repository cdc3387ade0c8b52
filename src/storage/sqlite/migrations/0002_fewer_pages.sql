-- What every call must write, in fewer pages: each page it touches is written to the log before the call is answered,
-- and once more at the checkpoint. What only people look for now and then is found by walking the log backwards.
DROP INDEX audit_by_agent;
DROP INDEX audit_by_action;
DROP INDEX audit_by_time;
DROP INDEX decisions_by_time;

-- Facts count an agent's calls of certain tools: those, and no others, are now one range for each tool.
DROP INDEX decisions_by_agent;
CREATE INDEX decisions_by_agent ON decisions (agent, action, at, outcome, done);

-- A running sum in the row itself, in place of a counter that every decision had to write besides.
DROP TRIGGER decision_added;
DROP TRIGGER decision_removed;
ALTER TABLE decisions RENAME COLUMN size TO bytes_so_far;
UPDATE decisions SET bytes_so_far = sums.bytes
  FROM (SELECT id, sum(bytes_so_far) OVER (ORDER BY id) AS bytes FROM decisions) AS sums
 WHERE sums.id = decisions.id;
CREATE TRIGGER decision_removed AFTER DELETE ON decisions WHEN old.input_blob IS NOT NULL BEGIN
    UPDATE blobs SET uses = uses - 1 WHERE digest = old.input_blob;
    DELETE FROM blobs WHERE digest = old.input_blob AND uses <= 0;
END;
DROP TABLE counters;
