//! Dropping a database and making one like it.

use crate::database::{connect, name, server};
use crate::error::Error;

/// What is known of a database before it is dropped.
pub(super) struct Known {
    /// `touchmark.environment`, where it is set.
    pub(super) environment: Option<String>,
    /// Makes one like it, and sets what was set for it; without the database in between.
    create: String,
    settings: Vec<String>,
}

/// The statements that make a database like this one. `to_jsonb` because the columns of the
/// locale have other names in each major version.
const CREATE: &str = "
SELECT pg_catalog.current_setting('touchmark.environment', true),
       pg_catalog.format('CREATE DATABASE %I WITH TEMPLATE template0 OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L',
           d.datname, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding),
           j ->> 'datcollate', j ->> 'datctype')
       || CASE j ->> 'datlocprovider'
              WHEN 'i' THEN pg_catalog.format(' LOCALE_PROVIDER icu ICU_LOCALE %L',
                  coalesce(j ->> 'datlocale', j ->> 'daticulocale'))
              WHEN 'b' THEN pg_catalog.format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', j ->> 'datlocale')
              ELSE '' END
       || CASE WHEN t.spcname = 'pg_default' THEN '' ELSE pg_catalog.format(' TABLESPACE %I', t.spcname) END
       || CASE WHEN d.datconnlimit < 0 THEN '' ELSE ' CONNECTION LIMIT ' || d.datconnlimit END
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
CROSS JOIN LATERAL pg_catalog.to_jsonb(d) AS j
WHERE d.datname = pg_catalog.current_database()";

/// The statements that set what was set for the database, and grant what was granted on it. Lists
/// such as `search_path` are stored as they are written.
const SETTINGS: &str = "
SELECT statement FROM (
SELECT 1 AS step, pg_catalog.format('ALTER %s SET %s TO %s',
           CASE s.setrole WHEN 0 THEN pg_catalog.format('DATABASE %I', d.datname)
               ELSE pg_catalog.format('ROLE %I IN DATABASE %I', pg_catalog.pg_get_userbyid(s.setrole), d.datname) END,
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
UNION ALL
SELECT 2, pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC', d.datname)
FROM pg_catalog.pg_database d
WHERE d.datname = pg_catalog.current_database() AND d.datacl IS NOT NULL
UNION ALL
SELECT 3, pg_catalog.format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, d.datname,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
           CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) AS a
WHERE d.datname = pg_catalog.current_database() AND a.grantee <> d.datdba
) AS s (step, statement) ORDER BY step, statement";

/// Looks at the database; changes nothing.
pub(super) fn look(url: &str) -> Result<Known, Error> {
    let mut client = connect(url, None)?;
    let doing = "look at the database";
    let row = client
        .query_one(CREATE, &[])
        .map_err(|e| server(doing, &e))?;
    let settings = client.query(SETTINGS, &[]).map_err(|e| server(doing, &e))?;
    Ok(Known {
        environment: row.get(0),
        create: row.get(1),
        settings: settings.iter().map(|row| row.get(0)).collect(),
    })
}

/// Drops the database and makes it again, connected to another one of the same server.
pub(super) fn recreate(url: &str, known: &Known) -> Result<(), Error> {
    let name = name(url);
    let other = if name == "postgres" {
        "template1"
    } else {
        "postgres"
    };
    let mut client = connect(url, Some(other))?;
    let ident = format!("\"{}\"", name.replace('"', "\"\""));
    // FORCE ends the sessions of the application, which would hold the database.
    client
        .batch_execute(&format!("DROP DATABASE {ident} WITH (FORCE)"))
        .map_err(|e| server("drop the database", &e))?;
    client
        .batch_execute(&known.create)
        .map_err(|e| server("make the database again", &e))?;
    for setting in &known.settings {
        client
            .batch_execute(setting)
            .map_err(|e| server("set what was set for the database", &e))?;
    }
    Ok(())
}
