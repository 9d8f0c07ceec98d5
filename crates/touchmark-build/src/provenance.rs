//! Which build this is: the package, and what git says about its files.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use touchmark_core::encoded::{BuildState, Stamp};

use crate::Error;
use crate::package::{Package, variable};

/// Names the commit where git can't: a build in a container has no repository.
const VARIABLE: &str = "TOUCHMARK_COMMIT";

/// The stamp of a build, and what changes it.
pub(crate) struct Provenance {
    pub(crate) stamp: Stamp,
    /// The files and directories whose change makes another stamp.
    pub(crate) watch: Vec<PathBuf>,
}

/// Finds out which build this is. A workspace that is in no repository has no commit, and that
/// is no error. Nothing in a stamp depends on when or where the build runs.
pub(crate) fn provenance(package: &Package) -> Result<Provenance, Error> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let text = |name| Ok::<_, Error>(variable(name)?.to_string_lossy().into_owned());
    let mut out = Provenance {
        stamp: Stamp {
            package: text("CARGO_PKG_NAME")?,
            version: text("CARGO_PKG_VERSION")?,
            commit: None,
            state: BuildState::Unknown,
            touchmark: env!("CARGO_PKG_VERSION").into(),
        },
        watch: Vec::new(),
    };
    match env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(value) => {
            let (commit, state) = named(&value.to_string_lossy())?;
            out.stamp.commit = Some(commit);
            out.stamp.state = state;
        }
        None => from_git(&mut out, &package.workspace, package.is_release),
    }
    if !package.is_release && out.stamp.commit.is_some() {
        out.stamp.state = BuildState::Debug;
    }
    Ok(out)
}

/// Reads the variable: a commit, behind it `-dirty` where `git describe --dirty` has put it.
fn named(value: &str) -> Result<(String, BuildState), Error> {
    let value = value.trim();
    let (commit, state) = match value.strip_suffix("-dirty") {
        Some(commit) => (commit, BuildState::Dirty),
        None => (value, BuildState::Unknown),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._+-/".contains(c);
    if commit.is_empty() || commit.len() > 64 || !commit.chars().all(is_name) {
        return Err(Error::Commit {
            value: value.to_owned(),
        });
    }
    Ok((commit.to_owned(), state))
}

/// In a debug build nobody looks at the files: every edit would run the build script again.
fn from_git(out: &mut Provenance, workspace: &Path, is_release: bool) {
    let git = |arguments: &[&str]| git(workspace, arguments);
    let Some(files) = git(&["ls-files", "--", "Cargo.toml"]) else {
        // Git refuses a checkout of another user, as containers have it, and says it to nobody.
        if is_release && workspace.ancestors().any(|dir| dir.join(".git").exists()) {
            println!(
                "cargo::warning=the binary does not say which commit it is of: git is missing, or refuses this \
                 repository; help: see what `git status` says, or set `{VARIABLE}`"
            );
        }
        return;
    };
    // The repository around a directory that it does not track is somebody else's.
    if files.is_empty() {
        return;
    }
    out.watch = heads(workspace);
    let Some(commit) = git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) else {
        return;
    };
    out.stamp.commit = Some(commit.trim_end().to_owned());
    if !is_release {
        return;
    }
    let tracked = tracked(&git(&["ls-files", "-z"]).unwrap_or_default());
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(tracked.iter().map(String::as_str));
    out.stamp.state = match git(&status) {
        Some(changes) if changes.is_empty() => BuildState::Clean,
        Some(_) => BuildState::Dirty,
        None => BuildState::Unknown,
    };
    out.watch
        .extend(tracked.iter().map(|name| workspace.join(name)));
}

/// The files and directories that git tracks at the top of the workspace, from the listing of all.
fn tracked(listing: &str) -> BTreeSet<String> {
    let tops = listing
        .split('\0')
        .filter_map(|path| path.split('/').next());
    tops.filter(|top| !top.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What a commit and a checkout change: `HEAD`, and the branch that it names, which lies in a
/// file of its own, among the packed ones, or in a table. Worktrees have their own `HEAD` only.
fn heads(workspace: &Path) -> Vec<PathBuf> {
    let place = |name: &str| {
        let path = git(workspace, &["rev-parse", "--git-path", name])?;
        Some(workspace.join(path.trim_end_matches(['\n', '\r'])))
    };
    let branch = git(workspace, &["symbolic-ref", "--quiet", "HEAD"]);
    // Cargo runs a script always that watches what is not there. A branch that has no file gets
    // one with its next commit, in the directory where it will lie.
    let branch = branch.and_then(|name| {
        let path = place(name.trim_end())?;
        path.ancestors()
            .find(|path| path.exists())
            .map(Path::to_owned)
    });
    let others = ["HEAD", "packed-refs", "reftable"]
        .into_iter()
        .filter_map(place);
    others.filter(|path| path.exists()).chain(branch).collect()
}

/// What git says; nothing where it fails, or is not there. It writes nothing, and starts no
/// monitor of the file system.
fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A hook of git speaks of its own repository.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    let output = command
        .args(["--literal-pathspecs", "-c", "core.fsmonitor=false"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<(&str, BuildState)>) {
        let found = named(value).ok();
        let expected = expected.map(|(commit, state)| (commit.to_owned(), state));
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn a_commit_may_be_named() {
        check("a1b2c3d", Some(("a1b2c3d", BuildState::Unknown)));
        check(" a1b2c3d\n", Some(("a1b2c3d", BuildState::Unknown)));
        check("a1b2c3d-dirty", Some(("a1b2c3d", BuildState::Dirty)));
        check(
            "v1.2.0-3-ga1b2c3d",
            Some(("v1.2.0-3-ga1b2c3d", BuildState::Unknown)),
        );
        check(
            "release/7+x_y",
            Some(("release/7+x_y", BuildState::Unknown)),
        );
        check(&"a".repeat(65), None);
        check("two words", None);
        check("-dirty", None);
        check("a'b", None);
        check("é", None);
    }

    #[test]
    fn what_is_watched_is_at_the_top() {
        let found = tracked("Cargo.toml\0src/lib.rs\0src/a/b.rs\0migrations/V1__a.sql\0");
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["Cargo.toml", "migrations", "src"]);
    }
}
