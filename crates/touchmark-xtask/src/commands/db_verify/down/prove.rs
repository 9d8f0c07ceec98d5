//! Up, down and up again, with a look at everything that the database is made of in between.

use touchmark::{Error as Runtime, Target};
use touchmark_core::Migration;

use super::Proof;
use super::finding::{Finding, Object, Step, What};
use super::work::{Work, no_way_back, not_applied};
use crate::catalog::{Entry, Reader};
use crate::error::Error;
use crate::scratch::{self, Scratch};

/// How the tries in one scratch database ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// There is nothing more to try.
    Through,
    /// The database is not what the files make of it: what is left is tried in another one.
    Spoilt,
    /// A migration can't be applied, and so nothing after it.
    Stopped,
}

/// Tries all of them, and adds to `proof` as it goes. Where one leaves something else behind than
/// there was, the next ones are tried in another database, so that one mistake is told once.
pub(super) fn prove(work: &Work, proof: &mut Proof) -> Result<(), Error> {
    proof.tried = work.which.unwrap_or_default();
    let outcome = try_all(work, proof);
    work.screen.still();
    if !matches!(outcome, Ok(Ended::Through)) {
        let is_known = |id: &String| proof.findings.iter().any(|f| f.migration == *id);
        let left = work.after(proof.tried).into_iter();
        proof.not_tried = left.filter(|id| !is_known(id)).collect();
    }
    outcome.map(|_| ())
}

fn try_all(work: &Work, proof: &mut Proof) -> Result<Ended, Error> {
    let Work {
        database,
        home,
        interrupts,
        screen,
        ..
    } = *work;
    let first = scratch::with(database, home, interrupts, screen, |scratch| {
        Try::new(work, scratch)?.all(proof)
    })?;
    if first != Ended::Spoilt {
        return Ok(first);
    }
    // From here on a second one follows that only goes up. A mistake costs a copy of it, and not all
    // that was applied before.
    scratch::with(database, home, interrupts, screen, |clean| {
        loop {
            let last = work.versions()[proof.tried - 1];
            if let Err(error) = work.up(clean, Target::Version(last.version))? {
                proof.found(not_applied(error));
                return Ok(Ended::Stopped);
            }
            let copy = (clean, database);
            let ended = scratch::with_copy(copy, home, interrupts, screen, |scratch| {
                Try::new(work, scratch)?.all(proof)
            })?;
            if ended != Ended::Spoilt {
                return Ok(ended);
            }
        }
    })
}

/// One scratch database.
struct Try<'w> {
    work: &'w Work<'w>,
    scratch: &'w Scratch,
    reader: Reader,
}

/// What one migration has left.
enum Left {
    /// What should be there after it, and is.
    Right(Vec<Entry>),
    /// The database is not what it should be.
    Wrong,
    /// It can't be applied, and so nothing after it.
    Nothing,
}

