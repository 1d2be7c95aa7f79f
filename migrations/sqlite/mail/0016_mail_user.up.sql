-- Whose mail it is, where that is known: the address alone does not tell, once somebody has another one. No foreign key: people are
-- another domain's.
ALTER TABLE mail_queue ADD COLUMN user_id BLOB CONSTRAINT mail_queue_user_id_check CHECK (user_id IS NULL OR length(user_id) = 16);

CREATE INDEX mail_queue_user_id_idx ON mail_queue (user_id) WHERE user_id IS NOT NULL;
