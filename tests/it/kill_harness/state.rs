//! Everything that a database consists of, as lines to compare: its catalog, both tables, and the
//! rows of all tables.

use postgres::{Client, SimpleQueryMessage};

/// Tables with columns, constraints, indexes and whether they are valid, views, functions.
const CATALOG: &str = "
WITH own AS (
    SELECT c.oid, c.relkind, c.oid::regclass::text AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT concat_ws(' ', 'relation', relkind, name) FROM own
UNION ALL
SELECT concat_ws(' ', 'column', name, attname, format_type(atttypid, atttypmod),
    attnotnull, attidentity, pg_get_expr(adbin, adrelid))
FROM own JOIN pg_attribute a ON attrelid = own.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT concat_ws(' ', 'constraint', name, conname, pg_get_constraintdef(k.oid))
FROM own JOIN pg_constraint k ON conrelid = own.oid
UNION ALL
SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid, indisready)
FROM own JOIN pg_index ON indexrelid = own.oid
UNION ALL
SELECT concat_ws(' ', 'view', name, pg_get_viewdef(oid)) FROM own WHERE relkind IN ('v', 'm')
UNION ALL
SELECT concat_ws(' ', 'function', pg_get_functiondef(p.oid)) FROM pg_proc p
JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'
ORDER BY 1";

/// What gives the rows of each table; those of the records without numbers and times, and in
/// their order.
const ROWS: &str = "
SELECT string_agg(CASE c.relname
    WHEN 'touchmark_ledger' THEN 'SELECT concat(''ledger '', row_number() OVER (ORDER BY id), '' '',
        to_jsonb(t) - ''id'' - ''started_at'' - ''finished_at'') FROM public.touchmark_ledger t'
    WHEN 'refinery_schema_history' THEN 'SELECT concat(''history '', to_jsonb(t) - ''applied_on'')
        FROM public.refinery_schema_history t'
    ELSE format('SELECT concat(%L, to_jsonb(t)) FROM %s t', 'row of ' || c.oid::regclass || ' ',
        c.oid::regclass)
    END, ' UNION ALL ')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Reads it.
pub fn read(client: &mut Client) -> Vec<String> {
    let mut lines = column(client, CATALOG);
    let rows = column(client, ROWS);
    if let Some(sql) = rows.first() {
        lines.extend(column(client, &format!("{sql} ORDER BY 1")));
    }
    lines
}

fn column(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).unwrap();
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    rows.collect()
}

/// The lines that only one of the two has.
pub fn difference(expected: &[String], found: &[String]) -> String {
    let only = |mark: char, these: &[String], others: &[String]| {
        let mut others = others.to_vec();
        let mut out = String::new();
        for line in these {
            match others.iter().position(|other| other == line) {
                Some(at) => drop(others.swap_remove(at)),
                None => out += &format!("{mark} {line}\n"),
            }
        }
        out
    };
    only('-', expected, found) + &only('+', found, expected)
}
