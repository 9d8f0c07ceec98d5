//! The server's life: it listens, serves, and stops when it is asked to.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::Error;
use crate::config::Config;
use crate::http::{self, Service};
use crate::readiness::Readiness;
use crate::repository::{self, IngestionRequests};
use crate::signals::Signals;

/// How long open requests have to end after a signal. Kubernetes kills after 30 s.
const DRAIN: Duration = Duration::from_secs(20);

/// Serves a migrated database until a signal comes, then answers what is open and returns.
///
/// # Errors
/// When the address can't be listened at, the server fails, or a second signal comes.
pub async fn serve(config: &Config, address: &str, signals: &mut Signals) -> Result<(), Error> {
    let pool = repository::pool(&config.database)?;
    let service = Service {
        requests: IngestionRequests::new(pool.clone()),
        readiness: Readiness::new(pool.clone(), config.clone()).into(),
    };
    let failed = |source| Error::Listen {
        address: address.into(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, http::router(service))
        .with_graceful_shutdown(async {
            // A dropped sender means the same as a sent one.
            let _ = stopped.await;
        })
        .into_future();
    let mut server = std::pin::pin!(server);
    tracing::info!("listening on http://{local}");

    tokio::select! {
        outcome = &mut server => return outcome.map_err(Error::Serve),
        signal = signals.next() => tracing::info!("{signal}: answering what is open, then stopping"),
    }
    drop(stop);
    tokio::select! {
        outcome = &mut server => outcome.map_err(Error::Serve)?,
        signal = signals.next() => return Err(Error::Interrupted { signal, source: None }),
        () = tokio::time::sleep(DRAIN) => {
            tracing::warn!("requests are still open after {} s; stopping without them", DRAIN.as_secs());
        }
    }
    pool.close();
    tracing::info!("stopped");
    Ok(())
}
