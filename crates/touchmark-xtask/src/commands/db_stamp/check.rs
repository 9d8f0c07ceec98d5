//! Whether what the migrations make is in a database: held against a scratch database that the same
//! files were applied to.

use touchmark::{Event, Kind, Target};
use touchmark_engine::Database;

use crate::catalog::{Depth, Entry, Reader, differences};
use crate::commands::db_verify::database::file_name;
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::{Files, Project};
use crate::scratch;
use crate::screen::Screen;
use crate::{exit_code, json};

/// What was found.
pub(super) struct Checked {
    /// How many objects the migrations make.
    pub objects: usize,
    /// What they make and is not there.
    pub missing: Vec<json::MissingObject>,
    /// What is there, and is not as they make it.
    pub different: Vec<json::DifferentObject>,
}

/// Migrates a scratch database to a version, and compares.
pub(super) fn check(
    (project, files): (&Project, &Files),
    through: i64,
    database: &Database,
    interrupts: &Interrupts,
    screen: &Screen,
) -> Result<Checked, Error> {
    let scripts = files.set.migrations.iter().filter_map(|migration| {
        let is_tried = migration.kind != Kind::Repeatable && migration.version <= through;
        let file = format!("{}/{}", files.set.directory, file_name(migration));
        is_tried.then_some((file, &migration.up))
    });
    scratch::keep_to_the_database(
        scripts,
        "nothing was tried, and nothing was recorded; `--unchecked` leaves the check out",
    )?;
    screen.live("Checking", "in a scratch database");
    let made = scratch::with(database, &project.home, interrupts, screen, |scratch| {
        let migrated = files
            .migrator()
            .target(Target::Version(through))
            .canceller(&interrupts.canceller)
            .on_event(|event| {
                if let Event::Applying { number, total, .. } = event {
                    let made = format_args!("in a scratch database: {number} of {total}");
                    screen.live("Checking", made);
                }
            })
            .run(scratch.url.as_str());
        if let Err(touchmark::Error::Failed(_)) = migrated {
            screen.odd(
                "Failed",
                "in a scratch database: nothing is known of yours, and nothing was recorded; `--unchecked` leaves the check out",
            );
        }
        migrated?;
        Reader::connect(&scratch.url, &project.home.history)?.read()
    });
    screen.still();
    let made = made.map_err(with_way_out)?;
    let there = Reader::connect(&database.url, &project.home.history)?.read()?;
    Ok(compare(&made, &there))
}

fn with_way_out(error: Error) -> Error {
    match error {
        Error::NoScratch { .. } => Error::Found {
            message: error.to_string(),
            help: format!(
                "{}; or leave the check out with `--unchecked`",
                error.help().unwrap_or_default()
            ),
            code: error.exit_code(),
        },
        Error::Runtime(touchmark::Error::Cancelled { .. }) => Error::Found {
            message: "interrupted while it was looked what the migrations make".into(),
            help: "nothing was recorded".into(),
            code: exit_code::INTERRUPTED,
        },
        other => other,
    }
}

/// Owners, privileges and comments don't count, and neither does what is there beside.
fn compare(made: &[Entry], there: &[Entry]) -> Checked {
    let counts = |entry: &Entry| !matches!(&*entry.kind, "default privileges" | "security label");
    let mut checked = Checked {
        objects: made.iter().filter(|entry| counts(entry)).count(),
        missing: Vec::new(),
        different: Vec::new(),
    };
    for difference in differences(made, there, Depth::Definition) {
        let Some(entry) = difference.before.filter(|entry| counts(entry)) else {
            continue;
        };
        let object = difference.name();
        match difference.after {
            Some(_) => checked.different.push(json::DifferentObject {
                object,
                diff: difference.diff(),
            }),
            None => checked.missing.push(json::MissingObject {
                object,
                named: same_as(entry, made, there),
            }),
        }
    }
    checked
}

/// The name of what is the same but for its name.
fn same_as(entry: &Entry, made: &[Entry], there: &[Entry]) -> Option<String> {
    let is_known = |other: &Entry| {
        made.iter()
            .any(|made| (&made.kind, &made.identity) == (&other.kind, &other.identity))
    };
    let same = there.iter().find(|other| {
        let part = |entry: &Entry| {
            (
                entry.kind.clone(),
                entry.of.clone(),
                entry.definition.clone(),
            )
        };
        entry.of.is_some() && part(other) == part(entry) && !is_known(other)
    });
    same.map(|other| other.identity.clone())
}
