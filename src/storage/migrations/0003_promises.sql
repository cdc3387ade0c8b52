-- What strangers found: each part below stands on its own.

-- What the policies were and when: few rows among many, looked for at every start of a process.
CREATE INDEX audit_of_policies ON audit (target_type, target_id) WHERE target_type IN ('policy', 'policy_set');
