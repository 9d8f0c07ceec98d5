//! `db-hook`: git asks before each commit.

mod manager;
mod script;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use touchmark_engine::replace_file;

use crate::error::Error;
use crate::exit_code;
use crate::git::Git;
use crate::project::Project;
use crate::screen::Screen;

use script::Script;

const NAME: &str = "pre-commit";

/// Let git verify every commit
///
/// Puts a few lines into git's pre-commit hook, which run `db-verify --staged`. A hook that is a
/// shell script already keeps all of its own lines; `core.hooksPath` is respected.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-hook install
  cargo xtask db-hook install --fix     the hook also writes and stages migrations.lock
  cargo xtask db-hook install --print   show the hook, and write nothing
  cargo xtask db-hook uninstall")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Put the lines into the hook, or renew them
    Install {
        /// Show the hook, and write nothing
        #[arg(long)]
        print: bool,
        /// Let the hook write and stage migrations.lock
        #[arg(long)]
        fix: bool,
    },
    /// Take the lines out of the hook again
    Uninstall,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let git = Git::open(&project.directory)?;
    match args.action {
        Action::Install { print, fix } => {
            let script = Script::new(project, &git, fix)?;
            match print {
                true => screen.print(format_args!("#!/bin/sh\n{}", script.block().trim_end())),
                false => install(&git, &script, screen)?,
            }
        }
        Action::Uninstall => uninstall(&git, screen)?,
    }
    Ok(exit_code::OK)
}

fn install(git: &Git, script: &Script, screen: &Screen) -> Result<(), Error> {
    let hooks = git.hooks()?;
    if let Some(refusal) = manager::of_directory(git, &hooks)? {
        return Err(refusal);
    }
    let path = target(git, &hooks.join(NAME))?;
    let present = read(&path)?;
    let text = match &present {
        Some(present) => {
            manager::of_hook(&path, present).map_or(Ok(()), Err)?;
            manager::is_executable(&path)?;
            script::with(present, &script.block()).ok_or_else(|| manager::unknown(&path))?
        }
        None => format!("#!/bin/sh\n{}", script.block()),
    };
    let shown = shown(git, &path);
    if present.as_ref() == Some(&text) {
        screen.done("Installed", format_args!("{shown}, as it was"));
        return Ok(());
    }
    fs::create_dir_all(&hooks).map_err(|source| Error::io("create", &hooks, source))?;
    write(&path, &text)?;
    match present {
        Some(_) => screen.done(
            "Installed",
            format_args!("{shown}, before what it does already"),
        ),
        None => screen.done("Installed", shown),
    }
    Ok(())
}

fn uninstall(git: &Git, screen: &Screen) -> Result<(), Error> {
    let link = git.hooks()?.join(NAME);
    let path = target(git, &link)?;
    let shown = shown(git, &path);
    let present = read(&path)?.unwrap_or_default();
    let Some(rest) = script::without(&present) else {
        screen.done("Finished", format_args!("nothing of ours is in {shown}"));
        return Ok(());
    };
    match script::is_empty(&rest) {
        true => {
            for path in [&path, &link] {
                if path.symlink_metadata().is_ok() {
                    fs::remove_file(path).map_err(|source| Error::io("delete", path, source))?;
                }
            }
        }
        false => write(&path, &rest)?,
    }
    screen.done("Removed", shown);
    Ok(())
}

/// Whether the hook verifies: with our lines, or in another program's words.
pub(crate) fn is_installed(git: &Git) -> Result<bool, Error> {
    // Wherever it is kept, it is only looked at.
    let hook = read(&git.hooks()?.join(NAME))?.unwrap_or_default();
    let managed = [
        ".pre-commit-config.yaml",
        "lefthook.yml",
        ".husky/pre-commit",
    ];
    let texts = managed.map(|file| fs::read_to_string(git.top.join(file)).unwrap_or_default());
    let is_ours =
        |text: &String| text.contains("db-verify --staged") || text.contains("id: touchmark");
    Ok(is_ours(&hook) || texts.iter().any(is_ours))
}

/// The file that is the hook. A link is followed within the repository, where a hook may be kept under version control;
/// what it leads to elsewhere is not this repository's to change.
fn target(git: &Git, path: &Path) -> Result<PathBuf, Error> {
    if !path.is_symlink() {
        return Ok(path.to_owned());
    }
    match fs::canonicalize(path) {
        Ok(real) if real.starts_with(&git.top) || real.starts_with(git.common_dir()?) => Ok(real),
        _ => Err(manager::elsewhere(path)),
    }
}

/// No hook that somebody has written is larger.
const LARGEST: u64 = 1 << 20;

/// The hook's text; none where there is no hook.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::io("read", path, source);
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() || meta.len() > LARGEST => return Err(manager::unknown(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    match String::from_utf8(fs::read(path).map_err(failed)?) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(manager::unknown(path)),
    }
}

/// A new hook is executable; one that is there stays as it is.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    replace_file(path, text.as_bytes(), 0o777).map_err(|source| Error::io("write", path, source))
}

/// From the top of the repository, where it is in there.
fn shown(git: &Git, path: &Path) -> String {
    let inside: PathBuf = path.strip_prefix(&git.top).unwrap_or(path).to_owned();
    inside.display().to_string()
}
