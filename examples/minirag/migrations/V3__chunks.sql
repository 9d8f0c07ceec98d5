-- For the foreign key of the chunks: a chunk is of the project that its asset is of.
ALTER TABLE assets ADD CONSTRAINT assets_of_a_project_key UNIQUE (asset_id, asset_project_id);

CREATE TABLE chunks (
    chunk_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chunk_uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    chunk_project_id integer NOT NULL REFERENCES projects (project_id) ON DELETE CASCADE,
    chunk_asset_id integer NOT NULL,
    chunk_order integer NOT NULL,
    chunk_text text NOT NULL,
    chunk_metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT chunks_chunk_uuid_key UNIQUE (chunk_uuid),
    CONSTRAINT chunks_chunk_order_key UNIQUE (chunk_asset_id, chunk_order),
    CONSTRAINT chunks_chunk_order_counts_from_one CHECK (chunk_order > 0),
    CONSTRAINT chunks_chunk_asset_id_fkey FOREIGN KEY (chunk_asset_id, chunk_project_id)
        REFERENCES assets (asset_id, asset_project_id) ON DELETE CASCADE
);

CREATE INDEX chunks_chunk_project_id ON chunks (chunk_project_id);

COMMENT ON TABLE chunks IS 'Pieces of the files, small enough to be an answer';
