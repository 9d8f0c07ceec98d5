-- Computed by the server, so that it is never behind the text.
ALTER TABLE chunks ADD COLUMN chunk_words tsvector
    GENERATED ALWAYS AS (to_tsvector('english', chunk_text)) STORED;

CREATE INDEX chunks_chunk_words ON chunks USING gin (chunk_words);

COMMENT ON COLUMN chunks.chunk_words IS 'The words to search for';
