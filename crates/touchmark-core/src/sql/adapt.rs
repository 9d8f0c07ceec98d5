//! How a locked text of another tool is carried out.
//!
//! The other tools send a file as it is: in a transaction of theirs, or, where they are told so, in
//! none. A run puts the record of a migration into its transaction, so a text that begins and ends
//! transactions itself is taken apart into these. What can't be carried out so is refused when it is
//! locked, because it would stop half-way.

use std::ops::Range;

use super::Finding;
use super::check::{Context, needs_no_transaction, session_state};
use super::other_tools::{self, Use};
use super::split::{Piece, Source};
use super::statement::{self, Head};
use super::token::Kind;
use crate::{Adaptation, Directives, Isolation, Statement, StatementKind};

/// How the text is carried out; `None` where that is as it stands.
pub(crate) fn adapt(
    sql: &str,
    source: &Source,
    directives: &Directives,
) -> (Option<Adaptation>, Vec<Finding>) {
    // The comment of sqlx for what our directive of that name says.
    let is_commented = sql.starts_with("-- no-transaction");
    let mut reader = Reader {
        sql,
        is_without: directives.no_transaction || is_commented,
        is_plain: !other_tools::are_named(sql) && !sql.contains("dvisory_unlock"),
        context: Context::default(),
        open: Vec::new(),
        parts: Vec::new(),
        lasting: None,
        skipped: Vec::new(),
        isolation: None,
        is_odd: is_commented && !directives.no_transaction,
        findings: Vec::new(),
    };
    for piece in &source.statements {
        reader.statement(piece);
    }
    reader.close();
    reader.finish()
}

struct Reader<'a> {
    sql: &'a str,
    /// Whether the other tool was told to open no transaction.
    is_without: bool,
    /// Whether rows may be written without a look at the rest of the statement.
    is_plain: bool,
    context: Context,
    /// The statements of the transaction that is being read.
    open: Vec<Range<usize>>,
    parts: Vec<Part>,
    /// Where a setting was made that lasts beyond its transaction.
    lasting: Option<Range<usize>>,
    skipped: Vec<Range<usize>>,
    isolation: Option<Isolation>,
    /// Whether it can't be carried out as it stands.
    is_odd: bool,
    findings: Vec<Finding>,
}

/// A transaction, or a statement outside of one.
struct Part {
    statements: Vec<Range<usize>>,
    kind: StatementKind,
}

impl Reader<'_> {
    fn statement(&mut self, piece: &Piece) {
        let span = piece.span.clone();
        if self.is_plain && writes_rows(self.sql, span.start) {
            self.open.push(span);
            return;
        }
        let head = Head::new(self.sql, span.clone());
        match Control::of(&head) {
            Some(Control::Begin) => self.begin(&head, span),
            Some(Control::Commit) => {
                self.skip(span);
                self.close();
            }
            Some(Control::Rollback) => {
                // What it undoes has no effect, so it is not done at all.
                self.skipped.append(&mut self.open);
                self.skip(span);
            }
            Some(Control::Refused(words)) => self.refuse(
                head.span(words),
                "can't be recorded together with what it does",
            ),
            None => self.other(&head, piece),
        }
        self.context.remember(&head);
    }

    /// Also where there is a transaction, the server only warns, and takes the isolation level.
    fn begin(&mut self, head: &Head<'_>, span: Range<usize>) {
        if is_read_only(head) {
            return self.refuse(
                head.span(head.tokens.len()),
                "lets nothing be recorded: its transaction may only read",
            );
        }
        self.isolation = self.isolation.max(isolation(head));
        self.skip(span);
    }

    fn other(&mut self, head: &Head<'_>, piece: &Piece) {
        let span = piece.span.clone();
        if head.starts(&["discard", "all"]) {
            let why = "would drop the lock that keeps other migrators away";
            return self.refuse(head.span(2), why);
        }
        if let Some(call) = super::check::unlocks_all(head, piece) {
            let why = "would drop the lock that keeps other migrators away";
            return self.refuse(call, why);
        }
        match other_tools::used(head, span.clone()) {
            Use::None => {}
            Use::OnlyChanges => return self.skip(span),
            Use::Needs { span, table, tool } => {
                let message = format!("this uses `{table}`, which only a database of {tool} has");
                self.findings.push(Finding::error(span, message, EDIT));
                return;
            }
        }
        let is_bare = needs_no_transaction(head, &self.context).is_some();
        if is_bare || self.is_without {
            let kind = statement::kind(self.sql, span.clone());
            if is_bare || kind == StatementKind::Committing {
                self.close();
                self.is_odd |= !self.is_without;
                self.add(vec![span], kind);
                return;
            }
        }
        if let Some(finding) = session_state(head, piece).filter(|_| lasts(head)) {
            self.is_odd |= self.is_without;
            self.lasting.get_or_insert(finding.span);
        }
        self.open.push(span);
    }

    fn skip(&mut self, span: Range<usize>) {
        self.is_odd = true;
        self.skipped.push(span);
    }

    fn refuse(&mut self, span: Range<usize>, why: &str) {
        let what = self.sql[span.clone()].split_whitespace();
        let what: Vec<_> = what.collect();
        let message = format!("`{}` {why}", what.join(" "));
        self.findings.push(Finding::error(span, message, EDIT));
    }

    /// Ends the transaction that is being read.
    fn close(&mut self) {
        let statements = std::mem::take(&mut self.open);
        if !statements.is_empty() {
            self.add(statements, StatementKind::Transactional);
        }
    }

    fn add(&mut self, statements: Vec<Range<usize>>, kind: StatementKind) {
        // The setting that was made in the part that is being added does not count for it.
        let made_here = |at: &Range<usize>| statements.iter().any(|s| s.contains(&at.start));
        let earlier = self.lasting.clone().filter(|at| !made_here(at));
        if let Some(span) = earlier {
            self.lasting = None;
            self.findings.push(Finding::error(
                span,
                "this is gone behind the end of its transaction, and statements behind it may need it",
                EDIT,
            ));
        }
        self.parts.push(Part { statements, kind });
    }

    fn finish(mut self) -> (Option<Adaptation>, Vec<Finding>) {
        if !self.is_odd && self.isolation.is_none() {
            // A setting of a file with our own directive was looked at when it was new.
            return (None, self.findings);
        }
        let is_one = |part: &Part| part.kind == StatementKind::Transactional;
        let no_transaction =
            self.is_without || self.parts.len() > 1 || !self.parts.iter().all(is_one);
        let statement = |range: Range<usize>, kind| Statement {
            start: range.start,
            end: range.end,
            semantic: statement::semantic(self.sql, range),
            kind,
        };
        let parts = std::mem::take(&mut self.parts).into_iter();
        let statements = match no_transaction {
            true => parts
                .filter_map(|part| {
                    let (first, last) = (part.statements.first()?, part.statements.last()?);
                    Some(statement(first.start..last.end, part.kind))
                })
                .collect(),
            false => parts
                .flat_map(|part| part.statements)
                .map(|range| statement(range, StatementKind::Transactional))
                .collect(),
        };
        self.skipped.sort_by_key(|range| range.start);
        let adaptation = Adaptation {
            statements,
            no_transaction,
            skipped: self.skipped,
            isolation: self.isolation,
        };
        (Some(adaptation), self.findings)
    }
}

