//! What a statement means for a run without a transaction, and the hash of its tokens.

use std::ops::Range;

use super::ident::qualified_name;
use super::token::{Kind, Lexer, Token};
use crate::ServerObject::{self, Database, Subscription, Tablespace};
use crate::{Checksum, Reindexed, StatementKind, checksum};

/// No statement says behind this many tokens whether it runs in a transaction.
const HEAD: usize = 64;

/// The first tokens of a statement.
pub(crate) struct Head<'a> {
    pub(crate) sql: &'a str,
    pub(crate) tokens: Vec<Token>,
}

impl<'a> Head<'a> {
    /// Reads the head of the statement at `span`.
    pub(crate) fn new(sql: &'a str, span: Range<usize>) -> Head<'a> {
        let tokens = Lexer::starting_at(&sql[..span.end], span.start)
            .filter(|token| !token.is_trivia())
            .take(HEAD)
            .collect();
        Head { sql, tokens }
    }

    pub(crate) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|t| t.is(self.sql, word))
    }

    pub(crate) fn starts(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(at, word)| self.is(at, word))
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.find(word).is_some()
    }

    fn find(&self, word: &str) -> Option<usize> {
        (0..self.tokens.len()).find(|at| self.is(*at, word))
    }

    /// From the first token to the one before `end`.
    pub(crate) fn span(&self, end: usize) -> Range<usize> {
        let last = end.min(self.tokens.len()).saturating_sub(1);
        match (self.tokens.first(), self.tokens.get(last)) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }
}

/// A statement that the server refuses inside a transaction.
pub(crate) struct Refusal {
    /// How messages name it.
    pub(crate) what: &'static str,
    pub(crate) kind: StatementKind,
}

/// What a statement of a file without a transaction is.
pub(crate) fn kind(sql: &str, span: Range<usize>) -> StatementKind {
    let head = Head::new(sql, span.clone());
    if let Some(refusal) = refusal(&head) {
        return refusal.kind;
    }
    let commits_itself = head.is(0, "call") || head.is(0, "do") && ends_transactions(&sql[span]);
    if commits_itself {
        StatementKind::Committing
    } else if head.is(0, "reindex") || head.is(0, "cluster") {
        // The server refuses it in a transaction where the table is partitioned.
        StatementKind::Rerunnable
    } else {
        StatementKind::Transactional
    }
}

/// Whether the block of a `DO` has words that end a transaction, or that call what may: then it may
/// need to be outside of one.
fn ends_transactions(statement: &str) -> bool {
    statement
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| {
            ["commit", "rollback", "call"]
                .iter()
                .any(|ends| word.eq_ignore_ascii_case(ends))
        })
}

