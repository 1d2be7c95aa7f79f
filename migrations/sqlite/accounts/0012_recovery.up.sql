-- Tokens that were mailed: for a new password, to prove an address, to change it. Each is good for one use, and only its hash is
-- kept. `new_email` is the address that a use proves.
CREATE TABLE recovery_tokens (
    hash       BLOB    NOT NULL,
    user_id    BLOB    NOT NULL,
    kind       TEXT    NOT NULL,
    new_email  TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    CONSTRAINT recovery_tokens_pkey PRIMARY KEY (hash),
    CONSTRAINT recovery_tokens_hash_check CHECK (length(hash) = 32),
    CONSTRAINT recovery_tokens_kind_check CHECK (kind IN ('reset', 'verify', 'change')),
    CONSTRAINT recovery_tokens_email_check CHECK ((kind = 'reset') = (new_email IS NULL)),
    CONSTRAINT recovery_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX recovery_tokens_user_idx ON recovery_tokens (user_id, kind, created_at);
