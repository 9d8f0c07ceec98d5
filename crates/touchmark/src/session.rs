//! The one connection of a run: its own, never from a pool, and never made again behind the
//! run's back.

mod aside;
mod connect;
mod hosts;
mod loss;
mod settings;

use std::cell::Cell;
use std::io::Cursor;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, SimpleQueryMessage, SimpleQueryRow};

use crate::Error;
use crate::cancel::{CancelAt, Canceller};
use crate::event::{Activity, Event, Events, activities};
use crate::tls::{Connector, Notices};
use aside::{Seen, Silence};

pub(crate) use connect::{Patience, connect};
pub(crate) use hosts::hosts;
use loss::deepest;
pub(crate) use loss::{Cause, Loss};
pub(crate) use settings::settings;

/// A connection and the runtime that drives it.
pub(crate) struct Session<'a> {
    runtime: Runtime,
    client: Client,
    drive: JoinHandle<Option<tokio_postgres::Error>>,
    notices: Notices,
    connector: Connector,
    /// Of the one host that it is connected to.
    config: Config,
    canceller: Canceller,
    events: Events<'a>,
    /// How long the server may say nothing.
    answer: Duration,
    /// Which of the hosts it is connected to.
    pub host: usize,
    /// The process ID that the server, or a pooler in front of it, gave at the start.
    pub start_pid: Option<i32>,
    /// The server's process that works for this session. None where that is not known, or where a
    /// pooler gives each transaction another one.
    pub backend: Option<i32>,
    /// When the server was started, as it writes times.
    pub server_start: Option<String>,
    /// Whether the server was seen to be a primary.
    pub was_primary: bool,
    /// How many pieces of data were sent.
    pieces: Cell<usize>,
    loss: Option<Loss>,
}

/// The rows of each statement of a batch.
pub(crate) type Results = Vec<Vec<SimpleQueryRow>>;

/// A batch that failed.
pub(crate) struct BatchError {
    /// The rows of the statements before the one that failed.
    pub done: Results,
    pub source: Cause,
    /// Whether it was cancelled from outside.
    pub cancelled: bool,
    /// Who held a lock that it waited for, as far as that was found out.
    pub blocked_by: Vec<Activity>,
}

/// How something ended that the server did.
struct Ended {
    outcome: Result<(), Cause>,
    cancelled: bool,
    blocked_by: Vec<Activity>,
}

/// The event that says who blocks a batch.
pub(crate) type BlockedEvent<'w> = dyn Fn(Vec<Activity>) -> Event + 'w;

/// How a batch is watched while it runs.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'w> {
    pub cancel_at: CancelAt,
    /// After this time, look who blocks it, and say so. None where the answer must come at once.
    pub look_after: Option<(Duration, &'w BlockedEvent<'w>)>,
}