/// Why a statement needs a file without a transaction; `None` when it doesn't.
pub(crate) fn refusal(head: &Head<'_>) -> Option<Refusal> {
    use StatementKind::{Opaque, Rerunnable};
    let refuse = |what, kind| Some(Refusal { what, kind });
    let first = head.tokens.first()?;
    match first.text(head.sql).to_ascii_lowercase().as_str() {
        "create" => {
            let index = if head.is(1, "unique") { 2 } else { 1 };
            if head.is(index, "index") && head.is(index + 1, "concurrently") {
                refuse("CREATE INDEX CONCURRENTLY", created_index(head, index + 2))
            } else if head.is(1, "database") {
                refuse("CREATE DATABASE", created(head, Database))
            } else if head.is(1, "tablespace") {
                refuse("CREATE TABLESPACE", created(head, Tablespace))
            } else if head.is(1, "subscription")
                && !(is_off(head, "create_slot") || is_off(head, "connect"))
            {
                refuse("CREATE SUBSCRIPTION", created(head, Subscription))
            } else {
                None
            }
        }
        "drop" if head.starts(&["drop", "index", "concurrently"]) => {
            refuse("DROP INDEX CONCURRENTLY", dropped_index(head))
        }
        "drop" if head.is(1, "database") => refuse("DROP DATABASE", dropped(head, Database)),
        "drop" if head.is(1, "tablespace") => refuse("DROP TABLESPACE", dropped(head, Tablespace)),
        "drop" if head.is(1, "subscription") => {
            refuse("DROP SUBSCRIPTION", dropped(head, Subscription))
        }
        "reindex" if head.has("concurrently") && !is_off(head, "concurrently") => refuse(
            "REINDEX CONCURRENTLY",
            reindexed_concurrently(head).map_or(Opaque, StatementKind::ReindexConcurrently),
        ),
        "reindex" => match reindexed(head) {
            Some("schema") => refuse("REINDEX SCHEMA", Rerunnable),
            Some("database") => refuse("REINDEX DATABASE", Rerunnable),
            Some("system") => refuse("REINDEX SYSTEM", Rerunnable),
            _ => None,
        },
        "vacuum" if head.has("full") && !is_off(head, "full") => refuse("VACUUM", Rerunnable),
        "vacuum" => refuse("VACUUM", StatementKind::Vacuum),
        "cluster" if clusters_everything(head) => refuse("CLUSTER without a table", Rerunnable),
        "alter" if head.is(1, "system") => refuse("ALTER SYSTEM", Rerunnable),
        "alter" if head.is(1, "database") && head.is(3, "set") && head.is(4, "tablespace") => {
            refuse("ALTER DATABASE … SET TABLESPACE", Rerunnable)
        }
        "alter" if head.is(1, "table") && detaches_concurrently(head) => refuse(
            "ALTER TABLE … DETACH PARTITION … CONCURRENTLY",
            detached(head).unwrap_or(Opaque),
        ),
        "alter" if head.is(1, "subscription") && refreshes(head) => {
            refuse("ALTER SUBSCRIPTION … with refresh", Rerunnable)
        }
        _ => None,
    }
}

/// The object of a `CREATE`, whose name is its third word.
fn created(head: &Head<'_>, object: ServerObject) -> StatementKind {
    let mut name = qualified_name(head.sql, &head.tokens, &mut 2);
    name.pop().map_or(StatementKind::Opaque, |name| {
        StatementKind::Create(object, name)
    })
}

fn dropped(head: &Head<'_>, object: ServerObject) -> StatementKind {
    let mut at = if head.is(2, "if") { 4 } else { 2 };
    let mut name = qualified_name(head.sql, &head.tokens, &mut at);
    name.pop().map_or(StatementKind::Opaque, |name| {
        StatementKind::Drop(object, name)
    })
}

/// What a `REINDEX … CONCURRENTLY` names; the word may stand before the name or in the options.
fn reindexed_concurrently(head: &Head<'_>) -> Option<Reindexed> {
    let what = behind_options(head, 1);
    let mut at = what + 1;
    if head.is(at, "concurrently") {
        at += 1;
    }
    let mut parts = qualified_name(head.sql, &head.tokens, &mut at);
    if head.is(what, "database") {
        // It can only be the database of the session.
        return Some(Reindexed::Database);
    }
    let name = parts.pop()?;
    let schema = parts.pop();
    if head.is(what, "index") {
        Some(Reindexed::Index { schema, name })
    } else if head.is(what, "table") {
        Some(Reindexed::Table { schema, name })
    } else if head.is(what, "schema") {
        Some(Reindexed::Schema(name))
    } else {
        None
    }
}

fn detached(head: &Head<'_>) -> Option<StatementKind> {
    let mut at = if head.is(2, "if") { 4 } else { 2 };
    if head.is(at, "only") {
        at += 1;
    }
    let mut table = qualified_name(head.sql, &head.tokens, &mut at);
    let mut at = head.find("detach")? + 2;
    let mut partition = qualified_name(head.sql, &head.tokens, &mut at);
    Some(StatementKind::DetachConcurrently {
        table: table.pop()?,
        schema: table.pop(),
        partition: partition.pop()?,
        partition_schema: partition.pop(),
    })
}

