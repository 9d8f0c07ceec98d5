//! Where the statements of a text begin and end, as the server splits them.

use std::ops::Range;

use super::Finding;
use super::open::{Copy, Open, Opened, ends_name};
use super::token::{Kind, Lexer, Token};

/// A text, split.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The statements in order.
    pub(crate) statements: Vec<Piece>,
    /// The comments before the first statement, and the later ones that mention touchmark.
    pub(crate) comments: Vec<Token>,
    /// What keeps the text from being split.
    pub(crate) findings: Vec<Finding>,
    /// What can't be sent to a server, because `psql` would do it.
    pub(crate) of_psql: Vec<Finding>,
}

/// One statement, without its semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) span: Range<usize>,
    /// Whether it can be parsed: behind an unclosed quote, everything that the parser says would be noise.
    pub(crate) readable: bool,
}

/// Splits a text into statements.
pub(crate) fn split(sql: &str) -> Source {
    let mut splitter = Splitter {
        sql,
        out: Source::default(),
        open: Open::default(),
    };
    let mut lexer = Lexer::new(sql);
    while let Some(token) = lexer.next() {
        if !token.terminated {
            splitter.unterminated(token);
        } else if token.is_trivia() {
            splitter.comment(token);
        } else if token.kind == Kind::Unknown && token.text(sql) == "\\" {
            let line_end = line_end(sql, token.start);
            splitter.meta_command(token.start..line_end);
            lexer.jump(line_end);
        } else if token.kind == Kind::Semicolon && splitter.open.is_complete() {
            let data = splitter.open.copy.take();
            splitter.finish();
            if let Some(copy) = data {
                if copy.is_input {
                    lexer.jump(copy_data_end(sql, token.end));
                }
                splitter.copy(copy);
            }
        } else {
            splitter.token(token);
        }
    }
    splitter.end_of_file();
    splitter.out
}

struct Splitter<'a> {
    sql: &'a str,
    out: Source,
    open: Open,
}

