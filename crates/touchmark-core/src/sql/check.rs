//! Content that can't work in a migration, or only seems to.

use std::ops::Range;

use super::Finding;
use super::characters;
use super::parse::SyntaxCheck;
use super::split::{Piece, Source};
use super::statement::{Head, refusal};
use super::token::{Kind, Lexer};
use crate::Directives;

/// Checks the statements of a text.
pub(crate) fn check(sql: &str, source: &Source, directives: &Directives) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut context = Context::default();
    let mut syntax = SyntaxCheck::new(sql);
    for piece in &source.statements {
        let head = Head::new(sql, piece.span.clone());
        let before = findings.len();
        findings.extend(content(&head, piece, directives, &context));
        if !directives.no_transaction {
            findings.extend(new_enum_value(&head, piece, &context));
        }
        context.remember(&head);
        let is_fine = findings.len() == before;
        let is_read = is_fine && piece.readable && !directives.unparsed;
        let found = characters::find(sql, piece.span.clone());
        match found.cause.filter(|_| is_read) {
            Some(cause) => findings.push(cause),
            None => {
                findings.extend(found.warnings);
                if is_read {
                    findings.extend(syntax.error(piece.span.clone()));
                }
            }
        }
    }
    findings.extend(characters::turned(sql));
    findings
}

/// What is wrong with a text whatever the server says of its syntax: where it is locked too, it can't
/// be carried out as it stands, and nothing keeps it from being mended.
pub(crate) fn unsealable(sql: &str, source: &Source, directives: &Directives) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut context = Context::default();
    for piece in &source.statements {
        let head = Head::new(sql, piece.span.clone());
        findings.extend(content(&head, piece, directives, &context));
        context.remember(&head);
    }
    findings
}

fn content(
    head: &Head<'_>,
    piece: &Piece,
    directives: &Directives,
    context: &Context,
) -> Vec<Finding> {
    let of_session = match directives.no_transaction {
        true => session_state(head, piece),
        false => needs_no_transaction(head, context).or_else(|| late_isolation(head)),
    };
    let found = [
        transaction_control(head, directives),
        lock_loss(head, piece),
        concurrent_index(head),
        of_session,
    ];
    found.into_iter().flatten().collect()
}

/// What earlier statements of the same file did.
#[derive(Default)]
pub(super) struct Context {
    enum_values: Vec<String>,
    creates_types: bool,
    alters_subscription: bool,
}

impl Context {
    pub(super) fn remember(&mut self, head: &Head<'_>) {
        if let Some(value) = added_enum_value(head) {
            self.enum_values.push(value.to_owned());
        }
        self.creates_types |= head.starts(&["create", "type"]);
        self.alters_subscription |= head.starts(&["alter", "subscription"]);
    }
}

fn transaction_control(head: &Head<'_>, directives: &Directives) -> Option<Finding> {
    let words: &[&str] = if head.is(0, "begin") {
        &["BEGIN"]
    } else if head.starts(&["start", "transaction"]) {
        &["START", "TRANSACTION"]
    } else if head.starts(&["commit", "prepared"]) {
        &["COMMIT", "PREPARED"]
    } else if head.is(0, "commit") {
        &["COMMIT"]
    } else if head.is(0, "end") {
        &["END"]
    } else if head.starts(&["rollback", "prepared"]) {
        &["ROLLBACK", "PREPARED"]
    } else if head.is(0, "rollback") {
        &["ROLLBACK"]
    } else if head.is(0, "abort") {
        &["ABORT"]
    } else if head.is(0, "savepoint") {
        &["SAVEPOINT"]
    } else if head.is(0, "release") {
        &["RELEASE"]
    } else if head.starts(&["prepare", "transaction"]) {
        &["PREPARE", "TRANSACTION"]
    } else {
        return None;
    };
    let what = words.join(" ");
    let help = if directives.no_transaction {
        "delete it: each statement of this file is committed together with the record of its progress"
    } else {
        "delete it: a migration runs in a transaction of its own, together with the record that it \
         was applied. To run each statement by itself, add the line \
         `-- touchmark: no-transaction` at the top of the file"
    };
    Some(Finding::error(
        head.span(words.len()),
        format!("`{what}` in a migration"),
        help,
    ))
}

