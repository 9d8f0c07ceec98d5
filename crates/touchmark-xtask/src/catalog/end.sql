)
SELECT o.kind, o.identity, o.of, coalesce(o.definition, ''), pg_get_userbyid(o.owner)::text,
    CASE WHEN o.acl IS NOT NULL
        THEN (SELECT string_agg(a::text, E'\n' ORDER BY a::text COLLATE "C") FROM unnest(o.acl) a) END,
    d.description, o.options
FROM object o LEFT JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.object AND d.objsubid = o.sub
