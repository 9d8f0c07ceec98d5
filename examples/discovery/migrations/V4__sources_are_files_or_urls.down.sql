ALTER TABLE sources DROP CONSTRAINT sources_are_files_or_urls;
