//! Migrating from an async application.

use migrations::MIGRATIONS;
use touchmark::{Canceller, Migrator, Report, Target};

use crate::Error;
use crate::config::Config;
use crate::signals::Signals;

/// Migrates to what this binary embeds, and stops cleanly when a signal comes.
///
/// Without signals it is one line: `Migrator::new(&MIGRATIONS).run_async(database).await?`.
/// The first signal rolls back what runs and waits for that; exiting at once would leave the
/// statement running in the server, where it may still commit. The second also cancels a
/// statement that runs without a transaction.
///
/// # Errors
/// [`Error::Migration`] with all that can go wrong, [`Error::Interrupted`] after a signal.
pub async fn migrate(
    config: &Config,
    target: Target,
    signals: &mut Signals,
) -> Result<Report, Error> {
    let canceller = Canceller::new();
    let migrator = Migrator::new(&MIGRATIONS)
        .target(target)
        .ahead(config.ahead)
        .canceller(&canceller);
    let report = stoppable(migrator.run_async(&config.migration), &canceller, signals).await?;
    log(&report);
    Ok(report)
}

/// Waits for a run, and stops it when a signal comes.
pub(crate) async fn stoppable<T>(
    run: impl Future<Output = Result<T, touchmark::Error>>,
    canceller: &Canceller,
    signals: &mut Signals,
) -> Result<T, Error> {
    let mut run = std::pin::pin!(run);
    let mut received = None;
    let outcome = loop {
        tokio::select! {
            outcome = &mut run => break outcome,
            signal = signals.next() => {
                tracing::info!("{signal}: stopping");
                received.get_or_insert(signal);
                canceller.cancel();
            }
        }
    };
    match (outcome, received) {
        (Ok(report), None) => Ok(report),
        (Ok(_), Some(signal)) => Err(Error::Interrupted {
            signal,
            source: None,
        }),
        (
            Err(
                error @ (touchmark::Error::Cancelled { .. }
                | touchmark::Error::UndoCancelled { .. }),
            ),
            Some(signal),
        ) => Err(Error::Interrupted {
            signal,
            source: Some(error.into()),
        }),
        (Err(error), _) => Err(error.into()),
    }
}

fn log(report: &Report) {
    let (count, took) = (report.applied.len(), report.elapsed.as_millis());
    match count {
        0 => tracing::info!("the schema is current ({took} ms)"),
        _ => tracing::info!("migrated the schema: {count} applied ({took} ms)"),
    }
}
