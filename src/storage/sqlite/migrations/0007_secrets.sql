-- What this table knows and nobody else: 32 random bytes for each purpose.
CREATE TABLE secrets (
    purpose TEXT NOT NULL PRIMARY KEY,
    value   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- From which the passkey is made that a name without one seems to have: whoever could compute it could tell such names.
INSERT INTO secrets (purpose, value) VALUES ('made_up_passkeys', randomblob(32));
