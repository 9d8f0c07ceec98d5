//! Tokens, as the server lexes them.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind};

/// What a token is, as far as a migration needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An unquoted identifier or a keyword.
    Word,
    /// `"x"` or `U&"x"`.
    QuotedIdent,
    /// Any string constant, also a dollar-quoted one.
    String,
    /// A number or a parameter.
    Number,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// A character of an operator or other punctuation.
    Punctuation,
    /// A character that starts no token: a backslash, a control character.
    Unknown,
    /// White space.
    Space,
    /// `-- …`, without the line end.
    LineComment,
    /// `/* … */`
    BlockComment,
}

/// One token; its text is a slice of the text that was lexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether a quote or comment was closed; true for every other token.
    pub(crate) terminated: bool,
}

impl Token {
    pub(crate) fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(crate) fn text<'a>(&self, sql: &'a str) -> &'a str {
        &sql[self.span()]
    }

    /// Whether it is the unquoted word, in any case.
    pub(crate) fn is(&self, sql: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(sql).eq_ignore_ascii_case(word)
    }

    /// Whether the server drops it.
    pub(crate) fn is_trivia(&self) -> bool {
        matches!(
            self.kind,
            Kind::Space | Kind::LineComment | Kind::BlockComment
        )
    }
}

/// Lexes a text lazily, so that a large one needs no more memory than itself.
pub(crate) struct Lexer<'a> {
    sql: &'a str,
    inner: Box<dyn Iterator<Item = squawk_lexer::Token> + 'a>,
    at: usize,
    escaped: Continuation,
}

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Where we are behind an `E'…'` string: a string after a line end continues it, and its
/// backslashes still escape. squawk's lexer starts a new string there.
#[derive(Clone, Copy, PartialEq)]
enum Continuation {
    No,
    SameLine,
    NextLine,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(sql: &'a str) -> Lexer<'a> {
        Lexer::starting_at(sql, 0)
    }

    pub(crate) fn starting_at(sql: &'a str, at: usize) -> Lexer<'a> {
        let mut lexer = Lexer {
            sql,
            inner: Box::new(std::iter::empty()),
            at,
            escaped: Continuation::No,
        };
        lexer.jump(at);
        lexer
    }

    /// Goes on at another offset, which must be on a character boundary.
    pub(crate) fn jump(&mut self, at: usize) {
        self.at = at;
        self.inner = Box::new(squawk_lexer::tokenize(&self.sql[at..]));
    }

    /// The end of a string of which the opening quote is at `at`, with backslash escapes.
    fn escaped_string_end(&self, at: usize) -> (usize, bool) {
        let bytes = self.sql.as_bytes();
        let mut i = at + 1;
        while let Some(byte) = bytes.get(i) {
            match byte {
                b'\\' => i += 2,
                b'\'' if bytes.get(i + 1) == Some(&b'\'') => i += 2,
                b'\'' => return (i + 1, true),
                _ => i += 1,
            }
        }
        (bytes.len(), false)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let raw = self.inner.next()?;
        if raw.len == 0 {
            return None;
        }
        let start = self.at;
        let mut end = start + raw.len as usize;
        let (mut kind, mut terminated) = convert(raw.kind);
        // squawk's lexer skips a byte order mark where it begins; to the server it is a letter.
        if kind == Kind::Space && self.sql[start..end] == *BYTE_ORDER_MARK {
            let is_cont =
                |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
            let rest = &self.sql[end..];
            end += rest.find(|c| !is_cont(c)).unwrap_or(rest.len());
            kind = Kind::Word;
            self.jump(end);
        }
        let is_plain_string = matches!(
            raw.kind,
            TokenKind::Literal {
                kind: LiteralKind::Str { .. }
            }
        );
        self.at = end;
        self.escaped = match (kind, self.escaped) {
            (Kind::String, Continuation::NextLine) if is_plain_string => {
                let (real_end, real_terminated) = self.escaped_string_end(start);
                if (real_end, real_terminated) != (end, terminated) {
                    (end, terminated) = (real_end, real_terminated);
                    self.jump(end);
                }
                Continuation::SameLine
            }
            (Kind::String, _) => match raw.kind {
                TokenKind::Literal {
                    kind: LiteralKind::EscStr { .. },
                } => Continuation::SameLine,
                _ => Continuation::No,
            },
            (Kind::Space, Continuation::SameLine)
                if self.sql[start..end].contains(['\n', '\r']) =>
            {
                Continuation::NextLine
            }
            (Kind::Space | Kind::LineComment, state) => state,
            _ => Continuation::No,
        };
        Some(Token {
            kind,
            start,
            end,
            terminated,
        })
    }
}

fn convert(kind: TokenKind) -> (Kind, bool) {
    match kind {
        TokenKind::Ident => (Kind::Word, true),
        TokenKind::QuotedIdent { terminated, .. } => (Kind::QuotedIdent, terminated),
        TokenKind::Literal { kind } => match kind {
            LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => (Kind::Number, true),
            LiteralKind::Str { terminated }
            | LiteralKind::NationalStr { terminated }
            | LiteralKind::ByteStr { terminated }
            | LiteralKind::BitStr { terminated }
            | LiteralKind::DollarQuotedString { terminated }
            | LiteralKind::UnicodeEscStr { terminated }
            | LiteralKind::EscStr { terminated } => (Kind::String, terminated),
        },
        TokenKind::PositionalParam { .. } => (Kind::Number, true),
        TokenKind::Semi => (Kind::Semicolon, true),
        TokenKind::OpenParen => (Kind::Open, true),
        TokenKind::CloseParen => (Kind::Close, true),
        TokenKind::Whitespace => (Kind::Space, true),
        TokenKind::LineComment => (Kind::LineComment, true),
        TokenKind::BlockComment { terminated } => (Kind::BlockComment, terminated),
        TokenKind::Unknown | TokenKind::Eof | TokenKind::Backtick => (Kind::Unknown, true),
        _ => (Kind::Punctuation, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[&str]) {
        let found: Vec<_> = Lexer::new(sql)
            .filter(|token| !token.is_trivia())
            .map(|token| token.text(sql))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_continued_escape_string_keeps_its_escapes() {
        check("E'a'\n'b\\'; c' d", &["E'a'", "'b\\'; c'", "d"]);
        check("E'a' -- x\n 'b\\'; c' d", &["E'a'", "'b\\'; c'", "d"]);
        check("E'a'\n'b'\n'c\\'' d", &["E'a'", "'b'", "'c\\''", "d"]);
        check("E'a' 'b\\' d", &["E'a'", "'b\\'", "d"]);
        check("'a'\n'b\\' d", &["'a'", "'b\\'", "d"]);
    }

    #[test]
    fn a_byte_order_mark_is_a_letter_wherever_the_text_begins() {
        check("\u{feff}SELECT 1", &["\u{feff}SELECT", "1"]);
        check("\u{feff}; \u{feff}a", &["\u{feff}", ";", "\u{feff}a"]);
        let token = Lexer::starting_at("a;\u{feff}b c", 2).next();
        assert_eq!(token.map(|t| (t.kind, t.end)), Some((Kind::Word, 6)));
    }

    #[test]
    fn an_escaped_quote_at_the_end_is_not_the_end() {
        let token = Lexer::new("E'a\\'").next();
        assert_eq!(token.map(|t| t.terminated), Some(false));
    }
}
