//! One trial: runners that are disturbed, a start that is not, and everything as if nothing had
//! happened.

use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use touchmark::{Error, Event, Migrator, Set};

use super::fault::{Fault, Landed, Message, Way, What};
use super::lab::{Database, Lab, Prepared};
use super::proxy::Proxy;
use super::scenario::Scenario;
use super::{child, state};

/// A runner, and what is done to it.
#[derive(Clone, Debug, Default)]
pub struct Runner {
    /// How long after the first one it starts.
    pub after: Duration,
    /// In a process of its own, so that it can be killed.
    pub is_process: bool,
    pub faults: Vec<Fault>,
}

/// What became of a runner.
pub struct Outcome {
    /// None of a process.
    pub result: Option<Result<(), Error>>,
    pub events: Vec<Event>,
    pub landed: Vec<Landed>,
    pub trace: Vec<Message>,
}

/// Performs a scenario; with its events.
pub fn perform(scenario: &Scenario, set: &[u8], url: &str) -> (Result<(), Error>, Vec<Event>) {
    let events = Mutex::new(Vec::new());
    let result = performed(scenario, set, url, |event| {
        events.lock().unwrap().push(event.clone());
    });
    (result, events.into_inner().unwrap())
}

fn performed(
    scenario: &Scenario,
    set: &[u8],
    url: &str,
    on_event: impl Fn(&Event) + Send + Sync,
) -> Result<(), Error> {
    let set = Set::from_bytes(set);
    let migrator = Migrator::new(&set)
        .wait(Duration::from_secs(60))
        .on_event(on_event);
    scenario.perform(&migrator, url)
}

/// Disturbs the runners, starts again, and compares. The error says what is wrong.
pub fn trial(
    lab: &Lab,
    prepared: &Prepared,
    database: &mut Database,
    runners: &[Runner],
) -> Result<Vec<Outcome>, String> {
    database.reset(prepared);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let name = &database.name;
        let start = |runner| scope.spawn(move || disturbed(lab, prepared, name, runner));
        let running: Vec<_> = runners.iter().map(start).collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    });
    for outcome in &outcomes {
        judge(prepared, outcome, runners.len())?;
    }
    converges(prepared, database)?;
    Ok(outcomes)
}

fn disturbed(lab: &Lab, prepared: &Prepared, database: &str, runner: &Runner) -> Outcome {
    thread::sleep(runner.after);
    let proxy = Proxy::start(lab.folder(), runner.faults.clone());
    let url = proxy.url(database);
    let (mut result, mut events) = (None, Vec::new());
    if runner.is_process {
        proxy.victim(child::spawn(prepared.scenario, &url));
        proxy.wait_for_victim();
    } else {
        let (outcome, told) = perform(prepared.scenario, &prepared.set, &url);
        (result, events) = (Some(outcome), told);
    }
    Outcome {
        result,
        events,
        landed: proxy.landed(),
        trace: proxy.trace(),
    }
}

/// Holds a runner at a message until another one has finished or waits for it.
pub fn held(
    lab: &Lab,
    prepared: &Prepared,
    database: &mut Database,
    fault: Fault,
) -> Result<(), String> {
    assert_eq!(fault.what, What::Hold);
    database.reset(prepared);
    let proxy = Proxy::start(lab.folder(), vec![fault]);
    let (scenario, set) = (prepared.scenario, &prepared.set);
    let (held, other) = thread::scope(|scope| {
        let held = scope.spawn(|| perform(scenario, set, &proxy.url(&database.name)).0);
        proxy.wait_until_landed(1);
        let other = performed(scenario, set, &database.url, |event| {
            if let Event::WaitingForLock { .. } = event {
                proxy.release();
            }
        });
        proxy.release();
        (held.join().unwrap(), other)
    });
    expected(prepared, &held)?;
    expected(prepared, &other)?;
    holds_the_lock_first(&proxy.trace())?;
    drop(proxy);
    converges(prepared, database)
}

