//! One checkout's compose project: its variables, its ports, and the commands run on it.

use std::{collections::BTreeMap, env, path::PathBuf, process::Command};

use sha2::{Digest, Sha256};

use super::{
    ComposeProblem,
    config::{Config, invalid},
    container::{self, Container, Phase},
    docker::{self, Compose},
    file::{ComposeFile, Variable},
    port,
    project_name::{PROJECT_NAME, hex, name},
};
use crate::{EnvFile, Error, Progress, Settings, files, initdb::new_password, places};

/// The service and the profile of pgAdmin.
pub const PGADMIN: &str = "pgadmin";

pub struct Project<'a> {
    pub settings: &'a Settings,
    pub compose: Compose,
    pub file: ComposeFile,
    pub name: String,
    env_file: EnvFile,
    changed: bool,
    /// What the child processes get beside our own environment.
    values: BTreeMap<String, String>,
}

impl<'a> Project<'a> {
    /// Reads the file and `.env`; writes nothing.
    pub fn open(settings: &'a Settings, compose: Compose) -> Result<Project<'a>, Error> {
        let file = ComposeFile::read(&settings.compose_file)?;
        let env_file = EnvFile::load(&settings.root)?;
        let name = name(settings, &env_file)?;
        let mut values = BTreeMap::new();
        for variable in file.variables() {
            if !in_environment(&variable.name)
                && let Some(value) = env_file.get(&variable.name)
            {
                values.insert(variable.name, value);
            }
        }
        Ok(Project {
            settings,
            compose,
            file,
            name: name.text,
            env_file,
            changed: false,
            values,
        }
        .named(name.to_write))
    }

    /// Keeps the name in `.env`, so that `docker compose` typed by hand means the same project.
    fn named(mut self, to_write: bool) -> Project<'a> {
        if to_write {
            self.env_file.set(PROJECT_NAME, &self.name);
            self.changed = true;
        }
        self
    }

    fn value(&self, variable: &Variable) -> Option<String> {
        let inherited = env::var(&variable.name)
            .ok()
            .filter(|value| !value.is_empty());
        inherited.or_else(|| {
            self.values
                .get(&variable.name)
                .filter(|value| !value.is_empty())
                .cloned()
        })
    }

    fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
        self.env_file.set(name, value);
        self.changed = true;
    }

    /// Makes the passwords that are missing. A container that runs already knows the right one.
    pub fn fill_passwords(&mut self, container: Option<&Container>) -> Result<(), Error> {
        let service = &self.settings.compose_service;
        if let Some(variable) = self.file.password(service)
            && variable.default.is_none()
            && self.value(&variable).is_none()
        {
            let known = match container {
                Some(container) => container.password()?,
                None => None,
            };
            let password = match known {
                Some(known) => known,
                None => new_password()?,
            };
            self.set(&variable.name, &password);
        }
        if let Some(variable) = self.file.pgadmin_password(PGADMIN)
            && variable.default.is_none()
            && self.value(&variable).is_none()
        {
            let password = new_password()?;
            self.set(&variable.name, &password);
        }
        Ok(())
    }

    /// Makes sure that the port is one that can be had: the configured one, or a free one in its place. A port that is
    /// fixed in the file or in the environment is left as it is.
    pub fn choose_port(
        &mut self,
        service: &str,
        inner: u16,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Error> {
        let Some(variable) = self.file.port(service, inner) else {
            return Ok(());
        };
        if in_environment(&variable.name) {
            return Ok(());
        }
        let number = |text: String| text.parse::<u16>().ok();
        let configured = self.value(&variable).and_then(number);
        let published = container::find(&self.name, service)?
            .filter(|container| {
                matches!(
                    container.phase(),
                    Phase::Ready | Phase::Starting | Phase::Unhealthy
                )
            })
            .and_then(|container| container.published(inner));
        match (configured.or(published), published) {
            (Some(wanted), Some(published)) if wanted == published => self.keep(&variable, wanted),
            (wanted, _) => match wanted.or_else(|| variable.default.clone().and_then(number)) {
                Some(wanted) if port::is_free(wanted) => self.keep(&variable, wanted),
                wanted => self.other_port(&variable.name, wanted, progress)?,
            },
        }
        Ok(())
    }

    fn keep(&mut self, variable: &Variable, port: u16) {
        let port = port.to_string();
        if self.value(variable).as_deref() != Some(&port) {
            self.set(&variable.name, &port);
        }
    }

    fn other_port(
        &mut self,
        name: &str,
        taken: Option<u16>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Error> {
        let free = port::free().map_err(|error| ComposeProblem::Failed {
            command: "bind 127.0.0.1:0".to_owned(),
            detail: error.to_string(),
        })?;
        if let Some(taken) = taken {
            let owner = port::owner(taken)
                .map(|owner| format!(" by {owner}"))
                .unwrap_or_default();
            progress(Progress::Note(&format!(
                "port {taken} is taken{owner}, so {name} is {free} now"
            )));
        }
        self.set(name, &free.to_string());
        Ok(())
    }

    /// Gives up a port that turned out to be taken. `false` if it is not ours to change.
    pub fn leave_port(
        &mut self,
        taken: u16,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<bool, Error> {
        for (service, inner) in [
            (self.settings.compose_service.clone(), 5432),
            (PGADMIN.to_owned(), 80),
        ] {
            let Some(variable) = self.file.port(&service, inner) else {
                continue;
            };
            let ours = self
                .values
                .get(&variable.name)
                .is_some_and(|port| *port == taken.to_string());
            if ours && !in_environment(&variable.name) {
                self.other_port(&variable.name, Some(taken), progress)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where a port that is not ours to change was asked for.
    pub fn asked_for_port(&self, taken: u16) -> String {
        let variables = self.file.variables();
        let from = variables
            .iter()
            .find(|v| env::var(&v.name).is_ok_and(|port| port == taken.to_string()));
        match from {
            Some(variable) => format!("{} in the environment", variable.name),
            None => format!("`ports:` in {}", self.settings.compose_file.display()),
        }
    }

    /// The name of the variable that the password comes from.
    pub fn password_variable(&self) -> Option<String> {
        self.file
            .password(&self.settings.compose_service)
            .map(|variable| variable.name)
    }

    /// Writes `.env` if anything in it is new.
    pub fn save(&mut self) -> Result<(), Error> {
        if self.changed {
            self.env_file.save()?;
            self.changed = false;
        }
        Ok(())
    }

    /// Compose, ready for a subcommand. Values travel in the environment, never among the arguments.
    pub fn command(&self) -> Command {
        let mut command = self.compose.command();
        for path in &self.file.paths {
            command.arg("--file").arg(path);
        }
        command.args(
            self.settings
                .pgadmin
                .then_some(["--profile", PGADMIN])
                .into_iter()
                .flatten(),
        );
        command.envs(&self.values).env(PROJECT_NAME, &self.name);
        if let Some(folder) = self.settings.compose_file.parent() {
            command.current_dir(folder);
        }
        command
    }

    /// Lets Compose read the file, which checks it.
    pub fn config(&self) -> Result<Config, Error> {
        self.config_by(self.command())
    }

    /// The same, with something in the place of variables that are not set: for reading names, not for starting.
    pub fn config_with_placeholders(&self) -> Result<Config, Error> {
        let mut command = self.command();
        for variable in self.file.variables() {
            if variable.default.is_none() && self.value(&variable).is_none() {
                command.env(&variable.name, "1");
            }
        }
        self.config_by(command)
    }

    fn config_by(&self, mut command: Command) -> Result<Config, Error> {
        command.arg("config");
        let output = docker::run(command, None, &mut |_| {})?;
        if output.success {
            return Ok(Config {
                text: output.stdout,
            });
        }
        let path = self.settings.compose_file.clone();
        let detail = invalid(&output);
        let text = output.stderr.to_lowercase();
        Err(
            if text.contains("missing a value") || text.contains("missing mandatory value") {
                ComposeProblem::NoVariable { path, detail }.into()
            } else {
                ComposeProblem::InvalidFile { path, detail }.into()
            },
        )
    }

    /// The configuration, if it has these services.
    pub fn config_of(&self, services: &[&str]) -> Result<Config, Error> {
        let config = self.config();
        // A variable may be missing only because the service that would tell about it has another name.
        let readable = match &config {
            Err(Error::Compose(ComposeProblem::NoVariable { .. })) => {
                self.config_with_placeholders().ok()
            }
            _ => None,
        };
        if let Some(readable) = config.as_ref().ok().or(readable.as_ref()) {
            let present = readable.services();
            for name in services {
                if !present.iter().any(|service| service == name) {
                    let (service, path) = ((*name).to_owned(), self.settings.compose_file.clone());
                    return Err(ComposeProblem::NoService {
                        service,
                        path,
                        present,
                    }
                    .into());
                }
            }
        }
        config
    }

    /// What a later start compares to see that nothing has changed. Passwords are not in it.
    pub fn stamp(
        settings: &Settings,
        file: &ComposeFile,
        env_file: &EnvFile,
        id: &str,
    ) -> Option<String> {
        if file.refers_to_others(&[&settings.compose_service, PGADMIN]) {
            return None;
        }
        let secrets = [
            file.password(&settings.compose_service),
            file.pgadmin_password(PGADMIN),
        ];
        let mut hash = Sha256::new();
        hash.update(&file.text);
        for variable in file.variables() {
            if secrets
                .iter()
                .flatten()
                .any(|secret| secret.name == variable.name)
            {
                continue;
            }
            let value = env::var(&variable.name)
                .ok()
                .or_else(|| env_file.get(&variable.name));
            hash.update(format!("\0{}={}", variable.name, value.unwrap_or_default()));
        }
        Some(format!("{id} {}", hex(&hash.finalize())))
    }

    /// Remembers what was started.
    pub fn write_stamp(&self, id: &str) {
        if let Some(stamp) = Project::stamp(self.settings, &self.file, &self.env_file, id)
            && let Ok(path) = stamp_path(self.settings)
        {
            // Without it the next start takes the longer way, and nothing else.
            let _ = files::replace(&path, stamp.as_bytes(), 0o644);
        }
    }
}

/// The file with the stamp of what runs.
pub fn stamp_path(settings: &Settings) -> Result<PathBuf, Error> {
    Ok(places::state(settings)?.path.join("compose.stamp"))
}

fn in_environment(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}
