-- Requests that were sent with a key: claimed before they run, done when their answer is known. One that stays claimed belongs to a
-- daemon that ended in between, or to another one: nobody here knows what came of it. An answer that must not be stored is null.
CREATE TABLE idempotency_keys (
    claim       uuid   NOT NULL,
    caller      text   NOT NULL,
    route       text   NOT NULL,
    path        text   NOT NULL,
    key         text   NOT NULL,
    fingerprint bytea  NOT NULL,
    state       text   NOT NULL,
    status      bigint,
    headers     text,
    body        bytea,
    created_at  bigint NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (claim),
    CONSTRAINT idempotency_keys_key_key UNIQUE (caller, route, path, key),
    CONSTRAINT idempotency_keys_fingerprint_check CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_keys_state_check CHECK (state IN ('claimed', 'done'))
);

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
