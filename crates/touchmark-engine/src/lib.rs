//! The developer's PostgreSQL: found or started.
//!
//! [`choose`] says which engine serves a checkout and why, [`up`] makes sure that it runs and answers, [`state`]
//! looks without touching anything, [`down`] stops it. The engines are a URL somebody gave ([`Kind::Url`]), `docker
//! compose` ([`Kind::Compose`]), PostgreSQL's own programs on the machine ([`Kind::Local`]) and the same programs
//! downloaded once ([`Kind::Download`]).
//!
//! `cluster::TestServer` starts throwaway servers for tests with the same code.

mod account;
mod choose;
#[cfg(unix)]
pub mod cluster;
mod compose;
mod download;
mod dump;
pub mod env_file;
mod error;
mod files;
mod initdb;
mod installation;
mod local;
mod lock;
mod logs;
mod pid_file;
mod places;
pub mod probe;
mod programs;
mod psql;
mod record;
mod server;
mod settings;
#[cfg(unix)]
mod template;
mod trust;
pub mod url;

pub use choose::choose;
pub use compose::{ComposeProblem, docker_versions, taken_by};
pub use dump::{DumpTools, dump_tools};
pub use env_file::EnvFile;
pub use error::Error;
pub use files::replace as replace_file;
pub use installation::{Installation, OLDEST};
pub use logs::logs;
pub use probe::probe;
pub use programs::command;
pub use psql::psql;
pub use settings::{Choice, Database, Down, Kind, Progress, Settings, Started, State};

use std::time::{Duration, Instant};

/// Makes sure that the database runs and accepts logins. Calling it again changes nothing.
///
/// Writes `DATABASE_URL` to `.env` (see [`env_file`]) unless the URL is the user's own.
pub fn up(settings: &Settings, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Database, Error> {
    let Choice {
        engine,
        reason,
        notes,
    } = choose(settings)?;
    notes.iter().for_each(|note| progress(Progress::Note(note)));
    let database = match engine {
        Kind::Url => return given(settings, &reason, progress),
        Kind::Compose => compose::up(settings, &reason, progress)?,
        Kind::Local | Kind::Download => local::up(settings, engine, &reason, progress)?,
    };
    choose::remember(settings, Some(engine))?;
    let mut env = EnvFile::load(&settings.root)?;
    if env.get(env_file::DATABASE_URL).as_deref() != Some(&database.url)
        && env.set_database_url(&database.url)
    {
        env.save()?;
    }
    if database.started.is_some()
        && let Some(note) = choose::other_engine_note(settings, engine)
    {
        progress(Progress::Note(&note));
    }
    Ok(database)
}

/// A database that somebody else runs must answer; only one that is starting is waited for.
fn given(
    settings: &Settings,
    reason: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Database, Error> {
    let completed = choose::url(settings, &EnvFile::load(&settings.root)?)?;
    let deadline = Instant::now() + settings.wait;
    let mut told = false;
    loop {
        match log_in(&completed) {
            Ok(()) => break,
            Err(Error::Connect {
                refusal: probe::Refusal::StartingUp,
                ..
            }) if Instant::now() < deadline => {
                if !told {
                    progress(Progress::Waiting("the server to accept logins"));
                    told = true;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(error) => return Err(error),
        }
    }
    for note in &completed.notes {
        progress(Progress::Note(note));
    }
    Ok(Database {
        url: completed.url,
        engine: Kind::Url,
        reason: reason.to_owned(),
        started: None,
    })
}

/// A password file that is ignored is why there is no password.
fn log_in(completed: &url::Completed) -> Result<(), Error> {
    probe(&completed.url, LOGIN).map_err(|mut error| {
        if let Error::Connect {
            refusal: probe::Refusal::NoPassword,
            detail,
            ..
        } = &mut error
        {
            for note in &completed.notes {
                *detail = format!("{detail}; {note}");
            }
        }
        error
    })
}

/// For a server that may be far away.
const LOGIN: Duration = Duration::from_secs(15);

/// Looks whether the database runs. Creates nothing and starts nothing.
pub fn state(settings: &Settings) -> Result<State, Error> {
    let Choice { engine, reason, .. } = choose(settings)?;
    match engine {
        Kind::Compose => compose::state(settings, &reason),
        Kind::Local | Kind::Download => local::state(settings, engine, &reason),
        Kind::Url => {
            let completed = choose::url(settings, &EnvFile::load(&settings.root)?)?;
            // Nobody but its owner can start it, so why it does not answer is the answer.
            log_in(&completed)?;
            Ok(State::Running(Database {
                url: completed.url,
                engine,
                reason,
                started: None,
            }))
        }
    }
}

/// Stops the database; with `volumes`, deletes its data too. A database that somebody else runs is left alone.
pub fn down(settings: &Settings, volumes: bool) -> Result<Down, Error> {
    let engine = choose(settings)?.engine;
    let down = match engine {
        Kind::Compose => compose::down(settings, volumes)?,
        Kind::Local | Kind::Download => local::down(settings, engine, volumes)?,
        Kind::Url => {
            let url = choose::url(settings, &EnvFile::load(&settings.root)?)?.url;
            let cannot = "is left alone";
            return Err(Error::NotOurs {
                url: url::redact(&url),
                cannot,
            });
        }
    };
    if volumes {
        choose::remember(settings, None)?;
        let mut env = EnvFile::load(&settings.root)?;
        if env.is_ours() {
            env.remove_database_url();
            env.save()?;
        }
    }
    Ok(down)
}
