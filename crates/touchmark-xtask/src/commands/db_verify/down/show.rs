//! How the proof is shown.

use std::time::Duration;

use touchmark_core::Migration;
use touchmark_engine::Database;

use super::Proof;
use super::finding::{Finding, What};
use crate::catalog::show_unknown;
use crate::commands::db_migrate::{millis, took};
use crate::commands::db_verify::diff::paint;
use crate::error::Error;
use crate::json;
use crate::project::Files;
use crate::screen::Screen;

pub(super) fn left_out(migration: &Migration, why: &str, screen: &Screen) {
    if !screen.is_json() {
        screen.odd("Left out", format_args!("{migration}: {why}"));
    }
}

pub(super) fn finding(finding: &Finding, screen: &Screen) {
    if screen.is_json() {
        return;
    }
    if let What::Failed(error) = &finding.what {
        let cause = error.render(false);
        let cause = cause.trim_start_matches("error: ").trim_end();
        screen.error(format_args!("{}: {cause}", finding.message()));
        return;
    }
    screen.error(finding.message());
    if let Some(diff) = finding.diff() {
        screen.print_in_colour(paint(&diff).trim_end());
    }
    screen.help(finding.help());
}

/// What it came to, below what was found.
pub(super) fn end(proof: &Proof, files: &Files, elapsed: Duration) {
    let screen = proof.screen;
    show_unknown(&proof.unknown, screen);
    match &*proof.not_tried {
        [] => {}
        [one] => screen.odd("Not tried", one),
        [first, .., last] => screen.odd(
            "Not tried",
            format_args!("{} migrations, {first} to {last}", proof.not_tried.len()),
        ),
    }
    let took = took(elapsed);
    let proven = proof.proven.len();
    let down_files = match proven {
        1 => "1 down file undoes what its migration does".into(),
        _ => format!("{proven} down files undo what their migrations do"),
    };
    match proof.findings.len() {
        0 if !proof.not_tried.is_empty() => {
            screen.odd("Proven", format_args!("{down_files} ({took})"));
        }
        0 if proven == 0 && files.set.migrations.is_empty() => {
            screen.done("Finished", "there are no migrations");
        }
        0 if proven == 0 => screen.odd("Finished", "there are no down files to be tried"),
        0 => screen.done("Proven", format_args!("{down_files} ({took})")),
        1 => screen.odd(
            "Proven",
            format_args!("{down_files}, 1 mistake found ({took})"),
        ),
        count => screen.odd(
            "Proven",
            format_args!("{down_files}, {count} mistakes found ({took})"),
        ),
    }
}

pub(super) fn json(proof: &Proof, database: &Database, elapsed: Duration, ended: Option<&Error>) {
    json::print(&json::Proven {
        database: json::Database::of(database),
        proven: proof.proven.clone(),
        left_out: proof.left_out.clone(),
        findings: proof.findings.iter().map(Finding::json).collect(),
        not_tried: proof.not_tried.clone(),
        not_compared: proof.unknown.iter().cloned().collect(),
        elapsed_ms: millis(elapsed),
        error: ended.map(|error| error.json().error),
    });
}
