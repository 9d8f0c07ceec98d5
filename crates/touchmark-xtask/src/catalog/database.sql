SELECT 'extension', 'pg_extension'::regclass, e.oid, 0, quote_ident(e.extname), NULL::text,
    format('VERSION %L SCHEMA %I', e.extversion, n.nspname), e.extowner, NULL::aclitem[], NULL
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
UNION ALL
SELECT 'language', 'pg_language'::regclass, l.oid, 0, quote_ident(l.lanname), NULL,
    format('TRUSTED %s, HANDLER %s, INLINE %s, VALIDATOR %s', l.lanpltrusted, l.lanplcallfoid::regproc,
        l.laninline::regproc, l.lanvalidator::regproc),
    l.lanowner, coalesce(l.lanacl, acldefault('l', l.lanowner)), NULL
FROM pg_language l WHERE l.oid >= 16384
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_language'::regclass AND m.objid = l.oid)
UNION ALL
SELECT 'access method', 'pg_am'::regclass, a.oid, 0, quote_ident(a.amname), NULL,
    format('TYPE %s HANDLER %s', a.amtype, a.amhandler), NULL, NULL, NULL
FROM pg_am a WHERE a.oid >= 16384
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_am'::regclass AND m.objid = a.oid)
UNION ALL
SELECT 'transform', 'pg_transform'::regclass, t.oid, 0,
    format('for %s language %I', format_type(t.trftype, NULL), l.lanname), NULL,
    format('FROM SQL %s TO SQL %s', t.trffromsql, t.trftosql), NULL, NULL, NULL
FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE t.oid >= 16384
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_transform'::regclass AND m.objid = t.oid)
UNION ALL
SELECT 'foreign data wrapper', 'pg_foreign_data_wrapper'::regclass, f.oid, 0, quote_ident(f.fdwname), NULL,
    format('HANDLER %s VALIDATOR %s OPTIONS %s', f.fdwhandler::regproc, f.fdwvalidator::regproc, f.fdwoptions::text),
    f.fdwowner, coalesce(f.fdwacl, acldefault('F', f.fdwowner)), NULL
FROM pg_foreign_data_wrapper f WHERE f.oid >= 16384
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_foreign_data_wrapper'::regclass AND m.objid = f.oid)
UNION ALL
SELECT 'server', 'pg_foreign_server'::regclass, s.oid, 0, quote_ident(s.srvname), NULL,
    format('TYPE %L VERSION %L WRAPPER %I OPTIONS %s', s.srvtype, s.srvversion, f.fdwname, s.srvoptions::text),
    s.srvowner, coalesce(s.srvacl, acldefault('S', s.srvowner)), NULL
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_foreign_server'::regclass AND m.objid = s.oid)
UNION ALL
-- An option may be a password: only a hash of it is shown, with salt.
SELECT 'user mapping', 'pg_user_mapping'::regclass, u.umid, 0, format('for %I on %I', u.usename, u.srvname),
    NULL,
    (SELECT string_agg(split_part(o, '=', 1) || ' (' || left(md5($4 || o), 8) || ')', ', ' ORDER BY o) FROM unnest(u.umoptions) o),
    NULL, NULL, NULL
FROM pg_user_mappings u
UNION ALL
SELECT 'publication', 'pg_publication'::regclass, p.oid, 0, quote_ident(p.pubname), NULL,
    concat_ws(E'\n',
        (SELECT string_agg('SCHEMA ' || quote_ident(n.nspname), E'\n' ORDER BY n.nspname) -- from 15
         FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid), -- from 15
        (SELECT string_agg('TABLE ' || concat_ws(' ', r.prrelid::regclass::text,
            '(' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_attribute a -- from 15
                WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::smallint[])) || ')', -- from 15
            'WHERE ' || pg_get_expr(r.prqual, r.prrelid), -- from 15
            NULL), E'\n' ORDER BY r.prrelid::regclass::text)
         FROM pg_publication_rel r WHERE r.prpubid = p.oid)),
    p.pubowner, NULL,
    ARRAY(SELECT format('publication:%s=%s', key, value) FROM jsonb_each_text(to_jsonb(p)))
FROM pg_publication p
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_publication'::regclass AND m.objid = p.oid)
UNION ALL
SELECT 'default privileges', 'pg_default_acl'::regclass, d.oid, 0,
    format('of %I%s for %s', pg_get_userbyid(d.defaclrole), ' in schema ' || quote_ident(n.nspname),
        CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
            WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE d.defaclobjtype::text END),
    NULL, '', NULL, d.defaclacl, NULL
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
UNION ALL
SELECT 'security label', 'pg_seclabel'::regclass, l.objoid, l.objsubid,
    format('by %s on %s %s', l.provider, l.objtype, l.objname), NULL, l.label, NULL, NULL, NULL
FROM pg_seclabels l WHERE l.classoid::oid IN (SELECT oid FROM pg_class WHERE NOT relisshared)
