//! Starts the services, and waits until the database lets us in, or until it is clear why it never will.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    ComposeProblem, LOGIN,
    config::Config,
    container::{self, Container, Phase},
    docker::{self, docker_output},
    gone, port,
    project::{PGADMIN, Project},
};
use crate::{
    Error, Progress,
    probe::{Refusal, probe},
};

/// How often a start is tried again because a port was taken in between.
const ATTEMPTS: usize = 3;

/// `up --detach`, again with another port where one was taken that is ours to change.
pub fn start_services(
    project: &mut Project<'_>,
    config: &Config,
    services: &[&str],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    for attempt in 1.. {
        let mut command = project.command();
        command
            .args(["up", "--detach", "--quiet-pull"])
            .args(services);
        let output = docker::run(command, None, &mut |line| {
            if line.contains("Pulling") {
                let images: Vec<String> = services
                    .iter()
                    .filter_map(|service| config.image(service))
                    .collect();
                progress(Progress::Waiting(&format!("pulling {}", images.join(", "))));
            }
        })?;
        if output.success {
            return Ok(());
        }
        if let Some(port) = taken_port(&output.stderr) {
            if attempt < ATTEMPTS && project.leave_port(port, progress)? {
                project.save()?;
                continue;
            }
            let (owner, asked) = (port::owner(port), project.asked_for_port(port));
            return Err(ComposeProblem::PortTaken { port, owner, asked }.into());
        }
        for image in services.iter().filter_map(|service| config.image(service)) {
            if !docker_output(&["image", "inspect", "--format", "{{.Id}}", &image])?.success {
                return Err(ComposeProblem::NoImage {
                    image,
                    detail: docker::said(&output),
                }
                .into());
            }
        }
        return Err(docker::failed(&format!("{} up", project.compose.name()), &output).into());
    }
    Ok(())
}

/// The port in an engine's complaint that it is taken.
fn taken_port(text: &str) -> Option<u16> {
    const COMPLAINTS: [&str; 3] = [
        "address already in use",
        "port is already allocated",
        "ports are not available",
    ];
    let line = text
        .lines()
        .find(|line| COMPLAINTS.iter().any(|complaint| line.contains(complaint)))?;
    line.split_whitespace()
        .filter_map(|word| word.trim_end_matches([':', ',']).rsplit_once(':'))
        .filter(|(host, _)| host.ends_with(|c: char| c.is_ascii_digit() || c == ']' || c == ':'))
        .find_map(|(_, port)| port.parse().ok().filter(|port| *port != 0))
}

/// Waits until the service's container is ready.
pub fn wait(
    project: &Project<'_>,
    service: &str,
    start: Instant,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Container, Error> {
    let mut refused = None;
    let mut said = false;
    loop {
        let container = container::find(&project.name, service)?.ok_or_else(|| gone(service))?;
        match container.phase() {
            Phase::Ready => return Ok(container),
            Phase::Exited => {
                let code = container.state.exit_code;
                return Err(ComposeProblem::Exited {
                    service: service.to_owned(),
                    code,
                    log: container.log(),
                }
                .into());
            }
            Phase::Unhealthy => {
                if service != PGADMIN {
                    other_login(project, &container)?;
                }
                let (check, log) = (container.check(), container.log());
                return Err(ComposeProblem::Unhealthy {
                    service: service.to_owned(),
                    check,
                    log,
                }
                .into());
            }
            Phase::Starting | Phase::Idle => {}
        }
        let waited = start.elapsed();
        if waited > project.settings.wait {
            return Err(not_ready(service, waited, container.check(), &container));
        }
        // A check that never passes may have this reason, and then there is no need to wait for its verdict. Twice,
        // because a role may still be on its way.
        if service != PGADMIN && waited > Duration::from_secs(4) {
            match refused {
                None => refused = other_login(project, &container).is_err().then(Instant::now),
                Some(first) if first.elapsed() > Duration::from_secs(3) => {
                    other_login(project, &container)?;
                    refused = None;
                }
                Some(_) => {}
            }
        }
        if !said {
            progress(Progress::Waiting(&format!("`{service}` to be healthy")));
            said = true;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn not_ready(service: &str, waited: Duration, state: String, container: &Container) -> Error {
    ComposeProblem::NotReady {
        service: service.to_owned(),
        waited,
        state,
        log: container.log(),
    }
    .into()
}

/// Logs in until it works. Behind a health check it works at once; without one this is the only proof.
pub fn log_in(
    project: &Project<'_>,
    mut container: Container,
    start: Instant,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<String, Error> {
    let service = project.settings.compose_service.as_str();
    let mut said = false;
    loop {
        let state = match container.url() {
            Ok(None) => {
                return Err(ComposeProblem::NoPort {
                    service: service.to_owned(),
                }
                .into());
            }
            // It may be ending just now, and then the reason is more than that nobody answers.
            Err(problem) => problem.to_string(),
            Ok(Some(url)) => match probe(&url, LOGIN) {
                Ok(()) => return Ok(url),
                Err(error) => {
                    other_login(project, &container)?;
                    error.to_string()
                }
            },
        };
        if start.elapsed() > project.settings.wait {
            return Err(not_ready(service, start.elapsed(), state, &container));
        }
        if !said {
            progress(Progress::Waiting(&format!("`{service}` to accept a login")));
            said = true;
        }
        thread::sleep(Duration::from_millis(200));
        container = wait(project, service, start, progress)?;
    }
}

/// An error if the server runs on data that was made with another login.
fn other_login(project: &Project<'_>, container: &Container) -> Result<(), Error> {
    let Some(url) = container.url()? else {
        return Ok(());
    };
    match probe(&url, LOGIN) {
        Err(Error::Connect {
            refusal:
                Refusal::NoPassword | Refusal::Password { .. } | Refusal::Role | Refusal::Database,
            detail,
            ..
        }) => Err(ComposeProblem::OtherLogin {
            service: project.settings.compose_service.clone(),
            detail,
            volume: container.volume().map(str::to_owned),
            variable: project.password_variable(),
        }
        .into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_every_complaint() {
        for (text, port) in [
            (
                "x: Error starting userland proxy: listen tcp4 127.0.0.1:54399: bind: address already in use",
                Some(54399),
            ),
            (
                "driver failed on endpoint a (b): Bind for 127.0.0.1:5433 failed: port is already allocated",
                Some(5433),
            ),
            (
                "Bind for 0.0.0.0:5433 failed: port is already allocated",
                Some(5433),
            ),
            (
                "failed to bind host port for [::1]:5434:172.18.0.2:5432/tcp: address already in use",
                None,
            ),
            (
                "ports are not available: exposing port TCP 127.0.0.1:5435 -> 127.0.0.1:0: listen tcp 127.0.0.1:5435: bind: address already in use",
                Some(5435),
            ),
            ("no such thing: 127.0.0.1:5436", None),
        ] {
            assert_eq!(taken_port(text), port, "{text}");
        }
    }
}
