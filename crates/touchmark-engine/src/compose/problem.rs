//! What goes wrong between the tool, Compose, the Docker engine and the container.

use std::{path::PathBuf, time::Duration};

/// Why the compose engine could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeProblem {
    /// There is no `docker` in `PATH`.
    #[error("there is no `docker` in PATH")]
    NoDocker,
    /// Neither the plugin nor the old program.
    #[error("neither `docker compose` nor `docker-compose` works: {detail}")]
    NoCompose {
        /// What the last of them said.
        detail: String,
    },
    /// No daemon behind the socket.
    #[error("the Docker engine does not run: {detail}")]
    EngineDown {
        /// The client's words, with the address it tried.
        detail: String,
    },
    /// The socket belongs to somebody else.
    #[error("this user may not talk to the Docker engine: {detail}")]
    NoPermission {
        /// The client's words, with the socket.
        detail: String,
    },
    /// A command did not come back.
    #[error("the Docker engine does not answer: `{command}` took more than {} s", waited.as_secs())]
    Silent {
        /// What was asked.
        command: String,
        /// For how long.
        waited: Duration,
    },
    /// The compose file does not exist.
    #[error("there is no compose file `{}`", path.display())]
    NoFile {
        /// Where it should be.
        path: PathBuf,
    },
    /// Compose refuses the file.
    #[error("the compose file `{}` is not valid: {detail}", path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// Compose's words.
        detail: String,
    },
    /// A variable without which Compose refuses the file.
    #[error("the compose file `{}` needs a variable that is not set: {detail}", path.display())]
    NoVariable {
        /// The file.
        path: PathBuf,
        /// Compose's words.
        detail: String,
    },
    /// The file is fine and has no such service.
    #[error("there is no service `{service}` in `{}`{}", path.display(), list(present))]
    NoService {
        /// What was looked for.
        service: String,
        /// The file.
        path: PathBuf,
        /// The services that there are.
        present: Vec<String>,
    },
    /// Nothing was started yet.
    #[error("there is no container of `{service}` yet")]
    NoContainer {
        /// The service.
        service: String,
    },
    /// The container has no port on this machine.
    #[error("the service `{service}` publishes no port for PostgreSQL")]
    NoPort {
        /// The service.
        service: String,
    },
    /// Somebody else listens on a port that was asked for.
    #[error("port {port} is taken{}", owner.as_ref().map(|o| format!(" by {o}")).unwrap_or_default())]
    PortTaken {
        /// The port.
        port: u16,
        /// "the container `x` (image)" or "the process 123 (name)", where it can be found out.
        owner: Option<String>,
        /// Where it was asked for: "POSTGRES_PORT in the environment".
        asked: String,
    },
    /// The image is not here and can't be fetched.
    #[error("the image `{image}` is not on this machine and cannot be pulled: {detail}")]
    NoImage {
        /// With its tag.
        image: String,
        /// The engine's words.
        detail: String,
    },
    /// The container ended instead of serving.
    #[error("the container of `{service}` exited with code {code}{}", quoted(log))]
    Exited {
        /// The service.
        service: String,
        /// The exit code.
        code: i64,
        /// Its last lines.
        log: Vec<String>,
    },
    /// The health check failed for good.
    #[error("the container of `{service}` is unhealthy: {check}{}", quoted(log))]
    Unhealthy {
        /// The service.
        service: String,
        /// What the check said last.
        check: String,
        /// The container's last lines.
        log: Vec<String>,
    },
    /// Not ready within the time allowed.
    #[error("the container of `{service}` is not ready after {} s: {state}{}", waited.as_secs(), quoted(log))]
    NotReady {
        /// The service.
        service: String,
        /// For how long.
        waited: Duration,
        /// How far it came.
        state: String,
        /// The container's last lines.
        log: Vec<String>,
    },
    /// The server runs on data that was made with another password, role or database.
    #[error("PostgreSQL in `{service}` runs, and refuses the login of its own settings: {detail}")]
    OtherLogin {
        /// The service.
        service: String,
        /// The server's words.
        detail: String,
        /// The volume that holds the data.
        volume: Option<String>,
        /// The variable that the password comes from.
        variable: Option<String>,
    },
    /// Anything else that Docker or Compose refused to do.
    #[error("`{command}` failed: {detail}")]
    Failed {
        /// Without values that could be secret.
        command: String,
        /// Its words.
        detail: String,
    },
}

