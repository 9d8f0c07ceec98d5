//! The one connection of a run: its own, never from a pool, and never made again behind the
//! run's back.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::backoff::Backoff;
use crate::cancel::{CancelAt, Canceller};
use crate::config::place;
use crate::event::{Activity, Event, Events};
use crate::tls::{Connector, Notices};
use crate::{Error, lock};

/// A connection and the runtime that drives it.
pub(crate) struct Session<'a> {
    runtime: Runtime,
    client: Client,
    notices: Notices,
    connector: Connector,
    config: Config,
    canceller: Canceller,
    events: Events<'a>,
    /// The process ID that the server, or a pooler in front of it, gave at the start.
    pub start_pid: Option<i32>,
}

/// The rows of each statement of a batch.
pub(crate) type Results = Vec<Vec<SimpleQueryRow>>;

/// A batch that failed.
pub(crate) struct BatchError {
    /// The rows of the statements before the one that failed.
    pub done: Results,
    pub source: tokio_postgres::Error,
    /// Whether it was cancelled from outside.
    pub cancelled: bool,
    /// Who held a lock that it waited for, as far as that was found out.
    pub blocked_by: Vec<Activity>,
}

/// The event that says who blocks a batch.
pub(crate) type BlockedEvent<'w> = dyn Fn(Vec<Activity>) -> Event + 'w;

/// How a batch is watched while it runs.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'w> {
    pub cancel_at: CancelAt,
    /// After this time, look who blocks it, and say so.
    pub look_after: Option<(Duration, &'w BlockedEvent<'w>)>,
}

impl<'a> Session<'a> {
    /// Connects. A server that is still starting, or that has no connection left, is asked
    /// again until the deadline.
    pub(crate) fn connect(
        connector: &Connector,
        config: &Config,
        canceller: &Canceller,
        events: Events<'a>,
        deadline: Instant,
    ) -> Result<Session<'a>, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Start)?;
        let notices = Notices::default();
        let mut backoff = Backoff::new();
        let client = loop {
            // The driver's own timeout ends with the socket's connection, before the login.
            let limit = config.get_connect_timeout().copied().unwrap_or(ANSWER);
            let opening = (connector.open)(config.clone(), notices.clone());
            let opened = runtime.block_on(async {
                let opening = pin!(tokio::time::timeout(limit, opening));
                match select(opening, pin!(canceller.cancelled(CancelAt::First))).await {
                    Either::Left((opened, _)) => Some(opened),
                    Either::Right(_) => None,
                }
            });
            let error = match opened {
                None => return Err(Error::Cancelled { at: None }),
                Some(Err(_)) => {
                    return Err(Error::Connect {
                        place: place(config),
                        cause: format!("no answer within {} s", limit.as_secs_f64()),
                        code: None,
                    });
                }
                Some(Ok(Ok((client, drive)))) => {
                    runtime.spawn(drive);
                    break client;
                }
                Some(Ok(Err(error))) => error,
            };
            if !passes_by_itself(&error) || Instant::now() >= deadline {
                return Err(connect_error(config, &error));
            }
            let cause = match error.as_db_error() {
                Some(server) => server.message().to_owned(),
                None => deepest(&error),
            };
            events.emit(Event::WaitingForServer { cause });
            let pause = backoff.next();
            if runtime.block_on(paused(pause, canceller)) {
                return Err(Error::Cancelled { at: None });
            }
        };
        let start_pid = runtime.block_on(start_pid(&client));
        Ok(Session {
            runtime,
            client,
            notices,
            connector: connector.clone(),
            config: config.clone(),
            canceller: canceller.clone(),
            events,
            start_pid,
        })
    }

    /// The role that the session was opened with.
    pub(crate) fn role(&self) -> String {
        self.config.get_user().unwrap_or("of the session").into()
    }

    /// Waits, unless the run is cancelled first.
    pub(crate) fn pause(&self, pause: Duration) -> Result<(), Error> {
        match self.runtime.block_on(paused(pause, &self.canceller)) {
            true => Err(Error::Cancelled { at: None }),
            false => Ok(()),
        }
    }

    /// Runs statements that only look: one round trip, rows by statement.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Results, BatchError> {
        let watch = Watch {
            cancel_at: CancelAt::First,
            look_after: None,
        };
        self.batch(sql, watch)
    }

    /// Runs statements that record something, which nobody cancels.
    pub(crate) fn settle(&mut self, sql: &str) -> Result<Results, BatchError> {
        let watch = Watch {
            cancel_at: CancelAt::Never,
            look_after: None,
        };
        self.batch(sql, watch)
    }

    /// Runs statements in one message: one round trip.
    pub(crate) fn batch(&mut self, sql: &str, watch: Watch) -> Result<Results, BatchError> {
        let this = &*self;
        let mut done = Vec::new();
        let mut blocked_by = Vec::new();
        let mut cancelled = false;
        let outcome = this.runtime.block_on(async {
            let mut running = pin!(collect(&this.client, sql, &mut done));
            let mut observing: Pin<Box<dyn Future<Output = Vec<Activity>> + '_>> =
                match watch.look_after {
                    None => Box::pin(std::future::pending()),
                    Some((after, _)) => Box::pin(async move {
                        tokio::time::sleep(after).await;
                        let looking = tokio::time::timeout(ASIDE, this.blockers());
                        looking.await.ok().flatten().unwrap_or_default()
                    }),
                };
            let mut interrupted: Pin<Box<dyn Future<Output = ()> + '_>> =
                Box::pin(this.canceller.cancelled(watch.cancel_at));
            loop {
                let aside = select(observing.as_mut(), interrupted.as_mut());
                match select(running.as_mut(), aside).await {
                    Either::Left((outcome, _)) => break outcome,
                    Either::Right((Either::Left((found, _)), _)) => {
                        observing = Box::pin(std::future::pending());
                        if let (false, Some((_, event))) = (found.is_empty(), watch.look_after) {
                            this.events.emit(event(found.clone()));
                        }
                        blocked_by = found;
                    }
                    Either::Right((Either::Right(_), _)) => {
                        cancelled = true;
                        interrupted = Box::pin(std::future::pending());
                        // An error here leaves the statement running; its end is waited for.
                        let cancel = (this.connector.cancel)(this.client.cancel_token());
                        let _ = tokio::time::timeout(ASIDE, cancel).await;
                    }
                }
            }
        });
        if cancelled && outcome.is_ok() {
            // The server carries a cancel out when it gets to it, whatever runs then: let that be
            // nothing.
            let nothing = format!("SELECT pg_catalog.pg_sleep({})", LATE_CANCEL.as_secs_f64());
            let _ = this
                .runtime
                .block_on(collect(&this.client, &nothing, &mut Vec::new()));
        }
        self.emit_notices();
        match outcome {
            Ok(()) => Ok(done),
            Err(source) => Err(BatchError {
                done,
                source,
                cancelled,
                blocked_by,
            }),
        }
    }

    /// Who blocks this session, seen over a second connection.
    async fn blockers(&self) -> Option<Vec<Activity>> {
        let pid = self.start_pid?;
        let (client, drive) = (self.connector.open)(self.config.clone(), Notices::default())
            .await
            .ok()?;
        let query = async {
            let mut done = Vec::new();
            collect(&client, &lock::blockers_sql(pid), &mut done)
                .await
                .ok()?;
            Some(lock::activities(done.first()?))
        };
        match select(drive, pin!(query)).await {
            Either::Left(_) => None,
            Either::Right((found, _)) => found,
        }
    }

    fn emit_notices(&self) {
        let taken = match self.notices.lock() {
            Ok(mut notices) => std::mem::take(&mut *notices),
            Err(_) => return,
        };
        for notice in taken {
            self.events.emit(notice);
        }
    }
}

