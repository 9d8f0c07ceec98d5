//! Where the database comes from, whether it runs, and the login.

use touchmark_engine::{
    self as engine, Database, Error as EngineError, Kind, Settings, State, probe::Refusal, url,
};

use super::{error, failed, line, ok, skipped, warning};
use crate::database;
use crate::error::Error;
use crate::json::{Check, Mark};
use crate::project::Project;
use crate::screen::Screen;

/// The database too, where it lets us in.
pub(super) fn checks(project: &Project, screen: &Screen) -> (Vec<Check>, Option<Database>) {
    let settings = match project.settings() {
        Ok(settings) => settings,
        Err(error) => {
            return (
                vec![failed("engine", &error), skipped("login", "the engine")],
                None,
            );
        }
    };
    let choice = match engine::choose(&settings) {
        Ok(choice) => choice,
        Err(error) => {
            let error = Error::Engine(error);
            return (
                vec![failed("engine", &error), skipped("login", "the engine")],
                None,
            );
        }
    };
    let mut checks = vec![ok(
        "engine",
        format_args!("{}: {}", choice.engine, choice.reason),
    )];
    if choice.engine == Kind::Compose {
        checks.push(docker());
    }
    screen.live("Asking", "the database");
    let state = engine::state(&settings);
    screen.still();
    match state {
        Ok(State::Running(database)) => {
            checks.push(ok("login", database::place(&database.url)));
            return (checks, Some(database));
        }
        Ok(State::Stopped { detail, .. } | State::Absent { detail, .. }) => {
            checks.push(warning("database", detail, "`cargo xtask db-up` starts it"));
            checks.extend(port(project));
            checks.push(skipped("login", "the database"));
        }
        Err(error) => checks.push(refused(error, &settings)),
    }
    (checks, None)
}

fn docker() -> Check {
    match engine::docker_versions() {
        Ok(versions) => ok("docker", versions),
        Err(problem) => line(Mark::Error, "docker", &problem, problem.help()),
    }
}

/// Where it does not run, whether something else has its port.
fn port(project: &Project) -> Option<Check> {
    let config = url::parse(&project.database_url()?).ok()?;
    let port = *config.get_ports().first()?;
    let owner = engine::taken_by(port)?;
    let found = format!("{port}, which the database had, is taken by {owner}");
    Some(warning(
        "port",
        found,
        "stop that, or let `cargo xtask db-up` take another port",
    ))
}

fn refused(refused: EngineError, settings: &Settings) -> Check {
    let owner = match &refused {
        EngineError::Connect {
            refusal: Refusal::NotPostgres | Refusal::Timeout,
            ..
        } => settings.database_url.as_deref().and_then(owner),
        _ => None,
    };
    let help = refused.help();
    match owner {
        Some(owner) => {
            let found = format!("{refused}; that port is taken by {owner}");
            error("login", found, help.unwrap_or_default())
        }
        None => line(Mark::Error, "login", refused, help),
    }
}

/// Who listens where a URL leads to, where that is on this machine.
fn owner(database_url: &str) -> Option<String> {
    let url = url::complete(database_url).ok()?.url;
    let config = url::parse(&url).ok().filter(|_| url::is_local(&url))?;
    engine::taken_by(*config.get_ports().first()?)
}
