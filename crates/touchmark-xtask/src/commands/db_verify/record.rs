//! `--record`: how far a shared database is, written down beside the files.

use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

use touchmark_core::environments::{Environments, FILE, is_environment};
use touchmark_core::lock::Entry;
use touchmark_engine::{Database, replace_file};

use super::database::Held;
use crate::commands::db_new::version;
use crate::error::Error;
use crate::project::Project;
use crate::screen::Screen;
use crate::{exit_code, json};

/// The name of the environment, before a database is asked.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    match is_environment(name) {
        true => Ok(()),
        false => Err(Error::Configuration {
            message: format!("`{name}` can't be the name of an environment"),
            help: "use letters, digits, `-`, `_` and `.`, and another word than `replaced`: `--record staging`".into(),
        }),
    }
}

/// Writes what a database has applied that was verified.
pub(crate) fn run(
    name: &str,
    held: &Held,
    database: &Database,
    project: &Project,
    screen: &Screen,
) -> Result<u8, Error> {
    let (text, mut environments) = read(project)?;
    let label = label(project);
    let before = environments.of(name).map(|mark| mark.version);
    environments.record(name, &held.applied, &date());
    let after = environments.of(name).map(|mark| mark.version);
    if before > after {
        let shown = |version: Option<i64>| match version {
            Some(version) => format!("V{version}"),
            None => "nothing".into(),
        };
        return Err(Error::Refused {
            message: format!(
                "{name} was recorded at {}, and this database is at {}",
                shown(before),
                shown(after)
            ),
            help: format!(
                "is it the right database? If {name} was made anew, delete its lines from {label}, and record it again"
            ),
        });
    }
    if after.is_none() && held.applied.is_empty() {
        return Err(Error::Refused {
            message: format!(
                "there is nothing to record: no versioned migration is applied in {name}"
            ),
            help: "migrate it first".into(),
        });
    }
    let written = write(project, &text, &environments)?;
    if screen.is_json() {
        json::print(&json::Recorded {
            database: json::Database::of(database),
            environment: name.to_owned(),
            file: label,
            head: newest(&held.applied),
            written,
        });
        return Ok(exit_code::OK);
    }
    let head = newest(&held.applied).unwrap_or_default();
    match written {
        true => screen.done(
            "Recorded",
            format_args!("{name} at {head} in {label}; commit it"),
        ),
        false => screen.done("Recorded", format_args!("{name} at {head}, as it was")),
    }
    Ok(exit_code::OK)
}

/// The file's text, and what it says.
pub(crate) fn read(project: &Project) -> Result<(String, Environments), Error> {
    let path = project.directory.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(Error::io("read", &path, source)),
    };
    let wrong = |problem: touchmark_core::Diagnostic| Error::Lock(problem.into());
    let environments = Environments::parse(&text, &label(project)).map_err(wrong)?;
    Ok((text, environments))
}

/// Writes the file, unless it is written already.
pub(crate) fn write(project: &Project, text: &str, new: &Environments) -> Result<bool, Error> {
    let path = project.directory.join(FILE);
    let new = new.to_string();
    let differs = new != text.replace("\r\n", "\n");
    if differs {
        replace_file(&path, new.as_bytes(), 0o666)
            .map_err(|source| Error::io("write", &path, source))?;
    }
    Ok(differs)
}

fn label(project: &Project) -> String {
    format!("{}/{FILE}", project.label)
}

fn newest(applied: &[Entry]) -> Option<String> {
    let newest = applied.iter().max_by_key(|entry| entry.version)?;
    Some(format!("{}{}", newest.kind.letter(), newest.version))
}

/// Today in UTC, or the day that a reproducible build is said to be made on.
pub(crate) fn date() -> String {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    };
    let said = env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|epoch| epoch.parse().ok());
    let seconds = said.unwrap_or_else(|| i64::try_from(now().as_secs()).unwrap_or_default());
    let day = version::timestamp(seconds) / 1_000_000;
    format!(
        "{:04}-{:02}-{:02}",
        day / 10_000,
        day / 100 % 100,
        day % 100
    )
}
