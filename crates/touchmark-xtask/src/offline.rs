//! `--sql` of `db-migrate` and `db-rollback`: a script for psql in place of a run.

use std::io::{self, Write};

use touchmark::{Kind, RollbackTarget, Script, Target};

use crate::error::Error;
use crate::exit_code;
use crate::git::Git;
use crate::project::{Files, Project};
use crate::screen::Screen;
use crate::target;

/// The script that migrates. `range` is `FROM:TO`, or `TO` for a database that is at no version.
pub(crate) fn migrate(range: &str, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let (from, to) = range.split_once(':').unwrap_or(("", range));
    let from = beginning(from, "base", &files)?;
    let target = target::up(or(to, "latest"), &files)?;
    let build = build("db-migrate", project);
    let script = files.migrator_of(&build).target(target).script(from);
    match (script, target, from) {
        (Err(touchmark::Error::TargetBehind { .. }), Target::Version(to), Some(from)) => {
            Err(Error::Configuration {
                message: format!("from version {from} to {to} is the way back"),
                help: format!("`cargo xtask db-rollback --sql {from}:{to}` undoes"),
            })
        }
        (script, ..) => show(script?, "applies", &files, screen),
    }
}

/// The script that undoes. `range` is `FROM:TO`, or `TO` for a database that is at the newest
/// version of the files.
pub(crate) fn rollback(
    range: &str,
    steps: Option<RollbackTarget>,
    project: &Project,
    screen: &Screen,
) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let (from, to) = range.split_once(':').unwrap_or(("", range));
    let from = beginning(from, "latest", &files)?;
    let target = match steps {
        Some(steps) => steps,
        None => target::down(or(to, "-1"), &files, || Ok(Vec::new()))?,
    };
    if let (Some(from), RollbackTarget::Version(to)) = (from, target)
        && from < to
    {
        return Err(Error::Configuration {
            message: format!("from version {from} to {to} is the way forward"),
            help: format!("`cargo xtask db-migrate --sql {from}:{to}` applies"),
        });
    }
    let build = build("db-rollback", project);
    let script = files.migrator_of(&build).rollback_script(from, target)?;
    show(script, "undoes", &files, screen)
}

/// Without `--sql`, the database says where it is.
pub(crate) fn refuse_range(target: &str) -> Result<(), Error> {
    let Some((_, to)) = target.split_once(':') else {
        return Ok(());
    };
    Err(Error::Configuration {
        message: format!("`{target}` is a range, and only `--sql` takes one"),
        help: match to {
            "" => "leave the colon and what is before it away: the database is asked where it is"
                .into(),
            to => format!("give `{to}` alone: the database is asked where it is"),
        },
    })
}

fn or<'t>(text: &'t str, default: &'t str) -> &'t str {
    match text {
        "" => default,
        text => text,
    }
}

/// The version that the database is at, or none.
fn beginning(text: &str, default: &str, files: &Files) -> Result<Option<i64>, Error> {
    let text = or(text, default);
    if text == "base" {
        return Ok(None);
    }
    match target::up(text, files)? {
        Target::Version(version) => Ok(Some(version)),
        Target::Latest => Ok(newest(files)),
        _ => Err(Error::Configuration {
            message: format!("`{text}` does not say at which version the database is"),
            help: "give base, a version such as 3, or a name".into(),
        }),
    }
}

fn newest(files: &Files) -> Option<i64> {
    let mut files = files.set.migrations.iter();
    files
        .rfind(|m| m.kind != Kind::Repeatable)
        .map(|m| m.version)
}

/// What the ledger names, and the head of the script: the files of which commit.
fn build(command: &str, project: &Project) -> String {
    format!(
        "cargo xtask {command} --sql (touchmark {}{})",
        env!("CARGO_PKG_VERSION"),
        commit(project).unwrap_or_default()
    )
}

/// `, files of a1b2c3d4e5f6`; nothing where git does not say, which it need not.
fn commit(project: &Project) -> Option<String> {
    let git = Git::open(&project.directory).ok()?;
    let inside = git.inside(&project.directory).ok()?;
    let said = |arguments: &[&str]| {
        let output = git.run(arguments).ok()?;
        Some(String::from_utf8_lossy(&output).trim_end().to_owned())
    };
    let commit = said(&["rev-parse", "--verify", "--quiet", "--short=12", "HEAD"])?;
    let path = format!(":/{inside}");
    let changes = said(&[
        "status",
        "--porcelain",
        "--untracked-files=all",
        "--",
        &path,
    ])?;
    let changed = match changes.is_empty() {
        true => "",
        false => ", changed since",
    };
    Some(format!(", files of {commit}{changed}"))
}

/// The script goes to standard output as it is: a text that lost a byte would have another checksum.
fn show(script: Script, does: &str, files: &Files, screen: &Screen) -> Result<u8, Error> {
    let Script { from, to, .. } = &script;
    if script.migrations.is_empty() {
        let message = match files.set.migrations.is_empty() {
            true => "there are no migrations".to_owned(),
            false => format!("there is nothing to do from {from} to {to}"),
        };
        return Err(Error::Configuration {
            message,
            help: "`cargo xtask db-status` lists what there is".into(),
        });
    }
    let mut out = io::stdout().lock();
    out.write_all(script.sql.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| Error::Process {
            doing: "write the script, of which only a part is there".into(),
            source,
        })?;
    let count = match script.migrations.len() {
        1 => "1 migration".to_owned(),
        count => format!("{count} migrations"),
    };
    screen.done(
        "Finished",
        format_args!("the script {does} {count}, from {from} to {to}; its head says how to run it"),
    );
    Ok(exit_code::OK)
}
