//! The line that a file has, or would have.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Entry, Fingerprint, Lock};
use crate::diagnostic::{Diagnostic, Problems};
use crate::resolve::{self, FileName, parallel, text};
use crate::{Checksum, Directives, Kind, Migration, Script, checksum, sql};

impl Entry {
    /// The line of a migration; its chain value is that of a lock only.
    pub fn of(migration: &Migration) -> Entry {
        Entry::of_known(migration, &Lock::default())
    }

    /// As [`Entry::of`], without the lexer where the migration is as `lock` says.
    pub fn of_known(migration: &Migration, lock: &Lock) -> Entry {
        let locked = lock.find(migration.kind, migration.version, &migration.name);
        Entry {
            kind: migration.kind,
            version: migration.version,
            digits: migration.digits,
            name: migration.name.clone(),
            leaf: migration.leaf,
            chain: Checksum::EMPTY,
            semantic: match locked.filter(|locked| locked.leaf == migration.leaf) {
                Some(locked) => locked.semantic,
                None => semantic(&migration.up),
            },
            down: migration.down.as_ref().map(|down| of_down(&down.sql)),
            draft: false,
            line: 0,
        }
    }
}

/// The line of a migration from the bytes of its files, as they lie in git or on the disk. No
/// parser is run over them. `file` is how messages name the first of them.
///
/// # Errors
/// When a text is not UTF-8, or has a NUL in it.
pub fn entry(
    name: &FileName,
    up: Vec<u8>,
    down: Option<Vec<u8>>,
    file: &str,
) -> Result<Entry, Diagnostic> {
    known_entry(name, up, down, file, &Lock::default())
}

/// As [`entry`], without the lexer where the migration is as `lock` says.
///
/// # Errors
/// As [`entry`].
pub fn known_entry(
    name: &FileName,
    up: Vec<u8>,
    down: Option<Vec<u8>>,
    file: &str,
    lock: &Lock,
) -> Result<Entry, Diagnostic> {
    let sql = text::of_bytes(up, file)?.sql;
    let down = match down {
        Some(down) => {
            let file = format!("{}.down.sql", file.trim_end_matches(".sql"));
            Some(of_down(&text::of_bytes(down, &file)?.sql))
        }
        None => None,
    };
    Ok(of(name, sql, down, lock))
}

/// The lines of all files of a directory. Only the files that are not as the lock says are looked
/// into; nothing is parsed. `label` is how messages name the directory.
///
/// # Errors
/// What is wrong with the names of the files, or makes one unreadable.
pub fn entries(directory: &Path, label: &str, lock: &Lock) -> Result<Vec<Entry>, Problems> {
    let (pairs, mut problems) = resolve::list(directory, label);
    let mut entries = Vec::with_capacity(pairs.len());
    for read in parallel::map(&pairs, |pair| of_pair(pair, lock)) {
        match read {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    let problems = Problems::new(problems);
    match problems.errors() {
        0 => Ok(entries),
        _ => Err(problems),
    }
}

fn of_pair(pair: &resolve::Pair, lock: &Lock) -> Result<Entry, Diagnostic> {
    let name = &pair.up.name;
    let sql = text::read(&pair.up.path, &pair.up.file)?.sql;
    let down = match &pair.down {
        Some(down) => Some(of_down(&text::read(&down.path, &down.file)?.sql)),
        None => None,
    };
    Ok(of(name, sql, down, lock))
}

/// A leaf commits to the text, so where it is that of the lock, all else is known.
fn of(name: &FileName, sql: String, down: Option<Fingerprint>, lock: &Lock) -> Entry {
    let leaf = checksum::leaf(name.kind, name.version, &name.name, &sql);
    let locked = lock.find(name.kind, name.version, &name.name);
    let semantic = match locked.filter(|locked| locked.leaf == leaf) {
        Some(locked) => locked.semantic,
        None => semantic(&resolve::unchecked(sql, name)),
    };
    Entry {
        kind: name.kind,
        version: name.version,
        digits: name.digits,
        name: name.name.clone(),
        leaf,
        chain: Checksum::EMPTY,
        semantic,
        down,
        draft: false,
        line: 0,
    }
}

impl Lock {
    /// Reads the lock of a directory.
    pub fn state(directory: &Path, label: &str) -> super::LockState {
        let file = format!("{label}/{}", super::FILE);
        match fs::read(directory.join(super::FILE)) {
            Ok(bytes) => super::LockState::parse(Some(&bytes), &file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => super::LockState::Absent,
            Err(error) => super::LockState::Broken(Diagnostic::error(
                file,
                format!("failed to read the file: {error}"),
            )),
        }
    }
}

/// Commits to what a script does: to its statements, and to its directives.
fn semantic(script: &Script) -> Fingerprint {
    let Directives {
        no_transaction,
        lock_timeout,
        statement_timeout,
        irreversible,
        compatible_with_previous,
        unparsed: _,
    } = &script.directives;
    let ms = |timeout: &Option<Duration>| timeout.map_or(0, |timeout| timeout.as_millis());
    let (lock, statement) = (ms(lock_timeout), ms(statement_timeout));
    let why = irreversible.as_deref().unwrap_or_default();
    let directives =
        format!("{no_transaction} {lock} {statement} {compatible_with_previous} {why}");
    let spans = script.spans.iter();
    let statements = spans.map(|span| sql::semantic(&script.sql, span.range()).to_hex());
    Fingerprint::of(checksum::semantic(statements.chain([directives])))
}

pub(crate) fn of_down(sql: &str) -> Fingerprint {
    Fingerprint::of(checksum::leaf(Kind::Versioned, 0, "", sql))
}
