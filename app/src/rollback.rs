//! Undoing from an async application, also what a newer binary has applied.

use std::io::{self, BufRead, IsTerminal, Write};

use migrations::MIGRATIONS;
use touchmark::{Canceller, Migrator, RollbackPlan, RollbackTarget};

use crate::Error;
use crate::config::Config;
use crate::migration::stoppable;
use crate::signals::Signals;

/// Shows what would be undone, asks, and undoes exactly that. Signals are taken as
/// [`migrate`](crate::migration::migrate) takes them.
///
/// # Errors
/// [`Error::NotConfirmed`], [`Error::Migration`] with all that can go wrong, and
/// [`Error::Interrupted`] after a signal.
pub async fn rollback(
    config: &Config,
    target: RollbackTarget,
    yes: bool,
    signals: &mut Signals,
) -> Result<(), Error> {
    let canceller = Canceller::new();
    let migrator = Migrator::new(&MIGRATIONS).canceller(&canceller);
    let look = migrator.rollback_plan_async(&config.migration, target);
    let plan = stoppable(look, &canceller, signals).await?;
    show(&plan);
    if plan.steps.is_empty() {
        return Ok(());
    }
    if !yes {
        ask(signals).await?;
    }
    let run = migrator.rollback_as_planned_async(&config.migration, plan);
    let report = stoppable(run, &canceller, signals).await?;
    let (count, took) = (report.undone.len(), report.elapsed.as_millis());
    tracing::info!("undid {count} ({took} ms)");
    Ok(())
}

fn show(plan: &RollbackPlan) {
    for step in &plan.steps {
        tracing::info!("to be undone: {} with {}", step.id, step.source);
    }
    for id in &plan.again {
        tracing::info!("applied again by the next migration: {id}");
    }
    match &plan.newest {
        Some(newest) => tracing::info!("then the schema is at {newest}"),
        None => tracing::info!("then nothing is applied"),
    }
}

/// Asks on a terminal.
async fn ask(signals: &mut Signals) -> Result<(), Error> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Error::NotConfirmed("there is nobody to ask"));
    }
    // The terminal may be gone, and then nobody answers.
    let _ = write!(
        io::stderr(),
        "Data goes with what is dropped. Type yes to undo this: "
    );
    let (sender, answer) = tokio::sync::oneshot::channel();
    // A thread of its own: nobody waits for it when a signal comes in between.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        sender.send(read.is_ok() && line.trim() == "yes")
    });
    tokio::select! {
        answer = answer => match answer {
            Ok(true) => Ok(()),
            _ => Err(Error::NotConfirmed("not confirmed")),
        },
        signal = signals.next() => Err(Error::Interrupted { signal, source: None }),
    }
}
