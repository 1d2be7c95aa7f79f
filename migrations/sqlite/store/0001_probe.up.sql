-- The one row that the store writes to find out whether writes are possible again.
CREATE TABLE store_probe (
    id       INTEGER PRIMARY KEY,
    wrote_at INTEGER NOT NULL,
    CONSTRAINT store_probe_id_check CHECK (id = 1)
) STRICT;

INSERT INTO store_probe (id, wrote_at) VALUES (1, 0);
