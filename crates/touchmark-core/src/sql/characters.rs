//! Characters that look like nothing, or like another one.
//!
//! To the server every character outside of ASCII is a letter: a no-break space does not end a word, and a full-width
//! semicolon does not end a statement. What copying from a web page, a chat or a text processor brings along is seen by nobody.

use std::ops::Range;

use super::Finding;
use super::grammar;
use super::statement::Head;
use super::token::{Kind, Lexer, Token};

/// What somebody meant by a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    /// It is not seen at all.
    Nothing,
    Space,
    /// It looks like this.
    Ascii(&'static str),
}

/// The characters of a statement that are not what they look like.
#[derive(Default)]
pub(super) struct Found {
    /// One for each name that has such a character.
    pub(super) warnings: Vec<Finding>,
    /// One error, where they are what the server stumbles at.
    pub(super) cause: Option<Finding>,
}

/// Looks for such characters in the names of a statement.
pub(super) fn find(sql: &str, span: Range<usize>) -> Found {
    if sql[span.clone()].is_ascii() {
        return Found::default();
    }
    let words = words(sql, span.clone());
    Found {
        warnings: words.iter().map(|word| word.warning(sql)).collect(),
        cause: cause(sql, span, &words).map(|word| word.error(sql)),
    }
}

/// The first word of those without which the server reads on.
fn cause<'a>(sql: &str, span: Range<usize>, words: &'a [Word]) -> Option<&'a Word> {
    if words.is_empty() {
        return None;
    }
    let statement = &sql[span.clone()];
    let refused = grammar::refusal(statement)?.span.start;
    let is_before = |word: &&Word| !word.is_in_body && word.token.start <= span.start + refused;
    let first = words.iter().find(is_before)?;
    let meant = as_meant(sql, span.clone(), words.iter().filter(is_before));
    let reads_on = match grammar::refusal(&meant) {
        Some(refusal) => meant.len() - refusal.span.start < statement.len() - refused,
        None => true,
    };
    reads_on.then_some(first)
}

/// A word with such a character.
struct Word {
    token: Token,
    /// Where the character is.
    at: usize,
    character: char,
    meant: Meant,
    /// It stands in the body of a function, which is a string to the statement.
    is_in_body: bool,
}

impl Word {
    fn span(&self) -> Range<usize> {
        self.at..self.at + self.character.len_utf8()
    }

    fn help(&self) -> String {
        match self.meant {
            Meant::Nothing => {
                "delete it: it can't be seen, and the server takes it as a letter".to_owned()
            }
            Meant::Space => "write a space instead: the server takes it as a letter".to_owned(),
            Meant::Ascii(ascii) => {
                format!("write `{ascii}` instead: the server takes it as a letter")
            }
        }
    }

    fn error(&self, sql: &str) -> Finding {
        let message = format!(
            "syntax error: {} in `{}`",
            self.described(),
            self.shown(sql)
        );
        Finding::error(self.span(), message, self.help())
    }

    fn warning(&self, sql: &str) -> Finding {
        let message = format!(
            "{} is part of the name `{}`",
            self.described(),
            self.shown(sql)
        );
        Finding::error(self.span(), message, self.help()).warning()
    }

    fn described(&self) -> String {
        let code = format!("U+{:04X}", u32::from(self.character));
        match (self.character, self.meant) {
            ('\u{a0}', _) => format!("{code} (no-break space)"),
            ('\u{ad}', _) => format!("{code} (soft hyphen)"),
            ('\u{200b}', _) => format!("{code} (zero width space)"),
            ('\u{200e}', _) => format!("{code} (left-to-right mark)"),
            ('\u{2028}', _) => format!("{code} (line separator)"),
            ('\u{feff}', _) => format!("{code} (byte order mark)"),
            (_, Meant::Nothing) => format!("{code} (an invisible character)"),
            (_, Meant::Space) => format!("{code} (a space that is not the one of ASCII)"),
            (_, Meant::Ascii(ascii)) => format!("{code} (which looks like `{ascii}`)"),
        }
    }

    /// The word with what can't be seen as an escape.
    fn shown(&self, sql: &str) -> String {
        let text = self.token.text(sql);
        let shown = text.chars().map(|c| match meant(c) {
            Some(Meant::Nothing | Meant::Space) => c.escape_unicode().to_string(),
            _ => c.to_string(),
        });
        shown.take(60).collect()
    }
}

/// The words with such characters, in the bodies of SQL and PL/pgSQL functions too.
fn words(sql: &str, span: Range<usize>) -> Vec<Word> {
    let is_code = has_body(&Head::new(sql, span.clone()));
    let mut words = Vec::new();
    for token in Lexer::starting_at(&sql[..span.end], span.start) {
        let text = token.text(sql);
        if text.is_ascii() {
            continue;
        }
        match body(text).filter(|_| is_code && token.kind == Kind::String) {
            Some(body) => {
                let body = token.start + body.start..token.start + body.end;
                let tokens = Lexer::starting_at(&sql[..body.end], body.start);
                words.extend(tokens.filter_map(|token| word(sql, token, true)));
            }
            None => words.extend(word(sql, token, false)),
        }
    }
    words
}

