-- Terminals, open and ended. One that was running when the daemon was killed is `lost`.
CREATE TABLE terminals (
    id         uuid   NOT NULL,
    name       text   NOT NULL,
    shell      text   NOT NULL,
    cwd        text   NOT NULL,
    cols       bigint NOT NULL,
    rows       bigint NOT NULL,
    state      text   NOT NULL,
    pid        bigint,
    exit_code  bigint,
    created_at bigint NOT NULL,
    ended_at   bigint,
    CONSTRAINT terminals_pkey PRIMARY KEY (id),
    CONSTRAINT terminals_cols_check CHECK (cols BETWEEN 1 AND 65535),
    CONSTRAINT terminals_rows_check CHECK (rows BETWEEN 1 AND 65535),
    CONSTRAINT terminals_state_check CHECK (state IN ('running', 'exited', 'lost'))
);

CREATE INDEX terminals_state_idx ON terminals (state, id);
