//! The syntax check.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_parser::{EntryPoint, StrStep};
use squawk_syntax::SourceFile;

use super::Finding;
use super::nesting::nesting;
use super::statement::Head;
use crate::nearest::nearest;

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

const HELP: &str = "mend it; or, if the server accepts it, add the line `-- touchmark: unparsed` \
                    at the top of the file";

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

const FIRST_WORDS: [&str; 37] = [
    "ALTER",
    "ANALYZE",
    "CALL",
    "CHECKPOINT",
    "CLUSTER",
    "COMMENT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DO",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "GRANT",
    "IMPORT",
    "INSERT",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "NOTIFY",
    "PREPARE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "RESET",
    "REVOKE",
    "SECURITY",
    "SELECT",
    "SET",
    "TRUNCATE",
    "UPDATE",
    "VACUUM",
    "WITH",
];

const OBJECTS: [&str; 31] = [
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONVERSION",
    "DATABASE",
    "DOMAIN",
    "EVENT TRIGGER",
    "EXTENSION",
    "FOREIGN TABLE",
    "FUNCTION",
    "GROUP",
    "INDEX",
    "LANGUAGE",
    "MATERIALIZED VIEW",
    "OPERATOR",
    "POLICY",
    "PROCEDURE",
    "PUBLICATION",
    "ROLE",
    "RULE",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "TABLE",
    "TABLESPACE",
    "TRIGGER",
    "TYPE",
    "USER",
    "VIEW",
];

/// The parser says the same about every statement that it doesn't know, and says it at its start.
fn unknown_statement(head: &Head<'_>) -> Finding {
    let word = |at: usize| head.tokens.get(at).map_or("", |token| token.text(head.sql));
    let has_object = ["create", "alter", "drop"]
        .iter()
        .any(|word| head.is(0, word));
    let (words, near) = if has_object {
        let near = nearest(word(1), OBJECTS);
        (
            2,
            near.map(|near| format!("{} {near}", word(0).to_ascii_uppercase())),
        )
    } else {
        (1, nearest(word(0), FIRST_WORDS).map(str::to_owned))
    };
    let span = head.span(words);
    let message = format!(
        "syntax error: no statement begins with `{}`",
        &head.sql[span.clone()]
    );
    // The right word being there means that something else about the statement is wrong.
    match near.filter(|near| !near.eq_ignore_ascii_case(&head.sql[span.clone()])) {
        Some(near) => Finding::error(span, message, format!("did you mean `{near}`?")),
        None => Finding::error(span, message, HELP),
    }
}

/// The parser's message with the tokens that it names as they are written: `R_PAREN` is `)`.
fn readable(message: &str) -> String {
    let words = message.trim_end_matches('.').split(' ').enumerate();
    let words = words.map(|(at, word)| {
        let (bare, rest) = word.split_at(word.find([',', '.']).unwrap_or(word.len()));
        let written = match bare {
            "EOF" => "the end of the statement".to_owned(),
            "IDENT" => "a name".to_owned(),
            "STRING" => "a string".to_owned(),
            "INT_NUMBER" | "NUMERIC_NUMBER" => "a number".to_owned(),
            _ => match (punctuation(bare), bare.strip_suffix("_KW")) {
                (Some(mark), _) => format!("`{mark}`"),
                (None, Some(keyword)) => format!("`{keyword}`"),
                (None, None) if at == 0 => lower_first(bare),
                (None, None) => bare.to_owned(),
            },
        };
        written + rest
    });
    words.collect::<Vec<_>>().join(" ")
}

fn punctuation(name: &str) -> Option<&'static str> {
    Some(match name {
        "SEMICOLON" => ";",
        "COMMA" => ",",
        "L_PAREN" => "(",
        "R_PAREN" => ")",
        "L_BRACK" => "[",
        "R_BRACK" => "]",
        "L_CURLY" => "{",
        "R_CURLY" => "}",
        "L_ANGLE" => "<",
        "R_ANGLE" => ">",
        "AT" => "@",
        "POUND" => "#",
        "TILDE" => "~",
        "QUESTION" => "?",
        "AMP" => "&",
        "PIPE" => "|",
        "PLUS" => "+",
        "MINUS" => "-",
        "STAR" => "*",
        "SLASH" => "/",
        "CARET" => "^",
        "PERCENT" => "%",
        "DOT" => ".",
        "COLON" => ":",
        "COLON_EQ" => ":=",
        "EQ" => "=",
        "FAT_ARROW" => "=>",
        "BANG" => "!",
        _ => return None,
    })
}

fn lower_first(word: &str) -> String {
    let mut rest = word.chars();
    let is_word = word.chars().nth(1).is_some_and(char::is_lowercase);
    match rest.next() {
        Some(first) if is_word => first.to_lowercase().chain(rest).collect(),
        _ => word.to_owned(),
    }
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
    fn messages_name_tokens_as_they_are_written() {
        for (theirs, ours) in [
            ("expected R_PAREN", "expected `)`"),
            ("expected role, got USER_KW", "expected role, got `USER`"),
            (
                "expected command, found IDENT",
                "expected command, found a name",
            ),
            ("Expected at least one item", "expected at least one item"),
            (
                "SELECT ... INTO is not allowed here",
                "SELECT ... INTO is not allowed here",
            ),
            (
                "VARIADIC param must be last.",
                "VARIADIC param must be last",
            ),
            (
                "expected operator, got EOF",
                "expected operator, got the end of the statement",
            ),
        ] {
            assert_eq!(readable(theirs), ours);
        }
    }

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
