CREATE TABLE chapters_v1 (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    knowledge_id bigint NOT NULL REFERENCES knowledge (id) ON DELETE CASCADE,
    position integer NOT NULL,
    title text NOT NULL,
    content text NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Its index serves the foreign key too.
    CONSTRAINT chapters_v1_position_key UNIQUE (knowledge_id, position),
    CONSTRAINT chapters_v1_position_counts_from_one CHECK (position > 0)
);

COMMENT ON TABLE chapters_v1 IS 'The chapters of a knowledge entry, in order';
