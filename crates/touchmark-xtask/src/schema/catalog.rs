//! Asks the server. The only file here that talks to a database, and it only reads.

use postgres::{Client, IsolationLevel, Transaction};
use serde::de::DeserializeOwned;

use super::assemble::assemble;
use super::model::{Filter, Schema};
use super::rows::{NamespaceRow, Rows};
use crate::database::server;
use crate::error::Error;

/// What an expression looks like depends on these.
const SETTINGS: [&str; 9] = [
    "DateStyle = 'ISO, YMD'",
    "IntervalStyle = 'postgres'",
    "TimeZone = 'UTC'",
    "bytea_output = 'hex'",
    "extra_float_digits = 1",
    "quote_all_identifiers = off",
    "lc_monetary = 'C'",
    "standard_conforming_strings = on",
    "search_path = pg_catalog",
];

const NAMESPACES: &str = "
    SELECT n.nspname AS name, obj_description(n.oid, 'pg_namespace') AS comment
    FROM pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

const RELATIONS: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS relation,
        c.relkind::text AS kind, obj_description(c.oid, 'pg_class') AS comment,
        pg_get_partkeydef(c.oid) AS partition_key, c.relispartition AS is_partition,
        pg_get_expr(c.relpartbound, c.oid) AS bound,
        (SELECT coalesce(json_agg(json_build_object('schema', pn.nspname, 'name', p.relname)
            ORDER BY i.inhseqno), '[]')
         FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
         JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) AS parents
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relpersistence <> 't'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
            AND d.objid = c.oid AND d.deptype = 'e')";

const COLUMNS: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS relation,
        a.attnum AS number, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type_name,
        (SELECT a.attcollation::regcollation::text FROM pg_type t
         WHERE t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS collation,
        a.attnotnull AS not_null, a.attidentity::text AS identity,
        a.attgenerated::text AS generated, pg_get_expr(d.adbin, d.adrelid, true) AS value,
        col_description(c.oid, a.attnum) AS comment
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
        AND a.attnum > 0 AND NOT a.attisdropped";

/// Not null is a constraint of its own from version 18 on, and a property of the column here.
const CONSTRAINTS: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS relation,
        k.conname AS name, k.contype::text AS kind, pg_get_constraintdef(k.oid, true) AS definition,
        (SELECT coalesce(json_agg(a.attname ORDER BY u.place), '[]')
         FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
        (SELECT json_build_object('schema', tn.nspname, 'name', t.relname) FROM pg_class t
         JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE t.oid = k.confrelid) AS target,
        (SELECT coalesce(json_agg(a.attname ORDER BY u.place), '[]')
         FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
         JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number) AS target_columns,
        k.confdeltype::text AS on_delete, k.confupdtype::text AS on_update,
        k.condeferrable AS is_deferrable, k.condeferred AS is_deferred,
        k.convalidated AS is_validated, obj_description(k.oid, 'pg_constraint') AS comment
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND k.contype IN ('p', 'u', 'c', 'x', 'f') AND k.conparentid = 0";

const INDEXES: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS relation,
        x.relname AS name, i.indisunique AS is_unique, i.indisvalid AS is_valid,
        i.indexprs IS NULL AND i.indpred IS NULL AS is_plain,
        EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid
            AND k.contype IN ('p', 'u', 'x')) AS of_constraint,
        (SELECT coalesce(json_agg(a.attname ORDER BY u.place), '[]')
         FROM unnest(i.indkey::smallint[]) WITH ORDINALITY u (number, place)
         LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
         WHERE u.place <= i.indnkeyatts) AS columns,
        format('CREATE %sINDEX %s ON %s%s USING ', CASE WHEN i.indisunique THEN 'UNIQUE ' END,
            quote_ident(x.relname), CASE WHEN x.relkind = 'I' THEN 'ONLY ' END,
            i.indrelid::regclass) AS prefix,
        pg_get_indexdef(i.indexrelid, 0, true) AS definition,
        obj_description(i.indexrelid, 'pg_class') AS comment
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1";

const TRIGGERS: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS relation,
        t.tgname AS name, pg_get_triggerdef(t.oid, true) AS definition,
        t.tgenabled = 'D' AS is_disabled, obj_description(t.oid, 'pg_trigger') AS comment
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND NOT t.tgisinternal";

const READS: &str = "
    SELECT DISTINCT n.nspname AS schema, c.relname AS name, tn.nspname AS target_schema,
        t.relname AS target_name
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
    JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('v', 'm') AND t.relkind <> 'S'";

const TYPES: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', t.typname) AS name,
        t.typtype::text AS kind,
        (SELECT coalesce(json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]') FROM pg_enum e
         WHERE e.enumtypid = t.oid) AS labels,
        CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
        t.typnotnull AS not_null, pg_get_expr(t.typdefaultbin, 0, true) AS value,
        (SELECT coalesce(json_agg(json_build_object('name', k.conname,
            'definition', pg_get_constraintdef(k.oid, true))), '[]')
         FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') AS checks,
        (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid)
            AS subtype,
        obj_description(t.oid, 'pg_type') AS comment
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE n.nspname = $1 AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass
            AND d.objid = t.oid AND d.deptype = 'e')";

const SEQUENCES: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS name,
        format_type(s.seqtypid, NULL) AS type_name, s.seqstart AS start,
        s.seqincrement AS increment, s.seqmin AS min, s.seqmax AS max, s.seqcycle AS cycles,
        obj_description(c.oid, 'pg_class') AS comment
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i', 'e'))";

const FUNCTIONS: &str = "
    SELECT json_build_object('schema', n.nspname, 'name', p.proname) AS name,
        pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
        l.lanname AS language, p.prokind::text AS kind, p.provolatile::text AS volatility,
        p.prosecdef AS is_definer, obj_description(p.oid, 'pg_proc') AS comment
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = $1 AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))";

