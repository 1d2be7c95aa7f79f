-- Sign-ins that last. A session is one family of refresh tokens, of which only hashes are kept.
CREATE TABLE sessions (
    id              uuid   NOT NULL,
    user_id         uuid   NOT NULL,
    method          text   NOT NULL,
    second_factor   boolean NOT NULL,
    created_at      bigint NOT NULL,
    last_used_at    bigint NOT NULL,
    idle_expires_at bigint NOT NULL,
    expires_at      bigint NOT NULL,
    ended_at        bigint,
    end_reason      text,
    address         text,
    user_agent      text,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT sessions_method_check CHECK (method IN ('setup', 'register', 'password', 'passkey', 'federated')),
    CONSTRAINT sessions_end_check CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);

CREATE INDEX sessions_user_id_idx ON sessions (user_id, id);
CREATE INDEX sessions_ended_at_idx ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_idle_idx ON sessions (idle_expires_at) WHERE ended_at IS NULL;

-- One row a generation. `nonce` is what the next token was made of, together with the text of this one, so that the same next token
-- can be told again for a few seconds; alone it opens nothing, and it is wiped when its time is over.
CREATE TABLE refresh_tokens (
    hash        bytea  NOT NULL,
    session_id  uuid   NOT NULL,
    generation  bigint NOT NULL,
    parent_hash bytea,
    issued_at   bigint NOT NULL,
    used_at     bigint,
    nonce       bytea,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (hash),
    CONSTRAINT refresh_tokens_generation_key UNIQUE (session_id, generation),
    CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT refresh_tokens_hash_check CHECK (octet_length(hash) = 32)
);

-- The public halves of the keys that sign access tokens. The private halves are in the memory of their daemons alone.
CREATE TABLE signing_keys (
    kid        text   NOT NULL,
    public_key bytea  NOT NULL,
    created_at bigint NOT NULL,
    retires_at bigint NOT NULL,
    CONSTRAINT signing_keys_pkey PRIMARY KEY (kid),
    CONSTRAINT signing_keys_public_key_check CHECK (octet_length(public_key) = 32)
);
