//! Content that can't work in a migration.

use crate::directory::{Directory, fine, lines, wrong};

#[test]
fn syntax_errors_have_their_place() {
    wrong("SELEC 1;", &["1:1: syntax error"]);
    wrong(
        "SELECT 1;\n\nCREATE TABLE é (é int,);\n",
        &["3:22: syntax error"],
    );
    wrong(
        "CREATE TABLE a (\n  b int\n  c int\n);",
        &["3:3: syntax error"],
    );
    wrong(
        "SELECT 1;\nSELECT (;\nSELECT 2;\nSELECT );",
        &["2:9: syntax error: expected an expression, found `;`"],
    );
    wrong(
        "SELECT 1;\nSELECT );\nSELECT FROM WHERE;\n",
        &["2:8: syntax", "3:13: syntax"],
    );
    wrong(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n  SELECT 1,;\n$$;",
        &["2:11: syntax error"],
    );
}

#[test]
fn unparsed_leaves_the_lexer_and_the_checks() {
    fine("-- touchmark: unparsed\nFROB THE KNOBS;");
    wrong(
        "-- touchmark: unparsed\nFROB 'x;",
        &["2:6: unterminated string"],
    );
    wrong(
        "-- touchmark: unparsed\nFROB;\nCOMMIT;",
        &["3:1: `COMMIT` in a migration"],
    );
}

#[test]
fn b6_statements_that_drop_the_lock() {
    wrong("DISCARD ALL;", &["1:1: `DISCARD ALL` would"]);
    wrong(
        "SELECT pg_advisory_unlock_all();",
        &["1:8: `pg_advisory_unlock_all()`"],
    );
    wrong(
        "SELECT pg_catalog.\"pg_advisory_unlock\" (1);",
        &["1:19: `\"pg_advisory_unlock\"()`"],
    );
    wrong(
        "WITH x AS (SELECT PG_ADVISORY_UNLOCK(1)) SELECT 1;",
        &["1:19: `PG_ADVISORY"],
    );
    wrong(
        "CREATE TABLE t AS SELECT pg_advisory_unlock_shared(1);",
        &["1:26: `pg_adv"],
    );
    fine("DISCARD PLANS;");
    fine("SELECT 'pg_advisory_unlock_all()';");
    fine("GRANT EXECUTE ON FUNCTION pg_advisory_unlock_all() TO PUBLIC;");
    fine("COMMENT ON FUNCTION pg_advisory_unlock(bigint) IS 'x';");
    fine("DO $$ BEGIN PERFORM pg_advisory_unlock(1); END $$;");
    fine(
        "CREATE FUNCTION f() RETURNS bool BEGIN ATOMIC SELECT pg_advisory_unlock(1); END;\n\
         SELECT pg_advisory_xact_lock(1);",
    );
}

#[test]
fn b14_an_index_that_only_seems_to_be_built() {
    let header = "-- touchmark: no-transaction\n";
    wrong(
        &format!("{header}CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);"),
        &["2:27: `CREATE INDEX CONCURRENTLY IF NOT EXISTS` succeeds over an invalid index"],
    );
    wrong(
        &format!("{header}CREATE UNIQUE INDEX CONCURRENTLY ON t (a);"),
        &["2:34: `CREATE INDEX CONCURRENTLY` without a name"],
    );
    fine(&format!(
        "{header}CREATE UNIQUE INDEX CONCURRENTLY i ON t (a);"
    ));
    fine(&format!("{header}CREATE INDEX CONCURRENTLY if ON t (a);"));
    fine("CREATE INDEX IF NOT EXISTS i ON t (a);");
}

