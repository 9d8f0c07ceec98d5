//! The diagram as a picture of its own. Widths come from the count of characters in a font of
//! which all characters are equally wide, so that it looks alike everywhere.

mod draw;
mod text;

use std::fmt::Write;

use super::MARK;
use super::escape::{line, xml};
use super::layout::{Edge, Size, layout};
use super::model::{ConstraintKind, Name, Reference, Relation, Schema};
use draw::{draw_card, draw_link, legend};
use text::{cut, marks, short, width};

const CHARACTER: f64 = 7.3;
const HEAD: i32 = 30;
const ROW: i32 = 21;
const PAD: i32 = 10;
const MARGIN: i32 = 24;
/// Longer names are cut, and stand whole in a title.
const NAME: usize = 36;
const TYPE: usize = 30;

/// Colours for light and dark: class, light, dark.
const COLOURS: [(&str, &str, &str, &str); 9] = [
    ("page", "fill", "#ffffff", "#0d1117"),
    ("box", "fill", "#ffffff", "#161b22"),
    ("frame", "stroke", "#8c959f", "#6e7681"),
    ("head", "fill", "#e8eef7", "#22304a"),
    ("rule", "stroke", "#d8dee4", "#30363d"),
    ("text", "fill", "#1f2328", "#e6edf3"),
    ("soft", "fill", "#59636e", "#9198a1"),
    ("pk", "fill", "#9a6700", "#e3b341"),
    ("fk", "fill", "#0969da", "#58a6ff"),
];

/// The lines of one table's key have one colour.
const LINES: [(&str, &str); 6] = [
    ("#0969da", "#58a6ff"),
    ("#8250df", "#bc8cff"),
    ("#1a7f37", "#3fb950"),
    ("#bc4c00", "#f0883e"),
    ("#bf3989", "#f778ba"),
    ("#0e7c86", "#39c5cf"),
];

/// A table with what is shown of it.
struct Card<'s> {
    table: &'s Relation,
    label: String,
    /// Unique over several columns or over an expression.
    notes: Vec<String>,
    marks_width: i32,
    names_width: i32,
    size: Size,
}

/// A reference with its tables.
struct Link<'s> {
    child: usize,
    parent: usize,
    reference: &'s Reference,
}

/// The picture.
pub(super) fn diagram(schema: &Schema) -> String {
    let cards: Vec<_> = schema.tables().map(|table| card(schema, table)).collect();
    let links = links(&cards);
    let edges: Vec<_> = links.iter().map(|link| edge(&cards, link)).collect();
    let sizes: Vec<_> = cards.iter().map(|card| card.size).collect();
    let placed = layout(&sizes, &edges);
    let width = placed.width.max(460) + 2 * MARGIN;
    let height = placed.height.max(40) + 2 * MARGIN + 34;

    let mut out = String::new();
    head(&mut out, schema, &cards, &links, (width, height));
    for (link, points) in links.iter().zip(&placed.lines) {
        draw_link(&mut out, &cards, link, points);
    }
    for (card, at) in cards.iter().zip(&placed.boxes) {
        draw_card(&mut out, card, *at);
    }
    if cards.is_empty() {
        let _ = writeln!(
            out,
            r#"<text class="soft" x="{MARGIN}" y="52">There are no tables.</text>"#
        );
    } else {
        legend(&mut out, &placed);
    }
    out += "</svg>\n";
    out
}

fn card<'s>(schema: &Schema, table: &'s Relation) -> Card<'s> {
    let label = schema.label(&table.name);
    let marks = table
        .columns
        .iter()
        .map(|column| marks(table, column).len());
    let marks_width = match marks.max().unwrap_or_default() {
        0 => 0,
        count => count as i32 * 21 + 2,
    };
    let widest = |texts: &mut dyn Iterator<Item = String>| {
        texts.map(|text| width(&text)).max().unwrap_or_default()
    };
    let names_width = widest(&mut table.columns.iter().map(|c| cut(&c.name, NAME)));
    let types = widest(
        &mut table
            .columns
            .iter()
            .map(|c| cut(&short(&c.type_name), TYPE)),
    );
    let notes: Vec<_> = notes(table).collect();
    let row = 14 + marks_width + names_width + 14 + types;
    let title = width(&cut(&label, 48)) * 14 / 13 + 8;
    let noted = widest(&mut notes.iter().map(|note| cut(note, 44))) * 11 / 12;
    let count = table.columns.len() as i32;
    Card {
        table,
        label,
        marks_width,
        names_width,
        size: Size {
            width: (2 * PAD + row.max(title).max(noted)).max(130),
            height: HEAD + 6 + (count + notes.len() as i32) * ROW,
        },
        notes,
    }
}

/// What makes rows unique, and is not seen at one column.
fn notes(table: &Relation) -> impl Iterator<Item = String> {
    let constraints = table
        .constraints
        .iter()
        .filter(|c| c.kind == ConstraintKind::Unique && c.columns.len() > 1);
    let constraints = constraints.map(|c| format!("unique ({})", c.columns.join(", ")));
    let indexes = table
        .indexes
        .iter()
        .filter(|i| i.is_unique && i.unique_columns.len() != 1);
    let indexes = indexes.map(|index| {
        let definition = index.definition.trim_start_matches("btree ");
        format!("unique {definition}")
    });
    constraints.chain(indexes)
}

