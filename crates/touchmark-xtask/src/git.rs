//! The `git` program: what it is asked, and how it may refuse.
//!
//! Each process costs a few milliseconds and a hook runs at every commit, so one process answers
//! several questions where it can.

mod base;
mod changes;
mod objects;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

pub(crate) use base::{Base, Standpoint, Wanted, find as find_base, upstream};
pub(crate) use changes::Change;
pub(crate) use objects::Objects;

/// A repository with a working tree, and the index that is looked at: that of a running hook,
/// where one runs.
#[derive(Debug)]
pub(crate) struct Git {
    /// The top of the working tree; paths are relative to it.
    pub top: PathBuf,
    /// The administrative directory of this working tree.
    pub git_dir: PathBuf,
    pub is_shallow: bool,
    pub empty_tree: &'static str,
}

/// Why git has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no `git` in PATH")]
    NoProgram,
    #[error("`{}` is in no git repository", .0.display())]
    NoRepository(PathBuf),
    #[error("`{}` is in a repository without a working tree", .0.display())]
    Bare(PathBuf),
    #[error("the migrations lie in `{}`, outside of the repository `{}`", directory.display(), top.display())]
    Outside { directory: PathBuf, top: PathBuf },
    #[error("failed to run git: {0}")]
    Run(#[source] io::Error),
    #[error("`git {command}` failed: {cause}")]
    Failed { command: String, cause: String },
}

impl Error {
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Error::NoProgram => Some("install git, or leave out what compares with its history"),
            Error::NoRepository(_) => {
                Some("`git init` makes one; without git nothing can be staged")
            }
            Error::Bare(_) => Some("check it out with `git worktree add`"),
            Error::Outside { .. } => Some("run the command in the repository of the migrations"),
            Error::Run(_) | Error::Failed { .. } => None,
        }
    }
}