#[test]
fn b30_transaction_control() {
    for (sql, what) in [
        ("BEGIN", "BEGIN"),
        ("begin isolation level serializable", "BEGIN"),
        ("START TRANSACTION READ ONLY", "START TRANSACTION"),
        ("COMMIT", "COMMIT"),
        ("COMMIT AND CHAIN", "COMMIT"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED"),
        ("END", "END"),
        ("END WORK", "END"),
        ("ROLLBACK", "ROLLBACK"),
        ("ROLLBACK TO SAVEPOINT a", "ROLLBACK"),
        ("ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED"),
        ("ABORT", "ABORT"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("RELEASE SAVEPOINT a", "RELEASE"),
        ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
    ] {
        for header in [
            "",
            "-- touchmark: no-transaction\n",
            "-- touchmark: unparsed\n",
        ] {
            let line = if header.is_empty() { 2 } else { 3 };
            let message = format!("{line}:10: `{what}` in a migration");
            wrong(
                &format!("{header}SELECT 1;\n/* x */  {sql};\n"),
                &[&message],
            );
        }
    }
    fine("SELECT 'COMMIT'; -- COMMIT;\n/* BEGIN; */ SELECT 1;");
    fine("DO $$ BEGIN PERFORM 1; END; $$;");
    fine("PREPARE p AS SELECT 1; DEALLOCATE p;");
    fine("CREATE TABLE t (\"begin\" int, commit int);");
    fine(
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $body$\nBEGIN\n  COMMIT;\n  ROLLBACK;\nEND;\n$body$;",
    );
    fine("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC; SELECT 1; END;");
}

#[test]
fn b33_commands_of_psql() {
    let directory = Directory::new(&[
        (
            "V1__restrict.sql",
            "\\restrict Kx9\nSELECT 1;\n\\unrestrict Kx9\n",
        ),
        (
            "V2__copy.sql",
            "SELECT 1;\n\\copy t from 'x.csv' csv -- it's\nSELECT 2;\n",
        ),
        ("V3__include.sql", "\\i other.sql\n"),
        ("V4__connect.sql", "\\connect other\n"),
        ("V5__set.sql", "SELECT 1 \\gset x_\n"),
        ("V6__other.sql", "\\frobnicate\n"),
        ("V7__alone.sql", "SELECT 1\\\n"),
    ]);
    insta::assert_snapshot!(directory.problems());
    fine("SELECT '\\i x', E'\\\\copy', $$\n\\restrict\n$$; -- \\connect x\n");
}

#[test]
fn b34_copy_from_the_client() {
    let directory = Directory::new(&[
        (
            "V1__data.sql",
            "COPY t (a, b) FROM stdin;\n1\tit's\n2\t(\n\\.\n\nSELECT 1;\nSELEC 2;\n",
        ),
        ("V2__out.sql", "COPY (SELECT 1) TO STDOUT;\nSELEC 2;\n"),
        ("V3__end.sql", "COPY t FROM STDIN"),
    ]);
    insta::assert_snapshot!(directory.problems());
    fine("COPY t FROM '/data/t.csv' (FORMAT csv);");
    fine("COPY t FROM PROGRAM 'cat' ;");
    fine("DO $$ BEGIN EXECUTE 'COPY t FROM STDIN'; END $$;");
}

#[test]
fn b35_a_new_enum_value_that_is_used_at_once() {
    let sql = "ALTER TYPE state ADD VALUE 'done';\nUPDATE t SET state = 'done';\n";
    let found = lines(sql);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with(
            "migrations/V1__x.sql:2:22: warning: the enum value 'done' was added above"
        )
    );
    fine(&format!("-- touchmark: no-transaction\n{sql}"));
    fine(
        "ALTER TYPE state ADD VALUE IF NOT EXISTS 'a' BEFORE 'b';\nALTER TYPE state ADD VALUE 'b';",
    );
    fine("CREATE TYPE state AS ENUM ('a');\nALTER TYPE state ADD VALUE 'b';\nSELECT 'b'::state;");
}

#[test]
fn b36_a_file_without_statements() {
    let directory = Directory::new(&[
        ("V1__empty.sql", ""),
        ("V2__space.sql", "\n  \n"),
        ("V3__comment.sql", "-- later\n/* or never */\n"),
        ("V4__semicolons.sql", ";;\n;"),
        ("V5__directive.sql", "-- touchmark: unparsed\n"),
        ("V6__fine.sql", "SELECT 1"),
        ("V6__fine.down.sql", "-- nothing to undo\n"),
    ]);
    insta::assert_snapshot!(directory.problems());
}

#[test]
fn statements_that_refuse_a_transaction() {
    for (sql, what) in [
        (
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "CREATE INDEX CONCURRENTLY",
        ),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
            "CREATE INDEX CONCURRENTLY",
        ),
        ("DROP INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY"),
        ("REINDEX TABLE CONCURRENTLY t", "REINDEX CONCURRENTLY"),
        ("REINDEX (CONCURRENTLY) TABLE t", "REINDEX CONCURRENTLY"),
        ("REINDEX SCHEMA s", "REINDEX SCHEMA"),
        ("REINDEX (VERBOSE) DATABASE d", "REINDEX DATABASE"),
        ("REINDEX SYSTEM d", "REINDEX SYSTEM"),
        ("VACUUM (ANALYZE) t", "VACUUM"),
        ("CLUSTER", "CLUSTER without a table"),
        ("CREATE DATABASE d", "CREATE DATABASE"),
        ("DROP DATABASE d", "DROP DATABASE"),
        ("CREATE TABLESPACE s LOCATION '/x'", "CREATE TABLESPACE"),
        ("DROP TABLESPACE s", "DROP TABLESPACE"),
        ("ALTER SYSTEM SET work_mem = '4MB'", "ALTER SYSTEM"),
        (
            "ALTER DATABASE d SET TABLESPACE s",
            "ALTER DATABASE … SET TABLESPACE",
        ),
        (
            "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY",
            "ALTER TABLE … DETACH PARTITION … CONCURRENTLY",
        ),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
            "CREATE SUBSCRIPTION",
        ),
        ("DROP SUBSCRIPTION s", "DROP SUBSCRIPTION"),
        (
            "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
            "ALTER SUBSCRIPTION … with refresh",
        ),
    ] {
        wrong(sql, &[&format!("1:1: `{what}` can't run in a transaction")]);
        fine(&format!("-- touchmark: no-transaction\n{sql};\n"));
    }
    for sql in [
        "REINDEX TABLE t",
        "REINDEX (CONCURRENTLY false) TABLE t",
        "CLUSTER t USING i",
        "CLUSTER VERBOSE t",
        "ANALYZE",
        "ALTER DATABASE d SET work_mem = '4MB'",
        "ALTER TABLE p DETACH PARTITION p1",
        "ALTER TABLE p DETACH PARTITION p1 FINALIZE",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = false)",
        "ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s",
        "DO $$ BEGIN EXECUTE 'VACUUM'; END $$",
    ] {
        fine(sql);
    }
}

