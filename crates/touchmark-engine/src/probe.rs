//! A real login, and what it means when it fails.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use crate::{
    Error,
    url::{self, Parts},
};

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing listens there.
    Refused,
    /// No such host.
    HostNotFound,
    /// No answer in time.
    Timeout,
    /// Something else than PostgreSQL answers.
    NotPostgres,
    /// The server wants a password, and none was given.
    NoPassword,
    /// Wrong password.
    Password {
        /// A character in it that shells and `.env` readers treat in their own way.
        suspect: Option<char>,
    },
    /// No such role, or no line in `pg_hba.conf` for it.
    Role,
    /// No such database.
    Database,
    /// The server is starting, stopping or recovering.
    StartingUp,
    /// No connection is left.
    TooMany,
    /// Anything else.
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Refused => "nothing listens there",
            Refusal::HostNotFound => "there is no such host",
            Refusal::Timeout => "no answer in time",
            Refusal::NotPostgres => "what answers there is not PostgreSQL",
            Refusal::NoPassword => "it wants a password, and the URL has none",
            Refusal::Password { .. } => "wrong password",
            Refusal::Role => "the server does not let this role in",
            Refusal::Database => "there is no such database",
            Refusal::StartingUp => "the server is starting up",
            Refusal::TooMany => "the server has no connection left",
            Refusal::Other => "the server refused",
        })
    }
}

impl Refusal {
    /// The text of the `help:` line.
    pub fn help(self) -> Option<String> {
        Some(match self {
            Refusal::Refused => "start the server there, or correct the host and the port in DATABASE_URL; without a \
                DATABASE_URL, `cargo xtask db-up` starts one for you"
                .to_owned(),
            Refusal::HostNotFound => "correct the host in DATABASE_URL".to_owned(),
            Refusal::Timeout => {
                "check the host and the port in DATABASE_URL, and that no firewall is between".to_owned()
            }
            Refusal::NotPostgres => {
                "correct the port in DATABASE_URL; 5432 is the usual one".to_owned()
            }
            Refusal::NoPassword => {
                "write it into DATABASE_URL: postgresql://user:password@host:5432/database".to_owned()
            }
            Refusal::Password { suspect: None } => "correct user and password in DATABASE_URL; a container keeps those \
                that its volume was made with, whatever the compose file says now"
                .to_owned(),
            Refusal::Password { suspect: Some(character) } => format!(
                "correct the password in DATABASE_URL; write its `{character}` as %{:02X}, since shells and `.env` \
                 readers may change it",
                u32::from(character)
            ),
            Refusal::Role => {
                "correct the role in DATABASE_URL, or let it in with CREATE ROLE or pg_hba.conf".to_owned()
            }
            Refusal::Database => "correct the name in DATABASE_URL, or make it with CREATE DATABASE".to_owned(),
            Refusal::StartingUp => {
                "`cargo xtask db-up` waits until it accepts logins, and so does `cargo xtask db-migrate`"
                    .to_owned()
            },
            Refusal::TooMany => "close some, or raise max_connections".to_owned(),
            Refusal::Other => return None,
        })
    }
}

/// Logs in and out again. Where the server or the URL wants TLS, it is only asked whether it speaks PostgreSQL's
/// protocol: certificates are the affair of whoever connects for good.
pub fn probe(database_url: &str, timeout: Duration) -> Result<(), Error> {
    let parts = url::split(database_url).map_err(|problem| Error::Url { problem })?;
    let fail = |refusal, detail| Error::Connect {
        url: url::redact(database_url),
        refusal,
        detail,
    };
    let mut last = (Refusal::Other, String::new());
    let mut encrypted = None;
    for (host, port) in &parts.hosts {
        match greet(host, *port, timeout) {
            Ok(answer) => {
                encrypted = Some(answer);
                break;
            }
            Err(problem) => last = problem,
        }
    }
    let Some(encrypted) = encrypted else {
        return Err(fail(last.0, last.1));
    };
    if parts.wants_tls() {
        return Ok(());
    }
    match parts
        .config()
        .connect_timeout(timeout)
        .connect(postgres::NoTls)
    {
        Ok(client) => client
            .close()
            .map_err(|error| fail(Refusal::Other, error.to_string())),
        Err(error) => {
            let (refusal, detail) = classify(&error, &parts);
            match refusal {
                Refusal::Role if encrypted && detail.contains("encryption") => Ok(()),
                _ => Err(fail(refusal, detail)),
            }
        }
    }
}

/// Asks the server whether it would encrypt (`SSLRequest`), which any PostgreSQL answers with one byte at once.
fn greet(host: &str, port: u16, timeout: Duration) -> Result<bool, (Refusal, String)> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut answer = [0; 1];
    let mut exchange = |stream: &mut dyn ReadWrite| -> io::Result<()> {
        stream.write_all(&SSL_REQUEST)?;
        stream.read_exact(&mut answer)
    };
    #[cfg(unix)]
    if host.starts_with('/') {
        let path = format!("{host}/.s.PGSQL.{port}");
        let mut stream = std::os::unix::net::UnixStream::connect(&path)
            .map_err(|error| (Refusal::Refused, format!("{path}: {error}")))?;
        stream
            .set_read_timeout(Some(timeout))
            .and_then(|()| exchange(&mut stream))
            .map_err(|error| (silence(&error), error.to_string()))?;
        return yes_or_no(answer);
    }
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| (Refusal::HostNotFound, error.to_string()))?;
    let mut last = (Refusal::HostNotFound, "the name has no address".to_owned());
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(mut stream) => {
                stream
                    .set_read_timeout(Some(timeout))
                    .and_then(|()| exchange(&mut stream))
                    .map_err(|error| (silence(&error), error.to_string()))?;
                return yes_or_no(answer);
            }
            Err(error) => {
                let refusal = match error.kind() {
                    io::ErrorKind::TimedOut => Refusal::Timeout,
                    _ => Refusal::Refused,
                };
                last = (refusal, error.to_string());
            }
        }
    }
    Err(last)
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// A server that takes the connection and says nothing, or hangs up, is another kind of server.
fn silence(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Refusal::Timeout,
        _ => Refusal::NotPostgres,
    }
}

fn yes_or_no(answer: [u8; 1]) -> Result<bool, (Refusal, String)> {
    match answer[0] {
        b'S' => Ok(true),
        b'N' => Ok(false),
        _ => Err((Refusal::NotPostgres, String::new())),
    }
}

fn classify(error: &postgres::Error, parts: &Parts) -> (Refusal, String) {
    use postgres::error::SqlState;
    let Some(db) = error.as_db_error() else {
        let detail = match std::error::Error::source(error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        };
        let refusal = match parts.password {
            None if error.to_string().contains("password missing")
                || detail.contains("password") =>
            {
                return (Refusal::NoPassword, String::new());
            }
            _ => Refusal::Other,
        };
        return (refusal, detail);
    };
    let code = db.code();
    let refusal = if *code == SqlState::INVALID_PASSWORD {
        let suspects = ['$', ':', '%', '&', '!', '\''];
        let password = parts.password.as_deref().unwrap_or_default();
        Refusal::Password {
            suspect: password.chars().find(|c| suspects.contains(c)),
        }
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        Refusal::Role
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        Refusal::Database
    } else if *code == SqlState::CANNOT_CONNECT_NOW {
        Refusal::StartingUp
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        Refusal::TooMany
    } else {
        Refusal::Other
    };
    (refusal, format!("{}: {}", code.code(), db.message()))
}
