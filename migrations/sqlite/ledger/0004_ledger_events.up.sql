-- What happened in the tree. `id` rises across runs of the daemon; `run` is the id after which a run began to count.
-- `event` is the whole event as it was told; the other columns repeat what is searched for or read by hand.
CREATE TABLE ledger_events (
    id       INTEGER NOT NULL,
    run      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    path     TEXT    NOT NULL,
    change   TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    level    TEXT    NOT NULL,
    end_kind TEXT,
    code     TEXT,
    message  TEXT,
    event    TEXT    NOT NULL,
    CONSTRAINT ledger_events_pkey PRIMARY KEY (id),
    CONSTRAINT ledger_events_event_check CHECK (json_valid(event))
) STRICT;