impl Git {
    /// The repository of a directory, which need not exist any more.
    pub(crate) fn open(directory: &Path) -> Result<Git, Error> {
        let is_hook = env::var_os("GIT_DIR").is_some() || env::var_os("GIT_INDEX_FILE").is_some();
        // A hook runs at the top, and what its environment says may be relative to it.
        let here = match is_hook {
            true => env::current_dir().map_err(Error::Run)?,
            false => existing(directory),
        };
        let mut command = command(&here);
        command.args(["rev-parse", "--is-shallow-repository", "--absolute-git-dir"]);
        command.args(["--show-object-format", "--show-toplevel"]);
        let output = command.output().map_err(failed_to_run)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(match &*stderr {
                said if said.contains("not a git repository") => Error::NoRepository(here),
                said if said.contains("must be run in a work tree") => Error::Bare(here),
                _ => failed("rev-parse", &output),
            });
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let mut lines = stdout.lines();
        let mut next = || lines.next().unwrap_or_default();
        Ok(Git {
            is_shallow: next() == "true",
            git_dir: PathBuf::from(next()),
            empty_tree: match next() {
                "sha256" => "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
                _ => "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            },
            top: canonical(Path::new(next())),
        })
    }

    /// A directory as paths in the repository begin, without a `/` at the end; empty for the top.
    pub(crate) fn inside(&self, directory: &Path) -> Result<String, Error> {
        let directory = canonical(directory);
        let relative = directory.strip_prefix(&self.top);
        let relative = relative.map_err(|_| Error::Outside {
            directory: directory.clone(),
            top: self.top.clone(),
        })?;
        let parts = relative
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        Ok(parts.collect::<Vec<_>>().join("/"))
    }

    fn command(&self) -> Command {
        let mut command = command(&self.top);
        // With this variable alone git would take any directory for the top.
        if env::var_os("GIT_DIR").is_some() {
            command.env("GIT_DIR", &self.git_dir);
            command.env("GIT_WORK_TREE", &self.top);
        }
        command
    }

    /// Runs git and gives what it prints.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Vec<u8>, Error> {
        let output = self.output(arguments, &[])?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(failed(&arguments[0].as_ref().to_string_lossy(), &output)),
        }
    }

    fn output<S: AsRef<OsStr>>(&self, arguments: &[S], input: &[u8]) -> Result<Output, Error> {
        let mut command = self.command();
        command.args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed_to_run)?;
        if let Some(mut stdin) = child.stdin.take() {
            // Whoever does not read it says so with its exit code.
            let _ = stdin.write_all(input);
        }
        child.wait_with_output().map_err(Error::Run)
    }

    /// The best common ancestor; `None` where there is none, or a shallow clone hides it.
    pub(crate) fn merge_base(&self, a: &str, b: &str) -> Result<Option<String>, Error> {
        let output = self.output(&["merge-base", a, b], &[])?;
        match output.status.code() {
            Some(0) => Ok(first_line(&output.stdout)),
            Some(1) => Ok(None),
            _ => Err(failed("merge-base", &output)),
        }
    }

    pub(crate) fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, Error> {
        let output = self.output(&["merge-base", "--is-ancestor", ancestor, of], &[])?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failed("merge-base", &output)),
        }
    }

    /// What the index has otherwise than a tree, in a directory. Grows with what has changed.
    pub(crate) fn staged(&self, tree: &str, directory: &str) -> Result<Vec<Change>, Error> {
        let directory = if directory.is_empty() { "." } else { directory };
        let stdout = self.run(&[
            "--literal-pathspecs",
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            "--no-abbrev",
            "--ita-invisible-in-index",
            tree,
            "--",
            directory,
        ])?;
        changes::read(&stdout).ok_or_else(|| Error::Failed {
            command: "diff-index".into(),
            cause: "its answer is not understood".into(),
        })
    }

    /// Where a commit has the file that is at `path` now: there, or where a file of that name was
    /// taken away since, because its directory was moved.
    pub(crate) fn find_moved(
        &self,
        objects: &mut Objects,
        commit: &str,
        path: &str,
    ) -> Result<Option<String>, Error> {
        if objects.get(&format!("{commit}:{path}"))?.is_some() {
            return Ok(Some(path.to_owned()));
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let anywhere = format!("**/{name}");
        let stdout = self.run(&[
            "--glob-pathspecs",
            "diff-index",
            "--cached",
            "--name-only",
            "-z",
            "--no-renames",
            "--diff-filter=D",
            commit,
            "--",
            &anywhere,
        ])?;
        let text = String::from_utf8_lossy(&stdout);
        let mut paths = text.split('\0').filter(|path| !path.is_empty());
        Ok(paths.next().map(str::to_owned))
    }

    /// Whether the index has a symbolic link at a path.
    pub(crate) fn is_link(&self, path: &str) -> Result<bool, Error> {
        let stdout = self.run(&["--literal-pathspecs", "ls-files", "-s", "-z", "--", path])?;
        Ok(stdout.starts_with(b"120000 "))
    }

    /// Puts a text into the index, as a file at `path`.
    pub(crate) fn stage(&self, path: &str, text: &str) -> Result<(), Error> {
        let output = self.output(&["hash-object", "-w", "--stdin"], text.as_bytes())?;
        let id = match (output.status.success(), first_line(&output.stdout)) {
            (true, Some(id)) => id,
            _ => return Err(failed("hash-object", &output)),
        };
        let entry = format!("100644,{id},{path}");
        self.run(&["update-index", "--add", "--cacheinfo", &entry])
            .map(drop)
    }

    /// Where hooks are looked for: `core.hooksPath`, or `hooks` of the repository.
    pub(crate) fn hooks(&self) -> Result<PathBuf, Error> {
        let stdout = self.run(&["rev-parse", "--git-path", "hooks"])?;
        let path = first_line(&stdout).unwrap_or_else(|| ".git/hooks".into());
        Ok(canonical(&self.top.join(path)))
    }

    /// What all working trees of the repository share.
    pub(crate) fn common_dir(&self) -> Result<PathBuf, Error> {
        let stdout = self.run(&["rev-parse", "--git-common-dir"])?;
        let path = first_line(&stdout).unwrap_or_else(|| ".git".into());
        Ok(canonical(&self.top.join(path)))
    }

    /// A partial commit (`git commit PATH`) has an index that is thrown away afterwards.
    pub(crate) fn is_partial_commit() -> bool {
        env::var_os("GIT_INDEX_FILE").is_some_and(|path| {
            let name = Path::new(&path).file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("next-index-")
        })
    }
}

fn command(directory: &Path) -> Command {
    let mut command = touchmark_engine::command("git");
    command.arg("--no-pager").current_dir(directory);
    command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    command.env_remove("GIT_TRACE").stdin(Stdio::null());
    command
}

/// The nearest directory that is still there.
fn existing(directory: &Path) -> PathBuf {
    let mut above = directory.ancestors();
    let found = above.find(|directory| directory.is_dir());
    found.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Without links, also where the last parts are gone.
fn canonical(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (fs::canonicalize(ancestor), path.strip_prefix(ancestor)) {
            // Joining an empty path would end it with a slash.
            return if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            };
        }
    }
    path.to_owned()
}

fn failed_to_run(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NoProgram,
        _ => Error::Run(error),
    }
}

fn failed(command: &str, output: &Output) -> Error {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let cause = match stderr.trim() {
        "" => output.status.to_string(),
        said => said.trim_start_matches("fatal: ").to_owned(),
    };
    Error::Failed {
        command: command.to_owned(),
        cause,
    }
}

fn first_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().next().map(str::to_owned)
}