/// How long a second connection may take, which only helps the first one.
const ASIDE: Duration = Duration::from_secs(5);
/// How late a cancel may arrive at the statement after the one that it was meant for.
const LATE_CANCEL: Duration = Duration::from_millis(200);
/// How long a server may take to answer a login, where the configuration does not say.
const ANSWER: Duration = Duration::from_secs(30);

/// Waits; true when it was cancelled.
async fn paused(pause: Duration, canceller: &Canceller) -> bool {
    let sleep = pin!(tokio::time::sleep(pause));
    let cancelled = pin!(canceller.cancelled(CancelAt::First));
    matches!(select(sleep, cancelled).await, Either::Right(_))
}

/// Sends one message and collects the rows by statement, those before an error too.
async fn collect(
    client: &Client,
    sql: &str,
    done: &mut Results,
) -> Result<(), tokio_postgres::Error> {
    let mut stream = pin!(client.simple_query_raw(sql).await?);
    let mut rows = Vec::new();
    while let Some(message) = stream.next().await {
        match message? {
            SimpleQueryMessage::Row(row) => rows.push(row),
            SimpleQueryMessage::CommandComplete(_) => done.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    Ok(())
}

/// The process ID of the start-up: the client keeps it to itself, and tells it only to a stream
/// that it believes to be the server's.
async fn start_pid(client: &Client) -> Option<i32> {
    let (ours, mut theirs) = tokio::io::duplex(64);
    client
        .cancel_token()
        .cancel_query_raw(ours, NoTls)
        .await
        .ok()?;
    let mut request = [0; 16];
    theirs.read_exact(&mut request).await.ok()?;
    let pid = request.get(8..12)?.try_into().ok()?;
    Some(i32::from_be_bytes(pid))
}

/// Whether a failed connection is worth another attempt.
fn passes_by_itself(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        // cannot_connect_now, too_many_connections
        Some(code) => matches!(code.code(), "57P03" | "53300"),
        // The queue before a Unix socket is full, which TCP would wait for by itself.
        None => std::iter::successors(std::error::Error::source(error), |error| error.source())
            .filter_map(|error| error.downcast_ref::<std::io::Error>())
            .any(|error| error.kind() == std::io::ErrorKind::WouldBlock),
    }
}

/// What a failed connection says: the server's words, or the system's, and never the string.
fn connect_error(config: &Config, error: &tokio_postgres::Error) -> Error {
    let (cause, code) = match error.as_db_error() {
        Some(server) => (
            server.message().to_owned(),
            Some(server.code().code().to_owned()),
        ),
        None => (deepest(error), None),
    };
    Error::Connect {
        place: place(config),
        cause,
        code,
    }
}

/// The innermost cause: tokio_postgres' own text only says that something failed.
pub(crate) fn deepest(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
