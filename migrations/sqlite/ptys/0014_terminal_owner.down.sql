ALTER TABLE terminals DROP COLUMN owner;
