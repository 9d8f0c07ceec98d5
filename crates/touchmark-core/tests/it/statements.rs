//! What statements mean for a run without a transaction.

use touchmark_core::Reindexed;
use touchmark_core::ServerObject::{Database, Subscription, Tablespace};
use touchmark_core::StatementKind::{
    self, Committing, Create, CreateIndexConcurrently, DetachConcurrently, Drop,
    DropIndexConcurrently, ReindexConcurrently, Rerunnable, Transactional, Vacuum,
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

fn detached(schema: Option<&str>, partition: (Option<&str>, &str)) -> StatementKind {
    DetachConcurrently {
        schema: schema.map(str::to_owned),
        table: "p".to_owned(),
        partition_schema: partition.0.map(str::to_owned),
        partition: partition.1.to_owned(),
    }
}

fn index(schema: Option<&str>, name: &str) -> StatementKind {
    ReindexConcurrently(Reindexed::Index {
        schema: schema.map(str::to_owned),
        name: name.to_owned(),
    })
}

fn table(schema: Option<&str>, name: &str) -> StatementKind {
    ReindexConcurrently(Reindexed::Table {
        schema: schema.map(str::to_owned),
        name: name.to_owned(),
    })
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
        ("VACUUM (VERBOSE, FULL) t", Rerunnable),
        ("VACUUM (FULL ON) t", Rerunnable),
        ("VACUUM (FULL false, ANALYZE) t", Vacuum),
        ("VACUUM", Vacuum),
        ("VACUUM ANALYZE t (a)", Vacuum),
        ("CLUSTER", Rerunnable),
        // In a transaction only where the table is not partitioned.
        ("CLUSTER t USING i", Rerunnable),
        ("REINDEX TABLE t", Rerunnable),
        ("REINDEX (VERBOSE) INDEX i", Rerunnable),
        ("REINDEX SCHEMA s", Rerunnable),
        ("REINDEX (CONCURRENTLY off) TABLE t", Rerunnable),
        ("REINDEX INDEX CONCURRENTLY I", index(None, "i")),
        (
            "REINDEX (CONCURRENTLY) INDEX s.\"I\"",
            index(Some("s"), "I"),
        ),
        (
            "REINDEX (VERBOSE, CONCURRENTLY TRUE) TABLE s.t",
            table(Some("s"), "t"),
        ),
        ("REINDEX (VERBOSE) TABLE CONCURRENTLY t", table(None, "t")),
        (
            "REINDEX SCHEMA CONCURRENTLY S",
            ReindexConcurrently(Reindexed::Schema("s".into())),
        ),
        (
            "REINDEX DATABASE CONCURRENTLY d",
            ReindexConcurrently(Reindexed::Database),
        ),
        (
            "REINDEX (CONCURRENTLY) DATABASE",
            ReindexConcurrently(Reindexed::Database),
        ),
        ("ALTER SYSTEM RESET ALL", Rerunnable),
        ("ALTER DATABASE d SET TABLESPACE t", Rerunnable),
        ("DROP DATABASE IF EXISTS d", Drop(Database, "d".into())),
        (
            "DROP DATABASE \"D\" WITH (FORCE)",
            Drop(Database, "D".into()),
        ),
        ("CREATE DATABASE D", Create(Database, "d".into())),
        (
            "CREATE TABLESPACE t LOCATION '/x'",
            Create(Tablespace, "t".into()),
        ),
        ("DROP TABLESPACE IF EXISTS t", Drop(Tablespace, "t".into())),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
            Create(Subscription, "s".into()),
        ),
        ("DROP SUBSCRIPTION s", Drop(Subscription, "s".into())),
        (
            "ALTER TABLE p DETACH PARTITION q CONCURRENTLY",
            detached(None, (None, "q")),
        ),
        (
            "ALTER TABLE IF EXISTS ONLY s.p DETACH PARTITION \"S\".q CONCURRENTLY",
            detached(Some("s"), (Some("S"), "q")),
        ),
        ("ALTER TABLE p DETACH PARTITION q FINALIZE", Transactional),
        ("ALTER TABLE p DETACH PARTITION q", Transactional),
        ("DO $$ BEGIN CALL p(); END $$", Committing),
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
