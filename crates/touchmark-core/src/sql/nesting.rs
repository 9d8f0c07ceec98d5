//! How deeply a statement may nest, found out without recursion.

use super::token::{Kind, Lexer};

/// An upper bound of how many operators, parentheses and `CASE`s stand inside one another, or in a
/// row, in a text and in the bodies that it quotes.
///
/// The parser recurses for each, and its tree takes time with the square of it. The server gives up
/// at some thousands.
pub(crate) fn nesting(sql: &str) -> usize {
    let mut texts = vec![sql];
    let mut greatest = 0;
    while let Some(text) = texts.pop() {
        let mut open = Vec::new();
        let mut depth = 0_usize;
        for token in Lexer::new(text) {
            let written = token.text(text);
            match token.kind {
                Kind::Open => {
                    open.push(depth);
                    depth += 1;
                }
                Kind::Close => depth = open.pop().unwrap_or_default(),
                Kind::Punctuation => match written {
                    "[" => {
                        open.push(depth);
                        depth += 1;
                    }
                    "]" => depth = open.pop().unwrap_or_default(),
                    "," => depth = open.last().map_or(0, |outer| outer + 1),
                    "." => {}
                    _ => depth += 1,
                },
                Kind::Semicolon => {
                    open.clear();
                    depth = 0;
                }
                Kind::Word => {
                    let is_nesting = [
                        "and",
                        "begin",
                        "case",
                        "except",
                        "if",
                        "intersect",
                        "join",
                        "loop",
                        "not",
                        "or",
                        "union",
                    ];
                    if is_nesting
                        .iter()
                        .any(|word| written.eq_ignore_ascii_case(word))
                    {
                        depth += 1;
                    }
                }
                Kind::String => texts.extend(body(written)),
                _ => {}
            }
            greatest = greatest.max(depth);
        }
    }
    greatest
}

/// What stands between two `$tag$`.
pub(super) fn body(string: &str) -> Option<&str> {
    let tag = string.strip_prefix('$')?.find('$')? + 2;
    string.get(tag..string.len().checked_sub(tag)?)
}

#[cfg(test)]
mod tests {
    use super::nesting;

    #[test]
    fn lists_are_flat_and_chains_are_not() {
        assert_eq!(nesting("INSERT INTO t VALUES (1, 2), (3, 4), (5, 6)"), 1);
        assert_eq!(nesting("SELECT ((1))"), 2);
        assert_eq!(nesting("SELECT 1 + 1 + 1"), 2);
        assert_eq!(nesting("SELECT ARRAY[[1, 2], [3, 4]]"), 2);
        assert_eq!(nesting("SELECT NOT NOT a OR b"), 3);
        assert_eq!(nesting("DO $$ SELECT ((((1)))) $$"), 4);
        assert_eq!(nesting("DO $a$ $b$ (( $b$ $a$"), 2);
        assert_eq!(nesting(")]) $$"), 0);
    }
}
