//! A git repository with a project in it, and nothing of the machine's git configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use touchmark_core::lock::{self, Lock};

use crate::{Run, clean, run};

pub const ONE: &str = "CREATE TABLE one (\n    id bigint\n);\n";

/// A repository of its own for each test.
pub struct Repository {
    folder: TempDir,
    /// Where the project is: the top, or a folder in it.
    root: PathBuf,
}

impl Repository {
    /// V1__one and V2__two are locked and merged into `main`; the branch `work` is checked out.
    pub fn new() -> Repository {
        Repository::within("")
    }

    /// The project is in a folder of the repository.
    pub fn within(folder: &str) -> Repository {
        let repository = Repository::empty(folder);
        repository.write("V1__one.sql", ONE);
        repository.write("V2__two.sql", "SELECT 2;\n");
        repository.lock();
        repository.git(&["add", "."]);
        repository.git(&["commit", "-qm", "first"]);
        repository.git(&["checkout", "-qb", "work"]);
        repository
    }

    /// Nothing is committed.
    pub fn empty(within: &str) -> Repository {
        let folder = tempfile::tempdir().unwrap();
        // The temporary folder of macOS is a link.
        let top = fs::canonicalize(folder.path()).unwrap().join("repository");
        let root = top.join(within);
        fs::create_dir_all(root.join("migrations")).unwrap();
        fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
        let repository = Repository { folder, root };
        run(git(&top, &["init", "-q", "-b", "main"]));
        repository
    }

    /// A working tree that git has made of this one.
    pub fn at(root: PathBuf) -> Repository {
        Repository {
            folder: tempfile::tempdir().unwrap(),
            root,
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A place beside the repository.
    pub fn beside(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap().join(path)
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.path("migrations").join(file), text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path("migrations").join(file)).unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        let directory = self.path("migrations");
        fs::rename(directory.join(from), directory.join(to)).unwrap();
    }

    /// Runs git, which must succeed; gives what it prints.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        let run = self.try_git(arguments);
        assert_eq!(run.code, 0, "git {arguments:?}\n{}", run.screen());
        run.stdout
    }

    pub fn try_git(&self, arguments: &[&str]) -> Run {
        run(git(&self.root, arguments))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_touchmark-xtask"), &self.root);
        command.args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments))
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}", run.screen());
        run
    }

    /// Locks what lies there, merged or not, as somebody does who wants to get by `db-lock`.
    #[track_caller]
    pub fn lock(&self) {
        let directory = self.path("migrations");
        let files = lock::entries(&directory, "migrations", &Lock::default()).unwrap();
        self.write(lock::FILE, &Lock::new(files).to_string());
    }

    /// Stages everything, and verifies that.
    pub fn staged(&self) -> Run {
        self.git(&["add", "-A", "."]);
        self.run(&["db-verify", "--staged"])
    }

    #[track_caller]
    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A", "."]);
        self.git(&["commit", "-qm", message]);
    }
}

pub fn git(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = program("git", directory);
    command.args(["-c", "protocol.file.allow=always"]);
    command.args(arguments);
    command
}

/// A program that may run git.
pub fn program(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(name);
    clean(&mut command, directory);
    without_configuration(&mut command);
    command
}

fn without_configuration(command: &mut Command) {
    for (name, _) in std::env::vars() {
        let is_foreign = ["GIT_", "GITHUB_", "CI_"];
        if is_foreign.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Somebody");
        command.env(format!("GIT_{who}_EMAIL"), "somebody@example.com");
        command.env(format!("GIT_{who}_DATE"), "2026-11-21T00:00:00Z");
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
}

/// A script that can be started.
pub fn write_program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Compares a screen with its snapshot, without what differs from run to run.
macro_rules! seen {
    ($run:expr) => {
        insta::with_settings!({filters => vec![
            (r"\b[0-9a-f]{12}\b", "[commit]"),
            (r"/\S*/repository", "[repository]"),
            (r"/\S*/\.tmp\w+", "[folder]"),
        ]}, {
            insta::assert_snapshot!($run.screen());
        })
    };
}
pub(crate) use seen;
