//! What the README promises to those who come from Alembic.

use crate::{Project, USERS};

const README: &str = include_str!("../../../../README.md");

/// Each command on the right of the table is there, with the options that it is shown with.
#[test]
fn every_command_of_the_table_is_there() {
    let table = README.split("## Coming from Alembic").nth(1).unwrap();
    let seen = commands_are_there(table.split("\n## ").next().unwrap());
    assert!(seen > 20, "{seen}");
}

/// Each command that the text shows in line is there; gives how many.
#[track_caller]
pub fn commands_are_there(text: &str) -> usize {
    let project = Project::new(&[]);
    let mut seen = 0;
    for code in text.split('`').skip(1).step_by(2) {
        let Some(command) = code.strip_prefix("cargo xtask ") else {
            continue;
        };
        let mut arguments: Vec<_> = command.split_whitespace().collect();
        arguments.push("--help");
        project.ok(&arguments);
        seen += 1;
    }
    seen
}

/// The commands of a guide, one after the other.
#[test]
fn a_day_with_it() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", "DROP TABLE users;\n"),
    ]);
    let head = |expected: Option<&str>| {
        let current = project.ok(&["db-current", "--json"]).json();
        assert_eq!(current["current"]["migration"].as_str(), expected);
    };
    project.ok(&["db-migrate", "head"]);
    head(Some("V1__users"));
    project.ok(&["db-new", "add", "email"]);
    project.write(
        "V2__add_email.sql",
        "ALTER TABLE users ADD COLUMN email text;\n",
    );
    project.write(
        "V2__add_email.down.sql",
        "ALTER TABLE users DROP COLUMN email;\n",
    );
    let dry = project.ok(&["db-migrate", "--dry-run"]);
    assert!(dry.stdout.contains("V2__add_email"), "{}", dry.screen());
    assert_eq!(project.run(&["db-status", "--check"]).code, 26);
    project.ok(&["db-migrate", "+1"]);
    head(Some("V2__add_email"));
    project.ok(&["db-rollback", "--yes"]);
    head(Some("V1__users"));
    project.ok(&["db-migrate", "add_email"]);
    project.ok(&["db-rollback", "1", "--yes"]);
    head(Some("V1__users"));
    let dry = project.ok(&["db-rollback", "base", "--dry-run"]);
    assert!(
        dry.stdout.contains("V1__users.down.sql"),
        "{}",
        dry.screen()
    );
    project.ok(&["db-rollback", "base", "--yes"]);
    head(None);
    project.ok(&["db-migrate"]);
    head(Some("V2__add_email"));
    let rows = project.ok(&["db-history", "--json"]).json();
    assert_eq!(rows["rows"].as_array().unwrap().len(), 8, "{rows}");
}