/// The server takes an isolation level only before the first query of a transaction.
fn late_isolation(head: &Head<'_>) -> Option<Finding> {
    let at = if head.is(1, "local") || head.is(1, "session") {
        2
    } else {
        1
    };
    let is_mode = head.is(at, "transaction") && (head.has("isolation") || head.has("snapshot"));
    if !head.is(0, "set") || !(is_mode || head.is(at, "transaction_isolation")) {
        return None;
    }
    Some(Finding::error(
        head.span(at + 1),
        "the isolation level of a migration can't be set: a run has asked the database before, in the same transaction",
        "delete it: no other migrator runs meanwhile, and `LOCK TABLE` keeps others away from a table",
    ))
}

/// Statements that would drop the lock that keeps other migrators away.
fn lock_loss(head: &Head<'_>, piece: &Piece) -> Option<Finding> {
    if head.starts(&["discard", "all"]) {
        return Some(Finding::error(
            head.span(2),
            "`DISCARD ALL` would drop the lock that keeps other migrators away",
            "delete it, or name what is meant: `DISCARD PLANS`, `DISCARD SEQUENCES`, \
             `DISCARD TEMP`, `RESET ALL`",
        ));
    }
    let calls_functions = head
        .tokens
        .first()
        .is_some_and(|first| first.kind == Kind::Open)
        || [
            "select", "with", "values", "insert", "update", "delete", "merge", "explain", "table",
        ]
        .iter()
        .any(|word| head.is(0, word))
        || head.is(0, "create") && (head.has("as") && !is_routine(head));
    if !calls_functions {
        return None;
    }
    let span = call_of(head.sql, piece.span.clone(), |name| {
        matches!(
            name,
            "pg_advisory_unlock" | "pg_advisory_unlock_all" | "pg_advisory_unlock_shared"
        )
    })?;
    let name = &head.sql[span.clone()];
    Some(Finding::error(
        span.clone(),
        format!("`{name}()` may drop the lock that keeps other migrators away"),
        "delete it: no other migrator runs meanwhile; where a lock is needed all the same, use \
         `pg_advisory_xact_lock`, which needs no unlock",
    ))
}

/// The call that drops every lock of the session.
pub(super) fn unlocks_all(head: &Head<'_>, piece: &Piece) -> Option<Range<usize>> {
    let found = lock_loss(head, piece)?.span;
    let name = head.sql[found.clone()].trim_matches('"');
    name.eq_ignore_ascii_case("pg_advisory_unlock_all")
        .then_some(found)
}

fn is_routine(head: &Head<'_>) -> bool {
    head.has("function") || head.has("procedure")
}

/// The name in the first call of a function that is asked for, quoted or not.
fn call_of(sql: &str, span: Range<usize>, asked: impl Fn(&str) -> bool) -> Option<Range<usize>> {
    let mut previous: Option<Range<usize>> = None;
    for token in Lexer::starting_at(&sql[..span.end], span.start) {
        if token.is_trivia() {
            continue;
        }
        if let (Kind::Open, Some(name)) = (token.kind, previous.take()) {
            return Some(name);
        }
        let is_name = matches!(token.kind, Kind::Word | Kind::QuotedIdent);
        let name = token.text(sql).trim_matches('"').to_ascii_lowercase();
        previous = (is_name && asked(&name)).then(|| token.span());
    }
    None
}

