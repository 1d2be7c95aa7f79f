-- People. The e-mail address as it was given, and the form by which two are told apart. Without a password somebody signs in by a
-- passkey or an outside issuer. `version` counts changes, for `If-Match`.
CREATE TABLE users (
    id                  uuid   NOT NULL,
    email               text   NOT NULL,
    email_key           text   NOT NULL,
    email_verified_at   bigint,
    name                text,
    role                text   NOT NULL,
    tier                text   NOT NULL,
    password_hash       text,
    password_changed_at bigint,
    disabled_at         bigint,
    created_at          bigint NOT NULL,
    updated_at          bigint NOT NULL,
    last_sign_in_at     bigint,
    version             bigint NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key_key UNIQUE (email_key),
    CONSTRAINT users_role_check CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    CONSTRAINT users_tier_check CHECK (tier IN ('standard', 'premium'))
);
