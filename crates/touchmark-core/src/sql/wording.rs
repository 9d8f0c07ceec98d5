//! What the parser says, in words for people.

use super::Finding;
use super::statement::Head;
use crate::nearest::nearest;

pub(super) const HELP: &str = "mend it; or, if the server accepts it, add the line `-- touchmark: unparsed` \
                    at the top of the file";

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
pub(super) fn unknown_statement(head: &Head<'_>) -> Finding {
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
pub(super) fn readable(message: &str) -> String {
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
}
