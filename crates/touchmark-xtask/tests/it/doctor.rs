//! `db-doctor`: faults that are provoked for real, each on its line.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::{Project, Run, USERS, run, screen, server};

const DOCTOR: &[&str] = &["db-doctor"];

/// A project with a repository, an alias, a lock and the hook.
fn healthy() -> Project {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    fs::create_dir(project.path(".cargo")).unwrap();
    let alias = "[alias]\nxtask = \"run --quiet --package xtask --\"\n";
    fs::write(project.path(".cargo/config.toml"), alias).unwrap();
    git(&project, &["init", "--quiet", "--initial-branch", "main"]);
    project.ok(&["db-lock"]);
    git(&project, &["add", "."]);
    let commit = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "commit",
        "--quiet",
        "-m",
        "x",
    ];
    git(&project, &commit);
    project.ok(&["db-hook", "install"]);
    project
}

#[track_caller]
fn git(project: &Project, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(project.path(""));
    let output = git.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// The one line of a check.
#[track_caller]
fn line<'r>(run: &'r Run, check: &str) -> &'r str {
    let mut lines = run.stdout.lines();
    let found = lines.find(|line| line.split_whitespace().nth(1) == Some(check));
    found.unwrap_or_else(|| panic!("no line about {check}\n{}", run.screen()))
}

/// One fault gives that line, and exit code 1 where it is an error; the lines before and after are there.
#[track_caller]
fn check(run: &Run, check: &str, mark: &str, found: &str) {
    let line = line(run, check);
    let expected = format!("{mark:>7}  {check:<13}  ");
    assert!(line.starts_with(&expected), "{line}");
    assert!(line.contains(found), "{line}");
    assert_eq!(
        run.code == 1,
        run.stdout.contains("  error  "),
        "{}",
        run.screen()
    );
    assert!(!run.screen().contains("s3cret"), "{}", run.screen());
    for always in [
        "cargo",
        "configuration",
        "git",
        ".env",
        "engine",
        "files",
        "lock",
        "history",
    ] {
        self::line(run, always);
    }
}

#[track_caller]
fn with_url(url: &str) -> Run {
    let project = healthy();
    let mut command = project.command(DOCTOR);
    command.env("DATABASE_URL", url);
    run(command)
}

/// The screen without what differs from machine to machine.
fn masked(project: &Project, run: &Run) -> Run {
    let mask = |text: &str| {
        let text = text.replace(
            project.path("").to_str().unwrap().trim_end_matches('/'),
            "[project]",
        );
        let lines = text
            .lines()
            .map(|line| match line.split_whitespace().nth(1) {
                Some("cargo") => "     ok  cargo          [versions]".to_owned(),
                Some("server") if line.contains("PostgreSQL") => {
                    "     ok  server         PostgreSQL [version]".to_owned()
                }
                _ => line.to_owned(),
            });
        lines.map(|line| line + "\n").collect()
    };
    Run {
        code: run.code,
        stdout: mask(&run.stdout),
        stderr: mask(&run.stderr),
    }
}

