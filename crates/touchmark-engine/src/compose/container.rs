//! What the engine knows about the service's container: the truth about login, port and health.

use std::{collections::BTreeMap, env};

use serde::Deserialize;

use super::{
    ComposeProblem,
    docker::{docker, docker_output},
};
use crate::url;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    pub id: String,
    pub state: ContainerState,
    config: Config,
    host_config: HostConfig,
    network_settings: NetworkSettings,
    #[serde(default)]
    mounts: Vec<Mount>,
    #[serde(default)]
    restart_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    pub status: String,
    #[serde(default)]
    pub exit_code: i64,
    #[serde(default)]
    pub health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    pub status: String,
    #[serde(default)]
    pub log: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Check {
    #[serde(default)]
    pub exit_code: i64,
    #[serde(default)]
    pub output: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    env: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    network_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    host_ip: String,
    host_port: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    name: String,
    destination: String,
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Running, and healthy where it has a health check.
    Ready,
    /// Running, and the health check has not decided yet.
    Starting,
    /// The health check gave up.
    Unhealthy,
    /// It ended, or it ends again and again.
    Exited,
    /// Made and never started, or paused.
    Idle,
}

/// Everything of a login but where the server is.
struct Login {
    user: String,
    password: Option<String>,
    database: String,
}

/// The container of a service, found by the labels that both generations of Compose write.
pub fn find(project: &str, service: &str) -> Result<Option<Container>, ComposeProblem> {
    let project = format!("label=com.docker.compose.project={project}");
    let service = format!("label=com.docker.compose.service={service}");
    let list = docker(&[
        "ps",
        "--all",
        "--quiet",
        "--no-trunc",
        "--filter",
        &project,
        "--filter",
        &service,
        "--filter",
        "label=com.docker.compose.oneoff=False",
    ])?;
    match list.lines().next() {
        Some(id) => inspect(id),
        None => Ok(None),
    }
}

/// `None` if it is gone.
pub fn inspect(id: &str) -> Result<Option<Container>, ComposeProblem> {
    let output = docker_output(&["container", "inspect", id])?;
    if !output.success {
        if output.stderr.contains("No such container") {
            return Ok(None);
        }
        return Err(super::docker::failed("docker container inspect", &output));
    }
    let containers: Vec<Container> =
        serde_json::from_str(&output.stdout).map_err(|error| ComposeProblem::Failed {
            command: "docker container inspect".to_owned(),
            detail: error.to_string(),
        })?;
    Ok(containers.into_iter().next())
}

impl Container {
    pub fn phase(&self) -> Phase {
        match (self.state.status.as_str(), &self.state.health) {
            ("running", None) => Phase::Ready,
            ("running", Some(health)) => match health.status.as_str() {
                "healthy" | "none" => Phase::Ready,
                "unhealthy" => Phase::Unhealthy,
                _ => Phase::Starting,
            },
            ("exited" | "dead" | "removing", _) => Phase::Exited,
            ("restarting", _) if self.restart_count >= 2 => Phase::Exited,
            ("restarting", _) => Phase::Starting,
            _ => Phase::Idle,
        }
    }

    /// What the last health check printed.
    pub fn check(&self) -> String {
        let last = self
            .state
            .health
            .as_ref()
            .and_then(|health| health.log.as_ref())
            .and_then(|log| log.last());
        match last {
            Some(check) if check.output.trim().is_empty() => {
                format!("the health check ended with code {}", check.exit_code)
            }
            Some(check) => format!("the health check says: {}", check.output.trim()),
            None => "the health check has said nothing".to_owned(),
        }
    }

    /// The port on this machine for the container's `port`.
    pub fn published(&self, port: u16) -> Option<u16> {
        self.binding(port)
            .and_then(|binding| binding.host_port.parse().ok())
    }

    fn binding(&self, port: u16) -> Option<&Binding> {
        let ports = self.network_settings.ports.as_ref()?;
        let bindings = ports.get(&format!("{port}/tcp"))?.as_ref()?;
        // IPv4 first: the other one may be a published port that nothing forwards.
        bindings
            .iter()
            .find(|binding| !binding.host_ip.contains(':'))
            .or_else(|| bindings.first())
    }

    /// The volume that holds the data.
    pub fn volume(&self) -> Option<&str> {
        let data =
            |mount: &&Mount| mount.kind == "volume" && mount.destination.contains("postgres");
        self.mounts
            .iter()
            .find(data)
            .map(|mount| mount.name.as_str())
    }

    pub fn has_volume(&self, name: &str) -> bool {
        self.mounts
            .iter()
            .any(|mount| mount.kind == "volume" && mount.name == name)
    }

