-- Passkeys: what an authenticator signs with is not in here, only what its signatures are checked with (`passkey`). `state` is what
-- changes from use to use. `sign_count` is that part of it which only ever rises, where the authenticator counts at all: an older
-- one comes from a copy. `transports` are the bits by which a browser finds the authenticator again.
CREATE TABLE passkeys (
    id            BLOB NOT NULL,
    user_id       BLOB NOT NULL,
    credential_id BLOB NOT NULL,
    passkey       BLOB NOT NULL,
    state         BLOB NOT NULL,
    sign_count    INTEGER NOT NULL,
    transports    INTEGER NOT NULL,
    name          TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER,
    CONSTRAINT passkeys_pkey PRIMARY KEY (id),
    CONSTRAINT passkeys_credential_id_key UNIQUE (credential_id),
    CONSTRAINT passkeys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT passkeys_credential_id_check CHECK (length(credential_id) BETWEEN 16 AND 1023)
) STRICT, WITHOUT ROWID;

CREATE INDEX passkeys_user_id_idx ON passkeys (user_id);
