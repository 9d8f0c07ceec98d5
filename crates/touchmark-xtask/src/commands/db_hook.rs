//! `db-hook`: git asks before each commit.

mod manager;
mod script;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
    let path = hooks.join(NAME);
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
    let path = git.hooks()?.join(NAME);
    let shown = shown(git, &path);
    let present = read(&path)?.unwrap_or_default();
    let Some(rest) = script::without(&present) else {
        screen.done("Finished", format_args!("nothing of ours is in {shown}"));
        return Ok(());
    };
    match script::is_empty(&rest) {
        true => fs::remove_file(&path).map_err(|source| Error::io("delete", &path, source))?,
        false => write(&path, &rest)?,
    }
    screen.done("Removed", shown);
    Ok(())
}

/// Whether the hook verifies: with our lines, or in another program's words.
pub(crate) fn is_installed(git: &Git) -> Result<bool, Error> {
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

/// The hook's text; none where there is no hook.
fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(manager::unknown(path)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("read", path, source)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::io("write", path, source);
    fs::write(path, text).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o111)).map_err(failed)?;
    }
    Ok(())
}

/// From the top of the repository, where it is in there.
fn shown(git: &Git, path: &Path) -> String {
    let inside: PathBuf = path.strip_prefix(&git.top).unwrap_or(path).to_owned();
    inside.display().to_string()
}
