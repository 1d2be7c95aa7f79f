-- Requests that were sent with a key: claimed before they run, done when their answer is known. One that stays claimed belongs to a
-- daemon that ended in between, or to another one: nobody here knows what came of it. An answer that must not be stored is null.
CREATE TABLE idempotency_keys (
    claim       BLOB    NOT NULL,
    caller      TEXT    NOT NULL,
    route       TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    state       TEXT    NOT NULL,
    status      INTEGER,
    headers     TEXT,
    body        BLOB,
    created_at  INTEGER NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (claim),
    CONSTRAINT idempotency_keys_key_key UNIQUE (caller, route, path, key),
    CONSTRAINT idempotency_keys_claim_check CHECK (length(claim) = 16),
    CONSTRAINT idempotency_keys_fingerprint_check CHECK (length(fingerprint) = 32),
    CONSTRAINT idempotency_keys_state_check CHECK (state IN ('claimed', 'done'))
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
