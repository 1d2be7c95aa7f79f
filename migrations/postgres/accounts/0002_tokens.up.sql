-- Personal access tokens. Only the SHA-256 of a token is kept. A token without an owner is the local operator's.
CREATE TABLE tokens (
    id           uuid   NOT NULL,
    name         text   NOT NULL,
    secret_hash  bytea  NOT NULL,
    scopes       text   NOT NULL,
    owner        text,
    role         text   NOT NULL,
    created_at   bigint NOT NULL,
    last_used_at bigint,
    expires_at   bigint,
    revoked_at   bigint,
    CONSTRAINT tokens_pkey PRIMARY KEY (id),
    CONSTRAINT tokens_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT tokens_secret_hash_check CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT tokens_scopes_check CHECK (scopes::jsonb IS NOT NULL),
    CONSTRAINT tokens_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
);

CREATE INDEX tokens_owner_idx ON tokens (owner, id);
CREATE INDEX tokens_revoked_at_idx ON tokens (revoked_at) WHERE revoked_at IS NOT NULL;