/// Starts once more, undisturbed, and compares everything.
fn converges(prepared: &Prepared, database: &mut Database) -> Result<(), String> {
    let (result, _) = perform(prepared.scenario, &prepared.set, &database.url);
    expected(prepared, &result).map_err(|e| format!("the start afterwards: {e}"))?;
    let difference = state::difference(&prepared.state, &database.state());
    match difference.is_empty() {
        true => Ok(()),
        false => Err(format!("it differs from an undisturbed run:\n{difference}")),
    }
}

/// Whether it ended as an undisturbed one, or found that another one had done it.
fn expected(prepared: &Prepared, result: &Result<(), Error>) -> Result<(), String> {
    match (result, &prepared.error) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(error)) => Err(format!("succeeded, and not: {error}")),
        (Err(error), _) if prepared.scenario.is_done(error) => Ok(()),
        (Err(error), Some(expected)) if error.to_string() == *expected => Ok(()),
        (Err(error), _) => Err(error.report().to_string()),
    }
}

/// Whether what a disturbed runner said is what it should say.
fn judge(prepared: &Prepared, outcome: &Outcome, runners: usize) -> Result<(), String> {
    holds_the_lock_first(&outcome.trace)?;
    let Some(result) = &outcome.result else {
        return Ok(());
    };
    let reconnected = |event: &Event| matches!(event, Event::Reconnecting { .. });
    if was(outcome, What::Terminate)
        && !was(outcome, What::Cut)
        && outcome.events.iter().any(reconnected)
    {
        return Err("a session that an administrator terminated was made again".into());
    }
    match result {
        Err(Error::PlanChanged) if runners > 1 && was(outcome, What::Cut) => Ok(()),
        Err(error) if is_loss(error) && may_end(prepared, outcome) => Ok(()),
        result if runners == 1 => {
            let error = result.as_ref().err().map(|error| error.to_string());
            match error == prepared.error {
                true => Ok(()),
                false => Err(format!("the disturbed one: {error:?}")),
            }
        }
        result => expected(prepared, result),
    }
}

/// How often a run connects again.
const RECONNECTS: usize = 3;

/// Whether a lost connection may be what a runner ends with.
fn may_end(prepared: &Prepared, outcome: &Outcome) -> bool {
    let landed = outcome.landed.iter();
    let cuts = landed.filter(|landed| landed.fault.what == What::Cut);
    cuts.clone().count() > RECONNECTS
        || cuts
            .into_iter()
            .any(|cut| cut.message.number <= prepared.login(cut.fault.way))
        || was(outcome, What::Terminate)
}

fn was(outcome: &Outcome, what: What) -> bool {
    outcome
        .landed
        .iter()
        .any(|landed| landed.fault.what == what)
}

fn is_loss(error: &Error) -> bool {
    match error {
        Error::ConnectionLost { .. } | Error::Connect { .. } => true,
        Error::Server { code, .. } => matches!(code.as_deref(), None | Some("57P01")),
        _ => false,
    }
}

/// What changes the database goes over a connection that has got the lock before, and no other.
pub fn holds_the_lock_first(trace: &[Message]) -> Result<(), String> {
    const CHANGES: [&str; 6] = [
        "INSERT INTO ",
        "CREATE ",
        "DROP ",
        "ALTER ",
        "UPDATE ",
        "VACUUM ",
    ];
    let mut asked = Vec::new();
    let mut locked = Vec::new();
    for message in trace {
        let connection = message.connection;
        match (message.way, message.tag) {
            (Way::ToServer, 'Q') => {
                let text = &message.text;
                asked.retain(|asked| *asked != connection);
                if text.contains("pg_try_advisory_lock(") {
                    asked.push(connection);
                }
                let changes = CHANGES.iter().any(|word| text.contains(word));
                if changes && !locked.contains(&connection) {
                    return Err(format!("changed without the lock: {message}"));
                }
            }
            (Way::ToClient, 'D') if message.text == "true" && asked.contains(&connection) => {
                locked.push(connection);
            }
            _ => {}
        }
    }
    Ok(())
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_process { "process" } else { "thread" };
        write!(f, "{kind} after {} ms", self.after.as_millis())?;
        for fault in &self.faults {
            write!(f, "; {fault}")?;
        }
        Ok(())
    }
}
