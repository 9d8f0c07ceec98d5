SELECT CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END,
    'pg_proc'::regclass, p.oid, 0,
    format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), NULL,
    CASE p.prokind WHEN 'a' THEN (
        SELECT concat_ws(E'\n', 'RETURNS ' || pg_get_function_result(p.oid),
            'ARGUMENTS ' || pg_get_function_arguments(p.oid),
            format('KIND %s, DIRECT %s, VOLATILITY %s, PARALLEL %s', g.aggkind, g.aggnumdirectargs, p.provolatile, p.proparallel),
            format('SFUNC %s, STYPE %s, SSPACE %s', g.aggtransfn, format_type(g.aggtranstype, NULL), g.aggtransspace),
            format('FINALFUNC %s, EXTRA %s, MODIFY %s', g.aggfinalfn, g.aggfinalextra, g.aggfinalmodify),
            format('COMBINEFUNC %s, SERIALFUNC %s, DESERIALFUNC %s', g.aggcombinefn, g.aggserialfn, g.aggdeserialfn),
            format('MSFUNC %s, MINVFUNC %s, MSTYPE %s, MSSPACE %s', g.aggmtransfn, g.aggminvtransfn,
                format_type(nullif(g.aggmtranstype, 0), NULL), g.aggmtransspace),
            format('MFINALFUNC %s, EXTRA %s, MODIFY %s', g.aggmfinalfn, g.aggmfinalextra, g.aggmfinalmodify),
            'SORTOP ' || nullif(g.aggsortop, 0)::regoperator,
            'INITCOND ' || quote_literal(g.agginitval), 'MINITCOND ' || quote_literal(g.aggminitval))
        FROM pg_aggregate g WHERE g.aggfnoid = p.oid)
    ELSE pg_get_functiondef(p.oid) END,
    p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), NULL
FROM pg_proc p JOIN space n ON n.oid = p.pronamespace
-- What belongs to a type, as the constructors of a range do, comes and goes with it.
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
    AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT 'trigger', 'pg_trigger'::regclass, t.oid, 0, quote_ident(t.tgname) || ' on ' || c.identity, c.identity,
    concat_ws(E'\n', pg_get_triggerdef(t.oid), CASE t.tgenabled WHEN 'D' THEN 'DISABLED'
        WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END),
    NULL, NULL, NULL
FROM relation c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'rule', 'pg_rewrite'::regclass, r.oid, 0, quote_ident(r.rulename) || ' on ' || c.identity, c.identity,
    concat_ws(E'\n', pg_get_ruledef(r.oid), CASE r.ev_enabled WHEN 'D' THEN 'DISABLED'
        WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END),
    NULL, NULL, NULL
FROM relation c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', 'pg_policy'::regclass, p.oid, 0, quote_ident(p.polname) || ' on ' || c.identity, c.identity,
    concat_ws(E'\n', CASE WHEN p.polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
        'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        'TO ' || (SELECT string_agg(CASE o WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', ' ORDER BY 1)
            FROM unnest(p.polroles) o),
        'USING ' || pg_get_expr(p.polqual, p.polrelid), 'WITH CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid)),
    NULL, NULL, NULL
FROM relation c JOIN pg_policy p ON p.polrelid = c.oid
UNION ALL
SELECT 'event trigger', 'pg_event_trigger'::regclass, e.oid, 0, quote_ident(e.evtname), NULL,
    format('ON %s EXECUTE %s, ENABLED %s, TAGS %s', e.evtevent, e.evtfoid::regprocedure, e.evtenabled, e.evttags::text),
    e.evtowner, NULL, NULL
FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_event_trigger'::regclass AND m.objid = e.oid)
UNION ALL
SELECT 'operator', 'pg_operator'::regclass, o.oid, 0,
    format('%I.%s(%s, %s)', n.nspname, o.oprname, format_type(nullif(o.oprleft, 0), NULL), format_type(nullif(o.oprright, 0), NULL)), NULL,
    concat_ws(E'\n', 'FUNCTION ' || o.oprcode::regprocedure, 'RETURNS ' || format_type(nullif(o.oprresult, 0), NULL),
        'COMMUTATOR ' || nullif(o.oprcom, 0)::regoperator, 'NEGATOR ' || nullif(o.oprnegate, 0)::regoperator,
        'RESTRICT ' || nullif(o.oprrest, 0)::regproc, 'JOIN ' || nullif(o.oprjoin, 0)::regproc,
        CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END),
    o.oprowner, NULL, NULL
FROM pg_operator o JOIN space n ON n.oid = o.oprnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_operator'::regclass AND m.objid = o.oid)
UNION ALL
SELECT 'operator class', 'pg_opclass'::regclass, o.oid, 0,
    format('%I.%I using %s', n.nspname, o.opcname, a.amname), NULL,
    format(E'FOR %s\nSTORAGE %s\nDEFAULT %s\nFAMILY %I.%I', format_type(o.opcintype, NULL),
        format_type(nullif(o.opckeytype, 0), NULL), o.opcdefault, fn.nspname, f.opfname),
    o.opcowner, NULL, NULL
FROM pg_opclass o JOIN space n ON n.oid = o.opcnamespace JOIN pg_am a ON a.oid = o.opcmethod
JOIN pg_opfamily f ON f.oid = o.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_opclass'::regclass AND m.objid = o.oid)
UNION ALL
SELECT 'operator family', 'pg_opfamily'::regclass, f.oid, 0,
    format('%I.%I using %s', n.nspname, f.opfname, a.amname), NULL,
    concat_ws(E'\n',
        (SELECT string_agg(format('OPERATOR %s %s %s', o.amopstrategy, o.amopopr::regoperator,
            o.amoppurpose), E'\n' ORDER BY o.amopstrategy, o.amopopr::regoperator::text)
         FROM pg_amop o WHERE o.amopfamily = f.oid),
        (SELECT string_agg(format('FUNCTION %s (%s, %s) %s', p.amprocnum, format_type(p.amproclefttype, NULL),
            format_type(p.amprocrighttype, NULL), p.amproc::regprocedure), E'\n'
            ORDER BY p.amprocnum, p.amproc::regprocedure::text)
         FROM pg_amproc p WHERE p.amprocfamily = f.oid)),
    f.opfowner, NULL, NULL
FROM pg_opfamily f JOIN space n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod
WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_opfamily'::regclass AND m.objid = f.oid)
UNION ALL
SELECT 'cast', 'pg_cast'::regclass, c.oid, 0,
    format('%s as %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), NULL,
    format('FUNCTION %s, CONTEXT %s, METHOD %s', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod),
    NULL, NULL, NULL
-- Those of initdb have lower numbers. What a range has for its multirange comes with it.
FROM pg_cast c WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i'))
