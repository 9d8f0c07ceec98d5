-- touchmark: no-transaction
DROP INDEX CONCURRENTLY ingestion_service.ingestion_requests_by_status_idx;
