-- What people did, one chain of hashes. Who did it is no foreign key: an entry outlives its user.
CREATE TABLE audit_entries (
    seq              INTEGER NOT NULL,
    id               BLOB    NOT NULL,
    at               INTEGER NOT NULL,
    actor_kind       TEXT    NOT NULL,
    actor_user       BLOB,
    actor_credential BLOB,
    actor_uid        INTEGER,
    action           TEXT    NOT NULL,
    object           TEXT,
    address          TEXT,
    user_agent       TEXT,
    request_id       TEXT,
    outcome          TEXT    NOT NULL,
    detail           TEXT    NOT NULL,
    hash             BLOB    NOT NULL,
    CONSTRAINT audit_entries_pkey PRIMARY KEY (seq),
    CONSTRAINT audit_entries_id_key UNIQUE (id),
    CONSTRAINT audit_entries_hash_check CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_entries_actor_idx ON audit_entries (actor_user, seq);
CREATE INDEX audit_entries_action_idx ON audit_entries (action, seq);
CREATE INDEX audit_entries_at_idx ON audit_entries (at);

-- Where the chain stands: one row.
CREATE TABLE audit_chain (
    id   INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    hash BLOB    NOT NULL,
    CONSTRAINT audit_chain_pkey PRIMARY KEY (id),
    CONSTRAINT audit_chain_id_check CHECK (id = 1)
) STRICT;

INSERT INTO audit_chain (id, seq, hash) VALUES (1, 0, zeroblob(32));

-- What was pruned: the number of the newest entry that is gone, and the hash of the chain up to it. The chain goes on from there.
-- No row: nothing was pruned.
CREATE TABLE audit_anchor (
    id        INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    hash      BLOB    NOT NULL,
    pruned_at INTEGER NOT NULL,
    CONSTRAINT audit_anchor_pkey PRIMARY KEY (id),
    CONSTRAINT audit_anchor_id_check CHECK (id = 1),
    CONSTRAINT audit_anchor_hash_check CHECK (length(hash) = 32)
) STRICT;
