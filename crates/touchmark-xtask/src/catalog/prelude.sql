-- What the other files of this folder read. Each of them gives rows of: kind, class, object and
-- column (as pg_description has them), identity, the table that it belongs to, definition, owner,
-- what everybody may do with it where nothing was granted, and options: `table:fillfactor=70`, of
-- which `options.rs` knows what counts. A line that ends in `-- from N` is for PostgreSQL N on.
WITH member AS MATERIALIZED (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
space AS MATERIALIZED (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
history AS MATERIALIZED (
    SELECT c.oid FROM pg_class c JOIN space n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname IN ($2, $3)
),
relation AS MATERIALIZED (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS identity
    FROM pg_class c JOIN space n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c') AND c.relpersistence <> 't'
        AND c.oid NOT IN (SELECT oid FROM history)
        AND NOT EXISTS (SELECT FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                AND (d.deptype = 'e' OR d.deptype IN ('a', 'i')
                    AND d.refclassid = 'pg_class'::regclass
                    AND d.refobjid IN (SELECT oid FROM history)))
),
object (kind, class, object, sub, identity, of, definition, owner, acl, options) AS (
