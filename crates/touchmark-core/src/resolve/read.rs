//! Reading the files of the migrations, and checking and hashing what is in them.

use super::directory::Pair;
use super::name::FileName;
use super::{parallel, text};
use crate::checksum::Raw;
use crate::diagnostic::{Diagnostic, Place};
use crate::header::{self, Comment, Role};
use crate::lock::{self, Lock};
use crate::sql::{self, Finding, Source};
use crate::{
    Adaptation, Checksum, Directives, Kind, Migration, Placeholder, Script, Statement, checksum,
};

/// A migration, if its file could be read, and what is wrong with its files.
type Read = (Option<Migration>, Vec<Diagnostic>);

/// Reads the files on all processors: parsing is what takes the time.
pub(super) fn read_all(pairs: &[Pair], lock: Option<&Lock>, declared: &[Placeholder]) -> Vec<Read> {
    parallel::map(pairs, |pair| migration(pair, lock, declared))
}

fn migration(pair: &Pair, lock: Option<&Lock>, declared: &[Placeholder]) -> Read {
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
        let about = About {
            file: &pair.up.file,
            name,
            standing: Standing::of(locked.map(|locked| locked.leaf == leaf)),
            declared,
        };
        let script = script(&about, text.sql, &mut problems);
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
        let undo = locked.and_then(|locked| locked.down);
        let about = About {
            file: &entry.file,
            name: &entry.name,
            standing: Standing::of(undo.map(|undo| undo == lock::of_down(&text.sql))),
            declared,
        };
        Some(script(&about, text.sql, &mut problems))
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

fn refinery(pair: &Pair, up: &Script, variants: &[Raw]) -> Vec<u64> {
    let name = &pair.up.name;
    if name.kind == Kind::Repeatable {
        return Vec::new();
    }
    let mut out = checksum::refinery(name.version, &name.name, &up.sql);
    for raw in variants {
        out.extend(checksum::refinery_raw(
            name.version,
            &name.name,
            &up.sql,
            *raw,
        ));
    }
    out
}

/// What is known of a text before it is read.
struct About<'a> {
    file: &'a str,
    name: &'a FileName,
    standing: Standing,
    declared: &'a [Placeholder],
}

/// What the lock says of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing, or that it is a draft.
    New,
    /// It was checked when it was locked, or is known to be applied.
    Sealed,
    /// It was another text when it was locked.
    Edited,
}

impl Standing {
    /// Whether there is a line, and whether the text is that of the line.
    fn of(is_locked: Option<bool>) -> Standing {
        match is_locked {
            None => Standing::New,
            Some(true) => Standing::Sealed,
            Some(false) => Standing::Edited,
        }
    }
}

impl About<'_> {
    /// What to do instead: a text that was right once is put back.
    fn help(&self, finding: &Finding) -> String {
        match self.standing {
            Standing::Edited => format!(
                "it was another text when it was locked, so put that back (`git checkout -- {}`); or, where it is applied nowhere: {}",
                self.file, finding.help
            ),
            Standing::New | Standing::Sealed => finding.help.clone(),
        }
    }
}

