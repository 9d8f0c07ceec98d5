//! The syntax check.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_syntax::SourceFile;

use super::Finding;

/// A longer statement is data. Its tree would need some hundred times its size in memory, so only
/// the lexer reads it.
const LONGEST_PARSED: usize = 4 << 20;

/// The first syntax error of the statement at `span`.
pub(crate) fn syntax_error(sql: &str, span: Range<usize>) -> Option<Finding> {
    let statement = &sql[span.clone()];
    if statement.len() > LONGEST_PARSED {
        return None;
    }
    let help = "mend it; or, if the server accepts it, add the line `-- touchmark: unparsed` at \
                the top of the file";
    // A defect of the parser must not look like one of the migration.
    let errors = match catch_unwind(AssertUnwindSafe(|| SourceFile::parse(statement).errors())) {
        Ok(errors) => errors,
        Err(_) => {
            let message = "the syntax check itself failed on this statement";
            let help = "add the line `-- touchmark: unparsed` at the top of the file";
            return Some(Finding::error(span.start..span.start, message, help));
        }
    };
    let error = errors.first()?;
    let mut start = span.start + usize::from(error.range().start());
    let mut end = span.start + usize::from(error.range().end());
    // The parser reports what is missing behind the last token, where white space may follow.
    if start == end {
        let rest = &sql[start..span.end];
        start += rest.len() - rest.trim_start().len();
        end = start + token_length(&sql[start..span.end]);
    }
    let message = lower_first(error.message());
    Some(Finding::error(
        start..end,
        format!("syntax error: {message}"),
        help,
    ))
}

/// The length of the first token of a text.
fn token_length(text: &str) -> usize {
    super::token::Lexer::new(text)
        .next()
        .map_or(0, |token| token.end)
}

fn lower_first(message: &str) -> String {
    let mut rest = message.chars();
    let is_word = message.chars().nth(1).is_some_and(char::is_lowercase);
    match rest.next() {
        Some(first) if is_word => first.to_lowercase().chain(rest).collect(),
        _ => message.to_owned(),
    }
}
