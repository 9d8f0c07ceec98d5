//! Connecting to one of several hosts.

use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

use super::{Session, deepest};
use crate::Error;
use crate::backoff::Backoff;
use crate::cancel::CancelAt;
use crate::config::place;
use crate::event::{Event, Events};
use crate::run::Options;
use crate::tls::{Notices, Opened};

/// Which failures are worth another attempt, and until when.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// A server that is still starting, that has no connection left, or that is slow.
    Starting(Instant),
    /// A server that was there a moment ago.
    Away(Instant),
}

/// Connects to the first host that takes the connection, in this order of their places.
pub(crate) fn connect<'a>(
    options: &Options,
    hosts: &[Config],
    order: &[usize],
    events: Events<'a>,
    patience: Patience,
) -> Result<Session<'a>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    let (Patience::Starting(deadline) | Patience::Away(deadline)) = patience;
    let mut backoff = Backoff::new();
    loop {
        let mut refused: Option<Refused> = None;
        let hosts = order.iter().filter_map(|at| Some((*at, hosts.get(*at)?)));
        for (host, config) in hosts {
            let notices = Notices::default();
            match open(&runtime, options, config, &notices)? {
                Ok((client, drive)) => {
                    let drive = runtime.spawn(drive);
                    return Ok(Session {
                        start_pid: runtime.block_on(start_pid(&client)),
                        runtime,
                        client,
                        drive,
                        notices,
                        connector: options.connector.clone(),
                        config: config.clone(),
                        canceller: options.canceller.clone(),
                        events,
                        answer: options.answer,
                        host,
                        backend: None,
                        server_start: None,
                        was_primary: false,
                        pieces: Cell::new(0),
                        loss: None,
                    });
                }
                // What passes by itself decides whether to go on; else the first one is told.
                Err(new)
                    if refused
                        .as_ref()
                        .is_none_or(|old| new.passes(patience) && !old.passes(patience)) =>
                {
                    refused = Some(new);
                }
                Err(_) => {}
            }
        }
        let Some(refused) = refused else {
            return Err(Error::Config("it names no host".into()));
        };
        if !refused.passes(patience) || Instant::now() >= deadline {
            return Err(refused.error);
        }
        if let Error::Connect { cause, .. } = refused.error {
            events.emit(Event::WaitingForServer { cause });
        }
        let pause = options.canceller.during(backoff.next());
        if runtime.block_on(pause) {
            return Err(Error::Cancelled { at: None });
        }
    }
}

/// An attempt that failed.
struct Refused {
    error: Error,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The server is starting, full, or slow.
    Busy,
    /// Nobody listens, or what answers is no primary.
    Absent,
    /// Another attempt ends the same way.
    Final,
}

impl Refused {
    fn passes(&self, patience: Patience) -> bool {
        match patience {
            Patience::Starting(_) => self.kind == Kind::Busy,
            Patience::Away(_) => self.kind != Kind::Final,
        }
    }
}

/// Makes one attempt at one host. The outer error ends the whole.
fn open(
    runtime: &Runtime,
    options: &Options,
    config: &Config,
    notices: &Notices,
) -> Result<Result<Opened, Refused>, Error> {
    let given = config.get_connect_timeout().copied();
    // The driver's own timeout ends with the socket's connection, before the login. Hosts that
    // nobody answers for are told from logins that are slow.
    let socket = given.unwrap_or(SOCKET);
    let limit = given.map_or(LOGIN, |given| given + Duration::from_millis(500));
    let mut config = config.clone();
    config.connect_timeout(socket);
    let opening = (options.connector.open)(config.clone(), notices.clone());
    let opened = runtime.block_on(async {
        let opening = pin!(tokio::time::timeout(limit, opening));
        match select(opening, pin!(options.canceller.cancelled(CancelAt::First))).await {
            Either::Left((opened, _)) => Some(opened),
            Either::Right(_) => None,
        }
    });
    let error = match opened {
        None => return Err(Error::Cancelled { at: None }),
        Some(Ok(Ok(opened))) => return Ok(Ok(opened)),
        Some(Ok(Err(error))) => error,
        Some(Err(_)) => {
            return Ok(Err(Refused {
                error: no_answer(&config, given.unwrap_or(LOGIN)),
                kind: Kind::Busy,
            }));
        }
    };
    let kind = kind(&error);
    let error = match io_kind(&error) {
        Some(std::io::ErrorKind::TimedOut) if error.as_db_error().is_none() => {
            no_answer(&config, socket)
        }
        _ => connect_error(&config, &error),
    };
    Ok(Err(Refused { error, kind }))
}

/// How long a host may take to take a connection, where the configuration does not say.
const SOCKET: Duration = Duration::from_secs(15);
/// How long a server may take to answer a login, where the configuration does not say.
const LOGIN: Duration = Duration::from_secs(30);

fn kind(error: &tokio_postgres::Error) -> Kind {
    use std::io::ErrorKind;
    match error.code() {
        Some(code) => match code.code() {
            // cannot_connect_now, too_many_connections
            "57P03" | "53300" => Kind::Busy,
            // admin_shutdown, crash_shutdown, and what poolers say of a server that is gone
            "57P01" | "57P02" => Kind::Absent,
            code if code.starts_with("08") => Kind::Absent,
            _ => Kind::Final,
        },
        None => match io_kind(error) {
            // The queue before a Unix socket is full, which TCP would wait for by itself.
            Some(ErrorKind::WouldBlock) => Kind::Busy,
            Some(_) => Kind::Absent,
            None if error.is_closed() => Kind::Absent,
            None => Kind::Final,
        },
    }
}

fn io_kind(error: &tokio_postgres::Error) -> Option<std::io::ErrorKind> {
    std::iter::successors(std::error::Error::source(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
}

fn no_answer(config: &Config, limit: Duration) -> Error {
    Error::Connect {
        place: place(config),
        cause: format!("no answer within {} s", limit.as_secs_f64()),
        code: None,
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
