//! What the tool resolved from metadata, environment and flags, and what the engines answer with.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use crate::Error;

/// What the tool resolved from metadata, environment and flags.
#[derive(Clone)]
pub struct Settings {
    /// The workspace's root: `.env` and the compose file are there.
    pub root: PathBuf,
    /// `<target directory>/touchmark`.
    pub state_dir: PathBuf,
    /// The engine that was asked for; `None` lets [`crate::choose`] decide.
    pub engine: Option<Kind>,
    /// A `DATABASE_URL` from a flag or from the process's environment.
    pub database_url: Option<String>,
    /// Absolute; may not exist.
    pub compose_file: PathBuf,
    /// The service in the compose file that is PostgreSQL.
    pub compose_service: String,
    /// Start pgAdmin too (compose only).
    pub pgadmin: bool,
    /// The database's name, for servers that we make.
    pub database: String,
    /// How long to wait for a server that is starting.
    pub wait: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("root", &self.root)
            .field("state_dir", &self.state_dir)
            .field("engine", &self.engine)
            .field(
                "database_url",
                &self.database_url.as_deref().map(crate::url::redact),
            )
            .field("compose_file", &self.compose_file)
            .field("compose_service", &self.compose_service)
            .field("pgadmin", &self.pgadmin)
            .field("database", &self.database)
            .field("wait", &self.wait)
            .finish()
    }
}

/// Where the database comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A URL that somebody gave; we neither start nor stop it.
    Url,
    /// `docker compose`.
    Compose,
    /// A private cluster made by the PostgreSQL programs of this machine.
    Local,
    /// A private cluster made by PostgreSQL programs that were downloaded once.
    Download,
}

impl Kind {
    /// Every engine, in the order in which they are tried.
    pub const ALL: [Kind; 4] = [Kind::Url, Kind::Compose, Kind::Local, Kind::Download];

    /// The name as it is written in configuration and flags.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Url => "url",
            Kind::Compose => "compose",
            Kind::Local => "local",
            Kind::Download => "download",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Kind, Error> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::UnknownEngine {
                name: name.to_owned(),
            })
    }
}

/// Which engine serves the checkout, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The engine.
    pub engine: Kind,
    /// Why it, for the first line printed: "PostgreSQL 15.18 of this machine (/usr/lib/postgresql/15/bin)".
    pub reason: String,
    /// Things worth a line of their own, such as how to change a choice that was made earlier.
    pub notes: Vec<String>,
}

/// A database that accepts logins.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// With the password; print it through [`crate::url::redact`].
    pub url: String,
    /// Where it comes from.
    pub engine: Kind,
    /// Why this engine.
    pub reason: String,
    /// What had to be started for it, if anything.
    pub started: Option<Started>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("url", &crate::url::redact(&self.url))
            .field("engine", &self.engine)
            .field("reason", &self.reason)
            .field("started", &self.started)
            .finish()
    }
}

/// What had to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// "postgres:17 with docker compose".
    pub what: String,
    /// Until it accepted logins.
    pub took: Duration,
}

/// What [`crate::up`] is doing, for the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Something is being started, made or fetched: "PostgreSQL 15.18 in target/touchmark/postgres-15".
    Starting(&'a str),
    /// Waiting for it, and for what.
    Waiting(&'a str),
    /// Something to know, such as how to change the engine.
    Note(&'a str),
}

/// What [`crate::state`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It accepts logins.
    Running(Database),
    /// It exists and does not run (or does not answer: `detail` says what it said).
    Stopped {
        /// Where it comes from.
        engine: Kind,
        /// For people: "the cluster in target/touchmark/postgres-15 is stopped".
        detail: String,
    },
    /// There is none yet; [`crate::up`] would make one.
    Absent {
        /// What [`crate::up`] would use.
        engine: Kind,
        /// For people.
        detail: String,
    },
}

/// What [`crate::down`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Where the database came from.
    pub engine: Kind,
    /// It was running and is stopped now.
    pub stopped: bool,
    /// Its data is deleted.
    pub deleted: bool,
    /// For people: "stopped the cluster in target/touchmark/postgres-15".
    pub detail: String,
}
