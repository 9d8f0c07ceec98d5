//! The files, their lock, and what the database records of them.

use touchmark::{Standing, Status};
use touchmark_core::Problems;
use touchmark_engine::Database;

use super::{counted, error, failed, ok, skipped, warning};
use crate::commands::db_verify::difference::Difference;
use crate::commands::db_verify::{database, lock};
use crate::error::Error;
use crate::exit_code;
use crate::json::Check;
use crate::project::{Files, Project};

type Read = Result<(Files, Problems), Error>;

/// The files as the build script reads them.
pub(super) fn files(project: &Project) -> Read {
    project.check()
}

pub(super) fn checks(project: &Project, read: Read, database: Option<&Database>) -> Vec<Check> {
    let (files, read) = match read {
        Ok((files, warnings)) => {
            let count = counted(files.set.migrations.len(), "migration");
            let check = match warnings.diagnostics.first() {
                None => ok("files", format_args!("{count} in {}", project.label)),
                Some(first) => warning(
                    "files",
                    format_args!(
                        "{count} in {}; {}: {}",
                        project.label, first.file, first.message
                    ),
                    first
                        .help
                        .as_deref()
                        .unwrap_or("`cargo xtask db-status` shows it"),
                ),
            };
            (Some(files), check)
        }
        Err(error) => (None, failed("files", &error)),
    };
    let mut checks = vec![read, locked(project)];
    match (&files, database) {
        (Some(files), Some(database)) => checks.extend(records(project, files, database)),
        (None, _) => checks.push(skipped("history", "the files")),
        (_, None) => checks.push(skipped("history", "the login")),
    }
    checks
}

/// The files and `migrations.lock`.
fn locked(project: &Project) -> Check {
    const CHECK: &str = "lock";
    match lock::hold(project) {
        Ok(held) if !held.differences.is_empty() => different(CHECK, &held.differences),
        Ok(held) if held.is_locked => {
            ok(CHECK, format_args!("{} as they were locked", held.verified))
        }
        Ok(_) => warning(
            CHECK,
            "there is no migrations.lock",
            "`cargo xtask db-lock` writes it",
        ),
        Err(error) => failed(CHECK, &error),
    }
}

/// History and ledger, what is pending, and what `db-verify` would say.
fn records(project: &Project, files: &Files, database: &Database) -> Vec<Check> {
    let status = match files.migrator().status(database.url.as_str()) {
        Ok(status) => status,
        Err(error) => return vec![failed("history", &Error::Runtime(error))],
    };
    let mut checks = vec![history(project, &status)];
    if status.pooled {
        checks.push(warning(
            "pooler",
            "each transaction gets another session: no-transaction files are refused",
            "set MIGRATION_DATABASE_URL to the server itself",
        ));
    }
    let verified = match database::hold(files, database) {
        Ok(held) if held.differences.is_empty() => ok(
            "drift",
            format_args!("none: {} applied, all as their files", held.verified),
        ),
        Ok(held) => different("drift", &held.differences),
        Err(error) => failed("drift", &error),
    };
    checks.extend([pending(&status), verified]);
    checks
}

fn history(project: &Project, status: &Status) -> Check {
    const CHECK: &str = "history";
    let history = &project.home.history;
    let (ledger, refinery) = (status.rows.ledger.len(), status.rows.refinery.len());
    let rows = |count| counted(count, "row");
    match (ledger, refinery) {
        (0, 0) => ok(
            CHECK,
            "none yet; the first `cargo xtask db-migrate` makes it",
        ),
        (0, _) => ok(
            CHECK,
            format_args!(
                "{history} has {}, which the next `cargo xtask db-migrate` takes over",
                rows(refinery)
            ),
        ),
        _ => ok(
            CHECK,
            format_args!(
                "{history} has {}, {} has {}",
                rows(refinery),
                history.ledger(),
                rows(ledger)
            ),
        ),
    }
}

fn pending(status: &Status) -> Check {
    const CHECK: &str = "pending";
    let standing = status.comparison.standing.iter();
    let pending = standing
        .filter(|standing| matches!(standing, Standing::Pending | Standing::Outdated))
        .count();
    match pending {
        0 => ok(CHECK, "nothing"),
        pending => warning(
            CHECK,
            counted(pending, "migration"),
            "`cargo xtask db-migrate` applies it",
        ),
    }
}

/// A draft, or what is not locked yet, is work that goes on.
fn different(check: &'static str, differences: &[Difference]) -> Check {
    let is_work = differences
        .iter()
        .all(|d| d.code == exit_code::LOCK && d.finding.kind != "lock");
    let worst = differences.iter().find(|d| d.code != exit_code::LOCK);
    let Some(first) = worst.or(differences.first()) else {
        return ok(check, "none");
    };
    let more = match differences.len() {
        1 => String::new(),
        several => format!(", and {} more", several - 1),
    };
    let found = format!("{}{more}", first.finding.message);
    match is_work {
        true => warning(check, found, &first.help),
        false => error(check, found, &first.help),
    }
}
