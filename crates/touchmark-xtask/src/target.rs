//! What somebody means with a target: a version, the beginning of one, or a name.

use touchmark::{Kind, MigrationId, RollbackTarget, Target};

use crate::error::Error;
use crate::project::Files;

/// How far `db-migrate` goes.
pub(crate) fn up(text: &str, files: &Files) -> Result<Target, Error> {
    let target: Result<Target, _> = text.parse();
    let candidates = of_files(files);
    match target {
        Ok(Target::Version(version)) => {
            let found = by_prefix(text, version, &candidates)?;
            Ok(Target::Version(found.unwrap_or(version)))
        }
        Ok(target) => Ok(target),
        Err(why) => by_name(text, &candidates, why).map(Target::Version),
    }
}

/// How far `db-rollback` goes; what the database has and the files have not can be meant too.
pub(crate) fn down(
    text: &str,
    files: &Files,
    recorded: impl FnOnce() -> Result<Vec<MigrationId>, Error>,
) -> Result<RollbackTarget, Error> {
    let target: Result<RollbackTarget, _> = text.parse();
    let known = |target: &_| matches!(target, RollbackTarget::Steps(_) | RollbackTarget::Base);
    if let Some(target) = target.as_ref().ok().filter(|target| known(target)) {
        return Ok(*target);
    }
    let mut candidates = of_files(files);
    candidates.extend(recorded()?);
    candidates.sort();
    candidates.dedup();
    match target {
        Ok(RollbackTarget::Version(version)) => {
            let found = by_prefix(text, version, &candidates)?;
            Ok(RollbackTarget::Version(found.unwrap_or(version)))
        }
        Ok(target) => Ok(target),
        Err(why) => by_name(text, &candidates, why).map(RollbackTarget::Version),
    }
}

fn of_files(files: &Files) -> Vec<MigrationId> {
    let files = files.set.migrations.iter();
    let ids = files.map(|m| MigrationId {
        kind: m.kind,
        version: m.version,
        name: m.name.clone(),
    });
    ids.collect()
}

/// The version that begins like this; none where there is none, or where it is one itself.
fn by_prefix(text: &str, version: i64, all: &[MigrationId]) -> Result<Option<i64>, Error> {
    let digits = text.trim_start_matches(['V', 'U']);
    let versions = || all.iter().filter(|id| id.kind != Kind::Repeatable);
    if versions().any(|id| id.version == version) {
        return Ok(None);
    }
    only(
        text,
        versions()
            .filter(|id| id.version.to_string().starts_with(digits))
            .collect(),
    )
}

/// The version of that name, or of the only one that begins like this.
fn by_name(text: &str, all: &[MigrationId], why: String) -> Result<i64, Error> {
    let name = text.trim_end_matches(".sql");
    let is_called = |id: &&MigrationId| id.name == name || id.to_string() == name;
    let mut found: Vec<_> = all.iter().filter(is_called).collect();
    if found.is_empty() {
        let begins = |id: &&MigrationId| !name.is_empty() && id.name.starts_with(name);
        found = all.iter().filter(begins).collect();
    }
    if let [only] = found[..]
        && only.kind == Kind::Repeatable
    {
        return Err(Error::Configuration {
            message: format!("{only} is repeatable, and no target"),
            help: "without a target, everything that is pending is applied".into(),
        });
    }
    found.retain(|id| id.kind != Kind::Repeatable);
    only(text, found)?.ok_or(Error::Configuration {
        message: why,
        help: "or give a name; `cargo xtask db-status` lists them".into(),
    })
}

fn only(text: &str, mut found: Vec<&MigrationId>) -> Result<Option<i64>, Error> {
    found.dedup_by_key(|id| id.version);
    match &found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.version)),
        several => {
            let names: Vec<_> = several.iter().take(10).map(|id| id.to_string()).collect();
            let more = match several.len().saturating_sub(names.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Err(Error::Configuration {
                message: format!("`{text}` may be any of {} migrations", several.len()),
                help: format!("name one of {}{more}", names.join(", ")),
            })
        }
    }
}
