DROP TABLE chunks;
ALTER TABLE assets DROP CONSTRAINT assets_of_a_project_key;
