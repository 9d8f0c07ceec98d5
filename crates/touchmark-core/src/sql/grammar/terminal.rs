//! Tokens as the grammar counts them, as in `scan.l` and `parser.c` of PostgreSQL.

use std::ops::Range;

use super::super::token::{Kind, Lexer, Token};
use super::tables::Tables;

/// One terminal, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terminal {
    /// Its number; `None` for a text that is no token.
    pub(super) number: Option<i32>,
    pub(super) span: Range<usize>,
}

/// Reads the terminals of a text.
pub(super) struct Terminals<'a> {
    sql: &'a str,
    tables: &'a Tables,
    lexer: Lexer<'a>,
    /// A token that was read ahead.
    pending: Option<Token>,
    /// Terminals that were read ahead, the last one first.
    queue: Vec<Terminal>,
}

/// A keyword that is another one before some others, so that one terminal of lookahead is enough.
const BEFORE: [(&str, &str, &[&str]); 5] = [
    ("format", "FORMAT_LA", &["json"]),
    (
        "not",
        "NOT_LA",
        &["between", "in", "like", "ilike", "similar"],
    ),
    ("nulls", "NULLS_LA", &["first", "last"]),
    ("with", "WITH_LA", &["time", "ordinality"]),
    ("without", "WITHOUT_LA", &["time"]),
];

impl<'a> Terminals<'a> {
    pub(super) fn new(sql: &'a str, tables: &'a Tables) -> Terminals<'a> {
        Terminals {
            sql,
            tables,
            lexer: Lexer::new(sql),
            pending: None,
            queue: Vec::new(),
        }
    }

    fn is(&self, terminal: &Terminal, spelling: &str) -> bool {
        terminal.number.is_some() && terminal.number == self.tables.terminal(spelling)
    }

    fn named(&self, spelling: &str, span: Range<usize>) -> Terminal {
        Terminal {
            number: self.tables.terminal(spelling),
            span,
        }
    }

    fn ahead(&mut self) -> Option<Terminal> {
        self.queue.pop().or_else(|| self.raw())
    }

    /// The next terminal, whatever follows it.
    fn raw(&mut self) -> Option<Terminal> {
        let token = match self.pending.take() {
            Some(token) => token,
            None => self.lexer.find(|token| !token.is_trivia())?,
        };
        let (text, span) = (token.text(self.sql), token.span());
        if !token.terminated {
            return Some(Terminal { number: None, span });
        }
        Some(match token.kind {
            Kind::Word => {
                let number = self.tables.terminal(&text.to_ascii_lowercase());
                // The names of classes have capital letters, so no word is taken for one.
                Terminal {
                    number: number.or(self.tables.terminal("IDENT")),
                    span,
                }
            }
            Kind::QuotedIdent if text == "\"\"" => Terminal { number: None, span },
            Kind::QuotedIdent if text.starts_with('"') => self.named("IDENT", span),
            Kind::QuotedIdent => self.named("UIDENT", span),
            Kind::String => self.string(token),
            Kind::Number => match number(text) {
                Some(class) => self.named(class, span),
                None => Terminal { number: None, span },
            },
            Kind::Punctuation | Kind::Unknown if is_operator(text) => self.operator(token),
            Kind::Punctuation if text == ".." => self.named("DOT_DOT", span),
            Kind::Punctuation if text == ":" => self.colon(token),
            _ => self.named(text, span),
        })
    }

    /// A string, with the ones that continue it after a line end.
    fn string(&mut self, token: Token) -> Terminal {
        let text = token.text(self.sql);
        let mut span = token.span();
        if !text.starts_with('$') {
            let mut line_end = false;
            for next in self.lexer.by_ref() {
                match next.kind {
                    Kind::Space => line_end |= next.text(self.sql).contains(['\n', '\r']),
                    Kind::LineComment => {}
                    Kind::String if line_end && next.text(self.sql).starts_with('\'') => {
                        span.end = next.end;
                        line_end = false;
                    }
                    _ => {
                        self.pending = Some(next);
                        break;
                    }
                }
            }
            if self.pending.is_some_and(|next| next.is_trivia()) {
                self.pending = self.lexer.find(|token| !token.is_trivia());
            }
        }
        match text.as_bytes()[0].to_ascii_lowercase() {
            b'b' => self.named("BCONST", span),
            b'x' => self.named("XCONST", span),
            b'u' => self.named("USCONST", span),
            b'n' => {
                let string = self.named("SCONST", span.start + 1..span.end);
                self.queue.push(string);
                self.named("nchar", span.start..span.start + 1)
            }
            _ => self.named("SCONST", span),
        }
    }

    fn colon(&mut self, token: Token) -> Terminal {
        let rest = &self.sql[token.end..];
        let spelling = match rest.as_bytes().first() {
            Some(b':') => "TYPECAST",
            Some(b'=') => "COLON_EQUALS",
            _ => return self.named(":", token.span()),
        };
        self.skip_to(token.end + 1);
        self.named(spelling, token.start..token.end + 1)
    }

    /// The longest operator that begins here.
    fn operator(&mut self, token: Token) -> Terminal {
        let rest = &self.sql[token.start..];
        let length = rest
            .find(|c: char| !is_operator_character(c))
            .unwrap_or(rest.len());
        let comment = ["/*", "--"]
            .iter()
            .filter_map(|start| rest[..length].find(start))
            .min();
        let mut operator = &rest[..comment.unwrap_or(length)];
        // `a = -1` without the space: a sign ends an operator only where it is an unusual one.
        if !operator.contains(['~', '!', '@', '#', '^', '&', '|', '`', '?', '%']) {
            while operator.len() > 1 && operator.ends_with(['+', '-']) {
                operator = &operator[..operator.len() - 1];
            }
        }
        let end = token.start + operator.len();
        self.skip_to(end);
        let spelling = match operator {
            "=>" => "EQUALS_GREATER",
            ">=" => "GREATER_EQUALS",
            "<=" => "LESS_EQUALS",
            "<>" | "!=" => "NOT_EQUALS",
            "+" | "-" | "*" | "/" | "%" | "^" | "<" | ">" | "=" => operator,
            _ => "Op",
        };
        self.named(spelling, token.start..end)
    }

    /// Leaves the tokens out that end before or at an offset.
    fn skip_to(&mut self, end: usize) {
        self.pending = self
            .lexer
            .find(|token| !token.is_trivia() && token.start >= end);
    }
}

