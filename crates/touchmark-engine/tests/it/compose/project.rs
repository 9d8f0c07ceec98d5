//! A checkout in a temporary folder, whose containers and volumes go away with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use postgres::{Client, NoTls};
use tempfile::TempDir;
use touchmark_engine::{Database, Down, Error, Kind, Progress, Settings, State};

pub struct Checkout {
    pub settings: Settings,
    /// What the last `up` said.
    pub said: Vec<String>,
    _folder: TempDir,
}

impl Checkout {
    pub fn new(compose_file: &str) -> Checkout {
        Checkout::named("checkout", compose_file)
    }

    pub fn named(name: &str, compose_file: &str) -> Checkout {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(name);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("compose.yaml"), compose_file).unwrap();
        let settings = Settings {
            state_dir: root.join("target/touchmark"),
            engine: Some(Kind::Compose),
            database_url: None,
            compose_file: root.join("compose.yaml"),
            compose_service: "postgres".to_owned(),
            pgadmin: false,
            database: "checkout".to_owned(),
            wait: Duration::from_secs(90),
            root,
        };
        Checkout {
            settings,
            said: Vec::new(),
            _folder: folder,
        }
    }

    pub fn try_up(&mut self) -> Result<Database, Error> {
        let mut said = Vec::new();
        let result = touchmark_engine::up(&self.settings, &mut |progress| {
            said.push(match progress {
                Progress::Starting(what) => format!("starting {what}"),
                Progress::Waiting(what) => format!("waiting for {what}"),
                Progress::Note(what) => format!("note: {what}"),
            });
        });
        self.said = said;
        result
    }

    #[track_caller]
    pub fn up(&mut self) -> Database {
        match self.try_up() {
            Ok(database) => database,
            Err(error) => panic!("{}", rendered(&error)),
        }
    }

    /// The error of an `up` as people see it, with the checkout's folder as `ROOT`.
    #[track_caller]
    pub fn error(&mut self) -> String {
        match self.try_up() {
            Ok(database) => panic!("it started: {database:?}"),
            Err(error) => rendered(&error).replace(&self.root().display().to_string(), "ROOT"),
        }
    }

    #[track_caller]
    pub fn state(&self) -> State {
        touchmark_engine::state(&self.settings).unwrap()
    }

    #[track_caller]
    pub fn down(&self, volumes: bool) -> Down {
        touchmark_engine::down(&self.settings, volumes).unwrap()
    }

    pub fn root(&self) -> &Path {
        &self.settings.root
    }

    pub fn env_path(&self) -> PathBuf {
        self.root().join(".env")
    }

    #[track_caller]
    pub fn env(&self, key: &str) -> Option<String> {
        touchmark_engine::EnvFile::load(self.root())
            .unwrap()
            .get(key)
    }

    #[track_caller]
    pub fn set_env(&self, key: &str, value: &str) {
        let mut file = touchmark_engine::EnvFile::load(self.root()).unwrap();
        file.set(key, value);
        file.save().unwrap();
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.root().join(name), text).unwrap();
    }

    /// The id of a service's container.
    pub fn container(&self, service: &str) -> String {
        let folder = format!(
            "label=com.docker.compose.project.working_dir={}",
            self.root().display()
        );
        let service = format!("label=com.docker.compose.service={service}");
        super::ask(&[
            "ps",
            "--all",
            "--quiet",
            "--no-trunc",
            "--filter",
            &folder,
            "--filter",
            &service,
        ])
    }

    fn objects(&self, list: &[&str], label: &str) -> Vec<String> {
        let Ok(output) = Command::new("docker")
            .args(list)
            .args(["--filter", label])
            .output()
        else {
            return Vec::new();
        };
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let folder = format!(
            "label=com.docker.compose.project.working_dir={}",
            self.root().display()
        );
        let list = [
            "ps",
            "--all",
            "--format",
            "{{.Label \"com.docker.compose.project\"}}",
        ];
        let mut projects = self.objects(&list, &folder);
        if let Ok(file) = touchmark_engine::EnvFile::load(self.root()) {
            projects.extend(file.get("COMPOSE_PROJECT_NAME"));
        }
        let project = |name| format!("label=com.docker.compose.project={name}");
        let labels = projects.into_iter().map(project);
        for label in labels {
            for (list, remove) in [
                (
                    vec!["ps", "--all", "--quiet"],
                    vec!["rm", "--force", "--volumes"],
                ),
                (
                    vec!["volume", "ls", "--quiet"],
                    vec!["volume", "rm", "--force"],
                ),
                (vec!["network", "ls", "--quiet"], vec!["network", "rm"]),
            ] {
                for object in self.objects(&list, &label) {
                    let _ = Command::new("docker").args(&remove).arg(object).output();
                }
            }
        }
    }
}

/// An error with its help, as the commands print it.
pub fn rendered(error: &Error) -> String {
    match error.help() {
        Some(help) => format!("error: {error}\nhelp: {help}"),
        None => format!("error: {error}"),
    }
}

#[track_caller]
pub fn client(database: &Database) -> Client {
    Client::connect(&database.url, NoTls).unwrap()
}

#[track_caller]
pub fn run_sql(database: &Database, sql: &str) {
    client(database).batch_execute(sql).unwrap();
}

/// The first column of the first row.
#[track_caller]
pub fn ask_sql(database: &Database, sql: &str) -> String {
    client(database).query_one(sql, &[]).unwrap().get(0)
}