fn word(sql: &str, token: Token, is_in_body: bool) -> Option<Word> {
    let is_quoted = match token.kind {
        Kind::Word | Kind::Number => false,
        Kind::QuotedIdent => true,
        _ => return None,
    };
    let text = token.text(sql);
    let (at, character, meant) = text.char_indices().find_map(|(at, c)| {
        let meant = meant(c)?;
        // In quotes, punctuation of any script is part of a name as people write it.
        let is_written = is_quoted && (matches!(meant, Meant::Ascii(_)) || c == '\u{3000}');
        (!is_written && !joins(text, at, c)).then_some((at, c, meant))
    })?;
    Some(Word {
        token,
        at: token.start + at,
        character,
        meant,
        is_in_body,
    })
}

/// Whether a character shapes the letters around it, as in Persian, in the scripts of India and in emoji.
fn joins(text: &str, at: usize, c: char) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && meant(c).is_none());
    let after = text[at + c.len_utf8()..].chars().next();
    match c {
        '\u{200c}' | '\u{200d}' => is_letter(text[..at].chars().next_back()) && is_letter(after),
        '\u{fe00}'..='\u{fe0f}' => is_letter(text[..at].chars().next_back()),
        _ => false,
    }
}

/// The statement with the characters that were meant in some of its words.
fn as_meant<'a>(sql: &str, span: Range<usize>, words: impl Iterator<Item = &'a Word>) -> String {
    let mut out = String::new();
    let mut at = span.start;
    for word in words {
        out += &sql[at..word.token.start];
        for c in word.token.text(sql).chars() {
            match meant(c) {
                None => out.push(c),
                Some(Meant::Nothing) => {}
                Some(Meant::Space) => out.push(' '),
                Some(Meant::Ascii(ascii)) => out += ascii,
            }
        }
        at = word.token.end;
    }
    out + &sql[at..span.end]
}

/// Whether a string of the statement is code that this crate's lexer reads.
fn has_body(head: &Head<'_>) -> bool {
    let name = if head.starts(&["create", "or", "replace"]) {
        3
    } else {
        1
    };
    let is_routine =
        head.is(0, "create") && (head.is(name, "function") || head.is(name, "procedure"));
    let language = head.has("plpgsql") || head.has("sql");
    is_routine && language || head.is(0, "do") && (language || !head.has("language"))
}

/// What stands between two `$tag$`.
fn body(string: &str) -> Option<Range<usize>> {
    let tag = string.strip_prefix('$')?.find('$')? + 2;
    let end = string.len().checked_sub(tag)?;
    (tag <= end).then_some(tag..end)
}

/// What is meant by a character, if it is not what it looks like.
fn meant(c: char) -> Option<Meant> {
    Some(match c {
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => Meant::Nothing,
        '\u{80}'..='\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{3000}' => Meant::Space,
        '‘' | '’' | '‚' | '‛' | '′' | '´' | '＇' => Meant::Ascii("'"),
        '“' | '”' | '„' | '‟' | '″' | '＂' => Meant::Ascii("\""),
        '‐' | '‑' | '‒' | '–' | '−' | '－' => Meant::Ascii("-"),
        '—' | '―' => Meant::Ascii("--"),
        '\u{37e}' | '；' => Meant::Ascii(";"),
        '，' | '、' => Meant::Ascii(","),
        '．' | '。' => Meant::Ascii("."),
        '…' => Meant::Ascii("..."),
        '（' => Meant::Ascii("("),
        '）' => Meant::Ascii(")"),
        '［' => Meant::Ascii("["),
        '］' => Meant::Ascii("]"),
        '：' => Meant::Ascii(":"),
        '＝' => Meant::Ascii("="),
        '＜' => Meant::Ascii("<"),
        '＞' => Meant::Ascii(">"),
        '≤' => Meant::Ascii("<="),
        '≥' => Meant::Ascii(">="),
        '≠' => Meant::Ascii("<>"),
        '＊' => Meant::Ascii("*"),
        '＋' => Meant::Ascii("+"),
        '／' | '∕' => Meant::Ascii("/"),
        '％' => Meant::Ascii("%"),
        '｜' => Meant::Ascii("|"),
        '＄' => Meant::Ascii("$"),
        _ => return None,
    })
}

/// Characters that turn the direction of what follows them, in a string or a comment that doesn't turn it back: what
/// is shown of the line is in another order than what is executed.
pub(super) fn turned(sql: &str) -> Vec<Finding> {
    if sql.is_ascii() {
        return Vec::new();
    }
    let tokens = Lexer::new(sql).filter(|token| {
        matches!(
            token.kind,
            Kind::String | Kind::LineComment | Kind::BlockComment
        )
    });
    tokens.filter_map(|token| turn(token.text(sql)).map(|(at, c)| (token.start + at, c))).map(|(at, c)| {
        Finding::error(
            at..at + c.len_utf8(),
            format!("U+{:04X} turns the direction of the rest of the line", u32::from(c)),
            "delete it, or close it in the same line (U+202C, U+2069): what is shown here is not in the order in which it is read",
        )
        .warning()
    }).collect()
}

/// The first override, or what is not closed in its line.
fn turn(text: &str) -> Option<(usize, char)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let mut open = Vec::new();
        for (offset, c) in line.char_indices() {
            match c {
                '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' | '\u{2066}'..='\u{2068}' => {
                    open.push((at + offset, c))
                }
                '\u{202c}' if open.last().is_some_and(|(_, c)| *c < '\u{2066}') => {
                    open.pop();
                }
                '\u{2069}' => {
                    let isolate = open.iter().rposition(|(_, c)| *c >= '\u{2066}');
                    open.truncate(isolate.unwrap_or(open.len()));
                }
                _ => {}
            }
        }
        if let Some(first) = open.into_iter().next() {
            return Some(first);
        }
        at += line.len();
    }
    None
}