#[test]
fn nothing_is_wrong() {
    let project = healthy();
    project.ok(&["db-migrate"]);
    screen!(masked(&project, &project.run(DOCTOR)), @r#"
        Finished 0 errors, 0 warnings
    ---
         ok  cargo          [versions]
         ok  alias          `cargo xtask`, from [project]/.cargo/config.toml
         ok  configuration  migrations in [project], history in public.refinery_schema_history
         ok  git            what is merged into main is frozen
         ok  hook           git verifies each commit
         ok  .env           none; `cargo xtask db-up` writes one
         ok  engine         url: DATABASE_URL, as configured
         ok  login          test_n at 127.0.0.1:[port]
         ok  server         PostgreSQL [version]
         ok  privileges     postgres may write the history and make tables in public
         ok  files          1 migration in migrations
         ok  lock           1 as they were locked
         ok  history        public.refinery_schema_history has 1 row, touchmark_ledger has 1 row
         ok  pending        nothing
         ok  drift          none: 1 applied, all as their files
    exit 0
    "#);
    let answer = project.ok(&["db-doctor", "--json"]).json();
    assert_eq!(
        (&answer["errors"], &answer["warnings"]),
        (&0.into(), &0.into()),
        "{answer}"
    );
}

#[test]
fn a_new_project_is_only_looked_at() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let list = || {
        let mut names: Vec<_> = fs::read_dir(project.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = list();
    let mut command = project.command(&["db-doctor", "--engine", "local"]);
    command.env_remove("DATABASE_URL");
    screen!(masked(&project, &run(command)), @r#"
        Finished 0 errors, 4 warnings
    ---
         ok  cargo          [versions]
    warning  alias          `cargo xtask` is no alias here; help: add to .cargo/config.toml: [alias] xtask = "run --quiet --package xtask --"
         ok  configuration  migrations in [project], history in public.refinery_schema_history
    warning  git            `[project]/migrations` is in no git repository; help: `git init` makes one; without git nothing can be staged
    skipped  hook           not looked at: git comes first
         ok  .env           none; `cargo xtask db-up` writes one
         ok  engine         local: PostgreSQL of this machine, as configured
    warning  database       there is no cluster yet; help: `cargo xtask db-up` starts it
    skipped  login          not looked at: the database comes first
    skipped  server         not looked at: the login comes first
         ok  files          1 migration in migrations
    warning  lock           there is no migrations.lock; help: `cargo xtask db-lock` writes it
    skipped  history        not looked at: the login comes first
    exit 0
    "#);
    assert_eq!(list(), before);
    let empty = project.run(DOCTOR);
    check(&empty, "history", "ok", "none yet");
    check(
        &empty,
        "pending",
        "warning",
        "1 migration; help: `cargo xtask db-migrate`",
    );
    let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(
        project
            .client()
            .query_one(sql, &[])
            .unwrap()
            .get::<_, i64>(0),
        0
    );
}

#[test]
fn no_program_is_found() {
    let project = healthy();
    let mut command = project.command(DOCTOR);
    command.env("PATH", "/nowhere").env_remove("CARGO");
    let run = run(command);
    check(
        &run,
        "cargo",
        "error",
        "there is no `cargo` in PATH; help: get both from https://rustup.rs",
    );
    check(&run, "git", "warning", "there is no `git` in PATH");
}

#[test]
fn the_compiler_is_too_old() {
    let project = healthy();
    let manifest =
        "[workspace]\n[package]\nname = \"x\"\nversion = \"0.1.0\"\nrust-version = \"1.999\"\n";
    fs::write(project.path("Cargo.toml"), manifest).unwrap();
    fs::create_dir(project.path("src")).unwrap();
    fs::write(project.path("src/lib.rs"), "").unwrap();
    check(
        &project.run(DOCTOR),
        "cargo",
        "error",
        "1.999.0 or newer is needed; help: `rustup update`",
    );
}

#[test]
fn configurations() {
    let project = healthy();
    let manifest = "[workspace]\n[workspace.metadata.touchmark]\nengin = \"url\"\n";
    fs::write(project.path("Cargo.toml"), manifest).unwrap();
    let run = project.run(DOCTOR);
    assert_eq!(run.code, 1);
    assert!(
        line(&run, "configuration").contains("unknown key `engin`, did you mean `engine`?"),
        "{}",
        run.screen()
    );
    fs::write(
        project.path("Cargo.toml"),
        manifest
            .replace("engin =", "engine =")
            .replace("\"url", "\"ulr"),
    )
    .unwrap();
    let mut command = project.command(DOCTOR);
    command.env_remove("DATABASE_URL");
    check(
        &crate::run(command),
        "engine",
        "error",
        "unknown engine `ulr`; help: use one of: url, compose",
    );
}

#[test]
fn repositories() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    check(
        &project.run(DOCTOR),
        "git",
        "warning",
        "in no git repository; help: `git init`",
    );
    check(
        &project.run(DOCTOR),
        "alias",
        "warning",
        "help: add to .cargo/config.toml: [alias] xtask",
    );
    git(&project, &["init", "--quiet", "--initial-branch", "trunk"]);
    check(
        &project.run(DOCTOR),
        "git",
        "warning",
        "there is no upstream branch",
    );
    check(
        &project.run(DOCTOR),
        "hook",
        "warning",
        "help: `cargo xtask db-hook install`",
    );
    project.ok(&["db-hook", "install"]);
    check(
        &project.run(DOCTOR),
        "hook",
        "ok",
        "git verifies each commit",
    );
}

#[test]
fn env_files() {
    let project = healthy();
    let path = project.path(".env");
    fs::write(&path, "DATABASE_URL=postgresql://me:s3cret@127.0.0.1:1/x\n").unwrap();
    check(
        &project.run(DOCTOR),
        ".env",
        "warning",
        "git does not ignore it",
    );
    fs::write(project.path(".gitignore"), ".env\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    check(
        &project.run(DOCTOR),
        ".env",
        "warning",
        "others on this machine can read it; help: `chmod 600 .env`",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    check(&project.run(DOCTOR), ".env", "ok", "for its owner alone");
    git(&project, &["add", "--force", ".env"]);
    check(
        &project.run(DOCTOR),
        ".env",
        "error",
        "it is in git, and with it the password; help: `git rm --cached .env`",
    );
    fs::write(&path, b"\xff").unwrap();
    check(&project.run(DOCTOR), ".env", "error", "failed to read `");
}

#[test]
fn logins() {
    check(
        &with_url("postgresql://me:s3cret@127.0.0.1:1/x"),
        "login",
        "error",
        "nothing listens there",
    );
    check(
        &with_url("\"postgresql://me:s3cret@127.0.0.1:1/x\""),
        "login",
        "error",
        "begins with a quotation mark",
    );
    check(
        &with_url("postgresql://me:s3cret@x@127.0.0.1:1/x"),
        "login",
        "error",
        "write the `@` as %40",
    );
    let url = server().url("postgres");
    check(
        &with_url(&url.replace(server().password(), "s3cret")),
        "login",
        "error",
        "wrong password",
    );
    check(
        &with_url(&server().url("nowhere")),
        "login",
        "error",
        "help: correct the name in DATABASE_URL, or make it: `psql",
    );
    check(
        &with_url(&format!("{url}?sslmode=require")),
        "server",
        "error",
        "TLS",
    );
}

#[test]
fn ports_that_are_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(drop));
    let url = format!("postgresql://me:s3cret@127.0.0.1:{port}/x");
    let owner = format!("taken by the process {} (", std::process::id());
    check(&with_url(&url), "login", "error", &owner);

    // What the database of this checkout listened on before it was stopped.
    let project = healthy();
    let text = format!("{}\nDATABASE_URL={url}\n", touchmark_engine::env_file::MARK);
    fs::write(project.path(".env"), text).unwrap();
    let mut command = project.command(&["db-doctor", "--engine", "local"]);
    command.env_remove("DATABASE_URL");
    let run = run(command);
    check(&run, "port", "warning", &owner);
    check(
        &run,
        "database",
        "warning",
        "there is no cluster yet; help: `cargo xtask db-up`",
    );
}

#[test]
fn a_docker_engine_that_does_not_run() {
    let project = healthy();
    fs::write(
        project.path("compose.yaml"),
        "services:\n  postgres:\n    image: postgres:17\n",
    )
    .unwrap();
    let mut command = project.command(&["db-doctor", "--engine", "compose"]);
    command
        .env_remove("DATABASE_URL")
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let run = run(command);
    check(&run, "docker", "error", "help: ");
    check(&run, "login", "error", "help: ");
}

#[test]
fn privileges() {
    let project = healthy();
    let role = "doctor_reads";
    let mut client = project.client();
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 's3cret'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        ))
        .unwrap();
    let url = project.url.replace(
        &format!("postgres:{}", server().password()),
        &format!("{role}:s3cret"),
    );
    let examined = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("DATABASE_URL", &url);
        run(command)
    };
    check(
        &examined(DOCTOR),
        "privileges",
        "error",
        "GRANT USAGE, CREATE ON SCHEMA public TO doctor_reads",
    );
    let elsewhere = examined(&["db-doctor", "--history-schema", "it's"]);
    check(
        &elsewhere,
        "privileges",
        "error",
        "run: CREATE SCHEMA \"it's\" AUTHORIZATION doctor_reads",
    );
    project.ok(&["db-migrate"]);
    client
        .batch_execute(&format!("GRANT USAGE, CREATE ON SCHEMA public TO {role}"))
        .unwrap();
    let closed = examined(DOCTOR);
    check(
        &closed,
        "privileges",
        "error",
        "GRANT SELECT, INSERT, UPDATE ON public.refinery_schema_history, public.touchmark_ledger TO",
    );
    check(&closed, "history", "error", "lacks a privilege");
    client
        .batch_execute(&format!(
            "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}"
        ))
        .unwrap();
    check(
        &examined(DOCTOR),
        "privileges",
        "ok",
        "doctor_reads may write the history",
    );
    client
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
}

