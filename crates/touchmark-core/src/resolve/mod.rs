//! Reading a directory of migrations: the build script, the commands and the hooks all do it here.

mod directory;
mod name;
mod text;

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::{fs, io};

use crate::diagnostic::{Diagnostic, Place, Problems};
use crate::header::{self, Comment, Role};
use crate::sql::Finding;
use crate::{
    Checksum, Kind, Migration, MigrationSet, Script, Statement, StatementKind, checksum, sql,
};
use directory::{Entry, Pair};
pub use name::FileName;
use text::Text;

/// How a directory is read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ResolveOptions {
    /// How messages name the directory, with `/`: `migrations`.
    pub label: String,
}

impl ResolveOptions {
    /// The options for a directory that messages name so.
    pub fn new(label: impl Into<String>) -> ResolveOptions {
        ResolveOptions {
            label: label.into(),
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
}

/// Reads, checks and hashes all migrations of a directory.
///
/// An empty directory is an empty set.
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
    let (pairs, mut problems) = directory::list(directory, &options.label);
    let mut migrations = Vec::with_capacity(pairs.len());
    for (migration, findings) in read_all(&pairs) {
        problems.extend(findings);
        migrations.extend(migration);
    }
    let problems = Problems::new(problems);
    if problems.errors() > 0 {
        return Err(problems);
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
        },
        warnings: problems,
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

/// The semantic hashes of a text's statements: two texts that differ in comments and white space
/// only have the same ones.
pub fn semantic(text: &str) -> Vec<Checksum> {
    let source = sql::split(text);
    let pieces = source.statements.iter();
    pieces
        .map(|piece| sql::semantic(text, piece.span.clone()))
        .collect()
}

type Read = (Option<Migration>, Vec<Diagnostic>);

/// Reads the files on all processors: parsing is what takes the time.
fn read_all(pairs: &[Pair]) -> Vec<Read> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match pairs.get(at) {
                Some(pair) => done.push((at, migration(pair))),
                None => return done,
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    // A deeply nested expression recurses deeply in the parser, so the threads get a large stack.
    const STACK: usize = 256 << 20;
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(pairs.len()))
            .filter_map(|_| {
                thread::Builder::new()
                    .stack_size(STACK)
                    .spawn_scoped(scope, work)
                    .ok()
            })
            .collect();
        let mut done = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    // Where no thread could be started, this one does the work.
    done.extend(work());
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, read)| read).collect()
}

fn migration(pair: &Pair) -> Read {
    let mut problems = Vec::new();
    let up = script(&pair.up, &mut problems);
    let down = pair
        .down
        .as_ref()
        .map(|entry| (entry, script(entry, &mut problems)));
    let Some((up, raw_variants)) = up else {
        return (None, problems);
    };
    if let (Some(reason), Some((entry, _))) = (&up.directives.irreversible, &down) {
        problems.push(
            Diagnostic::error(
                entry.file.as_str(),
                format!("undoes a migration that says it is irreversible: {reason}"),
            )
            .help(format!(
                "delete this file, or the line `irreversible` in `{}`",
                pair.up.file
            )),
        );
    }
    let down = down
        .and_then(|(_, script)| script)
        .map(|(script, _)| script);
    let name = &pair.up.name;
    let migration = Migration {
        kind: name.kind,
        version: name.version,
        digits: name.digits,
        name: name.name.clone(),
        leaf: checksum::leaf(name.kind, name.version, &name.name, &up.sql),
        chain: Checksum::EMPTY,
        refinery: refinery(pair, &up, &raw_variants),
        up,
        down,
    };
    (Some(migration), problems)
}

fn refinery(pair: &Pair, up: &Script, variants: &[String]) -> Vec<u64> {
    let name = &pair.up.name;
    if name.kind == Kind::Repeatable {
        return Vec::new();
    }
    let mut out = checksum::refinery(name.version, &name.name, &up.sql);
    for raw in variants {
        out.extend(checksum::refinery(name.version, &name.name, raw));
    }
    out
}

/// Reads one file. Beside the script, the texts that refinery may have hashed.
fn script(entry: &Entry, problems: &mut Vec<Diagnostic>) -> Option<(Script, Vec<String>)> {
    let text = match text::read(&entry.path, &entry.file) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let raw_variants = if entry.name.is_down {
        Vec::new()
    } else {
        text.raw_variants()
    };
    let Text { sql, .. } = text;
    let source = sql::split(&sql);
    let first = source
        .statements
        .first()
        .map_or(sql.len(), |piece| piece.span.start);
    let comments = source.comments.iter().map(|token| Comment {
        text: token.text(&sql),
        start: token.start,
        is_header: token.start < first,
    });
    let role = Role {
        kind: entry.name.kind,
        is_down: entry.name.is_down,
    };
    let (directives, mut findings) = header::directives(comments, role);
    findings.extend(sql::check(&sql, &source, &directives));
    if source.statements.is_empty() && source.findings.is_empty() && !entry.name.is_down {
        findings.push(Finding::error(
            0..0,
            "a migration without statements",
            "write what it does, or delete the file",
        ));
    }
    problems.extend(source.findings.iter().chain(&findings).map(|finding| {
        let place = Place::of(&sql, finding.span.clone(), finding.label.as_str());
        Diagnostic {
            severity: finding.severity,
            ..Diagnostic::error(entry.file.as_str(), finding.message.as_str())
                .at(place)
                .help(finding.help.as_str())
        }
    }));
    let statements = source
        .statements
        .iter()
        .map(|piece| Statement {
            start: piece.span.start,
            end: piece.span.end,
            kind: if directives.no_transaction {
                sql::kind(&sql, piece.span.clone())
            } else {
                StatementKind::Transactional
            },
            semantic: sql::semantic(&sql, piece.span.clone()),
        })
        .collect();
    let script = Script {
        sql,
        directives,
        statements,
    };
    Some((script, raw_variants))
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
}
