CREATE TABLE ingestion_service.users (
    user_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    email VARCHAR NOT NULL,
    display_name VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT NOW(),
    CONSTRAINT users_email_is_an_address CHECK (email LIKE '_%@_%')
);

-- One account per address, however it is capitalised.
CREATE UNIQUE INDEX users_email_key ON ingestion_service.users (lower(email));

CREATE TABLE ingestion_service.documents (
    document_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id UUID NOT NULL REFERENCES ingestion_service.users (user_id),
    ingestion_id UUID REFERENCES ingestion_service.ingestion_requests (ingestion_id) ON DELETE SET NULL,
    title VARCHAR NOT NULL,
    content_type VARCHAR NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT NOW(),
    CONSTRAINT documents_size_is_not_negative CHECK (size_bytes >= 0),
    CONSTRAINT documents_sha256_has_32_bytes CHECK (octet_length(sha256) = 32)
);

-- PostgreSQL makes no index for the referencing side of a foreign key.
CREATE INDEX documents_owner_id_idx ON ingestion_service.documents (owner_id, created_at);
CREATE INDEX documents_ingestion_id_idx ON ingestion_service.documents (ingestion_id);

COMMENT ON COLUMN ingestion_service.documents.sha256 IS 'Digest of the document as it was received';
