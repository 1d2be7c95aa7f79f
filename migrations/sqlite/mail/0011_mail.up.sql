-- Mails to be sent. The text may hold a secret link, so it is there only while the mail waits. A lease says which process is
-- sending it, and until when nobody else does.
CREATE TABLE mail_queue (
    id          BLOB    NOT NULL,
    to_address  TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    body        TEXT,
    kind        TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    not_after   INTEGER NOT NULL,
    lease       BLOB,
    lease_until INTEGER,
    last_code   TEXT,
    last_error  TEXT,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    CONSTRAINT mail_queue_pkey PRIMARY KEY (id),
    CONSTRAINT mail_queue_id_check CHECK (length(id) = 16),
    CONSTRAINT mail_queue_state_check CHECK (state IN ('waiting', 'sent', 'outbox', 'given_up')),
    CONSTRAINT mail_queue_body_check CHECK ((state = 'waiting') = (body IS NOT NULL)),
    CONSTRAINT mail_queue_ended_check CHECK ((state = 'waiting') = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX mail_queue_due_idx ON mail_queue (state, next_at);
