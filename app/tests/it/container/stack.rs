//! The services of compose.yaml, as a project of their own that goes away with the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::stderr;

/// What the image says it was built of. Always the same, so that a later build finds it in the engine's cache.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// With everything in it that a URL or a shell would want to have escaped.
pub const PASSWORD: &str = "p@ss/w#rd%20 \"$x";

/// One checkout's project.
pub struct Stack {
    compose: &'static [&'static str],
    name: String,
    folder: TempDir,
}

impl Stack {
    /// Builds the image; nothing runs yet.
    #[track_caller]
    pub fn new(name: &str, compose: &'static [&'static str]) -> Stack {
        let stack = Stack {
            compose,
            name: format!("touchmark-test-{name}-{}", std::process::id()),
            folder: TempDir::new().unwrap(),
        };
        let often = "services:\n  app:\n    healthcheck:\n      interval: 1s\n  postgres:\n    healthcheck:\n      interval: 1s\n";
        std::fs::write(stack.often(), often).unwrap();
        stack.build();
        stack
    }

    /// Each project has an image of its own name. All but the first are what the first has left in the cache.
    #[track_caller]
    fn build(&self) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let commit = format!("TOUCHMARK_COMMIT={COMMIT}");
        let root = root().display().to_string();
        // Where only this machine knows the way to the registry, a build has its network.
        let options = ["--quiet", "--network", "host", "--build-arg", &commit];
        let tag = ["--tag", &self.image(), &root];
        docker(&[&["build"], &options[..], &tag[..]].concat());
    }

    pub fn image(&self) -> String {
        format!("{}-app", self.name)
    }

    fn often(&self) -> PathBuf {
        self.folder.path().join("often.yaml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.compose[0]);
        command.args(&self.compose[1..]);
        command.arg("--file").arg(root().join("compose.yaml"));
        command.arg("--file").arg(self.often());
        command.args(arguments).current_dir(root());
        for name in ["COMPOSE_FILE", "COMPOSE_PROFILES", "TOUCHMARK_COMMIT"] {
            command.env_remove(name);
        }
        command
            .env("COMPOSE_PROJECT_NAME", &self.name)
            .env("POSTGRES_PASSWORD", PASSWORD)
            .env("PGADMIN_PASSWORD", "not started")
            .env("POSTGRES_PORT", "0")
            .env("APP_PORT", "0");
        command
    }

    /// A command of Compose that must succeed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        output
    }

    /// A command of Compose that must fail, with some variables changed: its exit code and standard error.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = self.command(arguments);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        (output.status.code(), stderr(&output))
    }

    /// The containers of a service.
    #[track_caller]
    pub fn containers(&self, service: &str) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={service}");
        let list = ["ps", "--all", "--quiet", "--filter", &project];
        let ids = docker(&[&list[..], &["--filter", &service]].concat());
        ids.lines().map(str::to_owned).collect()
    }

    /// Where a port of a service's container is on this machine.
    #[track_caller]
    pub fn port(&self, service: &str, index: &str, port: &str) -> String {
        let output = self.ok(&["port", "--index", index, service, port]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A session of the developer, from outside.
    #[track_caller]
    pub fn connect(&self) -> Client {
        let address = self.port("postgres", "1", "5432");
        let (host, port) = address.split_once(':').unwrap();
        let mut config = postgres::Config::new();
        config.host(host).port(port.parse().unwrap());
        config.user("ingestion").password(PASSWORD);
        config.connect(NoTls).unwrap()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let profiles = ["--profile", "app", "--profile", "migrate"];
        let down = ["down", "--volumes", "--timeout", "5"];
        // There is nobody to tell, and the next test makes its own.
        let _ = self.command(&[&profiles[..], &down[..]].concat()).output();
        let _ = Command::new("docker").args(["rmi", &self.image()]).output();
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What `docker` prints, trimmed.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the engine knows of a container or an image.
#[track_caller]
pub fn inspect(id: &str, what: &str) -> String {
    docker(&["inspect", "--format", what, id])
}

/// Everything that a container has written.
#[track_caller]
pub fn log(id: &str) -> String {
    let output = Command::new("docker").args(["logs", id]).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    stdout + &stderr(&output)
}
