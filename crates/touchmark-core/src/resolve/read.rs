//! Reading the files of the migrations, and checking and hashing what is in them.

use super::directory::Pair;
use super::name::FileName;
use super::{parallel, text};
use crate::diagnostic::{Diagnostic, Place};
use crate::header::{self, Comment, Role};
use crate::lock::{self, Lock};
use crate::sql::{self, Finding, Source};
use crate::{Checksum, Directives, Kind, Migration, Script, Statement, StatementKind, checksum};

/// A migration, if its file could be read, and what is wrong with its files.
type Read = (Option<Migration>, Vec<Diagnostic>);

/// Reads the files on all processors: parsing is what takes the time.
pub(super) fn read_all(pairs: &[Pair], lock: Option<&Lock>) -> Vec<Read> {
    parallel::map(pairs, |pair| migration(pair, lock))
}

fn migration(pair: &Pair, lock: Option<&Lock>) -> Read {
    let mut problems = Vec::new();
    let name = &pair.up.name;
    let up = match text::read(&pair.up.path, &pair.up.file) {
        Ok(text) => Some(text),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    let locked = lock.and_then(|lock| lock.find(name.kind, name.version, &name.name));
    let locked = locked.filter(|l| !l.draft && l.kind == name.kind && l.name == name.name);
    let up = up.map(|text| {
        let raw_variants = text.raw_variants();
        let leaf = checksum::leaf(name.kind, name.version, &name.name, &text.sql);
        let is_sealed = locked.is_some_and(|locked| locked.leaf == leaf);
        let script = script(&pair.up.file, name, text.sql, is_sealed, &mut problems);
        (script, raw_variants, leaf)
    });
    let down = pair.down.as_ref().and_then(|entry| {
        let text = match text::read(&entry.path, &entry.file) {
            Ok(text) => text,
            Err(problem) => {
                problems.push(problem);
                return None;
            }
        };
        let is_sealed = locked.is_some_and(|l| l.down == Some(lock::of_down(&text.sql)));
        Some(script(
            &entry.file,
            &entry.name,
            text.sql,
            is_sealed,
            &mut problems,
        ))
    });
    let Some((up, raw_variants, leaf)) = up else {
        return (None, problems);
    };
    if let (Some(reason), Some(entry)) = (&up.directives.irreversible, &pair.down) {
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
    let migration = Migration {
        kind: name.kind,
        version: name.version,
        digits: name.digits,
        name: name.name.clone(),
        leaf,
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

/// Checks the text of one file, unless that was done when it was locked.
fn script(
    file: &str,
    name: &FileName,
    sql: String,
    is_sealed: bool,
    problems: &mut Vec<Diagnostic>,
) -> Script {
    let source = sql::split(&sql);
    let (directives, mut findings) = directives(&sql, &source, name);
    if is_sealed {
        return finish(sql, &source, directives);
    }
    findings.extend(sql::check(&sql, &source, &directives));
    if source.statements.is_empty() && source.findings.is_empty() && !name.is_down {
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
            ..Diagnostic::error(file, finding.message.as_str())
                .at(place)
                .help(finding.help.as_str())
        }
    }));
    finish(sql, &source, directives)
}

/// What is wrong with one file of these bytes, as they lie in git.
pub fn check(name: &FileName, bytes: Vec<u8>, file: &str) -> Vec<Diagnostic> {
    let text = match text::of_bytes(bytes, file) {
        Ok(text) => text,
        Err(problem) => return vec![problem],
    };
    let found = parallel::map(&[text.sql], |sql| {
        let mut problems = Vec::new();
        script(file, name, sql.clone(), false, &mut problems);
        problems
    });
    found.into_iter().flatten().collect()
}

/// What a text says and does, whether it is right or wrong.
pub(crate) fn unchecked(sql: String, name: &FileName) -> Script {
    let source = sql::split(&sql);
    let (directives, _) = directives(&sql, &source, name);
    finish(sql, &source, directives)
}

fn directives(sql: &str, source: &Source, name: &FileName) -> (Directives, Vec<Finding>) {
    let first = source
        .statements
        .first()
        .map_or(sql.len(), |piece| piece.span.start);
    let comments = source.comments.iter().map(|token| Comment {
        text: token.text(sql),
        start: token.start,
        is_header: token.start < first,
    });
    let role = Role {
        kind: name.kind,
        is_down: name.is_down,
    };
    header::directives(comments, role)
}

fn finish(sql: String, source: &Source, directives: Directives) -> Script {
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
    Script {
        sql,
        directives,
        statements,
    }
}
