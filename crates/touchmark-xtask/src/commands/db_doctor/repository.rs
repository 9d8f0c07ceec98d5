//! git, the branch that everybody builds on, the hook, and whether `.env` stays out of it.

use std::path::Path;

use super::{error, failed, ok, skipped, warning};
use crate::commands::db_hook;
use crate::error::Error;
use crate::git::{self, Git, Objects, Wanted};
use crate::json::Check;
use crate::project::Project;

pub(super) fn checks(project: &Project) -> Vec<Check> {
    let git = match Git::open(&project.directory) {
        Ok(git) => git,
        Err(error) => {
            let help = error.help().unwrap_or("look at what git says");
            return vec![
                warning("git", error, help),
                skipped("hook", "git"),
                env_file(project, None),
            ];
        }
    };
    vec![
        upstream(project, &git),
        hook(&git),
        env_file(project, Some(&git)),
    ]
}

fn upstream(project: &Project, git: &Git) -> Check {
    const CHECK: &str = "git";
    let wanted = Wanted {
        configured: project.upstream(),
        ..Wanted::default()
    };
    let found = Objects::open(git).and_then(|mut objects| git::upstream(&mut objects, &wanted));
    match found {
        Ok(Ok((upstream, _))) => ok(
            CHECK,
            format_args!("what is merged into {upstream} is frozen"),
        ),
        Ok(Err(problem)) => warning(CHECK, &problem, problem.help()),
        Err(error) => failed(CHECK, &Error::Git(error)),
    }
}

fn hook(git: &Git) -> Check {
    const CHECK: &str = "hook";
    match db_hook::is_installed(git) {
        Ok(true) => ok(CHECK, "git verifies each commit"),
        Ok(false) => warning(
            CHECK,
            "git does not verify commits",
            "`cargo xtask db-hook install`",
        ),
        Err(error) => failed(CHECK, &error),
    }
}

/// It has a password in it.
fn env_file(project: &Project, git: Option<&Git>) -> Check {
    const CHECK: &str = ".env";
    let path = project.root.join(".env");
    if !path.exists() {
        return ok(CHECK, "none; `cargo xtask db-up` writes one");
    }
    if let Err(error) = std::fs::read_to_string(&path) {
        return failed(CHECK, &Error::io("read", &path, error));
    }
    if let Some(git) = git
        && let Ok(inside) = git.inside(&project.root)
    {
        let name = match inside.is_empty() {
            true => ".env".to_owned(),
            false => format!("{inside}/.env"),
        };
        if git
            .run(&["ls-files", "--error-unmatch", "--", &name])
            .is_ok()
        {
            let help = format!(
                "`git rm --cached {name}`, change the password, and put .env into .gitignore"
            );
            return error(CHECK, "it is in git, and with it the password", help);
        }
        if git.run(&["check-ignore", "--quiet", "--", &name]).is_err() {
            let help = "`echo .env >> .gitignore`";
            return warning(
                CHECK,
                "git does not ignore it, and there is a password in it",
                help,
            );
        }
    }
    match is_open(&path) {
        true => warning(
            CHECK,
            "others on this machine can read it",
            "`chmod 600 .env`",
        ),
        false => ok(CHECK, "there, and for its owner alone"),
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}
