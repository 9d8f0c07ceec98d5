//! An older release on a database that a newer one has migrated on: battery 8.

use touchmark::{Ahead, Error, Migrator, Set};

use crate::harness::*;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int);");
const B: (&str, &str) = ("V2__b.sql", "CREATE TABLE b (id int);");
const COMPATIBLE: (&str, &str) = (
    "V2__b.sql",
    "-- touchmark: compatible-with previous\nCREATE TABLE b (id int);",
);
const VIEW: (&str, &str) = (
    "R__v.sql",
    "-- touchmark: compatible-with previous\nCREATE OR REPLACE VIEW v AS SELECT 2 AS x;",
);
const OLD_VIEW: (&str, &str) = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS x;");

const POLICIES: [Ahead; 3] = [Ahead::Refuse, Ahead::AcceptPrefix, Ahead::AcceptCompatible];

fn run(url: &str, files: &[(&str, &str)], build: &str, policy: Ahead) -> Result<(), Error> {
    let set = encoded(files);
    let set = Set::from_bytes(&set).with_build(build);
    Migrator::new(&set).ahead(policy).run(url).map(drop)
}

/// What the release `app 1` meets where other releases have gone on.
#[track_caller]
fn older(files: &[(&str, &str)], newer: &[&[(&str, &str)]], policy: Ahead) -> Result<(), Error> {
    let db = database();
    run(&db.url, files, "app 1", policy).unwrap();
    for (number, files) in newer.iter().enumerate() {
        let build = format!("app {}", number + 2);
        run(&db.url, files, &build, Ahead::default()).unwrap_or_else(|e| panic!("{}", e.report()));
    }
    let outcome = run(&db.url, files, "app 1", policy);
    let set = encoded(files);
    let ready = Migrator::new(&Set::from_bytes(&set)).ahead(policy);
    assert_eq!(ready.is_ready(&db.url).unwrap(), outcome.is_ok());
    outcome
}

/// Which of the policies let the older release start.
#[track_caller]
fn check(files: &[(&str, &str)], newer: &[&[(&str, &str)]], expected: &[Ahead]) {
    let accepting = POLICIES
        .into_iter()
        .filter(|policy| match older(files, newer, *policy) {
            Ok(()) => true,
            Err(Error::Ahead { .. }) => false,
            Err(error) => panic!("{}", error.report()),
        });
    assert_eq!(accepting.collect::<Vec<_>>(), expected);
}

#[test]
fn b08_policies() {
    use Ahead::{AcceptCompatible, AcceptPrefix};
    check(&[A], &[], &POLICIES);
    check(&[A], &[&[A, B]], &[AcceptPrefix]);
    check(&[A], &[&[A, COMPATIBLE]], &[AcceptPrefix, AcceptCompatible]);
    // Two releases ahead: each promises for the one before it.
    let c = (
        "V3__c.sql",
        "-- touchmark: compatible-with previous\nSELECT 1;",
    );
    check(
        &[A],
        &[&[A, COMPATIBLE], &[A, COMPATIBLE, c]],
        &[AcceptPrefix],
    );
    check(
        &[A],
        &[&[A, COMPATIBLE, c]],
        &[AcceptPrefix, AcceptCompatible],
    );
}

#[test]
fn b08_late_and_repeatable_files() {
    use Ahead::{AcceptCompatible, AcceptPrefix};
    let c = ("V3__c.sql", "CREATE TABLE c ();");
    let late = ("U2__b.sql", COMPATIBLE.1);
    check(&[A, c], &[&[A, late, c]], &[AcceptPrefix, AcceptCompatible]);
    check(&[A, c], &[&[A, ("U2__b.sql", B.1), c]], &[AcceptPrefix]);
    check(
        &[A, OLD_VIEW],
        &[&[A, COMPATIBLE, VIEW]],
        &[AcceptPrefix, AcceptCompatible],
    );
    let breaking = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 3 AS x;");
    check(
        &[A, OLD_VIEW],
        &[&[A, COMPATIBLE, breaking]],
        &[AcceptPrefix],
    );
    check(&[A], &[&[A, COMPATIBLE, breaking]], &[AcceptPrefix]);
}