impl ComposeProblem {
    /// The text of the `help:` line.
    pub fn help(&self) -> Option<String> {
        const OTHER_ENGINE: &str =
            "choose another engine with `--engine local` or `--engine download`";
        Some(match self {
            ComposeProblem::NoDocker => {
                format!("install Docker, or {OTHER_ENGINE}")
            }
            ComposeProblem::NoCompose { .. } => format!(
                "install the plugin (package `docker-compose-plugin` or `docker-compose-v2`), or {OTHER_ENGINE}"
            ),
            ComposeProblem::EngineDown { .. } => format!(
                "start it (Docker Desktop, or `sudo systemctl start docker`), correct DOCKER_HOST if it is set, or {OTHER_ENGINE}"
            ),
            ComposeProblem::NoPermission { .. } => format!(
                "add yourself to the group with `sudo usermod -aG docker $USER` and log in again, or {OTHER_ENGINE}"
            ),
            ComposeProblem::Silent { .. } => format!("restart the Docker engine, or {OTHER_ENGINE}"),
            ComposeProblem::NoFile { .. } => format!(
                "write one, name another one as `compose-file` in [workspace.metadata.touchmark], or {OTHER_ENGINE}"
            ),
            ComposeProblem::InvalidFile { path, .. } => {
                format!("mend the file; `docker compose -f {} config` checks it", path.display())
            }
            ComposeProblem::NoVariable { .. } => {
                "set it in the `.env` beside the workspace's Cargo.toml, or in the environment".to_owned()
            }
            ComposeProblem::NoService { present, .. } if present.is_empty() => {
                "add the service to the file".to_owned()
            }
            ComposeProblem::NoService { .. } => {
                "name the one that is PostgreSQL as `compose-service` in [workspace.metadata.touchmark]".to_owned()
            }
            ComposeProblem::NoContainer { .. } => "start it with `cargo xtask db-up`".to_owned(),
            ComposeProblem::NoPort { .. } => {
                "add this to the service: ports: [\"127.0.0.1:${POSTGRES_PORT:-54321}:5432\"]".to_owned()
            }
            ComposeProblem::PortTaken { asked, .. } => {
                format!("stop what listens there, or change the port ({asked})")
            }
            ComposeProblem::NoImage { image, .. } => format!(
                "check the name and the network, or load the image with `docker load`; then `docker pull {image}` must work"
            ),
            ComposeProblem::Exited { log, .. } | ComposeProblem::Unhealthy { log, .. }
                if log.iter().any(|line| line.contains("incompatible with server")) =>
            {
                "the volume was made by another major version: go back to that image, or delete the data with \
                 `cargo xtask db-down --volumes`"
                    .to_owned()
            }
            ComposeProblem::Exited { .. }
            | ComposeProblem::Unhealthy { .. }
            | ComposeProblem::NotReady { .. } => {
                "`cargo xtask db-logs` shows the whole log; mend the service in the compose file and run \
                 `cargo xtask db-up` again"
                    .to_owned()
            }
            ComposeProblem::OtherLogin { volume, variable, .. } => {
                let volume = match volume {
                    Some(volume) => format!("the volume `{volume}`"),
                    None => "its data".to_owned(),
                };
                let variable = variable.as_deref().unwrap_or("POSTGRES_PASSWORD");
                format!(
                    "{volume} was made with another login: put the old password into `.env` as {variable}, or delete \
                     the data with `cargo xtask db-down --volumes`"
                )
            }
            ComposeProblem::Failed { .. } => return None,
        })
    }
}

fn list(present: &[String]) -> String {
    if present.is_empty() {
        return String::new();
    }
    format!(
        " (it has {})",
        present
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn quoted(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  | {line}")).collect()
}