fn created_index(head: &Head<'_>, mut at: usize) -> StatementKind {
    let (sql, tokens) = (head.sql, head.tokens.as_slice());
    let if_not_exists = head.is(at, "if") && head.is(at + 1, "not");
    if if_not_exists {
        at += 3;
    }
    let index = if head.is(at, "on") {
        Vec::new()
    } else {
        qualified_name(sql, tokens, &mut at)
    };
    at += 1;
    if head.is(at, "only") {
        at += 1;
    }
    let mut table = qualified_name(sql, tokens, &mut at);
    match (index.last(), table.pop()) {
        (Some(index), Some(name)) => StatementKind::CreateIndexConcurrently {
            schema: table.pop(),
            table: name,
            index: index.clone(),
            if_not_exists,
        },
        _ => StatementKind::Opaque,
    }
}

fn dropped_index(head: &Head<'_>) -> StatementKind {
    let mut at = if head.is(3, "if") && head.is(4, "exists") {
        5
    } else {
        3
    };
    let mut index = qualified_name(head.sql, &head.tokens, &mut at);
    match index.pop() {
        Some(name) => StatementKind::DropIndexConcurrently {
            schema: index.pop(),
            index: name,
        },
        None => StatementKind::Opaque,
    }
}

/// Whether an option in parentheses is off: `create_slot = false`.
fn is_off(head: &Head<'_>, option: &str) -> bool {
    head.find(option).is_some_and(|at| {
        head.tokens[at + 1..].iter().take(2).any(|token| {
            let value = token.text(head.sql).trim_matches('\'').to_ascii_lowercase();
            ["false", "off", "0"].contains(&value.as_str())
        })
    })
}

/// The word behind `REINDEX` and its options.
fn reindexed<'a>(head: &Head<'a>) -> Option<&'a str> {
    let word = head.tokens.get(behind_options(head, 1))?;
    ["schema", "database", "system"]
        .into_iter()
        .find(|what| word.is(head.sql, what))
}

fn clusters_everything(head: &Head<'_>) -> bool {
    let at = behind_options(head, 1);
    let at = if head.is(at, "verbose") { at + 1 } else { at };
    head.tokens.len() <= at
}

fn behind_options(head: &Head<'_>, at: usize) -> usize {
    match head.tokens.get(at) {
        Some(open) if open.kind == Kind::Open => {
            let close = head.tokens.iter().position(|t| t.kind == Kind::Close);
            close.map_or(head.tokens.len(), |close| close + 1)
        }
        _ => at,
    }
}

fn detaches_concurrently(head: &Head<'_>) -> bool {
    head.find("detach").is_some_and(|at| {
        head.is(at + 1, "partition")
            && head
                .tokens
                .last()
                .is_some_and(|t| t.is(head.sql, "concurrently"))
    })
}

fn refreshes(head: &Head<'_>) -> bool {
    let refreshes = head.has("refresh") && !head.has("with")
        || head.has("publication")
            && (head.has("set") || head.has("add") || head.has("drop") || head.is(3, "refresh"));
    refreshes && !is_off(head, "refresh")
}

/// The hash of a statement's tokens: without comments and white space, but with what they change.
pub(crate) fn semantic(sql: &str, span: Range<usize>) -> Checksum {
    checksum::semantic(Meaning {
        sql,
        lexer: Lexer::starting_at(&sql[..span.end], span.start),
        pending: None,
        line_end: false,
    })
}

/// The tokens as far as they mean something. An operator is one token (`<-` and `< -` are not the
/// same), and a line end between two strings is one, because it makes one string of them.
struct Meaning<'a> {
    sql: &'a str,
    lexer: Lexer<'a>,
    pending: Option<Token>,
    line_end: bool,
}

impl<'a> Iterator for Meaning<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if std::mem::take(&mut self.line_end) {
            return Some("\n");
        }
        let token = match self.pending.take() {
            Some(token) => token,
            None => self.lexer.by_ref().find(|token| !token.is_trivia())?,
        };
        let mut end = token.end;
        let mut line_end = false;
        for following in self.lexer.by_ref() {
            if following.is_trivia() {
                line_end |= following.text(self.sql).contains(['\n', '\r']);
            } else if token.kind == Kind::Punctuation
                && following.kind == Kind::Punctuation
                && following.start == end
            {
                end = following.end;
            } else {
                let both = token.kind == Kind::String && following.kind == Kind::String;
                self.line_end = both && line_end;
                self.pending = Some(following);
                break;
            }
        }
        Some(&self.sql[token.start..end])
    }
}
