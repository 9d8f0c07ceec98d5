//! Up, down and up again, with a look at everything that the database is made of in between.

use touchmark::{Error as Runtime, Kind, Left, Migrator, RollbackTarget, Target};
use touchmark_core::Migration;
use touchmark_core::encoded::Home;
use touchmark_engine::Database;

use super::Proof;
use super::finding::{Finding, Object, Step, What};
use crate::catalog::{Entry, Reader};
use crate::commands::db_verify::database::file_name;
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::json;
use crate::project::Files;
use crate::scratch::{self, Scratch};
use crate::screen::Screen;

/// What there is to do, and with what.
pub(super) struct Work<'w> {
    pub files: &'w Files,
    pub home: &'w Home,
    /// Only the migration that stands there.
    pub which: Option<usize>,
    pub database: &'w Database,
    pub interrupts: &'w Interrupts,
    pub screen: &'w Screen,
}

/// Tries all of them. Where one leaves something else behind than there was, the next ones are tried
/// in a scratch database of their own, so that one mistake is told once.
pub(super) fn prove(work: &Work) -> Result<Proof, Error> {
    let mut proof = Proof::default();
    let mut from = work.which;
    loop {
        let next = scratch::with(
            work.database,
            work.home,
            work.interrupts,
            work.screen,
            |scratch| {
                let mut one = Try::new(work, scratch)?;
                let next = one.go(from.unwrap_or_default(), &mut proof);
                proof.unknown.append(&mut one.reader.unknown);
                next
            },
        );
        work.screen.still();
        match next? {
            Some(next) => from = Some(next),
            None => return Ok(proof),
        }
    }
}

/// Why a migration is not tried; none where it is.
pub(super) fn no_way_back(migration: &Migration) -> Option<String> {
    match (&migration.up.directives.irreversible, &migration.down) {
        (Some(why), _) => Some(format!("it is irreversible: {why}")),
        (None, None) => Some("it has no down file".into()),
        (None, Some(_)) => None,
    }
}

/// One scratch database.
struct Try<'w> {
    work: &'w Work<'w>,
    url: String,
    reader: Reader,
}

/// What one migration has shown.
enum Outcome {
    /// What is there after it.
    Proven(Vec<Entry>),
    /// The down file was not carried out, and what is there is what was there before it.
    NotUndone(Finding, Vec<Entry>),
    /// The database is not what it should be.
    Spoilt(Finding),
    /// It can't be applied, and so nothing after it.
    Stopped(Finding),
}