#[test]
fn the_messages() {
    let directory = Directory::new(&[
        (
            "V0__unknown.sql",
            "SELEC 1;\nCREATE TABEL x (a int);\nfrobnicate;\nCREATE x;\n",
        ),
        (
            "V1__syntax.sql",
            "CREATE TABLE users (\n\tid bigint PRIMARY KEY,\n\tname txet[,\n);\n",
        ),
        ("V2__commit.sql", "UPDATE users SET name = '';\nCOMMIT;\n"),
        (
            "V3__index.sql",
            "CREATE INDEX CONCURRENTLY i ON users (name);\n",
        ),
        (
            "V4__lock.sql",
            "DISCARD ALL;\nSELECT pg_advisory_unlock(7);\n",
        ),
        (
            "V5__quote.sql",
            "COMMENT ON TABLE users IS 'the user's table';\n",
        ),
        ("V6__dollar.sql", "DO $do$\nBEGIN\nEND $od$;\n"),
        ("V7__comment.sql", "SELECT 1; /* a /* b */\n"),
        ("V8__name.sql", "SELECT \"a;\n"),
        (
            "V9__atomic.sql",
            "CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC\n  SELECT 1;\n",
        ),
    ]);
    insta::assert_snapshot!(directory.problems());
}

/// Each statement of such a file is a transaction of its own, and the session is cleaned after it.
#[test]
fn settings_do_not_last_in_a_file_without_a_transaction() {
    let header = "-- touchmark: no-transaction\n";
    for (sql, start) in [
        ("SET search_path = app;", "2:1: a setting does not last"),
        ("SET LOCAL lock_timeout = 0;", "2:1: a setting"),
        ("RESET ALL;", "2:1: a setting"),
        ("SELECT set_config('a.b', '', false);", "2:8: a setting"),
        ("CREATE TEMP TABLE t ();", "2:1: a temporary object"),
        (
            "CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1;",
            "2:1: a temporary",
        ),
        ("PREPARE p AS SELECT 1;", "2:1: a prepared statement"),
    ] {
        wrong(&format!("{header}{sql}"), &[start]);
        fine(sql);
    }
    fine(&format!(
        "{header}UPDATE t SET a = 1;\nALTER TABLE t SET (fillfactor = 50);"
    ));
}

