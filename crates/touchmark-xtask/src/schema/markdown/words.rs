//! Anchors, and the words of columns, constraints and indexes.

use std::fmt::Write;

use crate::schema::escape::{code, prose};
use crate::schema::model::{
    Column, Constraint, ConstraintKind, Index, Name, Reference, Relation, Schema, Value,
};

/// Where the relations are on the page: the names that renderers make of headings.
pub(super) struct Anchors {
    pub(super) of: Vec<(Name, String)>,
}

impl Anchors {
    pub(super) fn of(schema: &Schema) -> Anchors {
        let mut taken = vec!["database-schema".to_owned(), "diagram".to_owned()];
        let mut of = Vec::new();
        let sections = [
            ("tables", schema.tables().collect::<Vec<_>>()),
            ("views", schema.views().collect()),
        ];
        for (title, relations) in sections {
            if !relations.is_empty() {
                taken.push(title.to_owned());
            }
            for relation in relations {
                let anchor = free(&taken, &slug(&schema.label(&relation.name)));
                taken.push(anchor.clone());
                of.push((relation.name.clone(), anchor));
            }
        }
        Anchors { of }
    }
}

pub(super) fn free(taken: &[String], slug: &str) -> String {
    let numbered = (1..).map(|number| format!("{slug}-{number}"));
    let mut all = std::iter::once(slug.to_owned()).chain(numbered);
    let found = all.find(|anchor| !taken.contains(anchor));
    found.unwrap_or_default()
}

pub(super) fn slug(name: &str) -> String {
    let kept = name.to_lowercase();
    let kept = kept.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    kept.collect()
}

pub(super) fn count(number: usize, what: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        number => Some(format!("{number} {what}s")),
    }
}

pub(super) fn type_of(column: &Column) -> String {
    let name = code(&column.type_name);
    match &column.collation {
        Some(collation) => format!("{name} collate {}", code(collation)),
        None => name,
    }
}

pub(super) fn value(value: &Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Default(text) => code(text),
        Value::IdentityAlways => "identity, always".to_owned(),
        Value::IdentityByDefault => "identity, by default".to_owned(),
        Value::Stored(text) => format!("generated, stored: {}", code(text)),
        Value::Virtual(text) => format!("generated, virtual: {}", code(text)),
    }
}

pub(super) fn keys(relation: &Relation, column: &Column) -> String {
    let marks = [
        (relation.is_primary(&column.name), "primary"),
        (relation.is_foreign(&column.name), "foreign"),
        (relation.is_unique(&column.name), "unique"),
    ];
    let marks = marks.into_iter().filter(|(is_one, _)| *is_one);
    marks.map(|(_, mark)| mark).collect::<Vec<_>>().join(", ")
}

pub(super) fn constraint(constraint: &Constraint) -> String {
    let kind = match constraint.kind {
        ConstraintKind::Primary | ConstraintKind::Unique => "",
        ConstraintKind::Exclusion => " (exclusion)",
        ConstraintKind::Check => "",
    };
    let (name, definition) = (code(&constraint.name), code(&constraint.definition));
    with_comment(
        format!("- {name}{kind}: {definition}"),
        constraint.comment.as_deref(),
    )
}

pub(super) fn index(index: &Index) -> String {
    let unique = match index.is_unique {
        true => "unique, ",
        false => "",
    };
    let invalid = match index.is_valid {
        true => "",
        false => " (invalid)",
    };
    let (name, definition) = (code(&index.name), code(&index.definition));
    with_comment(
        format!("- {name}: {unique}{definition}{invalid}"),
        index.comment.as_deref(),
    )
}

pub(super) fn with_comment(text: String, comment: Option<&str>) -> String {
    match comment.map(prose).filter(|comment| !comment.is_empty()) {
        Some(comment) => format!("{text}. {comment}"),
        None => text,
    }
}

pub(super) fn names(columns: &[String]) -> String {
    let columns: Vec<_> = columns.iter().map(|name| code(name)).collect();
    match columns.as_slice() {
        [only] => only.clone(),
        several => format!("({})", several.join(", ")),
    }
}

/// What happens to the rows that refer to a row.
pub(super) fn rules(reference: &Reference) -> String {
    let mut out = String::new();
    if let Some(action) = reference.on_delete.sql() {
        let _ = write!(out, ", on delete {}", action.to_lowercase());
    }
    if let Some(action) = reference.on_update.sql() {
        let _ = write!(out, ", on update {}", action.to_lowercase());
    }
    if !reference.rest.is_empty() {
        let _ = write!(out, ", {}", reference.rest.to_lowercase());
    }
    out
}
