-- The cached count is right whoever writes: the service, a script, or a person in psql.
CREATE FUNCTION count_sources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE notebooks SET source_count = 0;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN
        UPDATE notebooks SET source_count = source_count - 1 WHERE id = OLD.notebook_id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN
        UPDATE notebooks SET source_count = source_count + 1 WHERE id = NEW.notebook_id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER sources_are_counted
    AFTER INSERT OR DELETE OR UPDATE OF notebook_id, deleted_at ON sources
    FOR EACH ROW EXECUTE FUNCTION count_sources();

CREATE TRIGGER no_sources_are_counted
    AFTER TRUNCATE ON sources
    FOR EACH STATEMENT EXECUTE FUNCTION count_sources();

-- After the triggers: from then on nobody else writes until this is committed.
UPDATE notebooks SET source_count = (
    SELECT count(*) FROM sources WHERE notebook_id = notebooks.id AND deleted_at IS NULL
);
