-- Personal access tokens. Only the SHA-256 of a token is kept. A token without an owner is the local operator's.
CREATE TABLE tokens (
    id           BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    secret_hash  BLOB    NOT NULL,
    scopes       TEXT    NOT NULL,
    owner        TEXT,
    role         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    CONSTRAINT tokens_pkey PRIMARY KEY (id),
    CONSTRAINT tokens_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT tokens_id_check CHECK (length(id) = 16),
    CONSTRAINT tokens_secret_hash_check CHECK (length(secret_hash) = 32),
    CONSTRAINT tokens_scopes_check CHECK (json_valid(scopes)),
    CONSTRAINT tokens_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_owner_idx ON tokens (owner, id);
CREATE INDEX tokens_revoked_at_idx ON tokens (revoked_at) WHERE revoked_at IS NOT NULL;
