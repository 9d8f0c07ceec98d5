//! Placeholders: `${name}` in a migration, which the configuration declares and a run replaces.
//!
//! The text is hashed, stored and recorded as it is written. What a run executes has an escaped
//! literal or a quoted identifier in the place of each.

use std::fmt;
use std::ops::Range;

/// A placeholder that the configuration declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// `[a-z][a-z0-9_]*`.
    pub name: String,
    /// What it becomes.
    pub kind: PlaceholderKind,
    /// Its value where nobody gives another one.
    pub default: Option<String>,
}

/// What a placeholder becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceholderKind {
    /// A string literal, which the server takes for a number or a date where it wants one.
    Literal,
    /// A quoted name.
    Identifier,
}

impl fmt::Display for PlaceholderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlaceholderKind::Literal => "literal",
            PlaceholderKind::Identifier => "identifier",
        })
    }
}

/// Where a placeholder stands in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Byte offset of its `$` in the script's text.
    pub start: usize,
    /// Byte offset after its `}`.
    pub end: usize,
    /// Its position among the declarations of the set.
    pub placeholder: usize,
}

/// A text as it is executed, which knows where it came from: with its placeholders replaced, or
/// without some of its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The text as it is executed.
    pub sql: String,
    /// Of each placeholder: where it ended, and where its replacement begins and ends.
    ends: Vec<(usize, usize, usize)>,
}

impl Expanded {
    /// Replaces the placeholders of a text; `None` where one of them has no value. The values are
    /// quoted already.
    pub fn of<'v>(
        sql: &str,
        holes: &[Hole],
        value: impl Fn(usize) -> Option<&'v str>,
    ) -> Option<Expanded> {
        let mut out = String::with_capacity(sql.len());
        let mut ends = Vec::with_capacity(holes.len());
        let mut at = 0;
        for hole in holes {
            out.push_str(sql.get(at..hole.start)?);
            let begin = out.len();
            out.push_str(value(hole.placeholder)?);
            ends.push((hole.end, begin, out.len()));
            at = hole.end;
        }
        out.push_str(sql.get(at..)?);
        Some(Expanded { sql: out, ends })
    }

    /// The text with blanks in the place of some ranges, so that every other byte is where it was;
    /// `None` where a range is not one of the text.
    pub fn without(sql: &str, ranges: &[Range<usize>]) -> Option<Expanded> {
        let mut out = sql.to_owned();
        for range in ranges {
            let length = sql.get(range.clone())?.len();
            out.replace_range(range.clone(), &" ".repeat(length));
        }
        Some(Expanded {
            sql: out,
            ends: Vec::new(),
        })
    }

    /// The byte of the text as it is written that a byte of this one comes from. What is inside of
    /// a value comes from its placeholder's `$`.
    pub fn written(&self, offset: usize) -> usize {
        // What stands behind the last placeholder before it has moved by this much.
        let (mut there, mut here) = (0, 0);
        for (end, begin, after) in &self.ends {
            if offset < *begin {
                break;
            }
            if offset < *after {
                return there + (begin - here);
            }
            (there, here) = (*end, *after);
        }
        there + (offset - here)
    }
}

/// Whether a name can be a placeholder's.
pub fn is_placeholder_name(name: &str) -> bool {
    let is_rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_again() {
        let sql = "a ${x} b ${y};\n${x}";
        let holes: Vec<_> = [(2, 6, 0), (9, 13, 1), (15, 19, 0)]
            .map(|(start, end, placeholder)| Hole {
                start,
                end,
                placeholder,
            })
            .into();
        let values = ["'a long value'", "1"];
        let expanded = Expanded::of(sql, &holes, |at| values.get(at).copied()).unwrap();
        assert_eq!(expanded.sql, "a 'a long value' b 1;\n'a long value'");
        let found = |text: &str| expanded.written(expanded.sql.find(text).unwrap());
        assert_eq!(found("a '"), 0);
        assert_eq!(found("'a long"), 2);
        assert_eq!(found("long"), 2);
        assert_eq!(found(" b"), 6);
        assert_eq!(found("1;"), 9);
        assert_eq!(found(";"), 13);
        assert_eq!(expanded.written(expanded.sql.len() - 1), 15);
        assert_eq!(expanded.written(expanded.sql.len()), sql.len());
        assert_eq!(Expanded::of(sql, &holes, |_| None), None);
        assert_eq!(Expanded::of(sql, &[], |_| None).unwrap().sql, sql);
    }
}
