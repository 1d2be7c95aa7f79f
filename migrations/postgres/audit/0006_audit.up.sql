-- What people did, one chain of hashes. Who did it is no foreign key: an entry outlives its user.
CREATE TABLE audit_entries (
    seq              bigint NOT NULL,
    id               uuid   NOT NULL,
    at               bigint NOT NULL,
    actor_kind       text   NOT NULL,
    actor_user       uuid,
    actor_credential uuid,
    actor_uid        bigint,
    action           text   NOT NULL,
    object           text,
    address          text,
    user_agent       text,
    request_id       text,
    outcome          text   NOT NULL,
    detail           text   NOT NULL,
    hash             bytea  NOT NULL,
    CONSTRAINT audit_entries_pkey PRIMARY KEY (seq),
    CONSTRAINT audit_entries_id_key UNIQUE (id),
    CONSTRAINT audit_entries_hash_check CHECK (octet_length(hash) = 32)
);

CREATE INDEX audit_entries_actor_idx ON audit_entries (actor_user, seq);
CREATE INDEX audit_entries_action_idx ON audit_entries (action, seq);
CREATE INDEX audit_entries_at_idx ON audit_entries (at);

-- Where the chain stands: one row.
CREATE TABLE audit_chain (
    id   bigint NOT NULL,
    seq  bigint NOT NULL,
    hash bytea  NOT NULL,
    CONSTRAINT audit_chain_pkey PRIMARY KEY (id),
    CONSTRAINT audit_chain_id_check CHECK (id = 1)
);

INSERT INTO audit_chain (id, seq, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- What was pruned: the number of the newest entry that is gone, and the hash of the chain up to it. The chain goes on from there.
-- No row: nothing was pruned.
CREATE TABLE audit_anchor (
    id        bigint NOT NULL,
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL,
    pruned_at bigint NOT NULL,
    CONSTRAINT audit_anchor_pkey PRIMARY KEY (id),
    CONSTRAINT audit_anchor_id_check CHECK (id = 1),
    CONSTRAINT audit_anchor_hash_check CHECK (octet_length(hash) = 32)
);
