CREATE SCHEMA IF NOT EXISTS ingestion_service;

CREATE TABLE ingestion_service.ingestion_requests (
    ingestion_id UUID PRIMARY KEY,
    source_type VARCHAR NOT NULL,
    ingestion_metadata JSON,
    status VARCHAR NOT NULL DEFAULT 'pending',
    created_at TIMESTAMP NOT NULL DEFAULT NOW()
);