#[test]
fn a_character_that_makes_a_syntax_error_is_its_cause() {
    for (sql, expected) in [
        (
            "SELECT\u{a0}1;",
            "1:7: syntax error: U+00A0 (no-break space) in `SELECT\\u{a0}1`",
        ),
        (
            "SELECT 1;\n\u{feff}SELECT 2;",
            "2:1: syntax error: U+FEFF (byte order mark) in `\\u{feff}SELECT`",
        ),
        (
            "SEL\u{200b}ECT 1;",
            "1:4: syntax error: U+200B (zero width space) in `SEL\\u{200b}ECT`",
        ),
        (
            "SELECT 1\u{200e};",
            "1:9: syntax error: U+200E (left-to-right mark) in `1\\u{200e}`",
        ),
        (
            "SELECT 1\u{2028}FROM t;",
            "1:9: syntax error: U+2028 (line separator) in `1\\u{2028}FROM`",
        ),
        (
            "SELECT 1\u{ad};",
            "1:9: syntax error: U+00AD (soft hyphen) in `1\\u{ad}`",
        ),
        (
            "SELECT 1；\nSELECT 2;",
            "1:9: syntax error: U+FF1B (which looks like `;`) in `1；`",
        ),
        (
            "INSERT INTO t VALUES （1）;",
            "1:22: syntax error: U+FF08 (which looks like `(`) in `（1）`",
        ),
        (
            "SELECT 1 WHERE 2 − 1 > 0;",
            "1:18: syntax error: U+2212 (which looks like `-`) in `−`",
        ),
        (
            "\u{202e}SELECT 1;",
            "1:1: syntax error: U+202E (an invisible character) in `\\u{202e}SELECT`",
        ),
        (
            "SELECT\u{3000}1;",
            "1:7: syntax error: U+3000 (a space that is not the one of ASCII)",
        ),
    ] {
        wrong(sql, &[expected]);
    }
    // The first error is theirs; what else is wrong comes next.
    wrong(
        "CREATE TABLE\u{a0}t (a\u{a0}int,);",
        &["1:13: syntax error: U+00A0"],
    );

    // What is wrong without them is not theirs.
    for sql in [
        "SELECT a, FROM t\u{200b};",
        "CREATE TABLE t (a\u{200b} int,);",
    ] {
        let found = lines(sql);
        assert_eq!(found.len(), 2, "{found:?}");
        let has = |what: &str| found.iter().any(|line| line.contains(what));
        assert!(has("warning: U+200B"), "{found:?}");
        assert!(
            has("error: syntax error: unexpected trailing comma"),
            "{found:?}"
        );
    }
}