impl Session<'_> {
    /// The role that the session was opened with.
    pub(crate) fn role(&self) -> String {
        self.config.get_user().unwrap_or("of the session").into()
    }

    /// Whether the connection is gone, and how.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// Waits, unless the run is cancelled first.
    pub(crate) fn pause(&self, pause: Duration) -> Result<(), Error> {
        match self.runtime.block_on(self.canceller.during(pause)) {
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
    ///
    /// When the server says nothing for long, it is asked over a second connection whether it
    /// still works on the message: what lies in between may acknowledge everything and pass
    /// nothing on.
    pub(crate) fn batch(&mut self, sql: &str, watch: Watch) -> Result<Results, BatchError> {
        let mut done = Vec::new();
        let ended = self.watched(collect(&self.client, sql, &mut done), watch);
        self.end(ended, done)
    }

    /// Sends the data of a `COPY` piece by piece, so that no more than a piece is in memory.
    pub(crate) fn copy_in(
        &mut self,
        sql: &str,
        pieces: impl Iterator<Item = Vec<u8>>,
        watch: Watch,
    ) -> Result<(), BatchError> {
        let copying = async {
            let sink = self.client.copy_in::<str, Cursor<Vec<u8>>>(sql).await?;
            let mut sink = pin!(sink);
            for piece in pieces {
                sink.send(Cursor::new(piece)).await?;
                self.pieces.set(self.pieces.get() + 1);
            }
            sink.finish().await.map(drop)
        };
        let ended = self.watched(copying, watch);
        self.end(ended, Vec::new()).map(drop)
    }

    /// Waits for the end of something that the server does.
    fn watched(
        &self,
        running: impl Future<Output = Result<(), tokio_postgres::Error>>,
        watch: Watch,
    ) -> Ended {
        let mut blocked_by = Vec::new();
        let mut cancelled = false;
        let outcome = self.runtime.block_on(async {
            if self.loss.is_some() {
                return Err(Cause::Silent);
            }
            let mut silence = Silence::new(self, watch.look_after.is_none());
            let mut running = pin!(running);
            let first = watch.look_after.map_or(self.answer, |(after, _)| after);
            let mut looking = self.look(first);
            let mut interrupted: Pin<Box<dyn Future<Output = ()> + '_>> =
                Box::pin(self.canceller.cancelled(watch.cancel_at));
            loop {
                let aside = select(looking.as_mut(), interrupted.as_mut());
                match select(running.as_mut(), aside).await {
                    Either::Left((outcome, _)) => break outcome.map_err(Cause::Driver),
                    Either::Right((Either::Left((seen, _)), _)) => {
                        if seen.blockers != blocked_by {
                            blocked_by.clone_from(&seen.blockers);
                            self.tell_blocked(&watch, seen.blockers.clone());
                        }
                        match silence.next_look(seen.state, self.pieces.get()) {
                            Some(pause) => looking = self.look(pause),
                            None => break Err(Cause::Silent),
                        }
                    }
                    Either::Right((Either::Right(_), _)) => {
                        cancelled = true;
                        interrupted = Box::pin(std::future::pending());
                        // An error here leaves the statement running; its end is waited for.
                        let cancel = (self.connector.cancel)(self.client.cancel_token());
                        let _ = tokio::time::timeout(ASIDE, cancel).await;
                        looking = self.look(self.answer / 3);
                    }
                }
            }
        });
        if cancelled && outcome.is_ok() {
            // The server carries a cancel out when it gets to it, whatever runs then: let that be
            // nothing.
            let nothing = format!("SELECT pg_catalog.pg_sleep({})", LATE_CANCEL.as_secs_f64());
            let _ = self.runtime.block_on(async {
                let mut none = Vec::new();
                let nothing = collect(&self.client, &nothing, &mut none);
                tokio::time::timeout(ASIDE, nothing).await.is_ok()
            });
        }
        Ended {
            outcome,
            cancelled,
            blocked_by,
        }
    }

    fn end(&mut self, ended: Ended, done: Results) -> Result<Results, BatchError> {
        self.emit_notices();
        let Err(source) = ended.outcome else {
            return Ok(done);
        };
        let source = self.end_of_connection(source);
        if self.loss.is_none() {
            self.loss = source.loss();
        }
        if self.loss.is_some() {
            self.drive.abort();
        }
        Err(BatchError {
            done,
            source,
            cancelled: ended.cancelled,
            blocked_by: ended.blocked_by,
        })
    }

    /// What the server said between two messages, where the next one only finds the connection
    /// closed.
    fn end_of_connection(&mut self, source: Cause) -> Cause {
        let is_closed = matches!(&source, Cause::Driver(error) if error.is_closed());
        if !is_closed || self.loss.is_some() || !self.drive.is_finished() {
            return source;
        }
        let ended = self.runtime.block_on(&mut self.drive).ok().flatten();
        ended.map_or(source, Cause::Driver)
    }

    /// Looks over a second connection, after a pause.
    fn look(&self, pause: Duration) -> Pin<Box<dyn Future<Output = Seen> + '_>> {
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            aside::look(self).await
        })
    }

    fn tell_blocked(&self, watch: &Watch, blockers: Vec<Activity>) {
        if blockers.is_empty() {
            return;
        }
        self.events.emit(match watch.look_after {
            Some((_, event)) => event(blockers),
            None => Event::WaitingForServer {
                cause: format!("it waits for {}", activities(&blockers)),
            },
        });
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