/// What contradicts is refused, whatever the policy says about newer releases.
#[test]
fn b08_no_policy_accepts_a_contradiction() {
    for policy in POLICIES {
        let db = database();
        run(&db.url, &[A, COMPATIBLE], "app 2", policy).unwrap();
        for files in [
            &[("V1__a.sql", "CREATE TABLE a (id bigint);")][..],
            &[("V1__other.sql", A.1)],
            &[COMPATIBLE],
            &[A, ("V3__c.sql", "SELECT 1;")],
        ] {
            let error = run(&db.url, files, "app 1", policy).unwrap_err();
            assert!(matches!(error, Error::Divergent { .. }), "{error:?}");
        }
    }
}

#[track_caller]
fn report(files: &[(&str, &str)], newer: &[&[(&str, &str)]], policy: Ahead) -> String {
    older(files, newer, policy)
        .unwrap_err()
        .report()
        .to_string()
}

#[test]
fn b08_a_refusal_says_which_release_applied_what() {
    message!(report(&[A], &[&[A, B]], Ahead::Refuse), @"
    error: the database is ahead of this binary by V2__b, and the policy is to refuse that
           V2__b was applied by app 2 at [when]
    help: start app 2, or a newer release; the policy `accept-prefix` would let this one start
    ");
    let c = ("V3__c.sql", "SELECT 1;");
    message!(report(&[A], &[&[A, COMPATIBLE, c]], Ahead::AcceptCompatible), @"
    error: the database is ahead of this binary by V2__b, V3__c, and V3__c does not declare that the release before still runs
           V2__b was applied by app 2 at [when]
           V3__c was applied by app 2 at [when]
    help: start app 2, or a newer release; a migration after which the release before still runs says so when it is written: `-- touchmark: compatible-with previous`
    ");
    let c = (
        "V3__c.sql",
        "-- touchmark: compatible-with previous\nSELECT 1;",
    );
    let newer: [&[_]; 2] = [&[A, COMPATIBLE], &[A, COMPATIBLE, c]];
    message!(report(&[A], &newer, Ahead::AcceptCompatible), @"
    error: the database is ahead of this binary by V2__b, V3__c, and not all of these were applied by one release
           V2__b was applied by app 2 at [when]
           V3__c was applied by app 3 at [when]
    help: start app 3, or a newer release; what declares `compatible-with previous` is compatible with one release back
    ");
}

#[test]
fn b08_an_accepted_start_is_logged_and_costs_two_round_trips() {
    let db = database();
    let older = encoded(&[A]);
    applied(&db.url, &older);
    run(&db.url, &[A, B], "app 2", Ahead::default()).unwrap();
    let c = ("V3__c.sql", "SELECT 1;");
    run(
        &db.url,
        &[A, B, c],
        "app 3 (a1b2c3d4e5f6)",
        Ahead::default(),
    )
    .unwrap();
    let events = Events::default();
    watched(&named(&db.url, "ahead_accepted"), &older, &events).unwrap();
    assert_eq!(
        events.lines(),
        [
            "the database is ahead of this binary by V2__b, applied by app 2; V3__c, applied by app 3 (a1b2c3d4e5f6)"
        ]
    );
    assert_eq!(statements_of("ahead_accepted").len(), 2);
    // A policy costs nothing where there is nothing to decide.
    let set = encoded(&[A, B, c]);
    let set = Set::from_bytes(&set);
    let url = named(&db.url, "ahead_current");
    Migrator::new(&set).ahead(Ahead::Refuse).run(&url).unwrap();
    assert_eq!(statements_of("ahead_current").len(), 1);
}

/// A replica of the release before restarts while the new one builds an index.
#[test]
fn b08_a_newer_release_is_at_work() {
    let db = database();
    let older = encoded(&[A]);
    applied(&db.url, &older);
    let index = "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY i ON a (id);\nVACUUM nix;";
    let error = run(
        &db.url,
        &[A, ("V2__i.sql", index)],
        "app 2",
        Ahead::default(),
    );
    assert!(error.unwrap_err().failure().is_some());
    let events = Events::default();
    watched(&db.url, &older, &events).unwrap();
    assert_eq!(
        events.lines(),
        ["the database is ahead of this binary by V2__i (unfinished), applied by app 2"]
    );
}
