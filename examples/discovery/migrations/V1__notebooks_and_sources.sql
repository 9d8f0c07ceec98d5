-- Running upgrade  -> 913390ba554c
--
-- What that revision of the Python service made, column by column and index by index, so that its database can go on here.
-- Times are in UTC.
CREATE TABLE notebooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    description text,
    tags varchar[] NOT NULL DEFAULT '{}',
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    source_count integer NOT NULL DEFAULT 0,
    output_count integer NOT NULL DEFAULT 0,
    CONSTRAINT notebooks_name_key UNIQUE (name)
);

CREATE INDEX ix_notebooks_name ON notebooks (name);
CREATE INDEX ix_notebooks_created_at ON notebooks (created_at);

COMMENT ON TABLE notebooks IS 'What belongs together: sources, and what is made of them';
COMMENT ON COLUMN notebooks.tags IS 'Tags for categorization';
COMMENT ON COLUMN notebooks.source_count IS 'Number of sources that are not deleted (cached)';
COMMENT ON COLUMN notebooks.output_count IS 'Number of outputs (cached)';

CREATE TABLE sources (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    notebook_id uuid NOT NULL,
    name varchar(500) NOT NULL,
    source_type varchar(20) NOT NULL,
    file_type varchar(20),
    url text,
    file_path text,
    file_size bigint,
    content_hash varchar(64) NOT NULL,
    extracted_text text,
    source_metadata json,
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    deleted_at timestamp,
    CONSTRAINT sources_notebook_id_fkey FOREIGN KEY (notebook_id) REFERENCES notebooks (id) ON DELETE CASCADE
);

CREATE INDEX ix_sources_notebook_id ON sources (notebook_id);
CREATE INDEX ix_sources_content_hash ON sources (content_hash);
CREATE INDEX ix_sources_deleted_at ON sources (deleted_at);
CREATE INDEX ix_sources_created_at ON sources (created_at);
-- For the detection of duplicates; not unique, because a deleted source may have the content of one that is there.
CREATE INDEX ix_sources_notebook_id_content_hash ON sources (notebook_id, content_hash);

COMMENT ON TABLE sources IS 'The files and pages of a notebook';
COMMENT ON COLUMN sources.source_type IS 'file or url';
COMMENT ON COLUMN sources.file_type IS 'pdf, docx, txt and so on';
COMMENT ON COLUMN sources.file_size IS 'In bytes';
COMMENT ON COLUMN sources.content_hash IS 'SHA-256 of the content, in hexadecimal';
COMMENT ON COLUMN sources.deleted_at IS 'When it was deleted, and null where it was not: a deleted source can be restored';
