//! What others have written is shown on a terminal, and never carried out by it.

use std::fs;

use crate::{Project, Run, USERS};

/// Colours are ours; nothing else of what a terminal obeys.
#[track_caller]
fn is_only_shown(run: &Run, words: &str) {
    let screen = run.screen();
    assert!(screen.contains(words), "{screen:?}");
    let mut rest = screen.as_str();
    while let Some(at) =
        rest.find(|c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}')
    {
        let colour = rest[at..].strip_prefix("\u{1b}[").and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            rest[end..].strip_prefix('m')
        });
        rest = colour.unwrap_or_else(|| panic!("{screen:?}"));
    }
}

const CODES: &str = r"\033]0;title\007\033[2J\033[8m\r";

#[test]
fn words_of_a_server() {
    let fails = format!(
        "DO $$ BEGIN RAISE EXCEPTION E'evil{CODES}' USING HINT = E'hint{CODES}', DETAIL = E'detail{CODES}'; END $$;\n"
    );
    let project = Project::new(&[("V1__users.sql", USERS), ("V2__fails.sql", &fails)]);
    let run = project.run(&["--color", "always", "db-migrate"]);
    is_only_shown(&run, "evil");
    is_only_shown(&run, "hint");
    let name = project.url.rsplit('/').next().unwrap();
    let mark = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE {name} SET touchmark.environment = %L', E'prod{CODES}\\u202e'); END $$"
    );
    project.client().batch_execute(&mark).unwrap();
    is_only_shown(
        &project.run(&["--color", "always", "db-reset", "--yes"]),
        "is marked as prod",
    );
}

#[test]
fn names_and_texts_of_files() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let codes = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}8m\r\u{202e}";
    fs::write(
        project
            .path("migrations")
            .join(format!("V2__evil{codes}.sql")),
        "SELECT 1;\n",
    )
    .unwrap();
    project.write("V3__syntax.sql", &format!("SELEC 'evil{codes}';\n"));
    for command in ["db-status", "db-lock", "db-migrate"] {
        is_only_shown(&project.run(&["--color", "always", command]), "evil");
    }
}

#[test]
fn objects_of_a_database() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let evil = format!(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE users (id int CONSTRAINT %I PRIMARY KEY)', E'evil{CODES}'); END $$"
    );
    project.client().batch_execute(&evil).unwrap();
    let run = project.run(&["--color", "always", "db-stamp", "V1", "--yes"]);
    is_only_shown(&run, "evil");
}
