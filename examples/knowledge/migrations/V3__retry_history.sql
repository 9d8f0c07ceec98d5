CREATE TABLE retry_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    knowledge_id bigint NOT NULL REFERENCES knowledge (id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    error text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    retry_at timestamptz NOT NULL,
    -- Its index serves the foreign key too.
    CONSTRAINT retry_history_attempt_key UNIQUE (knowledge_id, attempt),
    CONSTRAINT retry_history_attempt_counts_from_one CHECK (attempt > 0),
    CONSTRAINT retry_history_goes_forward CHECK (retry_at > failed_at)
);

COMMENT ON TABLE retry_history IS 'Each attempt at processing an entry that failed';
COMMENT ON COLUMN retry_history.retry_at IS 'The next attempt is not made before this time';
