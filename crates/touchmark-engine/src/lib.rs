//! The developer's PostgreSQL: found or started.
//!
//! [`choose`] says which engine serves a checkout and why, [`up`] makes sure that it runs and answers, [`state`]
//! looks without touching anything, [`down`] stops it. The engines are a URL somebody gave ([`Kind::Url`]), `docker
//! compose` ([`Kind::Compose`]), PostgreSQL's own programs on the machine ([`Kind::Local`]) and the same programs
//! downloaded once ([`Kind::Download`]).
//!
//! `cluster::TestServer` starts throwaway servers for tests with the same code.

#![allow(dead_code, clippy::todo)] // while the skeleton stands

mod account;
#[cfg(unix)]
pub mod cluster;
mod compose;
mod download;
pub mod env_file;
mod error;
mod initdb;
mod installation;
mod lock;
mod pid_file;
mod places;
pub mod probe;
mod settings;
#[cfg(unix)]
mod template;
pub mod url;

pub use compose::ComposeProblem;
pub use env_file::EnvFile;
pub use error::Error;
pub use installation::{Installation, OLDEST};
pub use probe::probe;
pub use settings::{Choice, Database, Down, Kind, Progress, Settings, Started, State};

use std::process::Command;

/// Which engine serves this checkout, and why. Reads only.
pub fn choose(_settings: &Settings) -> Result<Choice, Error> {
    todo!()
}

/// Makes sure that the database runs and accepts logins. Calling it again changes nothing.
///
/// Writes `DATABASE_URL` to `.env` unless the URL is the user's own.
pub fn up(
    _settings: &Settings,
    _progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Database, Error> {
    todo!()
}

/// Looks whether the database runs. Creates nothing and starts nothing.
pub fn state(_settings: &Settings) -> Result<State, Error> {
    todo!()
}

/// Stops the database; with `volumes`, deletes its data too. A database that somebody else runs is left alone.
pub fn down(_settings: &Settings, _volumes: bool) -> Result<Down, Error> {
    todo!()
}

/// Prints the server's log to standard output, and goes on printing what is added with `follow`.
pub fn logs(_settings: &Settings, _follow: bool) -> Result<(), Error> {
    todo!()
}

/// A `psql` connected to `database`. The password is in the command's environment, never among its arguments.
pub fn psql(_settings: &Settings, _database: &Database) -> Result<Command, Error> {
    todo!()
}
