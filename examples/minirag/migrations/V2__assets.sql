CREATE TABLE assets (
    asset_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    asset_project_id integer NOT NULL REFERENCES projects (project_id) ON DELETE CASCADE,
    asset_type text NOT NULL,
    asset_name text NOT NULL,
    asset_size bigint NOT NULL,
    asset_config jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT assets_asset_uuid_key UNIQUE (asset_uuid),
    -- Its index serves the foreign key too.
    CONSTRAINT assets_asset_name_key UNIQUE (asset_project_id, asset_name),
    CONSTRAINT assets_asset_size_is_a_size CHECK (asset_size >= 0)
);

CREATE INDEX assets_asset_type ON assets (asset_type);

COMMENT ON TABLE assets IS 'The files of a project';
COMMENT ON COLUMN assets.asset_config IS 'How it was read and split';
