//! The `git` program: what it is asked, and how it may refuse.
//!
//! Each process costs a few milliseconds and a hook runs at every commit, so one process answers
//! several questions where it can.

mod base;
mod objects;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

pub(crate) use base::{Base, Standpoint, Wanted, find as find_base, upstream};
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

/// What differs between a tree and the index for one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Relative to the top, with `/`.
    pub path: String,
    pub old: Option<Blob>,
    pub new: Option<Blob>,
    /// A merge has left several versions of it.
    pub is_unmerged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    pub mode: String,
    pub id: String,
}

impl Blob {
    /// Neither a link nor a submodule.
    pub(crate) fn is_file(&self) -> bool {
        self.mode.starts_with("100")
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
        changes(&stdout).ok_or_else(|| Error::Failed {
            command: "diff-index".into(),
            cause: "its answer is not understood".into(),
        })
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
    let mut command = Command::new("git");
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

/// Reads `:100644 100644 <old> <new> M\0path\0…`.
fn changes(raw: &[u8]) -> Option<Vec<Change>> {
    let mut fields = raw
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty());
    let mut out = Vec::new();
    while let Some(meta) = fields.next() {
        let meta = std::str::from_utf8(meta).ok()?.strip_prefix(':')?;
        let path = String::from_utf8_lossy(fields.next()?).into_owned();
        let words: Vec<&str> = meta.split(' ').collect();
        let [old_mode, new_mode, old, new, status] = words[..] else {
            return None;
        };
        let blob = |mode: &str, id: &str| {
            let is_there = mode.bytes().any(|byte| byte != b'0');
            is_there.then(|| Blob {
                mode: mode.to_owned(),
                id: id.to_owned(),
            })
        };
        out.push(Change {
            path,
            old: blob(old_mode, old),
            new: blob(new_mode, new),
            is_unmerged: status == "U",
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_differences_are_read() {
        let raw = b":000000 100644 0000 abcd A\0m/V2__gr\xc3\xb6\xc3\x9fe.sql\0:100644 000000 abcd 0000 D\0m/a b\0\
                    :000000 000000 0000 0000 U\0m/c\0";
        let changes = changes(raw).unwrap();
        let shown: Vec<_> = changes
            .iter()
            .map(|c| {
                (
                    c.path.as_str(),
                    c.old.is_some(),
                    c.new.is_some(),
                    c.is_unmerged,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("m/V2__größe.sql", false, true, false),
                ("m/a b", true, false, false),
                ("m/c", false, false, true)
            ]
        );
        assert_eq!(super::changes(b"").unwrap(), []);
        assert_eq!(super::changes(b"fatal"), None);
    }
}