    pub fn pgadmin_login(&self) -> Option<&str> {
        self.variable("PGADMIN_DEFAULT_EMAIL")
    }

    /// Volumes without a name of their own, which nothing else could use.
    pub fn anonymous_volumes(&self) -> impl Iterator<Item = &str> {
        let anonymous =
            |name: &&str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        self.mounts
            .iter()
            .filter(|mount| mount.kind == "volume")
            .map(|mount| mount.name.as_str())
            .filter(anonymous)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let lines = self.config.env.as_deref().unwrap_or_default();
        let value = lines
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.filter(|value| !value.is_empty())
    }

    /// A value that may be in a file of the container instead, as secrets are.
    fn setting(&self, name: &str) -> Result<Option<String>, ComposeProblem> {
        if let Some(value) = self.variable(name) {
            return Ok(Some(value.to_owned()));
        }
        match self.variable(&format!("{name}_FILE")) {
            Some(path) if self.state.status == "running" => {
                let text = docker(&["exec", &self.id, "cat", path])?;
                Ok(Some(text.trim_end_matches('\n').to_owned()))
            }
            _ => Ok(None),
        }
    }

    /// The password that the container was told, in the spellings of the common images.
    pub fn password(&self) -> Result<Option<String>, ComposeProblem> {
        self.either("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD")
    }

    fn either(&self, official: &str, other: &str) -> Result<Option<String>, ComposeProblem> {
        Ok(match self.setting(official)? {
            Some(value) => Some(value),
            None => self.setting(other)?,
        })
    }

    fn login(&self) -> Result<Login, ComposeProblem> {
        let user = self
            .either("POSTGRES_USER", "POSTGRESQL_USERNAME")?
            .unwrap_or_else(|| "postgres".to_owned());
        let database = self
            .either("POSTGRES_DB", "POSTGRESQL_DATABASE")?
            .unwrap_or_else(|| user.clone());
        Ok(Login {
            user,
            password: self.password()?,
            database,
        })
    }

    /// The port that PostgreSQL listens on inside.
    pub fn inner_port(&self) -> u16 {
        self.variable("PGPORT")
            .and_then(|port| port.parse().ok())
            .unwrap_or(5432)
    }

    /// The database URL, or `None` where no port is published.
    pub fn url(&self) -> Result<Option<String>, ComposeProblem> {
        let inner = self.inner_port();
        let (host, port) = match self.binding(inner) {
            Some(binding) => (
                binding.host_ip.as_str(),
                binding.host_port.as_str().to_owned(),
            ),
            None if self.host_config.network_mode == "host" => ("", inner.to_string()),
            None => return Ok(None),
        };
        let host = match (remote_engine(), host) {
            (Some(remote), _) => remote,
            (None, "" | "0.0.0.0" | "::") => "127.0.0.1".to_owned(),
            (None, host) => host.to_owned(),
        };
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        let Login {
            user,
            password,
            database,
        } = self.login()?;
        let password = password
            .map(|password| format!(":{}", url::encode(&password)))
            .unwrap_or_default();
        Ok(Some(format!(
            "postgresql://{}{password}@{host}:{port}/{}",
            url::encode(&user),
            url::encode(&database)
        )))
    }

    /// The last lines of its log, oldest first, without the password.
    pub fn log(&self) -> Vec<String> {
        const LINES: usize = 12;
        let tail = LINES.to_string();
        let Ok(output) = docker_output(&["logs", "--timestamps", "--tail", &tail, &self.id]) else {
            return Vec::new();
        };
        // Two pipes, one story: the time stamps put it together again.
        let mut lines: Vec<&str> = output.stdout.lines().chain(output.stderr.lines()).collect();
        lines.sort_by_key(|line| line.split(' ').next());
        let secret = self
            .variable("POSTGRES_PASSWORD")
            .filter(|secret| secret.len() >= 4);
        let last = &lines[lines.len().saturating_sub(LINES)..];
        let text = last
            .iter()
            .map(|line| line.split_once(' ').map_or("", |(_, text)| text));
        text.filter(|text| !text.trim().is_empty())
            .map(|text| match secret {
                Some(secret) => text.replace(secret, "***"),
                None => text.to_owned(),
            })
            .collect()
    }
}

/// The host of an engine that is not on this machine.
fn remote_engine() -> Option<String> {
    let address = env::var("DOCKER_HOST").ok()?;
    let rest = address
        .strip_prefix("tcp://")
        .or_else(|| address.strip_prefix("ssh://"))?;
    let rest = rest.split('/').next()?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = match rest.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => rest.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_owned())
}
