-- Its index goes with it.
ALTER TABLE chunks DROP COLUMN chunk_words;
