DROP INDEX mail_queue_user_id_idx;
ALTER TABLE mail_queue DROP COLUMN user_id;
