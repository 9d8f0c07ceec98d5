//! Statements on the table in which another tool keeps its history: an empty database, which that
//! tool has never seen, does not have it.

use std::ops::Range;

use super::ident::qualified_name;
use super::nesting::body;
use super::statement::Head;
use super::token::{Kind, Lexer};

/// The tables, with who writes them.
const TABLES: [(&str, &str); 3] = [
    ("_sqlx_migrations", "sqlx"),
    ("__diesel_schema_migrations", "Diesel"),
    ("alembic_version", "Alembic"),
];

/// What a statement does with such a table.
pub(super) enum Use {
    /// It does not need it.
    None,
    /// It changes that table and nothing else, so that it means nothing where there is none.
    OnlyChanges,
    /// It fails where there is none.
    Needs {
        span: Range<usize>,
        table: &'static str,
        tool: &'static str,
    },
}

/// Whether a text names any of the tables: most don't, and are not looked through.
pub(super) fn are_named(sql: &str) -> bool {
    TABLES
        .iter()
        .any(|(table, _)| sql.contains(table) || sql.contains(&table.to_ascii_uppercase()))
}

pub(super) fn used(head: &Head<'_>, span: Range<usize>) -> Use {
    let sql = head.sql;
    if !are_named(&sql[span.clone()]) {
        return Use::None;
    }
    let is_conditional = |at: usize| head.is(at, "if") && head.is(at + 1, "exists");
    let is_guarded = (head.starts(&["alter", "table"]) || head.starts(&["drop", "table"]))
        && is_conditional(2)
        || head.starts(&["create", "table"]);
    if is_guarded {
        return Use::None;
    }
    let Some((span, (table, tool))) = named(sql, span, head.is(0, "do")) else {
        return Use::None;
    };
    if target(head).is_some_and(|target| target == table) {
        return Use::OnlyChanges;
    }
    Use::Needs { span, table, tool }
}

/// The table that a statement changes, where it changes nothing else.
fn target(head: &Head<'_>) -> Option<String> {
    let (sql, tokens) = (head.sql, head.tokens.as_slice());
    let behind = |at: usize, words: &[&str]| {
        let at = words
            .iter()
            .fold(at, |at, word| at + usize::from(head.is(at, word)));
        Some(at)
    };
    let mut at = if head.starts(&["insert", "into"]) {
        Some(2)
    } else if head.is(0, "update") {
        behind(1, &["only"])
    } else if head.starts(&["delete", "from"]) || head.starts(&["alter", "table"]) {
        behind(2, &["only"])
    } else if head.starts(&["drop", "table"]) {
        Some(2)
    } else if head.is(0, "truncate") || head.is(0, "lock") {
        behind(1, &["table", "only"])
    } else if head.starts(&["comment", "on", "table"]) || head.starts(&["comment", "on", "column"])
    {
        Some(3)
    } else if head.is(0, "grant")
        || head.is(0, "revoke")
        || head.is(0, "create") && head.has("index")
    {
        let on = tokens.iter().position(|token| token.is(sql, "on"))?;
        behind(on + 1, &["table", "only"])
    } else {
        None
    }?;
    let is_column = head.is(2, "column");
    let mut name = qualified_name(sql, tokens, &mut at);
    if is_column {
        name.pop();
    }
    // A second table, or a part that may change another one.
    let is_list = tokens.get(at).is_some_and(|token| token.text(sql) == ",");
    if is_list || head.has("with") && !head.is(0, "create") && !head.is(0, "grant") {
        return None;
    }
    name.pop()
}

/// Where a statement first names one of the tables, outside of quotes and comments. The body of a
/// `DO` is looked through too; where it has the name in quotes, it asks whether the table is there.
fn named(
    sql: &str,
    span: Range<usize>,
    is_do: bool,
) -> Option<(Range<usize>, (&'static str, &'static str))> {
    for token in Lexer::starting_at(&sql[..span.end], span.start) {
        let text = token.text(sql);
        let name = match token.kind {
            Kind::Word => text.to_ascii_lowercase(),
            Kind::QuotedIdent => text.trim_matches('"').to_owned(),
            Kind::String if is_do && are_named(text) => {
                let body = body(text).unwrap_or(text.trim_matches('\''));
                let asks = Lexer::new(body)
                    .any(|token| token.kind == Kind::String && are_named(token.text(body)));
                match named(body, 0..body.len(), false) {
                    Some((_, known)) if !asks => return Some((token.span(), known)),
                    _ => continue,
                }
            }
            _ => continue,
        };
        if let Some(known) = TABLES.iter().find(|(table, _)| *table == name) {
            return Some((token.span(), *known));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        let found = match used(&Head::new(sql, 0..sql.len()), 0..sql.len()) {
            Use::None => "none".to_owned(),
            Use::OnlyChanges => "only".to_owned(),
            Use::Needs { span, .. } => sql[span].chars().take(16).collect(),
        };
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn what_is_done_with_the_table_of_another_tool() {
        for sql in [
            "UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1",
            "update ONLY public.\"_sqlx_migrations\" SET success = true",
            "DELETE FROM __diesel_schema_migrations WHERE version = '1'",
            "INSERT INTO _SQLX_MIGRATIONS (version) VALUES (1)",
            "UPDATE alembic_version SET version_num='b' WHERE alembic_version.version_num = 'a'",
            "TRUNCATE TABLE alembic_version",
            "LOCK _sqlx_migrations IN EXCLUSIVE MODE",
            "ALTER TABLE _sqlx_migrations OWNER TO x",
            "DROP TABLE _sqlx_migrations",
            "COMMENT ON COLUMN _sqlx_migrations.version IS 'x'",
            "GRANT SELECT ON TABLE public._sqlx_migrations TO PUBLIC",
            "CREATE INDEX i ON _sqlx_migrations (version)",
        ] {
            check(sql, "only");
        }
        for sql in [
            "DROP TABLE IF EXISTS _sqlx_migrations",
            "ALTER TABLE IF EXISTS _sqlx_migrations OWNER TO x",
            "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version bigint)",
            "COMMENT ON TABLE users IS 'as _sqlx_migrations'",
            "SELECT 1 -- _sqlx_migrations",
            "DO $$ BEGIN IF to_regclass('_sqlx_migrations') IS NOT NULL THEN DELETE FROM _sqlx_migrations; END IF; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM _sqlx_migrations; END $$",
            "UPDATE users SET a = 1",
        ] {
            check(sql, "none");
        }
        for (sql, place) in [
            (
                "CREATE VIEW v AS SELECT * FROM _sqlx_migrations",
                "_sqlx_migrations",
            ),
            (
                "INSERT INTO log SELECT count(*) FROM alembic_version",
                "alembic_version",
            ),
            ("TRUNCATE _sqlx_migrations, users", "_sqlx_migrations"),
            (
                "INSERT INTO _sqlx_migrations WITH x AS (DELETE FROM users RETURNING 1) SELECT 1",
                "_sqlx_migrations",
            ),
            (
                "DO $$ BEGIN DELETE FROM _sqlx_migrations; END $$",
                "$$ BEGIN DELETE ",
            ),
        ] {
            check(sql, place);
        }
    }
}
