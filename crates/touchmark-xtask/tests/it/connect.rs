//! Databases that can't be reached: each cause is named, with what to do, and no password.

use crate::{Project, USERS, run, screen, server};

/// Runs all commands that need a database against a URL; gives what db-migrate showed.
#[track_caller]
fn refused(url: &str) -> crate::Run {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let commands: [&[&str]; 6] = [
        &["db-status", "--json", "-v"],
        &["db-verify"],
        &["db-migrate", "--dry-run"],
        &["db-reset", "--yes", "--json"],
        &["db-psql"],
        &["db-migrate"],
    ];
    let mut last = None;
    for arguments in commands {
        let mut command = project.command(arguments);
        command.env("DATABASE_URL", url).env("RUST_BACKTRACE", "1");
        let run = run(command);
        let screen = run.screen();
        assert_eq!(run.code, 11, "{arguments:?}\n{screen}");
        assert!(!screen.contains("s3cret"), "{screen}");
        assert!(!screen.contains("backtrace"), "{screen}");
        last = Some(run);
    }
    last.unwrap()
}

#[test]
fn b49_a_wrong_password() {
    screen!(refused(&server().url("postgres").replace(server().password(), "s3cret")), @r#"
    error: failed to connect to postgresql://postgres:***@127.0.0.1:[port]/postgres: wrong password (28P01: password authentication failed for user "postgres")
    help: correct user and password in DATABASE_URL; a container keeps those that its volume was made with, whatever the compose file says now
    ---
    exit 11
    "#);
}

#[test]
fn a_database_that_does_not_exist() {
    screen!(refused(&server().url("nowhere")), @r#"
    error: failed to connect to postgresql://postgres:***@127.0.0.1:[port]/nowhere: there is no such database (3D000: database "nowhere" does not exist)
    help: correct the name in DATABASE_URL, or make it: `psql -h 127.0.0.1 -p [port] -U postgres -d postgres -c 'CREATE DATABASE "nowhere"'`
    ---
    exit 11
    "#);
}

#[test]
fn a_role_that_does_not_exist() {
    let url = server().url("postgres").replace("//postgres", "//nobody");
    let failed = refused(&url);
    assert!(failed.stderr.contains("help: "), "{}", failed.stderr);
}

#[test]
fn a_port_where_nobody_listens() {
    screen!(refused("postgresql://me:s3cret@127.0.0.1:1/x"), @r#"
    error: failed to connect to postgresql://me:***@127.0.0.1:[port]/x: nothing listens there (Connection refused (os error 111))
    help: start the server there, or correct the host and the port in DATABASE_URL; without a DATABASE_URL, `cargo xtask db-up` starts one for you
    ---
    exit 11
    "#);
}

#[test]
fn b57_a_url_that_can_not_be_read() {
    screen!(refused("\"postgresql://me:s3cret@127.0.0.1/x\""), @r#"
    error: the database URL begins with a quotation mark (")
    help: remove the " at both ends: they are part of the value here
    ---
    exit 11
    "#);
    screen!(refused("postgresql://me:s3cret@x@127.0.0.1/x"), @r#"
    error: the password in the database URL contains an unescaped `@` (character 23)
    help: write the `@` as %40
    ---
    exit 11
    "#);
    screen!(refused("mysql://me:s3cret@127.0.0.1/x"), @r#"
    error: the database URL is not a PostgreSQL URL (it begins with `mysql://`)
    help: write it like postgresql://user:password@host:5432/database
    ---
    exit 11
    "#);
}

#[test]
fn b51_tls_is_never_dropped_silently() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut command = project.command(&["db-migrate"]);
    command.env("DATABASE_URL", format!("{}?sslmode=require", project.url));
    screen!(run(command), @r#"
    error: failed to connect to 127.0.0.1:[port]/test_n: server does not support TLS
    help: these commands connect without TLS: use a tunnel or a connection that needs none
    ---
    exit 11
    "#);
}

#[test]
fn pgadmin_is_for_compose_only() {
    let up = Project::new(&[]).ok(&["db-up", "--pgadmin"]);
    assert!(up.stderr.contains("pgAdmin comes with"), "{}", up.stderr);
}

#[test]
fn a_flag_goes_before_the_environment() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut command = project.command(&["db-status", "--database-url", &project.url]);
    command.env("MIGRATION_DATABASE_URL", "postgresql://127.0.0.1:1/x");
    assert_eq!(run(command).code, 0);
    let mut command = project.command(&["db-status"]);
    command.env("MIGRATION_DATABASE_URL", &project.url);
    command.env("DATABASE_URL", "postgresql://127.0.0.1:1/x");
    assert_eq!(run(command).code, 0);
    std::fs::write(
        project.path(".env"),
        format!("DATABASE_URL='{}'\n", project.url),
    )
    .unwrap();
    let mut command = project.command(&["db-status"]);
    command.env_remove("DATABASE_URL");
    assert_eq!(run(command).code, 0);
}

/// The commands have the database that psql has by the same string and the same variables.
#[test]
fn b52_as_psql_does() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    if !test_needs::has("psql") {
        return;
    }
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let config: postgres::Config = project.url.parse().unwrap();
    let (port, name) = (server().port().to_string(), config.get_dbname().unwrap());
    let (password, port) = (server().password(), port.as_str());
    let file = |file: &str, text: String| {
        let path = project.path(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pass = file(
        "pass",
        format!("127.0.0.1:{port}:{name}:postgres:{password}\n"),
    );
    let service = file(
        "service",
        format!("[test]\nhost=127.0.0.1\nport={port}\nuser=postgres\ndbname={name}\n"),
    );
    let whole = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", port),
        ("PGUSER", "postgres"),
        ("PGDATABASE", name),
    ];
    let secret = ("PGPASSWORD", password);
    let passfile = ("PGPASSFILE", pass.as_str());
    let services = ("PGSERVICEFILE", service.as_str());
    let port_left_out = format!("postgresql://postgres@127.0.0.1/{name}?sslmode=disable");
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("postgresql://", &[&whole[..], &[secret]].concat()),
        ("postgresql://", &[&whole[..], &[passfile]].concat()),
        (&port_left_out, &[whole[1], secret, ("PGUSER", "nobody")]),
        (
            "postgresql://",
            &[services, ("PGSERVICE", "test"), passfile],
        ),
        ("service=test", &[services, secret, ("PGHOST", "nowhere")]),
        (
            "postgresql://?service=test",
            &[services, secret, ("PGSSLMODE", "prefer")],
        ),
        (&format!("service=test passfile={pass}"), &[services]),
        (
            &format!("dbname={name} user=postgres"),
            &[whole[0], whole[1], secret],
        ),
    ];
    let question = [
        "-XAtc",
        "SELECT current_user, current_database(), inet_server_port()",
    ];
    let expected = format!("postgres|{name}|{port}\n");
    for (url, variables) in cases {
        let mut psql = std::process::Command::new("psql");
        crate::clean(&mut psql, &project.path(""));
        psql.arg(url).args(question).envs(variables.iter().copied());
        let theirs = run(psql);
        assert_eq!(theirs.stdout, expected, "{url} {}", theirs.screen());
        let ours = |arguments: &[&str]| {
            let mut command = project.command(arguments);
            command
                .env("DATABASE_URL", url)
                .envs(variables.iter().copied());
            let run = run(command);
            assert_eq!(run.code, 0, "{url} {}", run.screen());
            assert!(!run.screen().contains(password), "{}", run.screen());
            run
        };
        let psql = ours(&[&["db-psql", "--"], &question[..]].concat());
        assert_eq!(psql.stdout, expected, "{url}");
        ours(&["db-migrate"]);
        ours(&["db-verify"]);
    }

    fs::set_permissions(&pass, fs::Permissions::from_mode(0o644)).unwrap();
    for arguments in [&["db-status"][..], &["db-migrate"], &["db-psql"]] {
        let mut command = project.command(arguments);
        command
            .env("DATABASE_URL", "postgresql://")
            .envs(whole)
            .envs([passfile]);
        let run = run(command);
        assert_eq!(run.code, 11, "{}", run.screen());
        let said = format!(
            "`{pass}` is ignored: others than its owner may use it; `chmod 600 {pass}` mends that"
        );
        assert!(run.stderr.contains(&said), "{}", run.screen());
    }
}

#[test]
fn psql_gets_its_arguments_and_its_password() {
    if !test_needs::has("psql") {
        return;
    }
    let project = Project::new(&[]);
    let mut command = project.command(&["db-psql", "--", "-Atc", "SELECT current_user"]);
    // It is for another server, and goes before the host of a URL.
    command.env("PGHOSTADDR", "127.0.0.2");
    let run = run(command);
    assert_eq!(
        (run.stdout.as_str(), run.code),
        ("postgres\n", 0),
        "{}",
        run.screen()
    );
    assert_eq!(
        project.run(&["db-psql", "--", "-c", "SELECT nothing"]).code,
        1
    );
}