#[test]
fn a_standby() {
    let server = TestServer::start(
        &Installation::local().unwrap(),
        &[("restore_command", "false")],
    )
    .unwrap();
    server.stop(false).unwrap();
    fs::write(server.folder().join("data/standby.signal"), "").unwrap();
    server.restart().unwrap();
    check(
        &with_url(&server.url("postgres")),
        "server",
        "warning",
        "a standby, which can only be read; help: let DATABASE_URL name the primary",
    );
}

#[test]
fn files_and_their_lock() {
    let project = healthy();
    project.ok(&["db-migrate"]);
    project.write("V2__bad.sql", "CREATE TABEL x (id int);\n");
    let broken = project.run(DOCTOR);
    check(
        &broken,
        "files",
        "error",
        "migrations/V2__bad.sql:1:1: syntax error: no statement begins with `CREATE TABEL`; help: did you",
    );
    check(&broken, "lock", "warning", "V2__bad");
    check(&broken, "login", "ok", "test_");
    project.write("V2__bad.sql", "CREATE TABLE x (id int);\n");
    check(&project.run(DOCTOR), "pending", "warning", "1 migration");
    project.write("migrations.lock", "<<<<<<< HEAD\n");
    check(
        &project.run(DOCTOR),
        "lock",
        "error",
        "help: settle the merge of the migrations with `cargo xtask db-lock --rebase`",
    );
    fs::remove_file(project.path("migrations/migrations.lock")).unwrap();
    check(
        &project.run(DOCTOR),
        "lock",
        "warning",
        "there is no migrations.lock; help: `cargo xtask db-lock`",
    );
    fs::remove_dir_all(project.path("migrations")).unwrap();
    check(
        &project.run(DOCTOR),
        "files",
        "error",
        "the directory does not exist",
    );
}

#[test]
fn what_was_applied_is_not_as_its_file() {
    let project = healthy();
    project.ok(&["db-migrate"]);
    project.write("V1__users.sql", &USERS.replace("bigint", "int"));
    let run = project.run(DOCTOR);
    check(
        &run,
        "drift",
        "error",
        "V1__users was edited after it was applied; help: put the file back",
    );
    check(&run, "lock", "error", "V1__users was edited");
    project.write("V1__users.sql", USERS);
    let sql = "DELETE FROM refinery_schema_history";
    project.client().batch_execute(sql).unwrap();
    check(&project.run(DOCTOR), "drift", "error", "V1__users");
    project
        .client()
        .batch_execute("DROP TABLE refinery_schema_history")
        .unwrap();
    check(&project.run(DOCTOR), "drift", "error", "V1__users");
}
