//! The link that a build makes: files <-> binary, and whether building again explains what differs.

use std::path::Path;

use touchmark::{Finding, Set};
use touchmark_core::FileName;
use touchmark_core::encoded::Home;
use touchmark_core::lock::{self, Change, Entry, Lock};
use touchmark_engine::Database;

use super::difference::Difference;
use crate::error::Error;
use crate::exit_code;
use crate::inspect::{self, Carried, Options};
use crate::json::{self, Link};
use crate::project::Project;

/// A program that carries migrations.
pub(crate) struct Binary {
    /// As messages name it: `target/release/app`.
    name: String,
    carried: Carried,
}

impl Binary {
    pub(crate) fn read(path: &Path, options: &Options) -> Result<Binary, Error> {
        let carried = inspect::read(path, options).map_err(Error::Binary)?;
        let name = match &carried.file {
            Some(file) => format!("{file} of {}", path.display()),
            None => path.display().to_string(),
        };
        Ok(Binary { name, carried })
    }

    /// `target/release/app (app 0.1.0 (a1b2c3d4e5f6))`.
    pub(crate) fn title(&self) -> String {
        format!("{} ({})", self.name, self.carried.stamp)
    }

    /// Holds the files against what the program carries.
    pub(crate) fn hold(
        &self,
        files: &[Entry],
        project: &Project,
    ) -> Result<Vec<Difference>, Error> {
        let mut out = Vec::new();
        if let Some(message) = self.elsewhere(project) {
            out.push(self.stale("history", message));
        }
        if self.carried.set.placeholders != project.placeholders() {
            let message = format!(
                "{} declares other placeholders than the configuration",
                self.name
            );
            out.push(self.stale("placeholders", message));
        }
        let found = lock::differences(&self.lock()?, files);
        out.extend(
            found
                .iter()
                .map(|one| self.stale(&one.entry.to_string(), self.message(one))),
        );
        Ok(out)
    }

    /// What is said where it migrates or records elsewhere than the configuration says. One of many
    /// schemas that was named for this call is no part of either.
    fn elsewhere(&self, project: &Project) -> Option<String> {
        let (name, carried, configured) = (&self.name, &self.carried.home, &project.home);
        if project.given.names_schema() || carried == configured {
            return None;
        }
        let schema = |home: &Home| match &home.schema {
            Some(schema) => format!("the schema {schema}"),
            None => "the schemas that the role sees".into(),
        };
        Some(match carried.history == configured.history {
            true => format!(
                "{name} migrates {}, and the configuration says {}",
                schema(carried),
                schema(configured)
            ),
            false => format!(
                "{name} keeps its history in {}, and the configuration says {}",
                carried.history, configured.history
            ),
        })
    }

    /// Whether the database has what the program carries.
    pub(crate) fn agrees_with(
        &self,
        project: &Project,
        database: &Database,
    ) -> Result<bool, Error> {
        let set = Set::from_bytes(&self.carried.bytes);
        let status = project.migrator(&set).status(database.url.as_str())?;
        let mut findings = status.comparison.findings.iter();
        // What is newer than the program is no contradiction.
        Ok(findings.all(|finding| matches!(finding, Finding::Missing { .. })))
    }

    /// The lock of what is carried.
    fn lock(&self) -> Result<Lock, Error> {
        let mut entries = Vec::new();
        for migration in &self.carried.set.migrations {
            let name = FileName {
                kind: migration.kind,
                version: migration.version,
                digits: migration.digits,
                name: migration.name.clone(),
                is_down: false,
            };
            let up = migration.up.sql.clone().into_bytes();
            let down = migration
                .down
                .as_ref()
                .map(|down| down.sql.clone().into_bytes());
            let entry = lock::entry(&name, up, down, &name.to_string());
            entries.push(entry.map_err(|problem| Error::Files(problem.into()))?);
        }
        Ok(Lock::new(entries))
    }

    fn message(&self, difference: &lock::Difference) -> String {
        let name = &self.name;
        let entry = &difference.entry;
        match &difference.change {
            Change::Edited => format!("{entry} was edited since {name} was built"),
            Change::Cosmetic => format!(
                "{entry} was edited since {name} was built, in comments or white space only"
            ),
            Change::Renamed { from } => format!("{name} carries {entry} as {from}"),
            Change::Gone => format!("{name} carries {entry}, which has no file"),
            Change::Down => format!("what undoes {entry} was changed since {name} was built"),
            _ => format!("{name} was built before {entry} was written"),
        }
    }

    fn stale(&self, migration: &str, message: String) -> Difference {
        Difference {
            finding: json::Finding {
                kind: "stale",
                link: Link::FilesBinary,
                migration: migration.to_owned(),
                message,
                diff: None,
            },
            code: exit_code::STALE,
            help: "build it again".into(),
        }
    }
}

/// Says of differences from a program that the files are what was changed: the program and the
/// database agree.
pub(crate) fn blame_files(differences: &mut [Difference]) {
    for difference in differences {
        difference.help =
            "the program and the database agree, so it is the file that was changed".into();
    }
}
