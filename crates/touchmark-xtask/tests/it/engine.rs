//! The commands that run a database: a fresh clone is migrated with one command.

use std::process::Command;

use touchmark_engine::Installation;

use crate::{Project, Run, USERS, run};

/// As typed where nobody has set a DATABASE_URL.
fn fresh(project: &Project, arguments: &[&str]) -> Run {
    // The machine's own programs, or else the download.
    let programs = Installation::local().unwrap();
    let mut command = project.command(arguments);
    command
        .env_remove("DATABASE_URL")
        .env("TOUCHMARK_ENGINE", programs.origin.name());
    run(command)
}

#[test]
fn a_fresh_clone_is_migrated_with_one_command() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let first = fresh(&project, &["db-migrate", "--database", "app"]);
    assert_eq!(first.code, 0, "{}", first.screen());
    assert!(
        first.stderr.contains("Starting PostgreSQL"),
        "{}",
        first.stderr
    );
    assert!(first.stdout.contains("***@127.0.0.1"), "{}", first.stdout);
    let again = fresh(&project, &["db-migrate", "--database", "app"]);
    assert!(
        again.stderr.contains("nothing to do, head V1"),
        "{}",
        again.stderr
    );
    assert_eq!(
        fresh(&project, &["db-status", "--check", "--database", "app"]).code,
        0
    );
    assert!(
        fresh(&project, &["db-logs"])
            .stdout
            .contains("ready to accept connections")
    );

    let env = std::fs::read_to_string(project.path(".env")).unwrap();
    let password = env
        .split(':')
        .nth(2)
        .and_then(|rest| rest.split('@').next())
        .unwrap()
        .to_owned();
    assert!(password.len() > 10, "{env}");
    let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&processes.stdout).contains(&password));
    for arguments in [["db-up", "-v"], ["db-up", "--json"], ["db-status", "-v"]] {
        let shown = fresh(&project, &arguments);
        assert!(!shown.screen().contains(&password), "{}", shown.screen());
    }

    let down = fresh(&project, &["db-down", "--json"]).json();
    assert_eq!(
        (down["stopped"].as_bool(), down["deleted"].as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!(fresh(&project, &["db-status"]).code, 11);
    let down = fresh(&project, &["db-down", "--volumes"]);
    assert_eq!(down.code, 0, "{}", down.screen());
}

#[test]
fn somebody_elses_database_is_left_alone() {
    let project = Project::new(&[]);
    for arguments in [&["db-down"][..], &["db-down", "--volumes"], &["db-logs"]] {
        let refused = project.run(arguments);
        assert_ne!(refused.code, 0);
        assert!(
            refused.stderr.contains("was not started by this tool"),
            "{}",
            refused.stderr
        );
        assert!(
            !refused.stderr.contains(crate::server().password()),
            "{}",
            refused.stderr
        );
    }
    project.ok(&["db-status"]);
}
