//! Listing a directory: which files are migrations, and what is wrong with the others.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::name::{self, FileName};
use crate::Kind;
use crate::diagnostic::Diagnostic;

/// A file with a right name.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    /// As messages name it.
    pub(crate) file: String,
    pub(crate) name: FileName,
}

/// The files of one migration.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) up: Entry,
    pub(crate) down: Option<Entry>,
}

/// Lists the migrations of a directory, in the order of the chain.
pub(crate) fn list(directory: &Path, label: &str) -> (Vec<Pair>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let root = match fs::canonicalize(directory) {
        Ok(root) => root,
        Err(error) => return (Vec::new(), vec![unreadable_directory(label, &error)]),
    };
    let listing = match fs::read_dir(&root) {
        Ok(listing) => listing,
        Err(error) => return (Vec::new(), vec![unreadable_directory(label, &error)]),
    };
    let mut entries = Vec::new();
    for item in listing {
        match item {
            Ok(item) => match entry(&root, label, &item) {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            },
            Err(error) => problems.push(unreadable_directory(label, &error)),
        }
    }
    // `read_dir` has no order of its own, and messages must have one.
    entries.sort_by(|a, b| a.file.cmp(&b.file));
    problems.extend(twins(&entries));
    let pairs = pair(entries, &mut problems);
    (pairs, problems)
}

fn unreadable_directory(label: &str, error: &io::Error) -> Diagnostic {
    match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::error(label, "the directory does not exist")
            .help("create it (`cargo xtask db-new NAME` does), or set `directory` in `[workspace.metadata.touchmark]`"),
        io::ErrorKind::NotADirectory => {
            Diagnostic::error(label, "not a directory").help("migrations are files in a directory")
        }
        _ => Diagnostic::error(label, format!("failed to read the directory: {error}")),
    }
}

fn entry(root: &Path, label: &str, item: &fs::DirEntry) -> Result<Option<Entry>, Diagnostic> {
    let os_name = item.file_name();
    let shown = os_name.to_string_lossy().escape_debug().to_string();
    let shown = shown.replace("\\'", "'").replace("\\\"", "\"");
    let file = format!("{label}/{shown}");
    let path = item.path();
    let name = match os_name.to_str().map(name::parse) {
        Some(None) => return Ok(None),
        Some(Some(name)) => name,
        None => {
            return Err(Diagnostic::error(file, "the file name is not UTF-8")
                .help("rename it to `V<version>__<name>.sql`"));
        }
    };
    let mut file_type = item
        .file_type()
        .map_err(|error| broken(&path, file.clone(), &error))?;
    if file_type.is_symlink() {
        let target = match fs::canonicalize(&path) {
            Ok(target) => target,
            Err(error) => return Err(broken(&path, file, &error)),
        };
        // The parent of the root is not the root, so `..` can't leave it unseen.
        if !target.starts_with(root) {
            return Err(
                Diagnostic::error(file, "a symbolic link that leaves the directory")
                    .help("copy the file: a link hides from git that the migration was changed"),
            );
        }
        let metadata = fs::metadata(&target);
        file_type = metadata
            .map_err(|error| broken(&path, file.clone(), &error))?
            .file_type();
    }
    if file_type.is_dir() {
        return Err(Diagnostic::error(file, "a directory among the migrations")
            .help("move its files up, or the directory away; migrations lie side by side"));
    }
    let name =
        name.map_err(|wrong| Diagnostic::error(file.clone(), wrong.message).help(wrong.help))?;
    if !file_type.is_file() {
        return Err(Diagnostic::error(file, "not a regular file").help("replace it by a file"));
    }
    Ok(Some(Entry { path, file, name }))
}

fn broken(path: &Path, file: String, error: &io::Error) -> Diagnostic {
    let is_link = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_symlink());
    match error.kind() {
        io::ErrorKind::NotFound if is_link => {
            Diagnostic::error(file, "a symbolic link to nothing").help("delete it")
        }
        // The kind for too many links is not stable yet.
        _ if is_link && error.to_string().contains("symbolic links") => {
            Diagnostic::error(file, "a symbolic link that leads to itself").help("delete it")
        }
        _ => Diagnostic::error(file, format!("failed to read the file: {error}")),
    }
}

/// Names that differ in case only are one file on macOS and Windows.
fn twins(entries: &[Entry]) -> Vec<Diagnostic> {
    let mut folded: BTreeMap<String, &Entry> = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        if let Some(first) = folded.insert(entry.file.to_lowercase(), entry) {
            // A version that stands here twice says it better.
            if entry.name.kind == Kind::Repeatable {
                problems.push(
                    Diagnostic::error(
                        entry.file.as_str(),
                        format!("the name differs from `{}` in case only", first.file),
                    )
                    .help("rename one of them: on macOS and Windows they are one file"),
                );
            }
        }
    }
    problems
}

/// Brings each file to what undoes it, and refuses a version that stands there twice.
fn pair(entries: Vec<Entry>, problems: &mut Vec<Diagnostic>) -> Vec<Pair> {
    let (downs, ups): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| e.name.is_down);
    let mut versions: BTreeMap<i64, Pair> = BTreeMap::new();
    let mut repeatable = Vec::new();
    for up in ups {
        if up.name.kind == Kind::Repeatable {
            repeatable.push(Pair { up, down: None });
            continue;
        }
        match versions.get(&up.name.version) {
            Some(first) => problems.push(duplicate(&first.up, &up)),
            None => {
                versions.insert(up.name.version, Pair { up, down: None });
            }
        }
    }
    for down in downs {
        let Some(pair) = versions.get_mut(&down.name.version) else {
            let right = down.file.replace(".down.sql", ".sql");
            problems.push(
                Diagnostic::error(down.file, "undoes a migration that is not there")
                    .help(format!("write `{right}`, or delete this file")),
            );
            continue;
        };
        if let Some(first) = &pair.down {
            problems.push(duplicate(first, &down));
        } else if (pair.up.name.kind, &pair.up.name.name) != (down.name.kind, &down.name.name) {
            let right = pair.up.file.replace(".sql", ".down.sql");
            problems.push(
                Diagnostic::error(down.file, format!("is not named as `{}`", pair.up.file))
                    .help(format!("did you mean `{right}`?")),
            );
        } else {
            pair.down = Some(down);
        }
    }
    repeatable.sort_by(|a, b| a.up.name.name.cmp(&b.up.name.name));
    versions.into_values().chain(repeatable).collect()
}

fn duplicate(first: &Entry, second: &Entry) -> Diagnostic {
    Diagnostic::error(
        second.file.as_str(),
        format!(
            "version {} is also that of `{}`",
            second.name.version, first.file
        ),
    )
    .help(
        "give one of them another version, after a merge the one that was applied nowhere yet; with a migrations.lock, \
         `cargo xtask db-lock --rebase` does that",
    )
}
