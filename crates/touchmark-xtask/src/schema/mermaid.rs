//! The diagram inside of the page. Mermaid's grammar takes few characters in types and columns,
//! and some words mean something: what it would not take is replaced, and said in a comment.

use std::collections::HashMap;
use std::fmt::Write;

use super::escape::line;
use super::model::{Column, Name, Relation, Schema};

/// Mermaid refuses texts of 50000 characters and diagrams of 500 lines.
const LONGEST: usize = 48_000;
const MOST: usize = 480;

/// How much is shown of a table.
#[derive(Clone, Copy)]
enum Detail {
    Columns,
    Keys,
    Names,
}

/// The text of the diagram, with as many columns as Mermaid takes; none where there are no tables
/// or more than it draws.
pub(super) fn diagram(schema: &Schema) -> Option<String> {
    let references: usize = schema.tables().map(|table| table.references.len()).sum();
    if schema.tables().next().is_none() || references > MOST {
        return None;
    }
    let details = [Detail::Columns, Detail::Keys, Detail::Names];
    let mut drawn = details.into_iter().map(|detail| draw(schema, detail));
    drawn.find(|text| text.len() <= LONGEST)
}

fn draw(schema: &Schema, detail: Detail) -> String {
    let names = names(schema);
    let mut out = String::from("erDiagram\n");
    for table in schema.tables() {
        entity(&mut out, &names[&table.name], table, detail);
    }
    for table in schema.tables() {
        for reference in &table.references {
            // A table of a schema that is left out is not drawn.
            let Some(target) = names.get(&reference.target) else {
                continue;
            };
            let parent = match table.is_optional(reference) {
                true => "|o",
                false => "||",
            };
            let child = match table.is_one_to_one(reference) {
                true => "o|",
                false => "o{",
            };
            let columns = quoted(&reference.columns.join(", "));
            let name = &names[&table.name];
            // Writing to a string can't fail.
            let _ = writeln!(out, "    {target} {parent}--{child} {name} : {columns}");
        }
    }
    out
}

fn entity(out: &mut String, name: &str, table: &Relation, detail: Detail) {
    let is_shown = |column: &&Column| match detail {
        Detail::Columns => true,
        Detail::Keys => table.is_primary(&column.name) || table.is_foreign(&column.name),
        Detail::Names => false,
    };
    let columns: Vec<_> = table.columns.iter().filter(is_shown).collect();
    if columns.is_empty() {
        let _ = writeln!(out, "    {name}");
        return;
    }
    let _ = writeln!(out, "    {name} {{");
    for column in columns {
        let mut keys = Vec::new();
        if table.is_primary(&column.name) {
            keys.push("PK");
        }
        if table.is_foreign(&column.name) {
            keys.push("FK");
        }
        if table.is_unique(&column.name) {
            keys.push("UK");
        }
        let shown = word(&column.name);
        let mut parts = vec![word(&without_pairs(&column.type_name)), shown.clone()];
        if !keys.is_empty() {
            parts.push(keys.join(", "));
        }
        if shown != column.name {
            parts.push(quoted(&column.name));
        }
        let _ = writeln!(out, "        {}", parts.join(" "));
    }
    let _ = writeln!(out, "    }}");
}

/// The name of each table, no two alike.
fn names(schema: &Schema) -> HashMap<Name, String> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut names = HashMap::new();
    for table in schema.tables() {
        let name = quoted(&schema.label(&table.name));
        let count = taken.entry(name.clone()).or_default();
        *count += 1;
        let name = match *count {
            1 => name,
            again => format!("{} ({again})\"", name.trim_end_matches('"')),
        };
        names.insert(table.name.clone(), name);
    }
    names
}

/// A text in quotes: what ends it, or means something to Mermaid or in HTML, is replaced by its
/// likeness.
fn quoted(text: &str) -> String {
    let likeness = |c| match c {
        '"' => '\u{201d}',
        '%' => '\u{ff05}',
        '\\' => '\u{ff3c}',
        '<' => '\u{2039}',
        '>' => '\u{203a}',
        '&' => '\u{ff06}',
        '#' => '\u{ff03}',
        ';' => '\u{ff1b}',
        '{' => '\u{ff5b}',
        '}' => '\u{ff5d}',
        '`' => '\u{2018}',
        c => c,
    };
    let text: String = line(text).chars().map(likeness).collect();
    format!("\"{text}\"")
}

/// A comma is not allowed: `numeric(10,2)` is `numeric` here.
fn without_pairs(type_name: &str) -> String {
    match (type_name.find('('), type_name.find(')')) {
        (Some(from), Some(to)) if from < to && type_name[from..to].contains(',') => {
            format!("{}{}", &type_name[..from], &type_name[to + 1..])
        }
        _ => type_name.to_owned(),
    }
}

/// A word of letters, digits and few others, which is no key.
fn word(text: &str) -> String {
    let allowed = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c,
        '_' | '-' | '(' | ')' | '[' | ']' => c,
        '\u{c0}'..='\u{ffff}' if c.is_alphanumeric() => c,
        _ => '_',
    };
    let word: String = text.chars().map(allowed).collect();
    let starts_well = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match !starts_well || ["PK", "FK", "UK"].contains(&word.to_uppercase().as_str()) {
        true => format!("_{word}"),
        false => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn word_is(text: &str, expected: &str) {
        assert_eq!(word(&without_pairs(text)), expected);
    }

    #[test]
    fn words_are_what_the_grammar_takes() {
        word_is("timestamp without time zone", "timestamp_without_time_zone");
        word_is("numeric(10,2)[]", "numeric[]");
        word_is("character varying(255)", "character_varying(255)");
        word_is("time(3) without time zone", "time(3)_without_time_zone");
        word_is("pk", "_pk");
        word_is("2fa", "_2fa");
        word_is("a\"; DROP--", "a___DROP--");
        word_is("größe", "größe");
        word_is("", "_");
        word_is("😀", "_");
    }

    #[test]
    fn nothing_ends_a_quoted_text() {
        assert_eq!(quoted("a\"; DROP--"), "\"a\u{201d}\u{ff1b} DROP--\"");
        assert_eq!(
            quoted("<b>%%\\"),
            "\"\u{2039}b\u{203a}\u{ff05}\u{ff05}\u{ff3c}\""
        );
    }
}
