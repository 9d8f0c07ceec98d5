//! Every operation, disturbed at each of its messages: what comes after is as if nothing had
//! happened.

use std::sync::LazyLock;

use crate::kill_harness::child;
use crate::kill_harness::fault::{Fault, Moment, Way, What};
use crate::kill_harness::lab::Lab;
use crate::kill_harness::scenario::Scenario;
use crate::kill_harness::trial::{Runner, held, trial};

static LAB: LazyLock<Lab> = LazyLock::new(Lab::start);

/// Disturbs a scenario at each message; every fault must land.
fn at_every_message(name: &str) {
    let mut database = LAB.database();
    let prepared = LAB.prepare(Scenario::named(name), &mut database);
    let mut problems = Vec::new();
    let begun = std::time::Instant::now();
    let mut n = 0;
    for fault in faults(&prepared) {
        n += 1;
        let outcome = match fault.what {
            What::Hold => held(&LAB, &prepared, &mut database, fault),
            _ => {
                let runner = Runner {
                    faults: vec![fault],
                    ..Runner::default()
                };
                match trial(&LAB, &prepared, &mut database, &[runner]) {
                    Ok(outcomes) if outcomes[0].landed.len() != 1 => Err("not landed".into()),
                    outcome => outcome.map(drop),
                }
            }
        };
        if let Err(problem) = outcome {
            problems.push(format!("{fault}: {problem}"));
        }
    }
    eprintln!("{name}: {n} in {:?}; {}/{}", begun.elapsed(), prepared.count(Way::ToServer), prepared.count(Way::ToClient));
    assert!(problems.is_empty(), "{name}\n{}", problems.join("\n"));
}

/// What is done at the messages of a scenario.
fn faults(prepared: &crate::kill_harness::lab::Prepared) -> Vec<Fault> {
    use Moment::{After, Before, Half};
    use Way::{ToClient, ToServer};
    use What::{Cut, Hold, Terminate};
    let mut faults = Vec::new();
    for (way, moment, what) in [
        (ToServer, Before, Cut),
        (ToServer, Half, Cut),
        (ToServer, After, Cut),
        (ToServer, Before, Terminate),
        (ToServer, Half, Terminate),
        (ToServer, After, Terminate),
        (ToServer, Before, Hold),
        (ToClient, Before, Cut),
    ] {
        let first = match what {
            Terminate => prepared.login(way) + 1,
            _ => 1,
        };
        faults.extend((first..=prepared.count(way)).map(|number| Fault {
            way,
            number,
            moment,
            what,
        }));
    }
    faults
}

#[test]
fn a_process_of_its_own() {
    child::perform_if_spawned();
}

macro_rules! at_every_message {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            at_every_message($name);
        }
    )*};
}

at_every_message! {
    a_run: "run",
    a_run_without_a_transaction: "run without a transaction",
    a_run_with_a_statement_that_commits: "run with a statement that commits",
    a_run_that_fails: "run that fails",
    a_run_that_fails_without_a_transaction: "run that fails without a transaction",
    a_rollback: "rollback",
    a_stamp: "stamp",
    a_stamp_on_refinerys_history: "stamp on refinery's history",
    an_adoption: "adoption of refinery's history",
    an_acceptance: "accept",
    a_resolution_as_done: "resolve: done",
    a_resolution_to_retry: "resolve: retry",
    a_resolution_to_abandon: "resolve: abandon",
}
