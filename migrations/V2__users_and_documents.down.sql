DROP TABLE ingestion_service.documents;
DROP TABLE ingestion_service.users;
