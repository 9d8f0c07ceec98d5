-- Replaced, not dropped, so that what was granted on it stays.
CREATE OR REPLACE VIEW ingestion_service.ingestion_summary AS
SELECT
    source_type,
    status,
    count(*) AS requests,
    min(created_at) AS oldest,
    max(created_at) AS newest
FROM ingestion_service.ingestion_requests
GROUP BY source_type, status;

COMMENT ON VIEW ingestion_service.ingestion_summary IS 'Requests by source and status';
