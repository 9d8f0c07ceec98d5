//! The statement that is being split off: what is still open in it.

use std::ops::Range;

use super::token::{Kind, Token};

/// The statement that is being read.
pub(super) struct Open {
    pub(super) span: Option<Range<usize>>,
    pub(super) readable: bool,
    /// The first tokens: what `CREATE OR REPLACE FUNCTION` needs.
    pub(super) head: Vec<Token>,
    /// The last two tokens, the last one first.
    pub(super) previous: [Option<Token>; 2],
    /// What is open: in a statement that is finished there is none.
    pub(super) nesting: Vec<Opening>,
    pub(super) copy: Option<Copy>,
}

/// A parenthesis, a `CASE` or a `BEGIN ATOMIC` that something has to close.
pub(super) struct Opening {
    pub(super) what: Opened,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    Parenthesis,
    /// A `CASE` in a `BEGIN ATOMIC` body; elsewhere nobody needs to know.
    Case,
    Body,
}

/// A `COPY` from or to the client.
pub(super) struct Copy {
    /// Where `STDIN` or `STDOUT` stands.
    pub(super) stream: Range<usize>,
    pub(super) is_input: bool,
}

impl Default for Open {
    fn default() -> Open {
        Open {
            span: None,
            readable: true,
            head: Vec::new(),
            previous: [None, None],
            nesting: Vec::new(),
            copy: None,
        }
    }
}

impl Open {
    /// Whether a semicolon ends the statement here. In the list of a `CREATE RULE`, which is in
    /// parentheses, and in a `BEGIN ATOMIC` body it doesn't.
    pub(super) fn is_complete(&self) -> bool {
        self.nesting.is_empty()
    }

    pub(super) fn innermost(&self) -> Option<Opened> {
        self.nesting.last().map(|opening| opening.what)
    }

    pub(super) fn open(&mut self, what: Opened, span: Range<usize>) {
        self.nesting.push(Opening { what, span });
    }

    /// Whether it is in a `BEGIN ATOMIC` body, which begins where nothing is open.
    pub(super) fn is_in_body(&self) -> bool {
        self.nesting
            .first()
            .is_some_and(|opening| opening.what == Opened::Body)
    }

    /// Whether the last token is a `CASE` that is not the name behind a dot or `AS`.
    pub(super) fn ends_in_case(&self, sql: &str) -> bool {
        let [last, before] = self.previous;
        let names = |token: Token| token.is(sql, "as") || token.text(sql) == ".";
        last.is_some_and(|token| token.is(sql, "case")) && !before.is_some_and(names)
    }

    /// Closes the innermost opening of a kind, and what was left open in it.
    pub(super) fn close(&mut self, what: Opened) {
        let at = self
            .nesting
            .iter()
            .rposition(|opening| opening.what == what);
        self.nesting.truncate(at.unwrap_or(self.nesting.len()));
    }

    pub(super) fn outermost(&self, what: Opened) -> Option<&Opening> {
        self.nesting.iter().find(|opening| opening.what == what)
    }

    pub(super) fn is_routine(&self, sql: &str) -> bool {
        let is = |at: usize, word: &str| self.head.get(at).is_some_and(|t| t.is(sql, word));
        let name = if is(1, "or") && is(2, "replace") {
            3
        } else {
            1
        };
        is(0, "create") && (is(name, "function") || is(name, "procedure"))
    }
}

/// Whether a `CASE` before this token is the name of a column, as in `SELECT 1 case FROM t`: no expression begins so.
pub(super) fn ends_name(sql: &str, token: &Token) -> bool {
    let clauses = [
        "except",
        "fetch",
        "for",
        "from",
        "group",
        "having",
        "intersect",
        "into",
        "limit",
        "offset",
        "on",
        "order",
        "returning",
        "union",
        "where",
        "window",
        "with",
    ];
    matches!(token.kind, Kind::Semicolon | Kind::Close)
        || [",", "="].contains(&token.text(sql))
        || clauses.iter().any(|word| token.is(sql, word))
}
