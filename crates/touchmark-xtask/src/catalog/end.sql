)
SELECT o.kind, o.identity, o.of, coalesce(o.definition, ''), pg_get_userbyid(o.owner)::text,
    (SELECT string_agg(a::text, E'\n' ORDER BY a::text COLLATE "C") FROM unnest(o.acl) a), d.description
FROM object o LEFT JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.object AND d.objsubid = o.sub
ORDER BY o.kind COLLATE "C", o.identity COLLATE "C"
