-- SQLAlchemy gave these values itself. Times are in UTC.
ALTER TABLE notebooks
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN tags SET DEFAULT '{}',
    ALTER COLUMN created_at SET DEFAULT (now() AT TIME ZONE 'UTC'),
    ALTER COLUMN updated_at SET DEFAULT (now() AT TIME ZONE 'UTC'),
    ALTER COLUMN source_count SET DEFAULT 0,
    ALTER COLUMN output_count SET DEFAULT 0;

ALTER TABLE sources
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN created_at SET DEFAULT (now() AT TIME ZONE 'UTC'),
    ALTER COLUMN updated_at SET DEFAULT (now() AT TIME ZONE 'UTC');
