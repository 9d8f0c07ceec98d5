//! Hooks that somebody else looks after: what to write there instead.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::git::Git;

const LINE: &str = "cargo xtask db-verify --staged";

/// A program that looks after all hooks, or a directory that is not the repository's.
pub(super) fn of_directory(git: &Git, hooks: &Path) -> Result<Option<Error>, Error> {
    let is_husky = hooks
        .ancestors()
        .any(|path| path.file_name().is_some_and(|name| name == ".husky"));
    if is_husky {
        return Ok(Some(refused(
            "husky looks after the hooks of this repository",
            format!("add the line `{LINE}` to .husky/pre-commit"),
        )));
    }
    let lefthook = [
        "lefthook.yml",
        "lefthook.yaml",
        ".lefthook.yml",
        ".lefthook.yaml",
        "lefthook.toml",
        "lefthook.json",
    ];
    if let Some(file) = lefthook.iter().find(|file| git.top.join(file).is_file()) {
        return Ok(Some(of_lefthook(file)));
    }
    let common = git.common_dir()?;
    if hooks.starts_with(&git.top) || hooks.starts_with(&common) {
        return Ok(None);
    }
    Ok(Some(refused(
        &format!(
            "core.hooksPath is `{}`, which is not in this repository: other repositories use it, too",
            hooks.display()
        ),
        format!(
            "give this one hooks of its own: `git config core.hooksPath .githooks`; or paste what `cargo xtask db-hook \
             install --print` shows, which is `{LINE}` in short"
        ),
    )))
}

/// A hook that another program has written.
pub(super) fn of_hook(path: &Path, text: &str) -> Option<Error> {
    if text.contains("pre-commit.com") || text.contains("pre_commit") {
        return Some(refused(
            "the pre-commit framework looks after this hook",
            format!(
                "add it to .pre-commit-config.yaml, below `repos:`\n\
                 \x20 - repo: local\n\
                 \x20   hooks:\n\
                 \x20     - id: touchmark\n\
                 \x20       name: touchmark\n\
                 \x20       entry: {LINE}\n\
                 \x20       language: system\n\
                 \x20       always_run: true\n\
                 \x20       pass_filenames: false"
            ),
        ));
    }
    if text.contains("lefthook") {
        return Some(of_lefthook("lefthook.yml"));
    }
    if text.contains("husky") {
        return Some(refused(
            &format!("husky has written `{}`", path.display()),
            format!("add the line `{LINE}` to the hook in its configuration"),
        ));
    }
    None
}

fn of_lefthook(file: &str) -> Error {
    refused(
        "lefthook looks after the hooks of this repository",
        format!(
            "add it to {file}\n\
             \x20 pre-commit:\n\
             \x20   commands:\n\
             \x20     touchmark:\n\
             \x20       run: {LINE}"
        ),
    )
}

/// A hook that is no shell script.
pub(super) fn unknown(path: &Path) -> Error {
    refused(
        &format!("`{}` is no shell script", path.display()),
        format!("let it run `{LINE}`, and end with its exit code"),
    )
}

/// A hook that is a link to a file which is not the repository's.
pub(super) fn elsewhere(path: &Path) -> Error {
    let target = fs::read_link(path).unwrap_or_default();
    refused(
        &format!(
            "`{}` is a link to `{}`, which is not in this repository",
            path.display(),
            target.display()
        ),
        format!(
            "delete the link, or let what it leads to run `{LINE}`, and end with its exit code"
        ),
    )
}

/// git leaves out a hook that is not executable; with our lines in it, it would begin to run.
pub(super) fn is_executable(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(path).map_err(|source| Error::io("read", path, source))?;
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(refused(
                &format!(
                    "`{}` is not executable, so git does not run it",
                    path.display()
                ),
                "delete it, or make it executable if it is to run".into(),
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, fs::metadata(path));
    Ok(())
}

fn refused(message: &str, help: String) -> Error {
    Error::Refused {
        message: message.into(),
        help,
    }
}
