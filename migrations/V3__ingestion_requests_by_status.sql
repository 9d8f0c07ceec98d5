-- touchmark: no-transaction
-- Serves the list by status page by page, and is built without a lock that stops the writers.
CREATE INDEX CONCURRENTLY ingestion_requests_by_status_idx
    ON ingestion_service.ingestion_requests (status, ingestion_id);
