//! The one loop around all that changes a database: connecting, and connecting again when the
//! connection was lost or the server turns out to be a standby.

use std::time::{Duration, Instant};

use tokio_postgres::Config;

use super::Options;
use crate::Error;
use crate::backoff::Backoff;
use crate::event::{Event, Events};
use crate::session::{Loss, Patience, Session, connect, hosts};
use crate::transaction::Stop;
use crate::undo::Block;

/// Connects and makes an attempt, which looks at the database as it is then; and again with a new
/// connection when that one was lost, in whichever phase. It is not assumed that what was sent
/// last failed, nor that it succeeded.
pub(crate) fn attempts<T>(
    options: &Options,
    config: &Config,
    events: Events,
    mut attempt: impl FnMut(&mut Session) -> Result<T, Stop>,
) -> Result<T, Error> {
    let mut servers = Servers {
        options,
        hosts: hosts(config),
        events,
        standbys: Vec::new(),
        lost: Lost::default(),
        backoff: Backoff::new(),
    };
    let mut session = servers.first()?;
    loop {
        let stop = match attempt(&mut session) {
            Ok(done) => return Ok(done),
            Err(stop) => stop,
        };
        session = match happened(&mut session, options, stop) {
            Happened::Failed(error) => return Err(servers.lost.explain(error)),
            Happened::Lost { cause, loss } => servers.again(session, cause, loss)?,
            Happened::Standby(error) => servers.another(session, error)?,
        };
    }
}

/// How an attempt ended that did not reach its end.
enum Happened {
    /// The connection is gone.
    Lost {
        cause: String,
        loss: Loss,
    },
    /// The server is a standby, and there is something to do.
    Standby(Error),
    Failed(Error),
}

fn happened(session: &mut Session, options: &Options, stop: Stop) -> Happened {
    let error = match stop {
        Stop::Lost { cause } => Error::ConnectionLost { cause, then: None },
        Stop::Again { error, .. } => *error,
        Stop::Failed(error) => error,
    };
    if options.canceller.is_cancelled() {
        return Happened::Failed(error);
    }
    let loss = match (&error, session.loss()) {
        (_, Some(loss)) => Some(loss),
        (Error::ConnectionLost { .. }, None) => Some(Loss::Broken),
        _ => None,
    };
    if let Some(loss) = loss {
        let cause = match error {
            Error::ConnectionLost { cause, .. } => cause,
            other => other.to_string(),
        };
        return Happened::Lost { cause, loss };
    }
    let error = match sqlstate(&error) {
        Some("25006") => read_only(session, error),
        _ => error,
    };
    match is_standby(&error) {
        true => Happened::Standby(error),
        false => Happened::Failed(error),
    }
}

fn sqlstate(error: &Error) -> Option<&str> {
    match error {
        Error::Failed(failure) => Some(&failure.server.code),
        Error::Server { code, .. } => code.as_deref(),
        _ => None,
    }
}

fn is_standby(error: &Error) -> bool {
    match error {
        Error::Standby { .. } => true,
        Error::ReadOnly { remedy, .. } => remedy.is_none(),
        Error::Blocked { blocks } => blocks.contains(&Block::Standby),
        _ => false,
    }
}

/// Why the server took no writes: it is a standby, or the session is read-only by a setting. Where
/// it is neither, the file has made its own transaction read-only.
fn read_only(session: &mut Session, error: Error) -> Error {
    let asked = session.query(
        "ROLLBACK; SELECT pg_catalog.pg_is_in_recovery(), setting, source, \
         pg_catalog.quote_ident(session_user), pg_catalog.quote_ident(pg_catalog.current_database()) \
         FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'",
    );
    let answer = asked
        .ok()
        .and_then(|results| results.into_iter().nth(1)?.pop());
    let Some(row) = answer else {
        return error;
    };
    let column = |at: usize| row.get(at).unwrap_or_default();
    let remedy = match (column(0), column(1)) {
        ("t", _) => None,
        (_, "on") => Some(remedy(column(2), column(3), column(4))),
        _ => return error,
    };
    let cause = match &error {
        Error::Failed(failure) => failure.server.message.clone(),
        Error::Server { cause, .. } => cause.clone(),
        other => other.to_string(),
    };
    Error::ReadOnly { cause, remedy }
}

/// What takes the setting off where it is.
fn remedy(source: &str, role: &str, database: &str) -> String {
    let whose = match source {
        "user" => format!("ROLE {role}"),
        "database" => format!("DATABASE {database}"),
        "database user" => format!("ROLE {role} IN DATABASE {database}"),
        "client" => {
            return "take default_transaction_read_only out of the options of the connection string"
                .into();
        }
        _ => return "set default_transaction_read_only = off in the server's configuration".into(),
    };
    // Whoever runs it may meet the same setting.
    format!("run: BEGIN READ WRITE; ALTER {whose} RESET default_transaction_read_only; COMMIT")
}

