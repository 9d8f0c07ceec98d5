//! Finding or starting the database, and how it is named on the screen.

pub(crate) mod like;

use std::time::Duration;

use postgres::config::Host;
use touchmark_engine::{self as engine, Database, Progress, Settings, State, url};

use crate::error::Error;
use crate::project::Project;
use crate::screen::{Screen, duration};

/// Finds or starts it.
pub(crate) fn up(settings: &Settings, screen: &Screen) -> Result<Database, Error> {
    let mut starting = false;
    let outcome = engine::up(settings, &mut |progress| match progress {
        Progress::Starting(what) => {
            starting = true;
            screen.live("Starting", what);
            screen.detail("Starting", what);
        }
        Progress::Waiting(what) => {
            screen.live("Waiting", format_args!("for {what}"));
            screen.detail("Waiting", format_args!("for {what}"));
        }
        Progress::Note(note) => screen.aside(format_args!("note: {note}\n")),
    });
    screen.still();
    let database = outcome?;
    match &database.started {
        // Whoever sees a server start wants to know which, and why this one.
        Some(started) => {
            let took = duration(started.took);
            screen.done("Using", &database.reason);
            screen.done(
                "Starting",
                format_args!("{} ... healthy in {took}", started.what),
            );
        }
        None => screen.detail("Using", &database.reason),
    }
    Ok(database)
}

/// Looks for it. Creates nothing and starts nothing.
pub(crate) fn running(project: &Project, screen: &Screen) -> Result<Database, Error> {
    match engine::state(&project.settings()?)? {
        State::Running(database) => {
            screen.detail("Using", &database.reason);
            Ok(database)
        }
        State::Stopped { detail, .. } | State::Absent { detail, .. } => {
            Err(Error::NotRunning { detail })
        }
    }
}

/// `ingestion at 127.0.0.1:54321`.
pub(crate) fn place(database_url: &str) -> String {
    let Ok(config) = url::parse(database_url) else {
        return url::redact(database_url);
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) if name.contains(':') => format!("[{name}]:{port}"),
        Some(Host::Tcp(name)) => format!("{}:{port}", url::shown_host(name)),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".into(),
    };
    format!("{} at {host}", name(database_url))
}

/// The database's name.
pub(crate) fn name(database_url: &str) -> String {
    let config = url::parse(database_url).ok();
    let name = config.and_then(|config| config.get_dbname().map(str::to_owned));
    name.unwrap_or_default()
}

/// A connection for statements that are no migration.
pub(crate) fn connect(
    database_url: &str,
    database: Option<&str>,
) -> Result<postgres::Client, Error> {
    let mut config = url::parse(database_url)?;
    config
        .application_name("touchmark")
        .connect_timeout(Duration::from_secs(15));
    if let Some(database) = database {
        config.dbname(database);
    }
    config
        .connect(postgres::NoTls)
        .map_err(|error| server("connect", &error))
}

/// The error of a statement that is no migration, in the server's words.
pub(crate) fn server(doing: &'static str, error: &postgres::Error) -> Error {
    let (cause, code) = match error.as_db_error() {
        Some(server) => (
            server.message().to_owned(),
            Some(server.code().code().to_owned()),
        ),
        None => {
            let source = std::error::Error::source(error);
            (
                source.map_or_else(|| error.to_string(), ToString::to_string),
                None,
            )
        }
    };
    Error::Server { doing, cause, code }
}

/// What the database is marked as, with `ALTER DATABASE app SET touchmark.environment = '…'`.
pub(crate) fn environment(database_url: &str) -> Result<Option<String>, Error> {
    let row = connect(database_url, None)?
        .query_one(
            "SELECT pg_catalog.current_setting('touchmark.environment', true)",
            &[],
        )
        .map_err(|error| server("look at the database", &error))?;
    Ok(row.get(0))
}
