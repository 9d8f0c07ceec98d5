//! The splitter against `psql` and the server: for the same file, they make the same statements of it.

use std::process::Command;

use postgres::SimpleQueryMessage;
use postgres::error::SqlState;
use touchmark_core::{check, file_name, semantic};

use crate::harness::*;

/// Everything that quotes or nests, with a semicolon in it.
const TRICKY: &str = r#"-- A comment; with a semicolon, and it's quoted.
CREATE TABLE t (a int, "b;""c" text, d$e int); /* one /* two; */ three; */
INSERT INTO t VALUES (1, 'it''s; \', 2), (2, E'it\'s;\\', 3);
SELECT 'a' -- a comment between
    'b;';
SELECT U&'d\0061t\+000061;', U&"b!003B""c" UESCAPE '!' FROM t;
SELECT $$;$$, $tag$;$$;$other$;$tag$, $ü$;$ü$;
SELECT B'01', X'1F', N'n;', 1.5e-3, 1 +/* ; */2, 3 --;
    -1;;
;
DO $do$
BEGIN
    PERFORM $x$;$x$; -- it's
    EXECUTE $q$SELECT ';'; $q$;
END
$do$;
CREATE FUNCTION f(begin int, OUT "end" int) LANGUAGE sql AS 'SELECT $1; SELECT 2;';
CREATE FUNCTION g(a int) RETURNS int LANGUAGE sql
BEGIN ATOMIC
    SELECT 1;
    SELECT CASE WHEN a > 1 THEN CASE a WHEN 2 THEN 3 END ELSE (CASE WHEN true THEN 1 END) END;
END;
CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC
    INSERT INTO t VALUES (1); DELETE FROM t WHERE a = 1;
END; SELECT 'on the same line';
CREATE RULE r AS ON UPDATE TO t DO ALSO (INSERT INTO t VALUES (7); DELETE FROM t WHERE a = 7);
CREATE SCHEMA s CREATE TABLE u (v int) CREATE VIEW w AS SELECT v FROM u;
SELECT a<-1, a< -1, a - - 1, (a)::text || ';' FROM t;
SELECT (ARRAY[1, 2])[1], '{";"}'::text[], '{";": 1}'::jsonb -> ';';
SELECT 'without an end' -- and without a line end"#;

#[test]
fn b32_statements_are_those_that_psql_sends() {
    if !test_needs::has("psql") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("V1__tricky.sql");
    std::fs::write(&file, TRICKY).unwrap();
    let ours = semantic(TRICKY);
    let db = database();
    let output = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&file)
        .arg(named(&db.url, "psql_splits"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Of `;;` it sends the second one too.
    let mut sent = sent("psql_splits");
    sent.retain(|statement| statement != ";");
    for (at, statement) in sent.iter().enumerate() {
        assert_eq!(
            semantic(statement),
            [ours[at]],
            "statement {at}: {statement}"
        );
    }
    assert_eq!(sent.len(), ours.len());
}

/// `psql` reads line by line, so it doesn't see that a string goes on in the next line with its
/// escapes. The server does, and it is the server that gets our text.
#[test]
fn b32_statements_are_those_that_the_server_counts() {
    let mut client = client(&database().url);
    for sql in [
        TRICKY,
        "SELECT E'a'\n'\\';b' AS x; SELECT 2",
        "SELECT E'a' -- '\n -- '\n '\\';b'\n'\\';' AS x; SELECT 2",
        "SELECT E'a'\n'b'\n'\\\\'; SELECT ';'",
        "SELECT 'a'\n'\\'; SELECT ';'",
        "SELECT 1 -- x\r; SELECT 2",
        "SELECT 1\r-- x; \rAS a; SELECT 2",
        "SELECT 1 a$$; SELECT 2 AS b$$",
        "SELECT 1 AS \u{a0}; SELECT 2",
    ] {
        let messages = client
            .simple_query(sql)
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let completed =
            |m: &&SimpleQueryMessage| matches!(m, SimpleQueryMessage::CommandComplete(_));
        assert_eq!(
            messages.iter().filter(completed).count(),
            semantic(sql).len(),
            "{sql}"
        );
    }
}

/// The statements of one application in the server's log, which indents their further lines.
fn sent(application: &str) -> Vec<String> {
    let log = std::fs::read_to_string(server().log()).unwrap();
    let mut sent: Vec<String> = Vec::new();
    let mut is_ours = false;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let (true, Some(statement)) = (is_ours, sent.last_mut()) {
                statement.push('\n');
                statement.push_str(more);
            }
            continue;
        }
        let statement = line.split_once(" LOG:  statement: ");
        let of = statement.filter(|(prefix, _)| prefix.ends_with(&format!(" {application}")));
        is_ours = of.is_some();
        sent.extend(of.map(|(_, statement)| statement.to_owned()));
    }
    sent
}

