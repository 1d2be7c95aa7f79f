-- People. The e-mail address as it was given, and the form by which two are told apart. Without a password somebody signs in by a
-- passkey or an outside issuer. `version` counts changes, for `If-Match`.
CREATE TABLE users (
    id                  BLOB    NOT NULL,
    email               TEXT    NOT NULL,
    email_key           TEXT    NOT NULL,
    email_verified_at   INTEGER,
    name                TEXT,
    role                TEXT    NOT NULL,
    tier                TEXT    NOT NULL,
    password_hash       TEXT,
    password_changed_at INTEGER,
    disabled_at         INTEGER,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    last_sign_in_at     INTEGER,
    version             INTEGER NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key_key UNIQUE (email_key),
    CONSTRAINT users_id_check CHECK (length(id) = 16),
    CONSTRAINT users_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    CONSTRAINT users_tier_check CHECK (tier IN ('standard', 'premium'))
) STRICT, WITHOUT ROWID;
