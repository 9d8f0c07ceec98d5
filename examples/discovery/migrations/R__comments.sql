-- Applied again whenever it changes, so a comment can be made better at any time.
COMMENT ON TABLE notebooks IS 'What belongs together: sources, and what is made of them';
COMMENT ON COLUMN notebooks.tags IS 'Tags for categorization';
COMMENT ON COLUMN notebooks.source_count IS 'Number of sources that are not deleted (cached)';
COMMENT ON COLUMN notebooks.output_count IS 'Number of outputs (cached)';

COMMENT ON TABLE sources IS 'The files and pages of a notebook';
COMMENT ON COLUMN sources.source_type IS 'file or url';
COMMENT ON COLUMN sources.file_type IS 'pdf, docx, txt and so on';
COMMENT ON COLUMN sources.file_size IS 'In bytes';
COMMENT ON COLUMN sources.content_hash IS 'SHA-256 of the content, in hexadecimal';
COMMENT ON COLUMN sources.deleted_at IS 'When it was deleted, and null where it was not: a deleted source can be restored';