fn links<'s>(cards: &[Card<'s>]) -> Vec<Link<'s>> {
    let index = |name: &Name| cards.iter().position(|card| card.table.name == *name);
    let mut links = Vec::new();
    for (child, card) in cards.iter().enumerate() {
        for reference in &card.table.references {
            if let Some(parent) = index(&reference.target) {
                links.push(Link {
                    child,
                    parent,
                    reference,
                });
            }
        }
    }
    links
}

fn edge(cards: &[Card<'_>], link: &Link<'_>) -> Edge {
    Edge {
        parent: link.parent,
        parent_port: port(&cards[link.parent], link.reference.target_columns.first()),
        child: link.child,
        child_port: port(&cards[link.child], link.reference.columns.first()),
    }
}

/// The middle of a column's row.
fn port(card: &Card<'_>, column: Option<&String>) -> i32 {
    let rows = card.table.columns.iter();
    let row = column.and_then(|name| rows.clone().position(|c| c.name == *name));
    row.map_or(HEAD / 2, |row| middle(row as i32))
}

fn middle(row: i32) -> i32 {
    HEAD + 3 + row * ROW + ROW / 2
}

fn head(
    out: &mut String,
    schema: &Schema,
    cards: &[Card<'_>],
    links: &[Link<'_>],
    (width, height): (i32, i32),
) {
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title description">"#
    );
    let _ = writeln!(out, "<!-- {MARK}; a change by hand is lost. -->");
    let names: Vec<_> = schema.namespaces.iter().map(|n| n.name.as_str()).collect();
    let title = match names.as_slice() {
        [] => "Database schema".to_owned(),
        names => format!("Database schema {}", names.join(", ")),
    };
    let _ = writeln!(out, r#"<title id="title">{}</title>"#, xml(&line(&title)));
    let listed: Vec<_> = links.iter().map(|link| sentence(cards, link)).collect();
    let tables: Vec<_> = cards.iter().map(|card| line(&card.label)).collect();
    let description = format!("Tables: {}. References: {}.", list(&tables), list(&listed));
    let _ = writeln!(
        out,
        r#"<desc id="description">{}</desc>"#,
        xml(&description)
    );
    out.push_str(&style());
    let _ = writeln!(
        out,
        r#"<rect class="page" width="{width}" height="{height}"/>"#
    );
}

fn list(items: &[String]) -> String {
    match items.is_empty() {
        true => "none".to_owned(),
        false => items.join("; "),
    }
}

fn style() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    for (class, property, day, night) in COLOURS {
        let _ = writeln!(light, ".{class} {{ {property}: {day} }}");
        let _ = writeln!(dark, "  .{class} {{ {property}: {night} }}");
    }
    for (at, (day, night)) in LINES.iter().enumerate() {
        let _ = writeln!(light, ".l{at} {{ stroke: {day} }}");
        let _ = writeln!(dark, "  .l{at} {{ stroke: {night} }}");
    }
    format!(
        "<style>\n\
         text {{ font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', \
         'Liberation Mono', monospace; white-space: pre }}\n\
         .name {{ font-size: 13px; font-weight: bold }}\n\
         .mark {{ font-size: 10px; font-weight: bold }}\n\
         .note {{ font-size: 11px; font-style: italic }}\n\
         .frame {{ fill: none }}\n\
         .line {{ fill: none; stroke-width: 1.5 }}\n\
         .optional {{ stroke-dasharray: 5 3 }}\n\
         .dot {{ stroke-width: 1.2 }}\n\
         {light}\
         .soft-line {{ stroke: #59636e }}\n\
         .hollow {{ fill: none }}\n\
         @media (prefers-color-scheme: dark) {{\n{dark}  .soft-line {{ stroke: #9198a1 }}\n}}\n\
         </style>\n"
    )
}

/// `documents.owner_id to users.user_id on delete cascade`.
fn sentence(cards: &[Card<'_>], link: &Link<'_>) -> String {
    let end = |table: usize, columns: &[String]| {
        let columns = match columns {
            [only] => only.clone(),
            several => format!("({})", several.join(", ")),
        };
        format!("{}.{columns}", cards[table].label)
    };
    let reference = link.reference;
    let mut text = format!(
        "{} to {}",
        end(link.child, &reference.columns),
        end(link.parent, &reference.target_columns)
    );
    for (what, action) in [
        ("delete", reference.on_delete),
        ("update", reference.on_update),
    ] {
        if let Some(action) = action.sql() {
            let _ = write!(text, " on {what} {}", action.to_lowercase());
        }
    }
    line(&text)
}

#[cfg(test)]
mod tests {
    use super::draw::path;
    use super::*;

    #[track_caller]
    fn short_is(type_name: &str, expected: &str) {
        assert_eq!(short(type_name), expected);
    }

    #[test]
    fn types_have_their_short_names() {
        short_is("character varying(255)[]", "varchar(255)[]");
        short_is("character(2)", "char(2)");
        short_is("timestamp without time zone", "timestamp");
        short_is("timestamp(3) with time zone[]", "timestamptz(3)[]");
        short_is("time with time zone", "timetz");
        short_is("app.character", "app.character");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(cut("users", 5), "users");
        assert_eq!(cut("customers", 5), "cust…");
        assert_eq!(cut("表の名前", 5), "表の…");
        assert_eq!(cut("a\nb", 9), "a\\nb");
    }

    #[test]
    fn corners_are_round_and_straight_lines_have_none() {
        assert_eq!(path(&[(0, 0), (9, 0), (20, 0)]), "M0 0L20 0");
        let corner = [(0, 0), (20, 0), (20, 20)];
        assert_eq!(path(&corner), "M0 0L14 0Q20 0 20 6L20 20");
    }
}
