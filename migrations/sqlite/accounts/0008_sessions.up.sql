-- Sign-ins that last. A session is one family of refresh tokens, of which only hashes are kept.
CREATE TABLE sessions (
    id              BLOB    NOT NULL,
    user_id         BLOB    NOT NULL,
    method          TEXT    NOT NULL,
    second_factor   INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    end_reason      TEXT,
    address         TEXT,
    user_agent      TEXT,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT sessions_id_check CHECK (length(id) = 16),
    CONSTRAINT sessions_second_factor_check CHECK (second_factor IN (0, 1)),
    CONSTRAINT sessions_method_check CHECK (method IN ('setup', 'register', 'password', 'passkey', 'federated')),
    CONSTRAINT sessions_end_check CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user_id_idx ON sessions (user_id, id);
CREATE INDEX sessions_ended_at_idx ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_idle_idx ON sessions (idle_expires_at) WHERE ended_at IS NULL;

-- One row a generation. `nonce` is what the next token was made of, together with the text of this one, so that the same next token
-- can be told again for a few seconds; alone it opens nothing, and it is wiped when its time is over.
CREATE TABLE refresh_tokens (
    hash        BLOB    NOT NULL,
    session_id  BLOB    NOT NULL,
    generation  INTEGER NOT NULL,
    parent_hash BLOB,
    issued_at   INTEGER NOT NULL,
    used_at     INTEGER,
    nonce       BLOB,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash),
    CONSTRAINT refresh_tokens_generation_key UNIQUE (session_id, generation),
    CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT refresh_tokens_hash_check CHECK (length(hash) = 32)
) STRICT, WITHOUT ROWID;

-- The public halves of the keys that sign access tokens. The private halves are in the memory of their daemons alone.
CREATE TABLE signing_keys (
    kid        TEXT    NOT NULL,
    public_key BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    retires_at INTEGER NOT NULL,
    CONSTRAINT signing_keys_pkey PRIMARY KEY (kid),
    CONSTRAINT signing_keys_public_key_check CHECK (length(public_key) = 32)
) STRICT, WITHOUT ROWID;
