//! Where statements begin and end.

use proptest::prelude::*;
use touchmark_core::{ResolveOptions, resolve};

use crate::directory::{Directory, fine, wrong};

/// Expects these statements.
#[track_caller]
fn check(sql: &str, expected: &[&str]) {
    let script = fine(sql);
    let found: Vec<_> = script
        .spans
        .iter()
        .map(|span| &script.sql[span.range()])
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn b32_a_semicolon_in_everything_that_quotes() {
    check("SELECT ';' ; SELECT 2", &["SELECT ';'", "SELECT 2"]);
    check("SELECT 'it''s;';SELECT 2", &["SELECT 'it''s;'", "SELECT 2"]);
    check("SELECT E'\\';' ; SELECT 2", &["SELECT E'\\';'", "SELECT 2"]);
    check("SELECT 'a\\' ; SELECT 2", &["SELECT 'a\\'", "SELECT 2"]);
    check("SELECT e'\\\\' ; SELECT 2", &["SELECT e'\\\\'", "SELECT 2"]);
    check(
        "SELECT E'a'\n'\\';' ; SELECT 2",
        &["SELECT E'a'\n'\\';'", "SELECT 2"],
    );
    check(
        "SELECT U&'\\0061;' ; SELECT 2",
        &["SELECT U&'\\0061;'", "SELECT 2"],
    );
    check(
        "SELECT U&'!0061;' UESCAPE '!' AS U&\"d;\" ; SELECT 2",
        &["SELECT U&'!0061;' UESCAPE '!' AS U&\"d;\"", "SELECT 2"],
    );
    check(
        "SELECT \"a;\"\"\" FROM t; SELECT 2",
        &["SELECT \"a;\"\"\" FROM t", "SELECT 2"],
    );
    check("SELECT $$;$$ ; SELECT 2", &["SELECT $$;$$", "SELECT 2"]);
    check(
        "SELECT $a$;$b$;$$;$a$ ; SELECT 2",
        &["SELECT $a$;$b$;$$;$a$", "SELECT 2"],
    );
    check(
        "SELECT $a$ $a ;$a$ ; SELECT 2",
        &["SELECT $a$ $a ;$a$", "SELECT 2"],
    );
    check(
        "SELECT a$$, 1 AS b$$ FROM t; SELECT 2",
        &["SELECT a$$, 1 AS b$$ FROM t", "SELECT 2"],
    );
    check(
        "SELECT 1 /* ; /* ; */ ; */ ; SELECT 2",
        &["SELECT 1", "SELECT 2"],
    );
    check(
        "SELECT 1 -- ;\n+ 1; SELECT 2",
        &["SELECT 1 -- ;\n+ 1", "SELECT 2"],
    );
    check(
        "SELECT B'1', X'1F', N';' ; SELECT 2",
        &["SELECT B'1', X'1F', N';'", "SELECT 2"],
    );
    check(
        "SELECT 1 +/* ; */ 1; SELECT 2",
        &["SELECT 1 +/* ; */ 1", "SELECT 2"],
    );
}

#[test]
fn b32_bodies_and_lists() {
    let atomic = "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql\nBEGIN ATOMIC\n  \
        SELECT CASE WHEN a > 1 THEN (CASE a WHEN 2 THEN 1 END) ELSE 2 END;\n  \
        SELECT x.end, 1 AS case, 2 AS \"end\" FROM x;\nEND";
    check(
        &format!("-- touchmark: unparsed\n{atomic};\nSELECT 2;"),
        &[atomic, "SELECT 2"],
    );
    let procedure = "create procedure p() begin atomic; insert into t values (1); end";
    check(&format!("{procedure} ; SELECT 2"), &[procedure, "SELECT 2"]);
    // Words that name columns close and open nothing.
    let names = "CREATE FUNCTION f() RETURNS record BEGIN ATOMIC SELECT 1 case, 2 end; SELECT 3 end FROM t; END";
    for header in ["", "-- touchmark: unparsed\n"] {
        check(&format!("{header}{names}; SELECT 2"), &[names, "SELECT 2"]);
    }
    let empty = "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC END";
    check(&format!("{empty};SELECT 2"), &[empty, "SELECT 2"]);
    let rule = "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); DELETE FROM b)";
    check(&format!("{rule};SELECT 2"), &[rule, "SELECT 2"]);
    let schema = "CREATE SCHEMA s CREATE TABLE a (b int) CREATE VIEW c AS SELECT 1";
    check(&format!("{schema};SELECT 2"), &[schema, "SELECT 2"]);
    // A column may be called so, and a function without a body of this kind ends at once.
    let defaults =
        "CREATE FUNCTION g(begin int, atomic int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    check(&format!("{defaults};SELECT 2"), &[defaults, "SELECT 2"]);
}

#[test]
fn the_ends_of_files() {
    check("SELECT 1", &["SELECT 1"]);
    check("SELECT 1 -- no line end", &["SELECT 1"]);
    check(";;SELECT 1;;\n;SELECT 2;;", &["SELECT 1", "SELECT 2"]);
    check("\n\n  SELECT 1  \n", &["SELECT 1"]);
    check("SELECT 1\r-- x\rFROM t;", &["SELECT 1\r-- x\rFROM t"]);
}

#[test]
fn nothing_leaks_out_of_a_file() {
    for header in ["", "-- touchmark: unparsed\n"] {
        let line = if header.is_empty() { 1 } else { 2 };
        for (sql, column, message) in [
            ("SELECT 'a", 8, "unterminated string"),
            ("SELECT E'a\\'", 8, "unterminated string"),
            ("SELECT E'a'\n'b\\'", 1, "unterminated string"),
            ("SELECT $$a$", 8, "unterminated dollar quote"),
            ("SELECT $a$ $$ $b$", 8, "unterminated dollar quote"),
            ("SELECT \"a", 8, "unterminated quoted name"),
            ("SELECT 1 /* /* */", 10, "unterminated comment"),
            ("SELECT (1", 8, "unclosed parenthesis"),
            (
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;",
                33,
                "unterminated `BEGIN ATOMIC` body",
            ),
        ] {
            let line = line + sql.matches("\n'b").count();
            wrong(
                &format!("{header}{sql}"),
                &[&format!("{line}:{column}: {message}")],
            );
        }
    }
}

/// Pieces that mean something to a lexer, in any order.
fn sql() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "'",
        "''",
        "E'",
        "\\",
        "\\'",
        "\"",
        "U&'",
        "U&\"",
        "$$",
        "$a$",
        "$b$",
        "$1",
        "/*",
        "*/",
        "--",
        "\n",
        "\r",
        ";",
        "(",
        ")",
        "[",
        "]",
        " ",
        "a",
        "é",
        "1",
        "1e",
        "0x",
        ".",
        ",",
        "+",
        "-",
        "BEGIN",
        " ATOMIC ",
        "END",
        "CASE",
        "CREATE FUNCTION f() ",
        "CREATE RULE ",
        "COPY t ",
        "FROM STDIN",
        "\\.",
        "-- touchmark: ",
        "no-transaction",
        "unparsed",
        "CREATE INDEX CONCURRENTLY ",
        "i",
        " ON ",
        "SELECT ",
        "ALTER TYPE t ADD VALUE ",
        "\u{feff}",
        "pg_advisory_unlock(",
        "CREATE SUBSCRIPTION ",
        "connect",
        "=",
        "false",
        "REINDEX ",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn resolve_bytes(bytes: &[u8]) -> Option<touchmark_core::Script> {
    let directory = Directory::new(&[("V1__x.sql", bytes)]);
    let root = directory.path("");
    let resolved = resolve(&root, &ResolveOptions::new("migrations")).ok()?;
    Some(resolved.set.migrations.into_iter().next().unwrap().up)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        resolve_bytes(&bytes);
    }

    #[test]
    fn statements_are_in_order_and_leave_nothing_out(sql in sql()) {
        let Some(script) = resolve_bytes(format!("-- touchmark: unparsed\n{sql}").as_bytes()) else {
            return Ok(());
        };
        let mut at = 0;
        for statement in script.spans.iter().map(|span| span.range()) {
            prop_assert!(at <= statement.start && statement.start < statement.end);
            at = statement.end;
        }
        prop_assert!(at <= script.sql.len());
        // What stands between the statements is empty to the same reader.
        let mut rest = String::new();
        let mut at = 0;
        for statement in script.spans.iter().map(|span| span.range()) {
            rest.push_str(&script.sql[at..statement.start]);
            at = statement.end;
        }
        rest.push_str(&script.sql[at..]);
        let rest = format!("SELECT 1;{}", rest.replace("touchmark", ""));
        let script = resolve_bytes(rest.as_bytes()).unwrap();
        prop_assert_eq!(script.spans.len(), 1);
    }
}