/// In a `BEGIN ATOMIC` body `end` and `case` may name columns without `AS`. psql counts these words and splits in other
/// places, so the server is asked.
#[test]
fn names_in_bodies_are_those_that_the_server_reads() {
    let mut client = client(&database().url);
    client.simple_query("CREATE TABLE t (a int)").unwrap();
    for (at, body) in [
        "SELECT 1, 2 end;",
        "SELECT 1 end, 2 case;",
        "SELECT 1 case FROM t; SELECT 2 end WHERE true;",
        "SELECT 1 end ORDER BY 1; SELECT 2 case UNION SELECT 3 end;",
        "SELECT CASE WHEN true THEN 1 END end;",
        "SELECT CASE WHEN true THEN 1 END case;",
        "SELECT CASE CASE 1 WHEN 1 THEN 2 END WHEN 2 THEN 3 END, 1 AS end;",
        "SELECT (CASE 1 WHEN 1 THEN (SELECT 1 end) END) case FROM (SELECT 1 end) x WHERE x.end = 1;",
        "SELECT CASE x.end WHEN 1 THEN x . end END AS case FROM (SELECT 1 AS \"end\") x;",
        "SELECT CASE x.case WHEN 1 THEN 2 ELSE x.case END FROM (SELECT 1 AS case) x;",
        "SELECT begin atomic FROM (SELECT 1 begin) x; SELECT 1 begin;",
        "INSERT INTO t SELECT 1 case RETURNING a end;",
        "INSERT INTO t SELECT 1 end ON CONFLICT DO NOTHING; SELECT 1;",
        "UPDATE t SET a = CASE a WHEN 1 THEN 2 END RETURNING a case, 1 end;",
        "WITH x AS (SELECT 1 case), y AS (SELECT 2 end) SELECT y.end end FROM x, y;",
        "SELECT 'end', $$end;$$, \"end\" /* end */ -- end\n FROM (SELECT 1 end) x;",
        "; SELECT 1 end; ;",
    ]
    .into_iter()
    .enumerate()
    {
        for create in ["FUNCTION", "PROCEDURE"] {
            let returns = if create == "FUNCTION" { "RETURNS SETOF record" } else { "" };
            let first = format!("CREATE OR REPLACE {create} {create}_{at}() {returns} BEGIN ATOMIC {body} END");
            let sql = format!("{first}; SELECT 2;");
            let messages = client.simple_query(&sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
            let completed = |m: &&SimpleQueryMessage| matches!(m, SimpleQueryMessage::CommandComplete(_));
            assert_eq!(messages.iter().filter(completed).count(), 2, "{sql}");
            assert_eq!(semantic(&sql), [semantic(&first), semantic("SELECT 2")].concat(), "{sql}");
            assert_eq!(semantic(&first).len(), 1, "{sql}");
        }
    }
}

/// The server takes `END` for a name where no statement can end, and reads on.
#[test]
fn a_body_that_the_server_does_not_see_end() {
    let mut client = client(&database().url);
    for sql in [
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 END; SELECT 2",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1; END; SELECT 2",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT (1; END; SELECT 2",
    ] {
        let error = client.simple_query(sql).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR), "{sql}");
        let name = file_name("V1__x.sql").unwrap();
        let found = check(&name, sql.as_bytes().to_vec(), "V1__x.sql", &[]);
        assert_eq!(found.len(), 1, "{sql}: {found:?}");
    }
}
