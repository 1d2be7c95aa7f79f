-- What happened in the tree. `id` rises across runs of the daemon; `run` is the id after which a run began to count.
-- `event` is the whole event as it was told (text, since jsonb would not keep it as it is); the other columns repeat what is
-- searched for or read by hand.
CREATE TABLE ledger_events (
    id       bigint NOT NULL,
    run      bigint NOT NULL,
    at       bigint NOT NULL,
    path     text   NOT NULL,
    change   text   NOT NULL,
    state    text   NOT NULL,
    level    text   NOT NULL,
    end_kind text,
    code     text,
    message  text,
    event    text   NOT NULL,
    CONSTRAINT ledger_events_pkey PRIMARY KEY (id)
);
