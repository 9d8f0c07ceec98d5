//! What statements mean for a run without a transaction.

use touchmark_core::StatementKind::{
    self, Committing, CreateIndexConcurrently, DropIndexConcurrently, Opaque, Rerunnable,
    Transactional,
};

use crate::directory::fine;

fn created(schema: Option<&str>, table: &str, index: &str) -> StatementKind {
    CreateIndexConcurrently {
        schema: schema.map(str::to_owned),
        table: table.to_owned(),
        index: index.to_owned(),
        if_not_exists: false,
    }
}

fn dropped(schema: Option<&str>, index: &str) -> StatementKind {
    DropIndexConcurrently {
        schema: schema.map(str::to_owned),
        index: index.to_owned(),
    }
}

#[test]
fn b31_kinds() {
    for (sql, expected) in [
        (
            "CREATE INDEX CONCURRENTLY I_x ON Users (a)",
            created(None, "users", "i_x"),
        ),
        (
            "create unique index concurrently \"I x\" on only App.\"Users\" using btree (a)",
            created(Some("app"), "Users", "I x"),
        ),
        (
            "CREATE INDEX CONCURRENTLY i ON db.app.users (a)",
            created(Some("app"), "users", "i"),
        ),
        (
            "CREATE INDEX /* why */ CONCURRENTLY -- x\n i ON \"a\"\"b\".U&\"d\\0061t\" (a)",
            created(Some("a\"b"), "dat", "i"),
        ),
        ("DROP INDEX CONCURRENTLY I", dropped(None, "i")),
        (
            "DROP INDEX CONCURRENTLY IF EXISTS App.\"I\" RESTRICT",
            dropped(Some("app"), "I"),
        ),
        ("VACUUM FULL t", Rerunnable),
        ("REINDEX INDEX CONCURRENTLY i", Rerunnable),
        ("ALTER SYSTEM RESET ALL", Rerunnable),
        ("DROP DATABASE IF EXISTS d", Rerunnable),
        ("CREATE DATABASE d", Opaque),
        ("DROP DATABASE d", Opaque),
        ("ALTER TABLE p DETACH PARTITION q CONCURRENTLY", Opaque),
        ("CALL p()", Committing),
        ("DO $$ BEGIN UPDATE t SET a = 1; COMMIT; END $$", Committing),
        (
            "DO $$ BEGIN UPDATE t SET committed = 1; END $$",
            Transactional,
        ),
        ("UPDATE t SET a = 1", Transactional),
        ("CREATE INDEX i ON t (a)", Transactional),
        ("ALTER TYPE e ADD VALUE 'x'", Transactional),
    ] {
        let script = fine(&format!("-- touchmark: no-transaction\n{sql};\n"));
        assert_eq!(script.statements.len(), 1, "{sql}");
        assert_eq!(script.statements[0].kind, expected, "{sql}");
    }
}

#[test]
fn of_a_transaction_nothing_is_asked_but_where_they_stand() {
    let script = fine("CALL p(); DO $$ BEGIN COMMIT; END $$;");
    assert_eq!((script.spans.len(), script.statements.len()), (2, 0));
}

#[track_caller]
fn same_meaning(one: &str, other: &str, expected: bool) {
    let meaning = |sql: &str| {
        let script = fine(&format!("-- touchmark: unparsed\n{sql}"));
        touchmark_core::semantic(&script.sql)
    };
    assert_eq!(meaning(one) == meaning(other), expected, "{one}\n{other}");
}

#[test]
fn a_cosmetic_edit_keeps_the_semantic_hash() {
    same_meaning("SELECT 1;", "-- why\nSELECT\n\t1 /* x */ ; -- end", true);
    same_meaning("SELECT a,b", "SELECT a , b", true);
    same_meaning("SELECT 1;", "SELECT 2;", false);
    same_meaning("SELECT a b", "SELECT ab", false);
    same_meaning("SELECT 'a b'", "SELECT 'a  b'", false);
    same_meaning("SELECT $$a -- b\n$$", "SELECT $$a\n$$", false);
    same_meaning("SELECT 1 <- 2", "SELECT 1 < - 2", false);
    same_meaning("SELECT 'a'\n'b'", "SELECT 'a' -- x\n\n  'b'", true);
    same_meaning("SELECT 'a'\n'b'", "SELECT 'a' 'b'", false);
    same_meaning("SELECT U&'a'", "SELECT U & 'a'", false);
}
