//! Reading a directory of migrations: the build script and the commands both do it here.

mod directory;
mod name;
pub(crate) mod parallel;
mod read;
pub(crate) mod text;

use std::path::Path;
use std::{fs, io};

use crate::diagnostic::{Diagnostic, Problems, Severity};
use crate::lock::{Lock, LockState};
use crate::{Checksum, MigrationSet, Placeholder, checksum, sql};
pub(crate) use directory::{Pair, list};
pub use name::FileName;
pub(crate) use name::is_name;
#[cfg(test)]
pub(crate) use parallel::STACK;
pub(crate) use read::unchecked;
pub use read::{adapted, check};

/// How a directory is read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ResolveOptions {
    /// How messages name the directory, with `/`: `migrations`.
    pub label: String,
    /// The placeholders that the configuration declares.
    pub placeholders: Vec<Placeholder>,
}

impl ResolveOptions {
    /// The options for a directory that messages name so.
    pub fn new(label: impl Into<String>) -> ResolveOptions {
        ResolveOptions {
            label: label.into(),
            placeholders: Vec::new(),
        }
    }
}

/// A directory without errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The migrations, in the order of the chain.
    pub set: MigrationSet,
    /// What should be looked at, but stops nothing.
    pub warnings: Problems,
    /// The lock that lies in the directory; see [`LockState::differences`].
    pub lock: LockState,
}

/// Reads, checks and hashes all migrations of a directory.
///
/// An empty directory is an empty set. A file that is as it was locked is read, and not checked
/// again: it can't be mended any more.
///
/// # Errors
///
/// Everything that is wrong with any of the files, warnings included.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
/// use touchmark_core::{ResolveOptions, resolve};
///
/// match resolve(Path::new("migrations"), &ResolveOptions::new("migrations")) {
///     Ok(resolved) => println!("head {}", resolved.set.head()),
///     Err(problems) => eprint!("{}", problems.render(false)),
/// }
/// ```
pub fn resolve(directory: &Path, options: &ResolveOptions) -> Result<Resolved, Problems> {
    let lock = Lock::state(directory, &options.label);
    resolve_locked(directory, options, lock)
}

/// As [`resolve`], with another lock than the one that lies in the directory: with one that has the
/// lines of all files, only what can't be carried out is wrong with them.
///
/// # Errors
///
/// As [`resolve`].
pub fn resolve_locked(
    directory: &Path,
    options: &ResolveOptions,
    lock: LockState,
) -> Result<Resolved, Problems> {
    let (pairs, mut problems) = list(directory, &options.label);
    let mut migrations = Vec::with_capacity(pairs.len());
    // Whether a lock would let any of them pass.
    let mut is_sealable = false;
    for (migration, findings) in read::read_all(&pairs, lock.lock(), &options.placeholders) {
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        is_sealable |= migration.is_some() && findings.iter().any(is_error);
        problems.extend(findings);
        migrations.extend(migration);
    }
    let problems = Problems::new(problems);
    if problems.errors() > 0 {
        return Err(match lock == LockState::Absent && is_sealable {
            true => problems.where_applied(),
            false => problems,
        });
    }
    let mut previous = Checksum::EMPTY;
    for migration in &mut migrations {
        previous = checksum::chain(previous, migration.leaf);
        migration.chain = previous;
    }
    Ok(Resolved {
        set: MigrationSet {
            directory: options.label.clone(),
            migrations,
            placeholders: options.placeholders.clone(),
        },
        warnings: problems,
        lock,
    })
}

/// The files of a directory that are named as migrations are, whatever is in them and whatever
/// else lies there: a new migration must find its number while another one is broken.
///
/// # Errors
///
/// When the directory can't be listed.
pub fn file_names(directory: &Path) -> io::Result<Vec<FileName>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.file_name();
        if let Some(Some(Ok(name))) = file.to_str().map(name::parse) {
            names.push(name);
        }
    }
    Ok(names)
}

/// What a file's name says; `None` for one that is no migration's, or a wrong one.
pub fn file_name(file: &str) -> Option<FileName> {
    name::parse(file)?.ok()
}

/// The semantic hashes of a text's statements: two texts that differ in comments and white space
/// only have the same ones.
pub fn semantic(text: &str) -> Vec<Checksum> {
    let source = sql::split(text);
    let pieces = source.statements.iter();
    pieces
        .map(|piece| sql::semantic(text, piece.span.clone()))
        .collect()
}

/// Whether two texts of a migration differ in comments and white space only. A directive is a
/// comment that does something, so a changed one counts.
pub fn is_cosmetic(name: &FileName, one: &str, other: &str) -> bool {
    let read = |text: &str| {
        let script = unchecked(text.to_owned(), name);
        (semantic(text), script.directives)
    };
    read(one) == read(other)
}

/// The directives of a text, whatever else is wrong with it.
pub fn directives(name: &FileName, text: &str) -> crate::Directives {
    unchecked(text.to_owned(), name).directives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_beside_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        for file in [
            "V1__a.sql",
            "V1__a.down.sql",
            "V2_b.sql",
            "R__c.sql",
            "README",
        ] {
            fs::write(directory.path().join(file), "BEGIN").unwrap();
        }
        let mut names = file_names(directory.path()).unwrap();
        names.sort_by_key(|name| (name.name.clone(), name.is_down));
        let shown: Vec<_> = names.iter().map(|n| (n.name.as_str(), n.is_down)).collect();
        assert_eq!(shown, [("a", false), ("a", true), ("c", false)]);
        assert!(file_names(&directory.path().join("none")).is_err());
    }

    #[test]
    fn comments_and_white_space_do_not_count() {
        let text = "CREATE TABLE a (b int);\nSELECT 1;";
        assert_eq!(
            semantic(text),
            semantic("-- x\nCREATE TABLE a(\n  b int\n);SELECT /* y */ 1")
        );
        assert_ne!(
            semantic(text),
            semantic("CREATE TABLE a (b text);\nSELECT 1;")
        );
        assert_ne!(semantic(text), semantic("CREATE TABLE a (b int);"));
    }

    #[test]
    fn a_directive_is_no_comment() {
        let name = file_name("V1__a.sql").unwrap();
        let check = |other: &str| is_cosmetic(&name, "-- a\nSELECT 1;", other);
        assert!(check("SELECT\n1 -- b"));
        assert!(!check("SELECT 2;"));
        assert!(!check("-- touchmark: lock-timeout 5s\nSELECT 1;"));
    }
}
