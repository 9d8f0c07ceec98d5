SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, 'pg_type'::regclass, t.oid, 0,
    format('%I.%I', n.nspname, t.typname), NULL,
    CASE t.typtype
    WHEN 'e' THEN 'ENUM (' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
        FROM pg_enum e WHERE e.enumtypid = t.oid), '') || ')'
    WHEN 'c' THEN 'COMPOSITE'
    WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
        'COLLATE ' || (SELECT t.typcollation::regcollation::text FROM pg_type b
            WHERE b.oid = t.typbasetype AND t.typcollation <> b.typcollation),
        CASE WHEN t.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || t.typdefault)
    WHEN 'r' THEN (SELECT concat_ws(E'\n', 'RANGE OF ' || format_type(r.rngsubtype, NULL),
            'COLLATION ' || nullif(r.rngcollation, 0)::regcollation,
            'OPCLASS ' || (SELECT format('%I.%I', s.nspname, o.opcname)
                FROM pg_opclass o JOIN pg_namespace s ON s.oid = o.opcnamespace WHERE o.oid = r.rngsubopc),
            'MULTIRANGE ' || format_type(r.rngmultitypid, NULL), -- from 14
            'CANONICAL ' || nullif(r.rngcanonical, 0)::regproc, 'DIFF ' || nullif(r.rngsubdiff, 0)::regproc)
        FROM pg_range r WHERE r.rngtypid = t.oid)
    ELSE format(E'DEFINED %s, INPUT %s, OUTPUT %s, RECEIVE %s, SEND %s, TYPMOD IN %s, OUT %s, ANALYZE %s\n'
            'LENGTH %s, BY VALUE %s, ALIGN %s, STORAGE %s, CATEGORY %s, PREFERRED %s, DELIMITER %s, ELEMENT %s, DEFAULT %s',
        t.typisdefined, t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze,
        t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, t.typdelim,
        format_type(nullif(t.typelem, 0), NULL), t.typdefault)
    END,
    t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)), NULL
FROM pg_type t JOIN space n ON n.oid = t.typnamespace
-- Row types of tables, arrays and multiranges come with something else.
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid
    AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT 'constraint', 'pg_constraint'::regclass, k.oid, 0,
    format('%I on domain %I.%I', k.conname, n.nspname, t.typname), format('%I.%I', n.nspname, t.typname),
    pg_get_constraintdef(k.oid), NULL, NULL, NULL
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN space n ON n.oid = t.typnamespace
WHERE k.contype <> 'n' AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
UNION ALL
SELECT 'collation', 'pg_collation'::regclass, c.oid, 0, format('%I.%I', n.nspname, c.collname), NULL,
    '', c.collowner, NULL,
    ARRAY(SELECT format('collation:%s=%s', key, value) FROM jsonb_each_text(to_jsonb(c)) WHERE value IS NOT NULL)
FROM pg_collation c JOIN space n ON n.oid = c.collnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_collation'::regclass AND m.objid = c.oid)
UNION ALL
SELECT 'conversion', 'pg_conversion'::regclass, c.oid, 0, format('%I.%I', n.nspname, c.conname), NULL,
    format('FROM %s TO %s WITH %s DEFAULT %s', pg_encoding_to_char(c.conforencoding),
        pg_encoding_to_char(c.contoencoding), c.conproc, c.condefault), c.conowner, NULL, NULL
FROM pg_conversion c JOIN space n ON n.oid = c.connamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_conversion'::regclass AND m.objid = c.oid)
UNION ALL
SELECT 'text search configuration', 'pg_ts_config'::regclass, c.oid, 0, format('%I.%I', n.nspname, c.cfgname), NULL,
    concat_ws(E'\n', (SELECT format('PARSER %I', p.prsname) FROM pg_ts_parser p WHERE p.oid = c.cfgparser),
        (SELECT string_agg(format('MAPPING %s: %s', m.maptokentype, m.mapdict::regdictionary), E'\n'
            ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)),
    c.cfgowner, NULL, NULL
FROM pg_ts_config c JOIN space n ON n.oid = c.cfgnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_ts_config'::regclass AND m.objid = c.oid)
UNION ALL
SELECT 'text search dictionary', 'pg_ts_dict'::regclass, d.oid, 0, format('%I.%I', n.nspname, d.dictname), NULL,
    format('TEMPLATE %I, %s', (SELECT t.tmplname FROM pg_ts_template t WHERE t.oid = d.dicttemplate), d.dictinitoption),
    d.dictowner, NULL, NULL
FROM pg_ts_dict d JOIN space n ON n.oid = d.dictnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_ts_dict'::regclass AND m.objid = d.oid)
UNION ALL
SELECT 'text search parser', 'pg_ts_parser'::regclass, p.oid, 0, format('%I.%I', n.nspname, p.prsname), NULL,
    '', NULL, NULL,
    ARRAY(SELECT format('parser:%s=%s', key, value) FROM jsonb_each_text(to_jsonb(p)))
FROM pg_ts_parser p JOIN space n ON n.oid = p.prsnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_ts_parser'::regclass AND m.objid = p.oid)
UNION ALL
SELECT 'text search template', 'pg_ts_template'::regclass, t.oid, 0, format('%I.%I', n.nspname, t.tmplname), NULL,
    '', NULL, NULL,
    ARRAY(SELECT format('template:%s=%s', key, value) FROM jsonb_each_text(to_jsonb(t)))
FROM pg_ts_template t JOIN space n ON n.oid = t.tmplnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_ts_template'::regclass AND m.objid = t.oid)