impl Iterator for Terminals<'_> {
    type Item = Terminal;

    fn next(&mut self) -> Option<Terminal> {
        let terminal = self.ahead()?;
        if let Some((_, instead, before)) =
            BEFORE.iter().find(|(word, ..)| self.is(&terminal, word))
        {
            let next = self.ahead();
            let is_before = next
                .as_ref()
                .is_some_and(|next| before.iter().any(|word| self.is(next, word)));
            self.queue.extend(next);
            return Some(if is_before {
                self.named(instead, terminal.span)
            } else {
                terminal
            });
        }
        let becomes = match () {
            () if self.is(&terminal, "UIDENT") => "IDENT",
            () if self.is(&terminal, "USCONST") => "SCONST",
            () => return Some(terminal),
        };
        let next = self.ahead();
        if next.as_ref().is_some_and(|next| self.is(next, "uescape")) {
            let character = self.ahead();
            if !character.as_ref().is_some_and(|c| self.is(c, "SCONST")) {
                let span = character.or(next).map_or(terminal.span, |there| there.span);
                return Some(Terminal { number: None, span });
            }
        } else {
            self.queue.extend(next);
        }
        Some(self.named(becomes, terminal.span))
    }
}

fn is_operator(text: &str) -> bool {
    text.chars().next().is_some_and(is_operator_character)
}

fn is_operator_character(c: char) -> bool {
    "~!@#^&|`?+-*/%<>=".contains(c)
}

/// The class of a number or parameter; `None` where a letter follows it at once, or it has no digits.
fn number(text: &str) -> Option<&'static str> {
    if let Some(digits) = text.strip_prefix('$') {
        let is_parameter = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        return is_parameter.then_some("PARAM");
    }
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let plain = digits.replace('_', "");
            let is_right = !plain.is_empty()
                && plain.chars().all(|c| c.is_digit(radix))
                && !digits.contains("__")
                && !digits.ends_with('_');
            return is_right.then_some(if i32::from_str_radix(&plain, radix).is_ok() {
                "ICONST"
            } else {
                "FCONST"
            });
        }
    }
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        ),
        None => (lower.as_str(), None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_right = exponent.is_none_or(is_decimal)
        && match fraction {
            None => is_decimal(whole),
            Some("") => is_decimal(whole),
            Some(fraction) => is_decimal(fraction) && (whole.is_empty() || is_decimal(whole)),
        };
    let is_integer =
        exponent.is_none() && fraction.is_none() && whole.replace('_', "").parse::<i32>().is_ok();
    is_right.then_some(if is_integer { "ICONST" } else { "FCONST" })
}

fn is_decimal(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && !digits.ends_with('_')
        && !digits.contains("__")
}
