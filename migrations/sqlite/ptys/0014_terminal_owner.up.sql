-- Whose terminal it is: a user, or the local operator where it is null. No foreign key: a running shell outlives its user's row.
ALTER TABLE terminals ADD COLUMN owner BLOB CONSTRAINT terminals_owner_check CHECK (owner IS NULL OR length(owner) = 16);
