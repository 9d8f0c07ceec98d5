//! Boxes, lines and the legend.

use std::fmt::Write;

use super::text::{cut, marks, short};
use super::{Card, HEAD, LINES, Link, MARGIN, NAME, PAD, TYPE, middle, sentence};
use crate::schema::escape::{line, xml};
use crate::schema::layout::{Placed, Size};
use crate::schema::model::Column;

/// The line, with the marks of crow's foot notation at its ends.
pub(super) fn draw_link(
    out: &mut String,
    cards: &[Card<'_>],
    link: &Link<'_>,
    points: &[(i32, i32)],
) {
    let points: Vec<_> = points
        .iter()
        .map(|(x, y)| (x + MARGIN, y + MARGIN))
        .collect();
    let table = cards[link.child].table;
    let optional = match table.is_optional(link.reference) {
        true => " optional",
        false => "",
    };
    let colour = link.parent % LINES.len();
    let _ = writeln!(
        out,
        r#"<g class="reference"><title>{}</title>"#,
        xml(&sentence(cards, link))
    );
    let _ = writeln!(
        out,
        r#"<path class="line l{colour}{optional}" d="{}"/>"#,
        path(&points)
    );
    let (Some(&from), Some(&to)) = (points.first(), points.last()) else {
        return;
    };
    // Out of a box, a line goes to the right or to the left.
    let away = |at: usize, next: usize| match points[next].0 < points[at].0 {
        true => -1,
        false => 1,
    };
    let last = points.len() - 1;
    let mut marks = bar(from, away(0, 1) * 7);
    let side = away(last, last - 1);
    match table.is_one_to_one(link.reference) {
        true => marks += &bar(to, side * 7),
        false => {
            let ((x, y), tip) = (to, to.0 + side * 11);
            let _ = write!(marks, "M{x} {}L{tip} {y}L{x} {}", y - 5, y + 5);
        }
    }
    let _ = writeln!(out, r#"<path class="line l{colour}" d="{marks}"/></g>"#);
}

fn bar((x, y): (i32, i32), away: i32) -> String {
    format!("M{} {}v10", x + away, y - 5)
}

/// With round corners.
pub(super) fn path(points: &[(i32, i32)]) -> String {
    let mut points = points.to_vec();
    // A corner in the middle of a straight line is none.
    let mut at = 1;
    while at + 1 < points.len() {
        let (a, b, c) = (points[at - 1], points[at], points[at + 1]);
        let is_straight = (a.0 == b.0 && b.0 == c.0) || (a.1 == b.1 && b.1 == c.1);
        match is_straight {
            true => drop(points.remove(at)),
            false => at += 1,
        }
    }
    let mut out = String::new();
    for (at, &(x, y)) in points.iter().enumerate() {
        if at == 0 {
            let _ = write!(out, "M{x} {y}");
            continue;
        }
        let Some(&next) = points.get(at + 1) else {
            let _ = write!(out, "L{x} {y}");
            continue;
        };
        let before = points[at - 1];
        let radius = |other: (i32, i32)| ((x - other.0).abs() + (y - other.1).abs()) / 2;
        let radius = radius(before).min(radius(next)).min(6);
        let toward = |other: (i32, i32)| {
            (
                x + (other.0 - x).signum() * radius,
                y + (other.1 - y).signum() * radius,
            )
        };
        let ((ax, ay), (bx, by)) = (toward(before), toward(next));
        let _ = write!(out, "L{ax} {ay}Q{x} {y} {bx} {by}");
    }
    out
}

pub(super) fn draw_card(out: &mut String, card: &Card<'_>, (x, y): (i32, i32)) {
    let (x, y) = (x + MARGIN, y + MARGIN);
    let Size { width, height } = card.size;
    let comment = card.table.comment.as_deref().unwrap_or_default();
    let about = match comment.is_empty() {
        true => card.label.clone(),
        false => format!("{}: {comment}", card.label),
    };
    let _ = writeln!(
        out,
        r#"<g class="table"><title>{}</title>"#,
        xml(&line(&about))
    );
    let _ = writeln!(
        out,
        r#"<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>"#
    );
    let (right, neck) = (x + width, y + HEAD);
    let _ = writeln!(
        out,
        r#"<path class="head" d="M{x} {neck}V{}Q{x} {y} {} {y}H{}Q{right} {y} {right} {}V{neck}Z"/>"#,
        y + 6,
        x + 6,
        right - 6,
        y + 6
    );
    let title = xml(&cut(&card.label, 48));
    let _ = writeln!(
        out,
        r#"<text class="text name" x="{}" y="{}">{title}</text>"#,
        x + PAD,
        y + 20
    );
    let _ = writeln!(out, r#"<path class="rule" d="M{x} {neck}H{right}"/>"#);
    for (row, column) in card.table.columns.iter().enumerate() {
        draw_column(out, card, column, (x, y + middle(row as i32)));
    }
    for (at, note) in card.notes.iter().enumerate() {
        let row = (card.table.columns.len() + at) as i32;
        let (text, base) = (xml(&cut(note, 44)), y + middle(row) + 4);
        if at == 0 {
            let _ = writeln!(
                out,
                r#"<path class="rule" d="M{x} {}H{right}"/>"#,
                base - 15
            );
        }
        let whole = xml(&line(note));
        let _ = writeln!(
            out,
            r#"<text class="soft note" x="{}" y="{base}"><title>{whole}</title>{text}</text>"#,
            x + PAD
        );
    }
    let _ = writeln!(
        out,
        r#"<rect class="frame" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/></g>"#
    );
}

fn draw_column(out: &mut String, card: &Card<'_>, column: &Column, (x, middle): (i32, i32)) {
    let base = middle + 4;
    let null = match column.not_null {
        true => "not null",
        false => "nullable",
    };
    let about = format!("{} {}, {null}", column.name, column.type_name);
    let _ = writeln!(
        out,
        r#"<g class="column"><title>{}</title>"#,
        xml(&line(&about))
    );
    dot(out, (x + PAD + 3, middle), column.not_null);
    let mut at = x + PAD + 14;
    for mark in marks(card.table, column) {
        let class = match mark {
            "PK" => "pk",
            "FK" => "fk",
            _ => "soft",
        };
        let _ = writeln!(
            out,
            r#"<text class="{class} mark" x="{at}" y="{base}">{mark}</text>"#
        );
        at += 21;
    }
    let names = x + PAD + 14 + card.marks_width;
    let name = xml(&cut(&column.name, NAME));
    let _ = writeln!(
        out,
        r#"<text class="text" x="{names}" y="{base}">{name}</text>"#
    );
    let types = names + card.names_width + 14;
    let type_name = xml(&cut(&short(&column.type_name), TYPE));
    let _ = writeln!(
        out,
        r#"<text class="soft" x="{types}" y="{base}">{type_name}</text></g>"#
    );
}

/// Full where a value must be, hollow where it may be null.
fn dot(out: &mut String, (x, y): (i32, i32), is_full: bool) {
    let class = match is_full {
        true => "soft",
        false => "hollow soft-line dot",
    };
    let _ = writeln!(out, r#"<circle class="{class}" cx="{x}" cy="{y}" r="3"/>"#);
}

pub(super) fn legend(out: &mut String, placed: &Placed) {
    let y = placed.height.max(40) + MARGIN + 30;
    let x = MARGIN;
    let _ = writeln!(out, r#"<path class="rule" d="M{x} {}h460"/>"#, y - 12);
    dot(out, (x + 4, y + 4), true);
    dot(out, (x + 84, y + 4), false);
    let base = y + 8;
    for (at, text) in [(14, "not null"), (94, "nullable")] {
        let _ = writeln!(
            out,
            r#"<text class="soft note" x="{}" y="{base}">{text}</text>"#,
            x + at
        );
    }
    let middle = y + 4;
    for (at, class, text) in [
        (172, "", "must refer"),
        (302, " optional", "may refer to nothing"),
    ] {
        let (from, to) = (x + at, x + at + 40);
        let _ = writeln!(
            out,
            r#"<path class="line soft-line{class}" d="M{from} {middle}H{to}"/>"#
        );
        let marks = format!(
            "{}M{to} {}L{} {middle}L{to} {}",
            bar((from, middle), 7),
            middle - 5,
            to - 11,
            middle + 5
        );
        let _ = writeln!(out, r#"<path class="line soft-line" d="{marks}"/>"#);
        let _ = writeln!(
            out,
            r#"<text class="soft note" x="{}" y="{base}">{text}</text>"#,
            to + 8
        );
    }
}
