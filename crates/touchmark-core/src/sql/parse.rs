//! The syntax check.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_parser::{EntryPoint, StrStep};
use squawk_syntax::SourceFile;

use super::Finding;
use super::nesting::nesting;
use super::statement::Head;
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

fn syntax_error(sql: &str, span: Range<usize>) -> Option<Finding> {
    let statement = &sql[span.clone()];
    let depth = nesting(statement);
    if depth > DEEPEST_PARSED || is_misread(&Head::new(sql, span.clone())) {
        return None;
    }
    let builds_tree = depth <= DEEPEST_TREE && statement.len() <= LONGEST_TREE;
    // A defect of the parser must not look like one of the migration.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        if builds_tree {
            tree_error(statement)
        } else {
            grammar_error(statement)
        }
    }));
    let (range, message) = match parsed {
        Ok(error) => error?,
        Err(_) => {
            let message = "the syntax check itself failed on this statement";
            let help = "add the line `-- touchmark: unparsed` at the top of the file";
            return Some(Finding::error(span.start..span.start, message, help));
        }
    };
    let mut start = span.start + range.start;
    let mut end = span.start + range.end;
    // The parser reports what is missing behind the last token, where white space may follow.
    if start == end {
        let rest = &sql[start..span.end];
        start += rest.len() - rest.trim_start().len();
        end = start + token_length(&sql[start..span.end]);
    }
    if range.start == 0 && message.starts_with("expected command") {
        return Some(unknown_statement(&Head::new(sql, span)));
    }
    let message = readable(&message);
    Some(Finding::error(
        start..end,
        format!("syntax error: {message}"),
        HELP,
    ))
}

type Error = (Range<usize>, String);

/// What the grammar refuses.
fn grammar_error(statement: &str) -> Option<Error> {
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
    errors.into_iter().min_by_key(|(range, _)| range.start)
}

/// What the grammar refuses, what it lets pass and the server doesn't, and errors in the bodies of
/// SQL functions.
fn tree_error(statement: &str) -> Option<Error> {
    let errors = SourceFile::parse(statement).errors();
    let error = errors.first()?;
    let range = error.range().start().into()..error.range().end().into();
    Some((range, error.message().to_owned()))
}

/// The length of the first token of a text.
fn token_length(text: &str) -> usize {
    super::token::Lexer::new(text)
        .next()
        .map_or(0, |token| token.end)
}

/// Statements that the server accepts and the parser refuses. Found in the SQL files of
/// PostgreSQL 15, where these are the only ones among 55,384.
fn is_misread(head: &Head<'_>) -> bool {
    let trusted = if head.is(1, "or") { 3 } else { 1 };
    head.is(0, "create") && head.is(trusted, "trusted")
        || head.starts(&["alter", "user", "mapping"])
        || head.starts(&["alter", "statistics", "if", "exists"])
        || head.starts(&["drop", "event", "trigger"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_the_parser_misreads_are_let_pass() {
        for sql in [
            "CREATE TRUSTED LANGUAGE plsample HANDLER plsample_call_handler",
            "CREATE OR REPLACE TRUSTED PROCEDURAL LANGUAGE x HANDLER y",
            "ALTER USER MAPPING FOR user SERVER s OPTIONS (a 'b')",
            "ALTER STATISTICS IF EXISTS s SET STATISTICS 0",
            "DROP EVENT TRIGGER a, b",
        ] {
            assert_eq!(syntax_error(sql, 0..sql.len()), None, "{sql}");
        }
    }

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
