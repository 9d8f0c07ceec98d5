CREATE TABLE projects (
    project_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    project_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT projects_project_uuid_key UNIQUE (project_uuid),
    CONSTRAINT projects_project_name_key UNIQUE (project_name)
);

COMMENT ON TABLE projects IS 'What is asked about together';
COMMENT ON COLUMN projects.project_uuid IS 'The key for the world outside, which tells nobody how many there are';