/// Checks the text of one file. Of one that was locked, only what depends on the configuration, and
/// whether it can be carried out.
fn script(about: &About, sql: String, problems: &mut Vec<Diagnostic>) -> Script {
    let found = sql::placeholders(&sql, about.declared);
    let stand_in = sql::stand_in(&sql, &found.holes, about.declared);
    let source = sql::split(&stand_in);
    let (directives, header) = directives(&sql, &source, about.name);
    let mut findings = found.findings;
    if let (Some(hole), true) = (found.holes.first(), directives.no_transaction) {
        findings.push(Finding::error(
            hole.start..hole.end,
            "a placeholder in a file without a transaction",
            "such a file is taken up by its text where it was interrupted, so write the value out, or move the \
             statement into a migration of its own with a transaction",
        ));
    }
    let mut adaptation = None;
    if about.standing == Standing::Sealed {
        let (adapted, refused) = adapt(about.name, &stand_in, &source, &directives);
        findings.extend(refused);
        if let (Some(_), Some(hole)) = (&adapted, found.holes.first()) {
            findings.push(Finding::error(
                hole.start..hole.end,
                "a placeholder in a text that another tool has applied",
                "write the value out",
            ));
        }
        findings.extend(source.of_psql.iter().cloned());
        adaptation = adapted;
    } else {
        // Where a placeholder is wrong, the parser would only repeat that.
        if findings.is_empty() && found.quoted.is_empty() {
            findings.extend(sql::check(&stand_in, &source, &directives));
        }
        findings.extend(found.quoted.into_iter().chain(header));
        findings.extend(without_statements(&source, about.name));
        findings.extend(source.findings.iter().chain(&source.of_psql).cloned());
    }
    findings.sort_by_key(|finding| finding.span.start);
    problems.extend(findings.iter().map(|finding| {
        let place = Place::of(&sql, finding.span.clone(), finding.label.as_str());
        Diagnostic {
            severity: finding.severity,
            ..Diagnostic::error(about.file, finding.message.as_str())
                .at(place)
                .help(about.help(finding))
        }
    }));
    Script {
        holes: found.holes,
        adaptation,
        ..finish(sql, &source, directives)
    }
}

/// How a locked text is carried out, and why it can't be. What undoes and what is repeatable is
/// there to be edited, so nothing is done about it here.
fn adapt(
    name: &FileName,
    sql: &str,
    source: &Source,
    directives: &Directives,
) -> (Option<Adaptation>, Vec<Finding>) {
    if name.is_down || name.kind == Kind::Repeatable {
        return (None, sql::unsealable(sql, source, directives));
    }
    sql::adapt(sql, source, directives)
}

/// The semantic hashes of what a locked text executes, where it is not carried out as it stands.
pub fn adapted(name: &FileName, text: &str) -> Option<Vec<Checksum>> {
    let source = sql::split(text);
    let (directives, _) = directives(text, &source, name);
    let (adaptation, _) = adapt(name, text, &source, &directives);
    let statements = adaptation?.statements;
    Some(statements.iter().map(|s| s.semantic).collect())
}

fn without_statements(source: &Source, name: &FileName) -> Option<Finding> {
    let is_right = source.findings.is_empty() && source.of_psql.is_empty();
    let is_empty = source.statements.is_empty() && is_right && !name.is_down;
    is_empty.then(|| {
        Finding::error(
            0..0,
            "a migration without statements",
            "write what it does, or delete the file",
        )
    })
}

/// What is wrong with one file of these bytes, as they lie in git.
pub fn check(
    name: &FileName,
    bytes: Vec<u8>,
    file: &str,
    declared: &[Placeholder],
) -> Vec<Diagnostic> {
    let text = match text::of_bytes(bytes, file) {
        Ok(text) => text,
        Err(problem) => return vec![problem],
    };
    let found = parallel::map(&[text.sql], |sql| {
        let mut problems = Vec::new();
        let about = About {
            file,
            name,
            standing: Standing::New,
            declared,
        };
        script(&about, sql.clone(), &mut problems);
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
    let pieces = source.statements.iter();
    // Of a transaction, nothing is asked but where its statements stand.
    let statements = pieces.clone().filter(|_| directives.no_transaction);
    let statements = statements.map(|piece| Statement {
        start: piece.span.start,
        end: piece.span.end,
        kind: sql::kind(&sql, piece.span.clone()),
        semantic: sql::semantic(&sql, piece.span.clone()),
    });
    Script {
        spans: pieces.map(|piece| piece.span.clone().into()).collect(),
        statements: statements.collect(),
        sql,
        directives,
        holes: Vec::new(),
        adaptation: None,
    }
}