fn concurrent_index(head: &Head<'_>) -> Option<Finding> {
    let index = if head.is(1, "unique") { 2 } else { 1 };
    let concurrently =
        head.is(0, "create") && head.is(index, "index") && head.is(index + 1, "concurrently");
    if !concurrently {
        return None;
    }
    let name = index + 2;
    if head.is(name, "if") && head.is(name + 1, "not") {
        let span = head.tokens[name].start..head.span(name + 3).end;
        return Some(Finding::error(
            span,
            "`CREATE INDEX CONCURRENTLY IF NOT EXISTS` succeeds over an invalid index",
            "delete `IF NOT EXISTS`: an interrupted build is found out and done again without it",
        ));
    }
    if head.is(name, "on") {
        return Some(
            Finding::error(
                head.tokens[name].span(),
                "`CREATE INDEX CONCURRENTLY` without a name",
                "name the index, so that an interrupted build can be found and done again",
            )
            .label("expected a name here"),
        );
    }
    None
}

pub(super) fn needs_no_transaction(head: &Head<'_>, context: &Context) -> Option<Finding> {
    let refusal = refusal(head)?;
    // Without a slot, which an earlier statement may have taken away, it runs in a transaction.
    if refusal.what == "DROP SUBSCRIPTION" && context.alters_subscription {
        return None;
    }
    Some(Finding::error(
        head.span(3),
        format!("`{}` can't run in a transaction", refusal.what),
        "add the line `-- touchmark: no-transaction` at the top of the file; other statements \
         belong into another file, so that they stay in a transaction",
    ))
}

/// What one statement does to its session is gone before the next one of a file without a
/// transaction, so that it would be left out without a word.
pub(super) fn session_state(head: &Head<'_>, piece: &Piece) -> Option<Finding> {
    let is_temporary = |at: usize| head.is(at, "temp") || head.is(at, "temporary");
    let is_create = head.is(0, "create");
    let (what, span) = if head.is(0, "set") || head.is(0, "reset") {
        ("a setting", head.span(2))
    } else if is_create
        && (is_temporary(1) || head.starts(&["create", "or", "replace"]) && is_temporary(3))
    {
        ("a temporary object", head.span(3))
    } else if head.is(0, "prepare") && !head.is(1, "transaction") {
        ("a prepared statement", head.span(2))
    } else if head.is(0, "declare") {
        ("a cursor", head.span(2))
    } else if head.is(0, "listen") {
        ("a `LISTEN`", head.span(2))
    } else if head.is(0, "select") {
        let call = call_of(head.sql, piece.span.clone(), |name| name == "set_config");
        ("a setting", call?)
    } else {
        return None;
    };
    Some(Finding::error(
        span,
        format!("{what} does not last until the next statement of a file with `no-transaction`"),
        "delete it: name every object with its schema, and set timeouts with the directives \
         `lock-timeout` and `statement-timeout`",
    ))
}

/// The value, with its quotes, that `ALTER TYPE … ADD VALUE` adds.
fn added_enum_value<'a>(head: &Head<'a>) -> Option<&'a str> {
    if !head.starts(&["alter", "type"]) || !head.has("add") || !head.has("value") {
        return None;
    }
    let value = head
        .tokens
        .iter()
        .find(|token| token.kind == Kind::String)?;
    Some(value.text(head.sql))
}

fn new_enum_value(head: &Head<'_>, piece: &Piece, context: &Context) -> Option<Finding> {
    let nothing = context.enum_values.is_empty() || context.creates_types;
    if nothing || head.starts(&["alter", "type"]) || head.is(0, "comment") {
        return None;
    }
    let sql = head.sql;
    let used = Lexer::starting_at(&sql[..piece.span.end], piece.span.start).find(|token| {
        token.kind == Kind::String
            && context
                .enum_values
                .iter()
                .any(|value| value == token.text(sql))
    })?;
    Some(
        Finding::error(
            used.span(),
            format!(
                "the enum value {} was added above, and can't be used before that is committed",
                used.text(sql)
            ),
            "move `ALTER TYPE … ADD VALUE` into a migration of its own, before this one",
        )
        .warning(),
    )
}