#[test]
fn a_character_that_becomes_part_of_a_name_is_a_warning() {
    #[track_caller]
    fn warns(sql: &str, expected: &str) {
        let found = lines(sql);
        assert_eq!(found, [format!("migrations/V1__x.sql:{expected}")], "{sql}");
    }
    warns(
        "DROP TABLE a\u{200b};",
        "1:13: warning: U+200B (zero width space) is part of the name `a\\u{200b}`",
    );
    warns(
        "DROP TABLE a；",
        "1:13: warning: U+FF1B (which looks like `;`) is part of the name `a；`",
    );
    warns(
        "SELECT “a” FROM t;",
        "1:8: warning: U+201C (which looks like `\"`) is part of the name `“a”`",
    );
    warns(
        "CREATE TABLE t (a\u{a0}b int);",
        "1:18: warning: U+00A0 (no-break space) is part of the name `a\\u{a0}b`",
    );
    warns(
        "CREATE TABLE t (\"a\u{200b}\" int);",
        "1:19: warning: U+200B (zero width space) is part of the name `\"a\\u{200b}\"`",
    );
    warns(
        "-- touchmark: unparsed\nSELECT\u{a0}1;",
        "2:7: warning: U+00A0 (no-break space) is part of the name `SELECT\\u{a0}1`",
    );
    let body = "DO $$\nBEGIN\n  PERFORM 1;\u{a0}\nEND $$;";
    warns(
        body,
        "3:13: warning: U+00A0 (no-break space) is part of the name `\\u{a0}`",
    );
    let body =
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN x\u{200b} := 1; END $f$;";
    warns(
        body,
        "1:64: warning: U+200B (zero width space) is part of the name `x\\u{200b}`",
    );
    for sql in [
        "/* a\u{202e}b */ SELECT 1;",
        "SELECT 1; -- \u{2066}a",
        "SELECT 'a\u{202d}b';",
    ] {
        let found = lines(sql);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("turns the direction of the rest of the line"),
            "{found:?}"
        );
    }
}

#[test]
fn text_in_any_script_is_fine() {
    fine(
        "COMMENT ON TABLE t IS 'سلام\u{200f} \u{2067}عليكم\u{2069} 👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} a\u{a0}b “x” – …；';",
    );
    fine("-- No-break\u{a0}space, „quotes“ – and 日本語；（全角）\nSELECT 1; /* \u{200b} */");
    fine(
        "CREATE TABLE größe (名前 text, می\u{200c}خواهم int, \"売上（税込）\" int, \"l’été\" int, \"a – b\" int, ❤\u{fe0f} int);",
    );
    fine("SELECT E'\\u200b', U&'\\200B', $$\u{a0}$$;");
    fine("CREATE FUNCTION f() RETURNS text LANGUAGE plpython3u AS $$ x\u{a0}= 1 $$;");
    fine("DO $$ BEGIN RAISE NOTICE 'a\u{a0}b'; -- \u{a0}\nEND $$;");
}

/// The positions and words of errors that the server's grammar has found and the parser has not.
#[test]
fn what_only_the_servers_grammar_refuses() {
    wrong("SELECT a < b < c;", &["1:14: syntax error: unexpected `<`"]);
    wrong(
        "SELECT a FROM t LIMIT 1, 2;",
        &["1:17: syntax error: LIMIT #,# syntax is not supported"],
    );
    wrong("SELECT 1a;", &["1:8: syntax error: unexpected `1a`"]);
    wrong(
        "CREATE FUNCTION f() RETURNS bool LANGUAGE sql AS 'SELECT ''x'' < 2 < 3';",
        &["1:68: syntax error: unexpected `<`"],
    );
    wrong(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n  SELECT 1\n  FROM;\n$$;",
        &["3:7: syntax error: expected from item"],
    );
    fine(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SET NAMES 'UTF8'; ALTER ROLE r SET TIME ZONE 'UTC'; $$;",
    );
}
