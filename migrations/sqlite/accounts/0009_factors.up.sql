-- Second factors. The secret of an authenticator app has to be read again, so it is sealed, not hashed; the key is not in here.
-- `last_step` is the newest time step of which a code was used: no code of it or of an earlier one is taken again. Until
-- `confirmed_at` is set, the factor protects nothing.
CREATE TABLE totp_factors (
    user_id      BLOB    NOT NULL,
    secret       BLOB    NOT NULL,
    confirmed_at INTEGER,
    last_step    INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    CONSTRAINT totp_factors_pkey PRIMARY KEY (user_id),
    CONSTRAINT totp_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Codes for whoever lost the app, each good for once. 120 random bits, so that a plain hash is enough.
CREATE TABLE recovery_codes (
    user_id BLOB    NOT NULL,
    hash    BLOB    NOT NULL,
    used_at INTEGER,
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, hash),
    CONSTRAINT recovery_codes_hash_check CHECK (length(hash) = 32),
    CONSTRAINT recovery_codes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
