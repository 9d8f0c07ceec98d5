ALTER TABLE sources ADD CONSTRAINT sources_are_files_or_urls CHECK (
    CASE source_type
        WHEN 'file' THEN num_nulls(file_type, file_path, file_size) = 0
        WHEN 'url' THEN url IS NOT NULL
        ELSE false
    END
);