/// Statements after which the same object has the same text in every session. `set` is `SET` or
/// `SET LOCAL`.
pub(crate) fn settings(set: &str) -> String {
    SETTINGS.map(|setting| format!("{set} {setting};")).concat()
}

/// Reads everything in one snapshot.
pub(crate) fn read(client: &mut Client, filter: &Filter) -> Result<Schema, Error> {
    let mut transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .map_err(failed)?;
    let settings = settings("SET LOCAL");
    transaction.batch_execute(&settings).map_err(failed)?;
    let mut rows = Rows {
        namespaces: list(&mut transaction, NAMESPACES, None)?,
        ..Rows::default()
    };
    known(filter, &rows.namespaces)?;
    let is_wanted =
        |row: &NamespaceRow| filter.schemas.is_empty() || filter.schemas.contains(&row.name);
    rows.namespaces.retain(is_wanted);
    let names: Vec<_> = rows.namespaces.iter().map(|row| row.name.clone()).collect();
    for name in names {
        namespace(&mut transaction, &name, &mut rows)?;
    }
    transaction.rollback().map_err(failed)?;
    Ok(assemble(rows, filter))
}

fn known(filter: &Filter, namespaces: &[NamespaceRow]) -> Result<(), Error> {
    let is_unknown = |name: &&String| !namespaces.iter().any(|row| row.name == **name);
    let Some(unknown) = filter.schemas.iter().find(is_unknown) else {
        return Ok(());
    };
    let mut names: Vec<_> = namespaces.iter().map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    Err(Error::Configuration {
        message: format!("the database has no schema `{unknown}`"),
        help: format!("it has: {}", names.join(", ")),
    })
}

/// What is in the schema itself is named without it: expressions and types are read with the
/// search path set to it.
fn namespace(client: &mut Transaction<'_>, name: &str, rows: &mut Rows) -> Result<(), Error> {
    let path = "SELECT set_config('search_path', quote_ident($1), true)";
    client.execute(path, &[&name]).map_err(failed)?;
    let schema = Some(name);
    rows.relations.append(&mut list(client, RELATIONS, schema)?);
    rows.columns.append(&mut list(client, COLUMNS, schema)?);
    let mut constraints = list(client, CONSTRAINTS, schema)?;
    rows.constraints.append(&mut constraints);
    rows.indexes.append(&mut list(client, INDEXES, schema)?);
    rows.triggers.append(&mut list(client, TRIGGERS, schema)?);
    let reads = format!(
        "SELECT json_build_object('schema', schema, 'name', name) AS relation,
            json_build_object('schema', target_schema, 'name', target_name) AS target
         FROM ({READS}) reads"
    );
    rows.reads.append(&mut list(client, &reads, schema)?);
    rows.types.append(&mut list(client, TYPES, schema)?);
    rows.sequences.append(&mut list(client, SEQUENCES, schema)?);
    rows.functions.append(&mut list(client, FUNCTIONS, schema)?);
    Ok(())
}

/// The rows of a query, of which the server makes JSON.
fn list<T: DeserializeOwned>(
    client: &mut Transaction<'_>,
    sql: &str,
    schema: Option<&str>,
) -> Result<Vec<T>, Error> {
    let sql = format!("SELECT coalesce(json_agg(r), '[]')::text FROM ({sql}) r");
    let row = match &schema {
        Some(schema) => client.query_one(&sql, &[schema]),
        None => client.query_one(&sql, &[]),
    };
    let text: String = row.map_err(failed)?.try_get(0).map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| Error::Server {
        doing: "read the catalog",
        cause: format!("it is not as PostgreSQL 13 to 18 have it: {error}"),
        code: None,
    })
}

#[allow(clippy::needless_pass_by_value)]
fn failed(error: postgres::Error) -> Error {
    server("read the catalog", &error)
}
