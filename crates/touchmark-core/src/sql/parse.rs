//! The syntax check.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_parser::{EntryPoint, StrStep};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::sql_body::SqlBody;
use squawk_syntax::syntax_error::SyntaxError;

use super::Finding;
use super::grammar::{self, Refusal};
use super::nesting::nesting;
use super::statement::Head;
use super::token::Lexer;
use super::wording::{HELP, readable, unknown_statement};

/// A longer statement is data: only the lexer reads it.
const LONGEST_PARSED: usize = 1 << 20;

/// A file with more SQL than this is data too. Build scripts are compiled without optimisation,
/// where the parser takes a second for a megabyte.
const BUDGET: usize = 4 << 20;

/// The parser's stack is large enough for more than this.
const DEEPEST_PARSED: usize = 10_000;

/// Statements that are longer or nest deeper are parsed, but their tree, which would need time with
/// the square of the depth, is not built. Without it the bodies of functions are not read.
const LONGEST_TREE: usize = 256 << 10;
const DEEPEST_TREE: usize = 500;

/// A longer token is not repeated in a message.
const LONGEST_SHOWN: usize = 60;

/// Messages of squawk's parser about what the server refuses too, once it knows what the names in the statement are, or
/// in an action of its grammar.
const REFUSED_LATER: [&str; 9] = [
    "DEFAULT is not allowed in this context",
    "Conflicting or redundant options.",
    "INTO is only allowed on first SELECT of UNION/INTERSECT/EXCEPT",
    "OVERLAPS operand must be a row expression",
    "SELECT ... INTO is not allowed here",
    "Type modifier cannot have ORDER BY",
    "VARIADIC param must be last input param.",
    "expected row expression or sub-select",
    "wrong number of parameters",
];

/// Checks the syntax of a file's statements.
pub(crate) struct SyntaxCheck<'a> {
    sql: &'a str,
    budget: usize,
}

