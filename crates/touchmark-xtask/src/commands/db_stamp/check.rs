//! Whether what the migrations make is in a database: held against a scratch database that the same
//! files were applied to.

use std::collections::BTreeSet;

use touchmark::{Event, Kind, Target};
use touchmark_engine::Database;

use crate::catalog::{Depth, Entry, Reader, differences, show_unknown};
use crate::commands::db_verify::database::file_name;
use crate::commands::db_verify::diff::paint;
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
    /// What one of the catalogs has and nothing is known of.
    pub unknown: BTreeSet<String>,
}

impl Checked {
    /// For people.
    pub(super) fn show(&self, screen: &Screen) {
        if screen.is_json() {
            return;
        }
        show_unknown(&self.unknown, screen);
        for object in &self.different {
            screen.warning(format_args!(
                "{} is there, and defined differently: `-` by the migrations, `+` in this database",
                object.object
            ));
            screen.aside_in_colour(paint(&object.diff));
        }
        for missing in &self.missing {
            match &missing.named {
                Some(named) => screen.error(format_args!(
                    "{} is not there; {named} is the same but for its name",
                    missing.object
                )),
                None => screen.error(format_args!("{} is not there", missing.object)),
            }
        }
        if self.missing.is_empty() {
            let different = match self.different.len() {
                0 => String::new(),
                count => format!(", {count} of them different"),
            };
            screen.done(
                "Checked",
                format_args!("{} objects are there{different}", self.objects),
            );
        }
    }
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
        read(&scratch.url, project)
    });
    screen.still();
    let (made, mut unknown) = made.map_err(with_way_out)?;
    let (there, more) = read(&database.url, project)?;
    unknown.extend(more);
    Ok(compare(&made, &there, unknown))
}

fn read(url: &str, project: &Project) -> Result<(Vec<Entry>, BTreeSet<String>), Error> {
    let mut reader = Reader::connect(url, &project.home.history)?;
    let entries = reader.read()?;
    Ok((entries, reader.unknown))
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
fn compare(made: &[Entry], there: &[Entry], unknown: BTreeSet<String>) -> Checked {
    let counts = |entry: &Entry| !matches!(&*entry.kind, "default privileges" | "security label");
    let mut checked = Checked {
        objects: made.iter().filter(|entry| counts(entry)).count(),
        missing: Vec::new(),
        different: Vec::new(),
        unknown,
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
