-- The way in for the first owner: one at a time, only its SHA-256, replaced at each start until there is an owner.
CREATE TABLE setup_token (
    id          bigint NOT NULL,
    secret_hash bytea  NOT NULL,
    created_at  bigint NOT NULL,
    CONSTRAINT setup_token_pkey PRIMARY KEY (id),
    CONSTRAINT setup_token_id_check CHECK (id = 1),
    CONSTRAINT setup_token_secret_hash_check CHECK (octet_length(secret_hash) = 32)
);

-- Ways in for others, each good for one use: with a user, to set that user's password; without, to register with a role.
CREATE TABLE invites (
    id          uuid   NOT NULL,
    secret_hash bytea  NOT NULL,
    role        text   NOT NULL,
    user_id     uuid,
    created_by  uuid,
    created_at  bigint NOT NULL,
    expires_at  bigint NOT NULL,
    CONSTRAINT invites_pkey PRIMARY KEY (id),
    CONSTRAINT invites_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT invites_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT invites_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT invites_secret_hash_check CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT invites_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
);

CREATE INDEX invites_user_id_idx ON invites (user_id);
CREATE INDEX invites_created_by_idx ON invites (created_by);

-- Networks from which somebody signed in: what others guess wrong does not count against these.
CREATE TABLE familiar_networks (
    user_id uuid   NOT NULL,
    network text   NOT NULL,
    seen_at bigint NOT NULL,
    CONSTRAINT familiar_networks_pkey PRIMARY KEY (user_id, network),
    CONSTRAINT familiar_networks_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