/// The servers that are tried, and what was seen of them.
struct Servers<'s> {
    options: &'s Options,
    hosts: Vec<Config>,
    events: Events<'s>,
    /// Hosts that were standbys at the start.
    standbys: Vec<usize>,
    lost: Lost,
    backoff: Backoff,
}

impl<'s> Servers<'s> {
    fn first(&self) -> Result<Session<'s>, Error> {
        let order: Vec<_> = (0..self.hosts.len()).collect();
        let patience = Patience::Starting(Instant::now() + self.options.wait);
        connect(self.options, &self.hosts, &order, self.events, patience)
    }

    /// After the connection was lost. The lock and what the transaction did go with the lost
    /// session, which the new one waits for.
    fn again(&mut self, session: Session, cause: String, loss: Loss) -> Result<Session<'s>, Error> {
        let began = session.server_start.clone();
        let next = session.host;
        drop(session);
        let deadline = self.lost.count(cause.clone(), self.options)?;
        if loss == Loss::Broken {
            self.tell(&cause);
        }
        let mut session = self.away(next, deadline)?;
        if loss == Loss::Terminated {
            // Somebody has ended the session on purpose, and going on would work against them,
            // unless it was the whole server that was stopped.
            if began.is_none() || began == started(&mut session) {
                return Err(self.lost.error(None));
            }
            self.tell(&cause);
        }
        Ok(session)
    }

    /// After a standby was met with something to do. At the start another host may be the primary;
    /// later, the standby may be about to become it.
    fn another(&mut self, session: Session, error: Error) -> Result<Session<'s>, Error> {
        let host = session.host;
        if session.was_primary && self.lost.until.is_none() {
            let cause = error.to_string();
            self.lost.count(cause.clone(), self.options)?;
            self.tell(&cause);
        }
        let Some(deadline) = self.lost.until else {
            self.standbys.push(host);
            let others: Vec<_> = (0..self.hosts.len())
                .filter(|host| !self.standbys.contains(host))
                .collect();
            if others.is_empty() {
                return Err(error);
            }
            let patience = Patience::Starting(Instant::now());
            // What is known of the standby says more than why another host can't be reached.
            return connect(self.options, &self.hosts, &others, self.events, patience)
                .map_err(|_| error);
        };
        if Instant::now() >= deadline {
            return Err(self.lost.error(Some(error)));
        }
        self.events.emit(Event::WaitingForServer {
            cause: error.to_string(),
        });
        session.pause(self.backoff.next())?;
        drop(session);
        self.away(host + 1, deadline)
    }

    fn away(&self, first: usize, deadline: Instant) -> Result<Session<'s>, Error> {
        let count = self.hosts.len();
        let order: Vec<_> = (0..count).map(|at| (first + at) % count).collect();
        let patience = Patience::Away(deadline);
        connect(self.options, &self.hosts, &order, self.events, patience)
            .map_err(|error| self.lost.explain(error))
    }

    fn tell(&self, cause: &str) {
        self.events.emit(Event::Reconnecting {
            cause: cause.into(),
        });
    }
}

fn started(session: &mut Session) -> Option<String> {
    let sql = format!("SELECT {SERVER_START}");
    let results = session.query(&sql).ok()?;
    Some(results.first()?.first()?.get(0)?.to_owned())
}

/// Tells one start of a server from another.
pub(super) const SERVER_START: &str = "EXTRACT(EPOCH FROM pg_catalog.pg_postmaster_start_time())";

/// The connections that were lost.
#[derive(Default)]
struct Lost {
    count: u32,
    /// What was said of the first one: what follows may only be its consequence.
    first: Option<String>,
    /// Until when the server may be away.
    until: Option<Instant>,
}

impl Lost {
    /// Counts one more; gives until when the server is waited for.
    fn count(&mut self, cause: String, options: &Options) -> Result<Instant, Error> {
        if self.count >= MOST {
            let then = Error::ConnectionLost { cause, then: None };
            return Err(self.error(Some(then)));
        }
        self.count += 1;
        self.first.get_or_insert(cause);
        let until = Instant::now() + AWAY.min(options.wait);
        self.until = Some(until);
        Ok(until)
    }

    /// The error that ended a run, with what began it. What says enough by itself is left alone.
    fn explain(&self, error: Error) -> Error {
        let is_consequence = is_standby(&error)
            || matches!(
                error,
                Error::Connect { .. } | Error::Server { .. } | Error::Locked { .. }
            );
        match self.first.is_some() && is_consequence {
            true => self.error(Some(error)),
            false => error,
        }
    }

    fn error(&self, then: Option<Error>) -> Error {
        Error::ConnectionLost {
            cause: self.first.clone().unwrap_or_default(),
            then: then.map(Box::new),
        }
    }
}

/// A migration that kills its server each time must not be tried for ever.
const MOST: u32 = 3;

/// How long a server may be away in the middle of a run: a managed one takes up to two minutes to
/// promote a standby.
const AWAY: Duration = Duration::from_secs(120);
