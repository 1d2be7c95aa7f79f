DROP TABLE recovery_tokens;