/// Whether a statement is one of those of which a large file has many.
fn writes_rows(sql: &str, start: usize) -> bool {
    ["insert", "update", "delete"].iter().any(|word| {
        let found = sql.get(start..start + word.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(word))
    })
}

/// What to do about a text that can't be carried out, and that another tool has applied.
const EDIT: &str = "write the file so that it makes the same without this; what is applied already is then \
     recorded with `cargo xtask db-stamp --adopt --unchecked`, or with `cargo xtask db-stamp VERSION`";

/// What a statement does to its transaction.
enum Control {
    Begin,
    Commit,
    Rollback,
    /// It can't be carried out; with how many words say what it is.
    Refused(usize),
}

impl Control {
    fn of(head: &Head<'_>) -> Option<Control> {
        let is_end = head.is(0, "commit") || head.is(0, "end");
        let is_rollback = head.is(0, "rollback") || head.is(0, "abort");
        let is_local = head.is(1, "local") || head.is(1, "session");
        let set = if is_local { 2 } else { 1 };
        let is_two_phase = head.is(1, "prepared") && (is_end || is_rollback)
            || head.starts(&["prepare", "transaction"]);
        Some(if is_two_phase {
            Control::Refused(2)
        } else if head.is(0, "begin") || head.starts(&["start", "transaction"]) {
            Control::Begin
        } else if is_end {
            Control::Commit
        } else if is_rollback && !head.has("to") {
            Control::Rollback
        } else if head.is(0, "set") && head.is(set, "transaction") && head.is(set + 1, "snapshot") {
            Control::Refused(set + 2)
        } else if head.is(0, "set")
            && (head.is(set, "transaction") || head.is(set, "transaction_isolation"))
        {
            Control::Begin
        } else {
            return None;
        })
    }
}

/// The isolation level that a statement names.
fn isolation(head: &Head<'_>) -> Option<Isolation> {
    let words = head.tokens.iter().map(|token| {
        let text = token.text(head.sql);
        match token.kind {
            Kind::String | Kind::QuotedIdent => text.trim_matches(['\'', '"']),
            _ => text,
        }
    });
    let words = words.collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    [
        ("serializable", Isolation::Serializable),
        ("repeatable read", Isolation::RepeatableRead),
        ("read committed", Isolation::ReadCommitted),
        ("read uncommitted", Isolation::ReadCommitted),
    ]
    .into_iter()
    .find_map(|(written, level)| words.contains(written).then_some(level))
}

fn is_read_only(head: &Head<'_>) -> bool {
    (0..head.tokens.len()).any(|at| head.is(at, "read") && head.is(at + 1, "only"))
}

/// Whether what is set lasts beyond its transaction, and may matter to what stands behind it.
fn lasts(head: &Head<'_>) -> bool {
    let is_harmless = [
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "client_min_messages",
        "constraints",
        "local",
    ];
    let name = if head.is(1, "session") { 2 } else { 1 };
    let is_set = head.is(0, "set");
    !(head.is(0, "reset") || is_set && is_harmless.iter().any(|word| head.is(name, word)))
}
