-- The way in for the first owner: one at a time, only its SHA-256, replaced at each start until there is an owner.
CREATE TABLE setup_token (
    id          INTEGER NOT NULL,
    secret_hash BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    CONSTRAINT setup_token_pkey PRIMARY KEY (id),
    CONSTRAINT setup_token_id_check CHECK (id = 1),
    CONSTRAINT setup_token_secret_hash_check CHECK (length(secret_hash) = 32)
) STRICT;

-- Ways in for others, each good for one use: with a user, to set that user's password; without, to register with a role.
CREATE TABLE invites (
    id          BLOB    NOT NULL,
    secret_hash BLOB    NOT NULL,
    role        TEXT    NOT NULL,
    user_id     BLOB,
    created_by  BLOB,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    CONSTRAINT invites_pkey PRIMARY KEY (id),
    CONSTRAINT invites_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT invites_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT invites_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT invites_id_check CHECK (length(id) = 16),
    CONSTRAINT invites_secret_hash_check CHECK (length(secret_hash) = 32),
    CONSTRAINT invites_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
) STRICT, WITHOUT ROWID;

CREATE INDEX invites_user_id_idx ON invites (user_id);
CREATE INDEX invites_created_by_idx ON invites (created_by);

-- Networks from which somebody signed in: what others guess wrong does not count against these.
CREATE TABLE familiar_networks (
    user_id BLOB    NOT NULL,
    network TEXT    NOT NULL,
    seen_at INTEGER NOT NULL,
    CONSTRAINT familiar_networks_pkey PRIMARY KEY (user_id, network),
    CONSTRAINT familiar_networks_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
