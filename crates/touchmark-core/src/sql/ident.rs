//! Names, as the server stores them.

use super::token::{Kind, Token};

/// Longer names are cut by the server (`NAMEDATALEN` - 1).
const LONGEST_NAME: usize = 63;

/// The parts of a name at `tokens[*at]`, `schema.table` being two, and moves `at` behind it. Empty
/// when there is no name.
pub(crate) fn qualified_name(sql: &str, tokens: &[Token], at: &mut usize) -> Vec<String> {
    let mut parts = Vec::new();
    while let Some(part) = name(sql, tokens, at) {
        parts.push(part);
        match tokens.get(*at) {
            Some(dot) if dot.text(sql) == "." => *at += 1,
            _ => break,
        }
    }
    parts
}

fn name(sql: &str, tokens: &[Token], at: &mut usize) -> Option<String> {
    let token = tokens.get(*at)?;
    let text = token.text(sql);
    let name = match token.kind {
        Kind::Word => text.to_ascii_lowercase(),
        Kind::QuotedIdent if text.starts_with(['u', 'U']) => {
            let inner = text.get(3..text.len() - 1)?.replace("\"\"", "\"");
            let escape = uescape(sql, &tokens[*at + 1..]);
            if escape.is_some() {
                *at += 2;
            }
            decode(&inner, escape.unwrap_or('\\'))
        }
        Kind::QuotedIdent => text.get(1..text.len() - 1)?.replace("\"\"", "\""),
        _ => return None,
    };
    *at += 1;
    Some(name[..name.floor_char_boundary(LONGEST_NAME)].to_owned())
}

/// The character of a following `UESCAPE '!'`.
fn uescape(sql: &str, rest: &[Token]) -> Option<char> {
    let [word, string, ..] = rest else {
        return None;
    };
    if !word.is(sql, "uescape") || string.kind != Kind::String {
        return None;
    }
    string.text(sql).trim_matches('\'').chars().next()
}

/// Replaces `\0061` and `\+000061`. What is not an escape stays as it is: the server refuses it.
fn decode(text: &str, escape: char) -> String {
    let mut out = String::new();
    let mut pending_high = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != escape {
            out.push(c);
            continue;
        }
        if let Some(after) = rest.strip_prefix(escape) {
            out.push(escape);
            rest = after;
            continue;
        }
        let (digits, length) = match rest.strip_prefix('+') {
            Some(after) => (after.get(..6), 7),
            None => (rest.get(..4), 4),
        };
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            out.push(c);
            continue;
        };
        rest = &rest[length..];
        match (code, pending_high.take()) {
            (0xD800..=0xDBFF, _) => pending_high = Some(code),
            (0xDC00..=0xDFFF, Some(high)) => {
                let code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00);
                out.extend(char::from_u32(code));
            }
            _ => out.extend(char::from_u32(code)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::token::Lexer;
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[&str]) {
        let tokens: Vec<_> = Lexer::new(sql).filter(|t| !t.is_trivia()).collect();
        let mut at = 0;
        assert_eq!(qualified_name(sql, &tokens, &mut at), expected);
        assert_eq!(at, tokens.len());
    }

    #[test]
    fn names_are_what_the_server_stores() {
        check("Users", &["users"]);
        check("\"Users\"", &["Users"]);
        check("App . \"a\"\"b\"", &["app", "a\"b"]);
        check("ÄB", &["Äb"]);
        check("U&\"d\\0061t\\+000061\"", &["data"]);
        check("u&\"d!0061t!!\" UESCAPE '!'.x", &["dat!", "x"]);
        check("U&\"\\D83D\\DE00\"", &["😀"]);
        check(&"x".repeat(70), &["x".repeat(63).as_str()]);
        check(&format!("{}é", "x".repeat(62)), &["x".repeat(62).as_str()]);
    }
}