impl<'a> SyntaxCheck<'a> {
    pub(crate) fn new(sql: &'a str) -> SyntaxCheck<'a> {
        SyntaxCheck {
            sql,
            budget: BUDGET,
        }
    }

    /// The first syntax error of the statement at `span`.
    pub(crate) fn error(&mut self, span: Range<usize>) -> Option<Finding> {
        if span.len() > LONGEST_PARSED || span.len() > self.budget {
            return None;
        }
        self.budget -= span.len();
        syntax_error(self.sql, span)
    }
}

/// The server's own grammar decides. squawk's parser says it in better words, reads the bodies of functions, and sees
/// some of what the server refuses only after it has read a statement.
fn syntax_error(sql: &str, span: Range<usize>) -> Option<Finding> {
    let statement = &sql[span.clone()];
    let refused = grammar::refusal(statement);
    let reading = read(statement);
    let (range, message) = match refused {
        Some(refusal) => in_words(statement, refusal, reading.errors),
        None => {
            let of_a_body = reading
                .bodies
                .iter()
                .find_map(|body| body_error(statement, body));
            of_a_body.or_else(|| refused_later(reading.errors))?
        }
    };
    if range.start == 0 && message.starts_with("expected command") {
        return Some(unknown_statement(&Head::new(sql, span)));
    }
    let range = span.start + range.start..span.start + range.end;
    Some(Finding::error(
        range,
        format!("syntax error: {}", readable(&message)),
        HELP,
    ))
}

/// Where an error is, and the parser's message.
type Error = (Range<usize>, String);

/// What squawk's parser makes of a statement.
#[derive(Default)]
struct Reading {
    errors: Vec<Error>,
    /// The bodies of SQL functions that stand in strings.
    bodies: Vec<SqlBody>,
}

/// Reads a statement with squawk's parser, as far as that can be done in bounded time.
fn read(statement: &str) -> Reading {
    let depth = nesting(statement);
    if depth > DEEPEST_PARSED {
        return Reading::default();
    }
    let builds_tree = depth <= DEEPEST_TREE && statement.len() <= LONGEST_TREE;
    // A defect of the parser must not look like one of the migration.
    let reading = catch_unwind(AssertUnwindSafe(|| {
        if builds_tree {
            tree(statement)
        } else {
            Reading {
                errors: grammar_errors(statement),
                bodies: Vec::new(),
            }
        }
    }));
    reading.unwrap_or_default()
}

/// What squawk's grammar refuses.
fn grammar_errors(statement: &str) -> Vec<Error> {
    let lexed = squawk_parser::LexedStr::new(statement);
    let lexical = lexed.errors().map(|(range, message)| {
        let range = range.start as usize..range.end as usize;
        (range, message.to_owned())
    });
    let mut errors: Vec<Error> = lexical.collect();
    let output = EntryPoint::SourceFile.parse(&lexed.to_input());
    lexed.intersperse_trivia(&output, &mut |step| {
        if let StrStep::Error { msg, pos } = step {
            errors.push((pos..pos, msg.to_owned()));
        }
    });
    errors.sort_by_key(|(range, _)| range.start);
    errors
}

/// What squawk's grammar refuses, what it lets pass and the server doesn't, and the bodies of SQL functions.
fn tree(statement: &str) -> Reading {
    let parsed = SourceFile::parse(statement);
    let routines = parsed.tree().syntax().descendants();
    let bodies = routines.filter_map(|node| {
        ast::CreateFunction::cast(node.clone())
            .and_then(|function| function.sql_body())
            .or_else(|| ast::CreateProcedure::cast(node).and_then(|procedure| procedure.sql_body()))
    });
    Reading {
        errors: errors(parsed.errors()),
        bodies: bodies.collect(),
    }
}

fn errors(errors: Vec<SyntaxError>) -> Vec<Error> {
    let errors = errors.into_iter().map(|error| {
        let range = error.range();
        (
            range.start().into()..range.end().into(),
            error.message().to_owned(),
        )
    });
    errors.collect()
}

/// What the server refuses, in the words of the parser where it stumbled at the same token.
fn in_words(statement: &str, refusal: Refusal, errors: Vec<Error>) -> Error {
    let span = refusal.span;
    if let Some(message) = refusal.message {
        return (span, message.to_owned());
    }
    let before = Lexer::new(&statement[..span.start]).filter(|token| !token.is_trivia());
    let before = before.last().map_or(0, |token| token.start);
    let same = errors
        .into_iter()
        .find(|(range, _)| (before..=span.start).contains(&range.start));
    if let Some((range, message)) = same {
        // What is missing behind a token is shown at the next one.
        let rest = &statement[range.start..];
        let start = range.start + rest.len() - rest.trim_start().len();
        let length = Lexer::new(&statement[start..])
            .next()
            .map_or(0, |token| token.end);
        return (
            if range.is_empty() && range.start > 0 {
                start..start + length
            } else {
                range
            },
            message,
        );
    }
    let message = match &statement[span.clone()] {
        "" => "unexpected end of the statement".to_owned(),
        text if text.len() > LONGEST_SHOWN => "unexpected token".to_owned(),
        text => format!("unexpected `{text}`"),
    };
    (span, message)
}

/// What the server refuses in the body of a SQL function.
fn body_error(statement: &str, body: &SqlBody) -> Option<Error> {
    let text = body.text();
    let Some(refusal) = grammar::refusal(text) else {
        return refused_later(errors(body.errors()));
    };
    let root = body.syntax();
    let tokens = root
        .descendants_with_tokens()
        .filter(|element| element.as_token().is_some());
    let mut ranges = tokens.map(|token| token.text_range());
    let range = match ranges.find(|range| usize::from(range.start()) >= refusal.span.start) {
        Some(range) => body.source_range(range),
        None => body.source_range(root.text_range()),
    };
    let end = range.end().into();
    let start = if refusal.span.is_empty() {
        end
    } else {
        range.start().into()
    };
    Some(in_words(
        statement,
        Refusal {
            span: start..end,
            ..refusal
        },
        errors(body.errors()),
    ))
}

/// An error that the server finds only when it has read the statement, but then for certain.
fn refused_later(errors: Vec<Error>) -> Option<Error> {
    errors
        .into_iter()
        .find(|(_, message)| REFUSED_LATER.contains(&message.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_takes_bounded_time_and_stack() {
        let parens = |n: usize| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
        for sql in [
            parens(400),
            parens(9_000),
            parens(200_000),
            format!("SELECT 1{}", " + 1".repeat(9_000)),
            format!("SELECT 1{}", " + 1".repeat(200_000)),
            format!("SELECT {}true", "NOT ".repeat(9_000)),
            format!("SELECT {}1", "- ".repeat(9_000)),
            format!(
                "SELECT {}1{}",
                "CASE WHEN a THEN ".repeat(9_000),
                " END".repeat(9_000)
            ),
            format!("DO $$ BEGIN PERFORM {}1; END $$", "- ".repeat(9_000)),
        ] {
            let thread = std::thread::Builder::new().stack_size(crate::resolve::STACK);
            let error = thread.spawn(move || syntax_error(&sql, 0..sql.len()));
            assert_eq!(error.unwrap().join().unwrap(), None);
        }
    }
}