impl<'w> Try<'w> {
    fn new(work: &'w Work<'w>, scratch: &Scratch) -> Result<Try<'w>, Error> {
        Ok(Try {
            work,
            url: scratch.url.clone(),
            reader: Reader::connect(&scratch.url, &work.home.history)?,
        })
    }

    /// Tries the migrations from one on. Where the database can't be gone on with, gives the next
    /// one.
    fn go(&mut self, from: usize, proof: &mut Proof) -> Result<Option<usize>, Error> {
        let work = self.work;
        let migrations = &work.files.set.migrations;
        let is_versioned = |m: &&Migration| m.kind != Kind::Repeatable;
        let versions: Vec<_> = migrations.iter().filter(is_versioned).collect();
        let until = work.which.map_or(versions.len(), |which| which + 1);
        // What is there before the next one, where that is known.
        let mut known = None;
        for (at, migration) in versions.iter().enumerate().take(until).skip(from) {
            if let Some(why) = no_way_back(migration) {
                let migration = migration.to_string();
                proof.left_out.push(json::LeftOut { migration, why });
                known = None;
                continue;
            }
            let text = format_args!("{migration} ({} of {until})", at + 1).to_string();
            work.screen.live("Proving", &text);
            let before = match (known.take(), at) {
                (Some(before), _) => before,
                (None, 0) => self.reader.read()?,
                (None, _) => match self.up(Target::Version(versions[at - 1].version))? {
                    Ok(()) => self.reader.read()?,
                    Err(error) => {
                        proof.findings.push(self.not_applied(error));
                        return Ok(None);
                    }
                },
            };
            match self.one(migration, before)? {
                Outcome::Proven(after) => {
                    work.screen.detail("Proven", migration);
                    proof.proven.push(migration.to_string());
                    known = Some(after);
                }
                Outcome::NotUndone(finding, after) => {
                    proof.findings.push(finding);
                    known = Some(after);
                }
                Outcome::Spoilt(finding) => {
                    proof.findings.push(finding);
                    return Ok(work.which.is_none().then_some(at + 1));
                }
                Outcome::Stopped(finding) => {
                    proof.findings.push(finding);
                    return Ok(None);
                }
            }
        }
        if work.which.is_none() {
            self.all_the_way(&versions, proof)?;
        }
        Ok(None)
    }

    fn one(&mut self, migration: &Migration, before: Vec<Entry>) -> Result<Outcome, Error> {
        let target = Target::Version(migration.version);
        let finding = |step, what| Finding {
            step,
            migration: migration.to_string(),
            file: self.work.down_file(migration),
            what,
        };
        let failed = |error: Runtime| What::Failed(Box::new(error.into()));
        if let Err(error) = self.up(target)? {
            return Ok(Outcome::Stopped(self.not_applied(error)));
        }
        let after = self.reader.read()?;
        if let Err(error) = self.down(1)? {
            return Ok(Outcome::NotUndone(
                finding(Step::Down, failed(error)),
                after,
            ));
        }
        let undone = Object::all(&before, &self.reader.read()?);
        if !undone.is_empty() {
            return Ok(Outcome::Spoilt(finding(Step::Down, What::Differs(undone))));
        }
        if let Err(error) = self.up(target)? {
            return Ok(Outcome::Spoilt(finding(Step::UpAgain, failed(error))));
        }
        let again = Object::all(&after, &self.reader.read()?);
        Ok(match again.is_empty() {
            true => Outcome::Proven(after),
            false => Outcome::Spoilt(finding(Step::UpAgain, What::Differs(again))),
        })
    }

    /// With the repeatable files, down as far as there is a way, and up again: what they make may be
    /// in the way of a down file.
    fn all_the_way(&mut self, versions: &[&Migration], proof: &mut Proof) -> Result<(), Error> {
        let work = self.work;
        if let Err(error) = self.up(Target::Latest)? {
            proof.findings.push(self.not_applied(error));
            return Ok(());
        }
        let is_proven = |m: &&&Migration| proof.proven.contains(&m.to_string());
        let steps = versions.iter().rev().take_while(is_proven).count();
        let has_repeatable = versions.len() < work.files.set.migrations.len();
        if steps == 0 || !has_repeatable {
            return Ok(());
        }
        work.screen.live("Proving", "the repeatable files");
        let lowest = versions[versions.len() - steps];
        let mut found = |file, what| {
            proof.findings.push(Finding {
                step: Step::Repeatable,
                migration: lowest.to_string(),
                file,
                what,
            });
        };
        let all = self.reader.read()?;
        let outcome = match self.down(steps)? {
            Ok(()) => self.up(Target::Latest)?,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            let file = error.failure().map(|failure| failure.file.clone());
            let what = What::Failed(Box::new(error.into()));
            found(file.unwrap_or_default(), what);
            return Ok(());
        }
        let again = Object::all(&all, &self.reader.read()?);
        if !again.is_empty() {
            found(work.files.set.directory.clone(), What::Differs(again));
        }
        Ok(())
    }

    /// The outer error ends the command: it says nothing of the files.
    fn up(&self, target: Target) -> Result<Result<(), Runtime>, Error> {
        let migrator = self.migrator().target(target);
        told(migrator.run(self.url.as_str()).map(|_| ()))
    }

    fn down(&self, steps: usize) -> Result<Result<(), Runtime>, Error> {
        let target = RollbackTarget::Steps(steps);
        let outcome = self.migrator().rollback(self.url.as_str(), target);
        told(outcome.map(|_| ()))
    }

    fn migrator(&self) -> Migrator<'w> {
        let work = self.work;
        work.files
            .migrator()
            .canceller(&work.interrupts.canceller)
            // What a file has to say, it says when it is applied for good.
            .on_event(|_| {})
    }

    fn not_applied(&self, error: Runtime) -> Finding {
        let failure = error.failure();
        let file = failure.map(|failure| failure.file.clone());
        let id = failure.map(|failure| failure.id.to_string());
        Finding {
            step: Step::Up,
            migration: id.unwrap_or_default(),
            file: file.unwrap_or_default(),
            what: What::Failed(Box::new(error.into())),
        }
    }
}

impl Work<'_> {
    fn down_file(&self, migration: &Migration) -> String {
        let name = file_name(migration).replace(".sql", ".down.sql");
        format!("{}/{name}", self.files.set.directory)
    }
}

/// What the files are to blame for is told, everything else ends the command.
fn told(outcome: Result<(), Runtime>) -> Result<Result<(), Runtime>, Error> {
    match outcome {
        Err(Runtime::Failed(mut failure)) => {
            // At which version the scratch database was is of no use to anybody.
            if matches!(failure.state, Left::RolledBack(_)) {
                failure.state = Left::RolledBack(None);
            }
            Ok(Err(Runtime::Failed(failure)))
        }
        Err(error @ Runtime::Blocked { .. }) => Ok(Err(error)),
        Err(Runtime::Cancelled { .. } | Runtime::UndoCancelled { .. }) => Err(Error::Found {
            message: "interrupted".into(),
            help: "nothing was changed but the scratch database, which is dropped".into(),
            code: crate::exit_code::INTERRUPTED,
        }),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Ok(())),
    }
}