impl<'w> Try<'w> {
    fn new(work: &'w Work<'w>, scratch: &'w Scratch) -> Result<Try<'w>, Error> {
        Ok(Try {
            work,
            scratch,
            reader: Reader::connect(&scratch.url, &work.home.history)?,
        })
    }

    /// Tries what is left, as far as this database can be gone on with.
    fn all(&mut self, proof: &mut Proof) -> Result<Ended, Error> {
        let ended = self.each(proof);
        proof.unknown.append(&mut self.reader.unknown);
        ended
    }

    fn each(&mut self, proof: &mut Proof) -> Result<Ended, Error> {
        let work = self.work;
        let versions = work.versions();
        let until = work.until();
        // What is there before the next one, where that is known.
        let mut known = None;
        while proof.tried < until {
            let at = proof.tried;
            let migration = versions[at];
            if let Some(why) = no_way_back(migration) {
                proof.left_out(migration, why);
                proof.tried += 1;
                known = None;
                continue;
            }
            let text = format_args!("{migration} ({} of {until})", at + 1).to_string();
            work.screen.live("Proving", &text);
            let before = match (known.take(), at) {
                (Some(before), _) => before,
                (None, 0) => self.reader.read()?,
                (None, _) => {
                    let before = Target::Version(versions[at - 1].version);
                    if let Err(error) = work.up(self.scratch, before)? {
                        proof.found(not_applied(error));
                        return Ok(Ended::Stopped);
                    }
                    self.reader.read()?
                }
            };
            let left = self.one(migration, before, proof)?;
            proof.tried += 1;
            known = match left {
                Left::Right(after) => Some(after),
                Left::Wrong if work.which.is_none() => return Ok(Ended::Spoilt),
                Left::Wrong => None,
                Left::Nothing => return Ok(Ended::Stopped),
            };
        }
        if work.which.is_none() {
            return self.all_the_way(&versions, proof);
        }
        Ok(Ended::Through)
    }

    /// What is found is told before anything else is done: the next run may be interrupted.
    fn one(
        &mut self,
        migration: &Migration,
        before: Vec<Entry>,
        proof: &mut Proof,
    ) -> Result<Left, Error> {
        let (work, scratch) = (self.work, self.scratch);
        let target = Target::Version(migration.version);
        let finding = |step, what| Finding {
            step,
            migration: migration.to_string(),
            file: work.down_file(migration),
            what,
        };
        let failed = |error: Runtime| What::Failed(Box::new(error.into()));
        if let Err(error) = work.up(scratch, target)? {
            proof.found(not_applied(error));
            return Ok(Left::Nothing);
        }
        let after = self.reader.read()?;
        if let Err(error) = work.down(scratch, 1)? {
            proof.found(finding(Step::Down, failed(error)));
            // Without a transaction, what it did before it failed stays.
            let down = migration.down.as_ref();
            let stays = down.is_some_and(|down| down.directives.no_transaction);
            return Ok(if stays {
                Left::Wrong
            } else {
                Left::Right(after)
            });
        }
        let undone = Object::all(&before, &self.reader.read()?);
        let is_undone = undone.is_empty();
        if !is_undone {
            proof.found(finding(Step::Down, What::Differs(undone)));
        }
        if let Err(error) = work.up(scratch, target)? {
            if is_undone {
                proof.found(finding(Step::UpAgain, failed(error)));
            }
            return Ok(Left::Wrong);
        }
        // Where that makes good what the way down has not undone, this database can be gone on with.
        let again = Object::all(&after, &self.reader.read()?);
        if !again.is_empty() {
            if is_undone {
                proof.found(finding(Step::UpAgain, What::Differs(again)));
            }
            return Ok(Left::Wrong);
        }
        if is_undone {
            proof.proven(migration);
        }
        Ok(Left::Right(after))
    }

    /// With the repeatable files, down as far as there is a way, and up again: what they make may be
    /// in the way of a down file.
    fn all_the_way(&mut self, versions: &[&Migration], proof: &mut Proof) -> Result<Ended, Error> {
        let work = self.work;
        if let Err(error) = work.up(self.scratch, Target::Latest)? {
            proof.found(not_applied(error));
            return Ok(Ended::Stopped);
        }
        let is_proven = |m: &&&Migration| proof.proven.contains(&m.to_string());
        let steps = versions.iter().rev().take_while(is_proven).count();
        let has_repeatable = versions.len() < work.files.set.migrations.len();
        if steps == 0 || !has_repeatable {
            return Ok(Ended::Through);
        }
        work.screen.live("Proving", "the repeatable files");
        let lowest = versions[versions.len() - steps];
        let mut found = |file, what| {
            proof.found(Finding {
                step: Step::Repeatable,
                migration: lowest.to_string(),
                file,
                what,
            });
        };
        let all = self.reader.read()?;
        let outcome = match work.down(self.scratch, steps)? {
            Ok(()) => work.up(self.scratch, Target::Latest)?,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            let file = error.failure().map(|failure| failure.file.clone());
            let what = What::Failed(Box::new(error.into()));
            found(file.unwrap_or_default(), what);
            return Ok(Ended::Through);
        }
        let again = Object::all(&all, &self.reader.read()?);
        if !again.is_empty() {
            found(work.files.set.directory.clone(), What::Differs(again));
        }
        Ok(Ended::Through)
    }
}
