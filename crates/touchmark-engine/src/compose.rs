//! The database as a service of a compose file, with `docker compose` or the older `docker-compose`.
//!
//! What runs is always asked of the engine (`docker container inspect`), never of the file: login, port and health are
//! those of the container, whoever wrote its compose file. Both generations of Compose label their containers alike, so
//! only reading the file and starting need Compose at all.

mod config;
mod container;
mod docker;
mod file;
mod port;
mod problem;
mod project;
mod project_name;
mod start;

pub use port::taken_by;
pub use problem::ComposeProblem;

use std::{
    io::{IsTerminal, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Database, Down, EnvFile, Error, Kind, Progress, Settings, Started, State, files, lock, places,
    probe::probe, programs, url,
};
use container::{Container, Phase};
use docker::{Compose, docker, docker_output};
use file::ComposeFile;
use project::{PGADMIN, Project};
use start::{log_in, start_services, wait};

/// How long one attempt to log in may take.
const LOGIN: Duration = Duration::from_secs(5);

/// Whether an engine and a compose program answer: `Ok("docker compose 2.24")`, or why not.
pub fn answers() -> Result<String, ComposeProblem> {
    docker::engine()?;
    let compose = Compose::find()?;
    Ok(format!("{} {}", compose.name(), compose.version))
}

/// "Docker 27.3.1, docker compose 2.29.7": what the engine and the compose program of this machine say of themselves.
pub fn docker_versions() -> Result<String, ComposeProblem> {
    let engine = docker::engine()?;
    let compose = Compose::find()?;
    Ok(format!(
        "Docker {engine}, {} {}",
        compose.name(),
        compose.version
    ))
}

/// Starts the service unless it runs already, and waits until a login works.
pub fn up(
    settings: &Settings,
    reason: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Database, Error> {
    if let Some(url) = unchanged(settings) {
        return Ok(database(url, reason, None));
    }
    let start = Instant::now();
    docker::engine()?;
    // Two at once would each make a password, and the volume keeps only one.
    let state = places::make_state(settings)?;
    let _lock = lock::take(&state.join("compose.lock"), settings.wait, &mut || {
        progress(Progress::Waiting("another process that starts it"));
    })?;
    let mut project = Project::open(settings, Compose::find()?)?;
    let service = settings.compose_service.as_str();
    let before = container::find(&project.name, service)?;
    project.fill_passwords(before.as_ref())?;
    project.choose_port(service, 5432, progress)?;
    if settings.pgadmin {
        project.choose_port(PGADMIN, 80, progress)?;
    }
    let mut wanted = vec![service];
    wanted.extend(settings.pgadmin.then_some(PGADMIN));
    let config = project.config_of(&wanted)?;
    project.save()?;

    let image = config.image(service).unwrap_or_else(|| service.to_owned());
    let what = format!("{image} with {}", project.compose.name());
    let running = before
        .as_ref()
        .is_some_and(|container| container.phase() == Phase::Ready);
    if !running {
        progress(Progress::Starting(&what));
    }
    start_services(&mut project, &config, &wanted, progress)?;

    let container = wait(&project, service, start, progress)?;
    let url = log_in(&project, container, start, progress)?;
    let container = container::find(&project.name, service)?.ok_or_else(|| gone(service))?;
    project.write_stamp(&container.id);
    if settings.pgadmin {
        let pgadmin = wait(&project, PGADMIN, start, progress)?;
        progress(Progress::Note(&pgadmin_note(&project, &pgadmin)));
    }
    let same = running && before.is_some_and(|before| before.id == container.id);
    let started = (!same).then(|| Started {
        what,
        took: start.elapsed(),
    });
    Ok(database(url, reason, started))
}

/// Looks at the service's container.
pub fn state(settings: &Settings, reason: &str) -> Result<State, Error> {
    let project = project_name::name(settings, &EnvFile::load(&settings.root)?)?.text;
    let service = &settings.compose_service;
    let engine = Kind::Compose;
    let Some(container) = container::find(&project, service)? else {
        let volumes = volumes_of(&project)?;
        return Ok(match volumes.as_slice() {
            [] => State::Absent {
                engine,
                detail: format!("no container of `{service}` in the project {project}"),
            },
            _ => State::Stopped {
                engine,
                detail: format!(
                    "no container of `{service}`; its data is kept in {}",
                    volumes.join(", ")
                ),
            },
        });
    };
    let stopped = |detail: String| Ok(State::Stopped { engine, detail });
    match container.phase() {
        Phase::Ready => {}
        Phase::Starting => return stopped(format!("the container of `{service}` is starting")),
        Phase::Unhealthy => {
            return stopped(format!(
                "the container of `{service}` is unhealthy: {}",
                container.check()
            ));
        }
        Phase::Exited | Phase::Idle => {
            return stopped(format!("the container of `{service}` is stopped"));
        }
    }
    let Some(url) = container.url()? else {
        return Err(ComposeProblem::NoPort {
            service: service.clone(),
        }
        .into());
    };
    match probe(&url, LOGIN) {
        Ok(()) => Ok(State::Running(database(url, reason, None))),
        Err(error) => stopped(error.to_string()),
    }
}

/// Stops and removes the containers of the database and of pgAdmin, and with `volumes` the database's volumes, as far as
/// they belong to this project. Other services of the project are left alone.
pub fn down(settings: &Settings, volumes: bool) -> Result<Down, Error> {
    let project = project_name::name(settings, &EnvFile::load(&settings.root)?)?.text;
    let service = settings.compose_service.as_str();
    let state = places::make_state(settings)?;
    let _lock = lock::take(&state.join("compose.lock"), settings.wait, &mut || {})?;
    let data = if volumes {
        volumes_of_service(settings, &project)?
    } else {
        Vec::new()
    };
    let (mut stopped, mut deleted) = (false, !data.is_empty());
    for name in [PGADMIN, service] {
        let Some(container) = container::find(&project, name)? else {
            continue;
        };
        stopped |= name == service && container.state.status == "running";
        docker(&["stop", &container.id])?;
        let nameless = container.anonymous_volumes().next().is_some();
        if name == service && nameless && !volumes {
            // Nothing would find its data again without this container, so it stays.
            continue;
        }
        docker(&["rm", "--volumes", &container.id])?;
        deleted |= name == service && nameless;
    }
    for volume in &data {
        docker(&["volume", "rm", "--force", volume])?;
    }
    remove_networks(&project)?;
    let what = match data.as_slice() {
        [] => "its data".to_owned(),
        names => names.join(", "),
    };
    let detail = match (stopped, deleted) {
        (true, false) => format!("stopped `{service}` of the project {project}; its data is kept"),
        (true, true) => format!("stopped `{service}` of the project {project} and deleted {what}"),
        (false, true) => format!("deleted {what}"),
        (false, false) => format!("`{service}` of the project {project} was not running"),
    };
    Ok(Down {
        engine: Kind::Compose,
        stopped,
        deleted,
        detail,
    })
}

/// Removes the project's networks, unless containers of it are left: even a stopped one can't start without them.
fn remove_networks(project: &str) -> Result<(), ComposeProblem> {
    let label = format!("label=com.docker.compose.project={project}");
    if !docker(&["ps", "--all", "--quiet", "--filter", &label])?.is_empty() {
        return Ok(());
    }
    for network in docker(&["network", "ls", "--quiet", "--filter", &label])?.lines() {
        // A container that somebody attached by hand keeps it, which is no failure of ours.
        docker_output(&["network", "rm", network])?;
    }
    Ok(())
}

/// Writes the container's log to `out`, also what the container wrote to its standard error.
pub fn logs(settings: &Settings, follow: bool, out: &mut dyn Write) -> Result<(), Error> {
    let container = existing(settings)?;
    let failed = |error: std::io::Error| Error::from(docker::cannot_start("docker logs", &error));
    let (mut reader, writer) = std::io::pipe().map_err(failed)?;
    let mut command = programs::command("docker");
    command
        .arg("logs")
        .args(follow.then_some("--follow"))
        .arg(&container.id)
        .stdin(Stdio::null())
        .stderr(writer.try_clone().map_err(failed)?)
        .stdout(writer);
    let mut child = command.spawn().map_err(failed)?;
    // The ends of the pipe that the command holds for the child are closed with it.
    drop(command);
    match std::io::copy(&mut reader, out).and_then(|_| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err(Error::io("write", "standard output", error));
        }
        _ => drop(reader),
    }
    let status = child.wait().map_err(failed)?;
    // Following ends with Ctrl-C, and a reader may have seen enough: neither is a failure.
    if !status.success() && !follow && status.code().is_some() {
        return Err(ComposeProblem::Failed {
            command: "docker logs".to_owned(),
            detail: status.to_string(),
        }
        .into());
    }
    Ok(())
}

/// The container of the database.
pub fn container_id(settings: &Settings) -> Result<String, Error> {
    Ok(existing(settings)?.id)
}

/// `psql` inside the container, for a machine that has none.
pub fn psql(settings: &Settings, database: &Database, has_options: bool) -> Result<Command, Error> {
    let container = existing(settings)?;
    let parts = url::split(&database.url).map_err(|problem| Error::Url { problem })?;
    let mut command = programs::command("docker");
    command.args(["exec", "--interactive"]);
    if std::io::stdin().is_terminal() {
        command.arg("--tty");
    }
    if let Some(password) = &parts.password {
        // Only the name is among the arguments; docker takes the value from its own environment.
        command
            .args(["--env", "PGPASSWORD"])
            .env("PGPASSWORD", password);
    }
    if has_options {
        command.args(["--env", "PGOPTIONS"]);
    }
    command.args([&container.id, "psql", "--dbname", &parts.database]);
    if let Some(user) = &parts.user {
        command.args(["--username", user]);
    }
    command.stdin(Stdio::inherit());
    Ok(command)
}

/// The URL, if the container that we started is ready and nothing has changed since. Compose is not asked at all then.
fn unchanged(settings: &Settings) -> Option<String> {
    let stamp = files::text_of_plain(&project::stamp_path(settings).ok()?).ok()?;
    let file = ComposeFile::read(&settings.compose_file).ok()?;
    let env_file = EnvFile::load(&settings.root).ok()?;
    let project = project_name::name(settings, &env_file).ok()?.text;
    let service = settings.compose_service.as_str();
    let container = container::find(&project, service).ok()??;
    let same = Project::stamp(settings, &file, &env_file, &container.id)? == stamp;
    if !same || container.phase() != Phase::Ready {
        return None;
    }
    if let Some(variable) = file.password(service) {
        let wanted = std::env::var(&variable.name)
            .ok()
            .or_else(|| env_file.get(&variable.name))
            .or(variable.default);
        if wanted != container.password().ok()? {
            return None;
        }
    }
    if settings.pgadmin && container::find(&project, PGADMIN).ok()??.phase() != Phase::Ready {
        return None;
    }
    let url = container.url().ok()??;
    probe(&url, LOGIN).ok().map(|()| url)
}

fn database(url: String, reason: &str, started: Option<Started>) -> Database {
    Database {
        url,
        engine: Kind::Compose,
        reason: reason.to_owned(),
        started,
    }
}

fn gone(service: &str) -> ComposeProblem {
    ComposeProblem::NoContainer {
        service: service.to_owned(),
    }
}

fn existing(settings: &Settings) -> Result<Container, Error> {
    let project = project_name::name(settings, &EnvFile::load(&settings.root)?)?.text;
    let service = &settings.compose_service;
    container::find(&project, service)?.ok_or_else(|| gone(service).into())
}

fn pgadmin_note(project: &Project<'_>, container: &Container) -> String {
    let port = container
        .published(80)
        .map(|port| format!(" at http://127.0.0.1:{port}"))
        .unwrap_or_default();
    let login = container
        .pgadmin_login()
        .map(|login| format!(", login {login}"))
        .unwrap_or_default();
    match project.file.pgadmin_password(PGADMIN) {
        Some(variable) => format!("pgAdmin{port}{login}, password {} in .env", variable.name),
        None => format!("pgAdmin{port}{login}"),
    }
}

/// The project's volumes.
fn volumes_of(project: &str) -> Result<Vec<String>, ComposeProblem> {
    let label = format!("label=com.docker.compose.project={project}");
    let list = docker(&["volume", "ls", "--quiet", "--filter", &label])?;
    Ok(list.lines().map(str::to_owned).collect())
}

/// Those of them that the service uses: as its container says, or else the compose file.
fn volumes_of_service(settings: &Settings, project: &str) -> Result<Vec<String>, Error> {
    let ours = volumes_of(project)?;
    if ours.is_empty() {
        return Ok(ours);
    }
    if let Some(container) = container::find(project, &settings.compose_service)? {
        return Ok(ours
            .into_iter()
            .filter(|volume| container.has_volume(volume))
            .collect());
    }
    let config = Project::open(settings, Compose::find()?)?.config_with_placeholders()?;
    let names = config.volumes(&settings.compose_service);
    let mut found = Vec::new();
    for volume in ours {
        let label = docker(&[
            "volume",
            "inspect",
            "--format",
            "{{index .Labels \"com.docker.compose.volume\"}}",
            &volume,
        ])?;
        if names.iter().any(|name| name == label.trim()) {
            found.push(volume);
        }
    }
    Ok(found)
}
