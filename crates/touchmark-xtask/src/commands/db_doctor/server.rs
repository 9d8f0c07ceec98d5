//! What the server is, and what the role may do there.

use postgres::Transaction;
use touchmark_core::encoded::Home;
use touchmark_engine::Database;

use super::{error, failed, ok, warning};
use crate::database;
use crate::error::Error;
use crate::json::{Check, Mark};
use crate::project::Project;

/// The oldest server that migrations run on.
const OLDEST: i32 = 13;

pub(super) fn checks(project: &Project, database: &Database) -> Vec<Check> {
    let mut client = match database::connect(&database.url, None) {
        Ok(client) => client,
        Err(error) => return vec![failed("server", &error)],
    };
    // A pooler may give each transaction another session, which knows none of our statements.
    let begun = client.build_transaction().read_only(true).start();
    let mut client = match begun {
        Ok(transaction) => transaction,
        Err(error) => {
            return vec![failed(
                "server",
                &database::server("look at the server", &error),
            )];
        }
    };
    let server = server(&mut client).unwrap_or_else(|error| failed("server", &error));
    let privileges = privileges(&mut client, project);
    vec![
        server,
        privileges.unwrap_or_else(|error| failed("privileges", &error)),
    ]
}

fn server(client: &mut Transaction) -> Result<Check, Error> {
    const CHECK: &str = "server";
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery()";
    let row = client
        .query_one(sql, &[])
        .map_err(|e| database::server("look at the server", &e))?;
    let (number, name, standby): (i32, String, bool) = (row.get(0), row.get(1), row.get(2));
    let found = format!("PostgreSQL {name}");
    Ok(match (number / 10_000 < OLDEST, standby) {
        (true, _) => error(
            CHECK,
            found,
            format_args!("migrations run on PostgreSQL {OLDEST} and newer: upgrade it"),
        ),
        (_, true) => warning(
            CHECK,
            format_args!("{found}, a standby, which can only be read"),
            "let DATABASE_URL name the primary, to migrate",
        ),
        _ => ok(CHECK, found),
    })
}

/// What a run needs: to make tables in the schema of the history and in that of the migrations, and
/// to write into those that are there.
fn privileges(client: &mut Transaction, project: &Project) -> Result<Check, Error> {
    let Home { schema, history } = &project.home;
    let other = schema.as_ref().filter(|schema| **schema != history.schema);
    if let Some(schema) = other {
        let found = in_schema(client, schema, &[])?;
        if found.mark != Mark::Ok {
            return Ok(found);
        }
    }
    let tables = [history.table.clone(), history.ledger()];
    in_schema(client, &history.schema, &tables)
}

fn in_schema(client: &mut Transaction, schema: &str, tables: &[String]) -> Result<Check, Error> {
    const CHECK: &str = "privileges";
    let tables = tables.to_vec();
    let sql = "SELECT quote_ident(session_user), quote_ident($1), quote_ident(current_database()), \
               (SELECT has_schema_privilege(session_user, oid, 'USAGE') AND has_schema_privilege(session_user, oid, 'CREATE') \
                FROM pg_namespace WHERE nspname = $1), \
               has_database_privilege(session_user, current_database(), 'CREATE')";
    let ask = |e| database::server("ask for the privileges", &e);
    let row = client.query_one(sql, &[&schema]).map_err(ask)?;
    let (role, quoted, database): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let may_create: Option<bool> = row.get(3);
    let writable = "SELECT quote_ident(relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
                  WHERE nspname = $1 AND relname = ANY ($2) AND NOT (has_table_privilege(session_user, pg_class.oid, 'SELECT') \
                  AND has_table_privilege(session_user, pg_class.oid, 'INSERT') AND has_table_privilege(session_user, pg_class.oid, 'UPDATE'))";
    let closed = client.query(writable, &[&schema, &tables]).map_err(ask)?;
    let closed: Vec<String> = closed
        .iter()
        .map(|row| format!("{quoted}.{}", row.get::<_, String>(0)))
        .collect();
    let may_make: bool = row.get(4);
    Ok(match (may_create, closed.is_empty()) {
        (Some(false), _) => error(
            CHECK,
            format_args!("{role} may make nothing in the schema {quoted}"),
            format_args!("have its owner run: GRANT USAGE, CREATE ON SCHEMA {quoted} TO {role}"),
        ),
        (None, _) if !may_make => error(
            CHECK,
            format_args!("there is no schema {quoted}, and {role} may not make it"),
            format_args!(
                "have the owner of {database} run: CREATE SCHEMA {quoted} AUTHORIZATION {role}"
            ),
        ),
        (_, false) => error(
            CHECK,
            format_args!("{role} may not write into {}", closed.join(", ")),
            format_args!(
                "have the owner run: GRANT SELECT, INSERT, UPDATE ON {} TO {role}",
                closed.join(", ")
            ),
        ),
        _ => ok(
            CHECK,
            format_args!("{role} may write the history and make tables in {quoted}"),
        ),
    })
}
