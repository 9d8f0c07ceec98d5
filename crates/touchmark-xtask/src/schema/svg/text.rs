//! Texts that fit into a box.

use unicode_width::UnicodeWidthStr;

use super::CHARACTER;
use crate::schema::escape::line;
use crate::schema::model::{Column, Relation};

pub(super) fn marks(table: &Relation, column: &Column) -> Vec<&'static str> {
    let marks = [
        (table.is_primary(&column.name), "PK"),
        (table.is_foreign(&column.name), "FK"),
        (table.is_unique(&column.name), "UQ"),
    ];
    let marks = marks.into_iter().filter(|(is_one, _)| *is_one);
    marks.map(|(_, mark)| mark).collect()
}

/// The names that people use for the long ones of the standard.
pub(super) fn short(type_name: &str) -> String {
    let mut text = type_name.to_owned();
    for (long, short) in [
        ("character varying", "varchar"),
        ("character(", "char("),
        ("double precision", "float8"),
        ("bit varying", "varbit"),
    ] {
        if let Some(rest) = text.strip_prefix(long) {
            text = format!("{short}{rest}");
        }
    }
    // `timestamp(3) with time zone` is `timestamptz(3)`.
    if let Some((name, rest)) = text.split_once(" with time zone") {
        text = match name.split_once('(') {
            Some((name, precision)) => format!("{name}tz({precision}{rest}"),
            None => format!("{name}tz{rest}"),
        };
    }
    text.replacen(" without time zone", "", 1)
}

pub(super) fn width(text: &str) -> i32 {
    (text.width() as f64 * CHARACTER).ceil() as i32
}

/// At most so wide.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let text = line(text);
    if text.width() <= limit {
        return text;
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if out.width() >= limit {
            out.pop();
            break;
        }
    }
    out + "…"
}
