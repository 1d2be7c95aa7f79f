-- Terminals, open and ended. One that was running when the daemon was killed is `lost`.
CREATE TABLE terminals (
    id         BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    shell      TEXT    NOT NULL,
    cwd        TEXT    NOT NULL,
    cols       INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    pid        INTEGER,
    exit_code  INTEGER,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    CONSTRAINT terminals_pkey PRIMARY KEY (id),
    CONSTRAINT terminals_id_check CHECK (length(id) = 16),
    CONSTRAINT terminals_cols_check CHECK (cols BETWEEN 1 AND 65535),
    CONSTRAINT terminals_rows_check CHECK (rows BETWEEN 1 AND 65535),
    CONSTRAINT terminals_state_check CHECK (state IN ('running', 'exited', 'lost'))
) STRICT, WITHOUT ROWID;

CREATE INDEX terminals_state_idx ON terminals (state, id);