impl Splitter<'_> {
    fn token(&mut self, token: Token) {
        let sql = self.sql;
        let open = &mut self.open;
        let start = open.span.as_ref().map_or(token.start, |span| span.start);
        open.span = Some(start..token.end);
        if open.head.len() < 4 {
            open.head.push(token);
        }
        let previous = open.previous[0];
        if open.is_in_body() && open.ends_in_case(sql) && !ends_name(sql, &token) {
            let span = previous.map_or(token.span(), |case| case.span());
            open.open(Opened::Case, span);
        }
        open.previous = [Some(token), previous];
        let follows = |word: &str| previous.is_some_and(|p| p.is(sql, word));
        match token.kind {
            Kind::Open => open.open(Opened::Parenthesis, token.span()),
            Kind::Close => open.close(Opened::Parenthesis),
            // A statement of a body ends, and what is open in it is its own error.
            Kind::Semicolon => {
                while open.innermost() == Some(Opened::Case) {
                    open.nesting.pop();
                }
            }
            Kind::Word if open.is_in_body() => {
                let is_first =
                    follows("atomic") || previous.is_some_and(|p| p.kind == Kind::Semicolon);
                let is_column = previous.is_some_and(|p| p.text(sql) == ".");
                if token.is(sql, "end") {
                    match open.innermost() {
                        Some(Opened::Case) if !is_column => open.close(Opened::Case),
                        Some(Opened::Body) if is_first => open.close(Opened::Body),
                        // A name: `SELECT 1 end`.
                        _ => {}
                    }
                }
            }
            Kind::Word if open.nesting.is_empty() => {
                if token.is(sql, "atomic") && follows("begin") && open.is_routine(sql) {
                    let start = previous.map_or(token.start, |p| p.start);
                    open.open(Opened::Body, start..token.end);
                }
                let is_stream = token.is(sql, "stdin") || token.is(sql, "stdout");
                let is_copy = open.head.first().is_some_and(|t| t.is(sql, "copy"));
                if is_stream && is_copy && (follows("from") || follows("to")) {
                    open.copy = Some(Copy {
                        stream: token.span(),
                        is_input: follows("from"),
                    });
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        let open = std::mem::take(&mut self.open);
        if let Some(span) = open.span {
            self.out.statements.push(Piece {
                span,
                readable: open.readable,
            });
        }
    }

    fn comment(&mut self, token: Token) {
        if token.kind == Kind::Space {
            return;
        }
        let is_header = self.out.statements.is_empty() && self.open.span.is_none();
        if is_header || mentions_touchmark(token.text(self.sql)) {
            self.out.comments.push(token);
        }
    }

    fn unterminated(&mut self, token: Token) {
        let text = token.text(self.sql);
        let (what, opening, closing) = match text.as_bytes() {
            [b'/', ..] => ("comment", 2, "*/".to_owned()),
            [b'$', rest @ ..] => {
                let tag = rest.iter().position(|b| *b == b'$').map_or(1, |at| at + 2);
                ("dollar quote", tag, text[..tag].to_owned())
            }
            _ if token.kind == Kind::QuotedIdent => (
                "quoted name",
                text.find('"').map_or(1, |at| at + 1),
                "\"".to_owned(),
            ),
            _ => (
                "string",
                text.find('\'').map_or(1, |at| at + 1),
                "'".to_owned(),
            ),
        };
        self.out.findings.push(
            Finding::error(
                token.start..token.start + opening,
                format!("unterminated {what}"),
                format!("close it with `{closing}`"),
            )
            .label("opened here, and never closed"),
        );
        self.open.readable = false;
        if token.kind != Kind::BlockComment {
            let start = self.open.span.as_ref().map_or(token.start, |s| s.start);
            self.open.span = Some(start..token.end);
        }
        // The rest of the text belongs to the quote, so nothing can be said about what is open.
        self.open.nesting.clear();
    }

    fn end_of_file(&mut self) {
        let parenthesis = self.open.outermost(Opened::Parenthesis);
        let body = self.open.outermost(Opened::Body);
        let finding = match (parenthesis, body) {
            (Some(opening), _) => Some((opening, "unclosed parenthesis", "close it with `)`")),
            (None, Some(opening)) => Some((
                opening,
                "unterminated `BEGIN ATOMIC` body",
                "close it with `END`, behind the semicolon of its last statement: in `SELECT 1 END` it names the column",
            )),
            (None, None) => None,
        };
        if let Some((opening, message, help)) = finding {
            let finding = Finding::error(opening.span.clone(), message, help);
            let finding = finding.label("opened here, and never closed");
            self.open.readable = false;
            self.out.findings.push(finding);
        }
        if let Some(copy) = self.open.copy.take() {
            self.copy(copy);
        }
        self.finish();
    }

    fn copy(&mut self, copy: Copy) {
        let (message, help) = if copy.is_input {
            (
                "`COPY … FROM STDIN` has no data here: a migration is sent as one text",
                "write the rows as `INSERT INTO … VALUES …` (`pg_dump --inserts` does), or load \
                 them from a file on the server with `COPY … FROM '/path'`",
            )
        } else {
            (
                "`COPY … TO STDOUT` has no reader here",
                "export data with `psql`, outside the migrations",
            )
        };
        self.out
            .of_psql
            .push(Finding::error(copy.stream, message, help));
    }

    fn meta_command(&mut self, line: Range<usize>) {
        let text = self.sql[line.clone()].trim_end();
        let name: String = text
            .chars()
            .skip(1)
            .take_while(|c| !c.is_whitespace())
            .collect();
        let help = match name.as_str() {
            "copy" => {
                "`\\copy` reads a file on the client; write the rows as `INSERT INTO … VALUES …`"
            }
            "i" | "ir" | "include" | "include_relative" => {
                "put the SQL of that file here, or make it a migration of its own"
            }
            "restrict" | "unrestrict" => {
                "`pg_dump` writes `\\restrict` and `\\unrestrict` around a dump for `psql`; delete both lines"
            }
            "c" | "connect" => {
                "a migration runs in the one database that the migrator is connected to; delete the line"
            }
            "set" | "unset" | "gset" | "if" | "elif" | "else" | "endif" => {
                "variables and conditions of `psql` don't exist on the server; write them in SQL, \
                 for example in a `DO $$ … $$` block"
            }
            "gexec" => "run generated SQL with `EXECUTE` in a `DO $$ … $$` block",
            "." => {
                "this ends the data of a `COPY … FROM STDIN`; write the rows as `INSERT INTO … VALUES …`"
            }
            "echo" | "warn" | "qecho" | "timing" | "pset" | "x" | "o" => {
                "only `psql` knows it; delete the line"
            }
            _ => {
                "only `psql` knows commands that begin with a backslash; write it in SQL or delete the line"
            }
        };
        let span = line.start..line.start + text.len();
        let message = if name.is_empty() {
            "a backslash is not SQL".to_owned()
        } else {
            format!("`\\{name}` is a command of `psql`, not SQL")
        };
        self.out.of_psql.push(Finding::error(span, message, help));
        self.open.readable = false;
        if self.open.span.is_none() {
            self.open = Open::default();
        }
    }
}

fn mentions_touchmark(comment: &str) -> bool {
    comment
        .as_bytes()
        .windows("touchmark".len())
        .any(|window| window.eq_ignore_ascii_case(b"touchmark"))
}

fn line_end(sql: &str, at: usize) -> usize {
    sql[at..].find('\n').map_or(sql.len(), |length| at + length)
}

/// The offset behind the `\.` line that ends the data of a `COPY`; the end of the text without one.
fn copy_data_end(sql: &str, statement_end: usize) -> usize {
    let mut at = line_end(sql, statement_end);
    while at < sql.len() {
        let start = at + 1;
        at = line_end(sql, start);
        if sql[start..at].trim_end() == "\\." {
            return at;
        }
    }
    sql.len()
}
