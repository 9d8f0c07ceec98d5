//! Round trips after connecting, counted from the server's log: with the simple protocol, one
//! message is one line.

use crate::harness::*;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int);");
const B: (&str, &str) = (
    "V2__b.sql",
    "CREATE TABLE b (id int); INSERT INTO b VALUES (1);",
);

#[track_caller]
fn check(application: &str, expected: usize) {
    let statements = statements_of(application);
    assert_eq!(statements.len(), expected, "{statements:#?}");
}

#[test]
fn a_start_with_nothing_to_do_costs_one() {
    let db = database();
    let set = encoded(&[A, B]);
    applied(&db.url, &set);
    applied(&named(&db.url, "rt_noop"), &set);
    check("rt_noop", 1);
}

#[test]
fn one_pending_migration_costs_three() {
    let db = database();
    applied(&db.url, &encoded(&[A]));
    alone(&db.url);
    applied(&named(&db.url, "rt_pending"), &encoded(&[A, B]));
    check("rt_pending", 3);
}

#[test]
fn each_further_migration_costs_one() {
    let db = database();
    // Looking, locking and finding no tables, creating them, and two migrations.
    applied(&named(&db.url, "rt_fresh"), &encoded(&[A, B]));
    check("rt_fresh", 5);
}
