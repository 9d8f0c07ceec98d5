-- The view reads the table, and a repeatable migration may outlive this one.
DROP VIEW IF EXISTS ingestion_service.ingestion_summary;
DROP TABLE ingestion_service.ingestion_requests;
-- Refused while somebody else keeps something in the schema.
DROP SCHEMA ingestion_service;
