//! The syntax check against real servers: what they take is taken, and what they refuse is refused.

use postgres::Client;
use postgres::error::SqlState;
use touchmark_core::{Diagnostic, Severity, check, file_name};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::harness::*;

/// A statement for every production of the grammars of PostgreSQL 15 and 18, and more where squawk's parser reads
/// something else. Before each stands what 13, 18 and the check say: `+` where it is taken, `-` where it is a syntax
/// error.
const STATEMENTS: &str = include_str!("../fixtures/grammar.txt");

struct Case {
    on_13: bool,
    on_18: bool,
    here: bool,
    sql: &'static str,
}

fn cases() -> impl Iterator<Item = Case> {
    STATEMENTS.lines().map(|line| {
        let (verdicts, sql) = line.split_once(' ').unwrap();
        let taken: Vec<bool> = verdicts.chars().map(|verdict| verdict == '+').collect();
        Case {
            on_13: taken[0],
            on_18: taken[1],
            here: taken[2],
            sql,
        }
    })
}

/// Whether the server can parse a text. It parses all of a message before it carries out the first statement, and that
/// one fails.
fn parses(client: &mut Client, sql: &str) -> bool {
    let error = client
        .simple_query(&format!("SELECT 1/0; {sql}"))
        .unwrap_err();
    error.code() == Some(&SqlState::DIVISION_BY_ZERO)
}

/// The syntax errors of a migration.
fn errors(sql: &str) -> Vec<Diagnostic> {
    let name = file_name("V1__x.sql").unwrap();
    let mut found = check(&name, sql.as_bytes().to_vec(), "V1__x.sql", &[]);
    let is_syntax = |message: &str| {
        let words = ["syntax error", "unclosed", "unterminated"];
        words.iter().any(|word| message.starts_with(word))
    };
    found.retain(|d| d.severity == Severity::Error && is_syntax(&d.message));
    found
}

#[track_caller]
fn agrees(installation: &Installation, taken: fn(&Case) -> bool) {
    let server = TestServer::start(installation, &[]).unwrap();
    let mut client = client(&server.create_database().unwrap().url);
    for case in cases() {
        assert_eq!(parses(&mut client, case.sql), taken(&case), "{}", case.sql);
    }
}

#[test]
fn the_statements_are_what_postgresql_13_says() {
    agrees(&Installation::major(13).unwrap(), |case| case.on_13);
}

#[test]
fn the_statements_are_what_postgresql_18_says() {
    agrees(&Installation::major(18).unwrap(), |case| case.on_18);
}

#[test]
fn the_check_says_of_each_statement_what_it_should() {
    for case in cases() {
        let errors = errors(case.sql);
        assert_eq!(errors.is_empty(), case.here, "{}: {errors:?}", case.sql);
    }
}

/// Statements that are a syntax error to the check, and not to the parser of a server, are refused by it all the same,
/// in a database that has what they name.
#[test]
fn what_is_refused_later_is_refused() {
    let db = database();
    let mut client = client(&db.url);
    client
        .batch_execute("CREATE TABLE a (a int, b text); CREATE DOMAIN d AS int")
        .unwrap();
    for sql in [
        "SELECT DEFAULT FROM a",
        "ALTER TABLE a ALTER a TYPE int USING DEFAULT",
        "UPDATE a SET (a) = a",
        "SELECT (a, a) OVERLAPS ROW () FROM a",
        "SELECT a OVERLAPS (a, a) FROM a",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql STRICT STRICT AS 'SELECT 1'",
        "CREATE FUNCTION f(VARIADIC a int[], b int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT 1 UNION SELECT a INTO c FROM a",
        "CREATE VIEW v AS SELECT a INTO c FROM a",
        "SELECT int4(a ORDER BY a) 'a' FROM a",
        "SELECT a FROM a LIMIT 1, 2",
        "CREATE ASSERTION x CHECK (a > 0)",
        "ALTER TYPE t DROP VALUE 'a'",
        "CREATE ROLE r UNENCRYPTED PASSWORD 'x'",
        "CREATE TABLE b.* (a int)",
        "SELECT f[1](a) FROM a",
    ] {
        assert_eq!(errors(sql).len(), 1, "{sql}");
        assert!(client.simple_query(sql).is_err(), "{sql}");
    }
}
