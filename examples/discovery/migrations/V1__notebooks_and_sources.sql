-- Running upgrade  -> 913390ba554c
--
-- What that revision of the Python service made, column by column and index by index, so that its database can go on here.
CREATE TABLE notebooks (
    id uuid PRIMARY KEY,
    name varchar(255) NOT NULL,
    description text,
    tags varchar[] NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    source_count integer NOT NULL,
    output_count integer NOT NULL,
    CONSTRAINT notebooks_name_key UNIQUE (name)
);

CREATE INDEX ix_notebooks_name ON notebooks (name);
CREATE INDEX ix_notebooks_created_at ON notebooks (created_at);

CREATE TABLE sources (
    id uuid PRIMARY KEY,
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
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    deleted_at timestamp,
    CONSTRAINT sources_notebook_id_fkey FOREIGN KEY (notebook_id) REFERENCES notebooks (id) ON DELETE CASCADE
);

CREATE INDEX ix_sources_notebook_id ON sources (notebook_id);
CREATE INDEX ix_sources_content_hash ON sources (content_hash);
CREATE INDEX ix_sources_deleted_at ON sources (deleted_at);
CREATE INDEX ix_sources_created_at ON sources (created_at);
-- For the detection of duplicates; not unique, because a deleted source may have the content of one that is there.
CREATE INDEX ix_sources_notebook_id_content_hash ON sources (notebook_id, content_hash);
