//! The statements that make a database like the one that is connected to.

use postgres::{Client, Error};

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Owner, tablespace, limits, privileges, and the settings of all roles: it takes its place.
    Whole,
    /// Encoding, locale, and the settings that a session of this role begins with; none of our own
    /// marks.
    Sessions,
}

/// `to_jsonb` because the columns of the locale have other names in each major version.
const CREATE: &str = "
SELECT pg_catalog.format('CREATE DATABASE %I WITH TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
           $1::text, pg_catalog.pg_encoding_to_char(d.encoding), j ->> 'datcollate', j ->> 'datctype')
       || CASE j ->> 'datlocprovider'
              WHEN 'i' THEN pg_catalog.format(' LOCALE_PROVIDER icu ICU_LOCALE %L',
                  coalesce(j ->> 'datlocale', j ->> 'daticulocale'))
              WHEN 'b' THEN pg_catalog.format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', j ->> 'datlocale')
              ELSE '' END
       || CASE WHEN NOT $2 THEN '' ELSE
              pg_catalog.format(' OWNER %I', pg_catalog.pg_get_userbyid(d.datdba))
              || CASE WHEN t.spcname = 'pg_default' THEN '' ELSE pg_catalog.format(' TABLESPACE %I', t.spcname) END
              || CASE WHEN d.datconnlimit < 0 THEN '' ELSE ' CONNECTION LIMIT ' || d.datconnlimit END
          END
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
CROSS JOIN LATERAL pg_catalog.to_jsonb(d) AS j
WHERE d.datname = pg_catalog.current_database()";

/// What was set for the database, and granted on it. Lists such as `search_path` are stored as they
/// are written.
const SETTINGS: &str = "
SELECT statement FROM (
SELECT 1 AS step, pg_catalog.format('ALTER %s SET %s TO %s',
           CASE s.setrole WHEN 0 THEN pg_catalog.format('DATABASE %I', $1::text)
               ELSE pg_catalog.format('ROLE %I IN DATABASE %I', pg_catalog.pg_get_userbyid(s.setrole), $1::text) END,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(part), '.' ORDER BY i)
            FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.split_part(c, '=', 1), '.'))
                 WITH ORDINALITY AS p(part, i)),
           CASE WHEN pg_catalog.split_part(c, '=', 1) IN ('search_path', 'temp_tablespaces', 'session_preload_libraries',
                   'local_preload_libraries', 'unix_socket_directories', 'DateStyle')
               THEN pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)
               ELSE pg_catalog.quote_literal(pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)) END)
FROM pg_catalog.pg_db_role_setting s
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c
WHERE d.datname = pg_catalog.current_database()
    AND ($2 OR c NOT LIKE 'touchmark.%'
        AND (s.setrole = 0 OR pg_catalog.pg_get_userbyid(s.setrole) = session_user))
UNION ALL
SELECT 2, pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $1::text)
FROM pg_catalog.pg_database d
WHERE d.datname = pg_catalog.current_database() AND d.datacl IS NOT NULL AND $2
UNION ALL
SELECT 3, pg_catalog.format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, $1::text,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
           CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) AS a
WHERE d.datname = pg_catalog.current_database() AND a.grantee <> d.datdba AND $2
) AS s (step, statement) ORDER BY step, statement";

/// Makes a database of this name.
pub(crate) fn create(client: &mut Client, name: &str, extent: Extent) -> Result<String, Error> {
    let is_whole = extent == Extent::Whole;
    client.query_one(CREATE, &[&name, &is_whole])?.try_get(0)
}

/// Sets for a database of this name what is set for this one.
pub(crate) fn settings(
    client: &mut Client,
    name: &str,
    extent: Extent,
) -> Result<Vec<String>, Error> {
    let is_whole = extent == Extent::Whole;
    let rows = client.query(SETTINGS, &[&name, &is_whole])?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
