-- The text as it came, and how far its processing is.
CREATE TABLE knowledge (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL,
    content text NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT knowledge_status_is_known CHECK (status IN ('pending', 'completed', 'failed'))
);

-- Most entries are completed, and nobody looks for those.
CREATE INDEX knowledge_to_process ON knowledge (id) WHERE status <> 'completed';

COMMENT ON TABLE knowledge IS 'Knowledge entries as they came, and how far their processing is';
COMMENT ON COLUMN knowledge.status IS 'pending: not processed yet; completed: it has its chapters; failed: see retry_history';
