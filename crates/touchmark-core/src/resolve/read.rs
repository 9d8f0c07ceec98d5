//! Reading the files of the migrations, and checking and hashing what is in them.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::directory::{Entry, Pair};
use super::text::{self, Text};
use crate::diagnostic::{Diagnostic, Place};
use crate::header::{self, Comment, Role};
use crate::sql::{self, Finding};
use crate::{Checksum, Kind, Migration, Script, Statement, StatementKind, checksum};

/// A deeply nested expression recurses deeply in the parser. It is address space, and costs nothing
/// until it is used.
pub(crate) const STACK: usize = 256 << 20;

/// A migration, if its file could be read, and what is wrong with its files.
type Read = (Option<Migration>, Vec<Diagnostic>);

/// Reads the files on all processors: parsing is what takes the time.
pub(super) fn read_all(pairs: &[Pair]) -> Vec<Read> {
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
