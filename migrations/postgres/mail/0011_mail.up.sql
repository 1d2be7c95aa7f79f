-- Mails to be sent. The text may hold a secret link, so it is there only while the mail waits. A lease says which process is
-- sending it, and until when nobody else does.
CREATE TABLE mail_queue (
    id          uuid   NOT NULL,
    to_address  text   NOT NULL,
    subject     text   NOT NULL,
    body        text,
    kind        text   NOT NULL,
    state       text   NOT NULL,
    attempts    bigint NOT NULL,
    next_at     bigint NOT NULL,
    not_after   bigint NOT NULL,
    lease       uuid,
    lease_until bigint,
    last_code   text,
    last_error  text,
    created_at  bigint NOT NULL,
    ended_at    bigint,
    CONSTRAINT mail_queue_pkey PRIMARY KEY (id),
    CONSTRAINT mail_queue_state_check CHECK (state IN ('waiting', 'sent', 'outbox', 'given_up')),
    CONSTRAINT mail_queue_body_check CHECK ((state = 'waiting') = (body IS NOT NULL)),
    CONSTRAINT mail_queue_ended_check CHECK ((state = 'waiting') = (ended_at IS NULL))
);

CREATE INDEX mail_queue_due_idx ON mail_queue (state, next_at);
