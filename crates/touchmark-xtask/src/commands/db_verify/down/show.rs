//! How the proof is shown.

use std::time::Duration;

use touchmark_engine::Database;

use super::Proof;
use super::finding::What;
use crate::catalog::show_unknown;
use crate::commands::db_migrate::{millis, took};
use crate::commands::db_verify::diff::paint;
use crate::json;
use crate::project::Files;
use crate::screen::Screen;

pub(super) fn show(
    proof: &Proof,
    files: &Files,
    database: &Database,
    elapsed: Duration,
    screen: &Screen,
) {
    if screen.is_json() {
        json::print(&json::Proven {
            database: json::Database::of(database),
            proven: proof.proven.clone(),
            left_out: proof.left_out.clone(),
            findings: proof
                .findings
                .iter()
                .map(|finding| finding.json())
                .collect(),
            not_compared: proof.unknown.iter().cloned().collect(),
            elapsed_ms: millis(elapsed),
        });
        return;
    }
    for json::LeftOut { migration, why } in &proof.left_out {
        screen.odd("Left out", format_args!("{migration}: {why}"));
    }
    for finding in &proof.findings {
        if let What::Failed(error) = &finding.what {
            let cause = error.render(false);
            let cause = cause.trim_start_matches("error: ").trim_end();
            screen.error(format_args!("{}: {cause}", finding.message()));
            continue;
        }
        screen.error(finding.message());
        if let Some(diff) = finding.diff() {
            screen.print(paint(&diff).trim_end());
        }
        screen.help(finding.help());
    }
    show_unknown(&proof.unknown, screen);
    let took = took(elapsed);
    let proven = proof.proven.len();
    let down_files = match proven {
        1 => "1 down file undoes what its migration does".into(),
        _ => format!("{proven} down files undo what their migrations do"),
    };
    match proof.findings.len() {
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
