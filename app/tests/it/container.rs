//! The service as it is deployed: the image of the Dockerfile, the services of compose.yaml, a real engine.

mod stack;

use serde_json::json;

use crate::running::get;
use crate::{eventually, stderr};
use stack::{COMMIT, PASSWORD, Stack, docker, inspect, log};

#[test]
fn deployed_with_compose_2() {
    if test_needs::has("docker") {
        deployed(&Stack::new("two", &["docker", "compose"]));
    }
}

#[test]
fn deployed_with_compose_1() {
    if test_needs::has("docker") {
        deployed(&Stack::new("one", &["docker-compose"]));
    }
}

#[track_caller]
fn deployed(stack: &Stack) {
    three_at_once_on_an_empty_database(stack);
    nothing_but_the_program(stack);
    migrating_by_hand(stack);
    without_its_database(stack);
    stopping(stack);
}

/// One of them migrates, and is held up until the others have come to wait for it.
#[track_caller]
fn three_at_once_on_an_empty_database(stack: &Stack) {
    stack.ok(&["up", "--detach", "postgres"]);
    let database = stack.containers("postgres").remove(0);
    eventually("the database is not healthy", || {
        health(&database) == "healthy"
    });
    let mut other = stack.connect();
    let mut open = other.transaction().unwrap();
    // The first migration makes the same schema, and waits to see whether this one is kept.
    open.batch_execute("CREATE SCHEMA ingestion_service")
        .unwrap();
    stack.ok(&["up", "--detach", "--scale", "app=3", "app"]);
    let replicas = stack.containers("app");
    assert_eq!(replicas.len(), 3);
    let saying = |text: &str| replicas.iter().filter(|id| log(id).contains(text)).count();
    eventually("they do not wait for each other", || {
        saying("applying V1__ingestion_service") == 1
            && saying("waiting for another migration run") == 2
    });
    // Waiting is not being ill.
    for id in &replicas {
        assert_eq!(health(id), "starting");
    }
    let (code, text) = stack.fails(&["exec", "-T", "app", "app", "healthcheck"], &[]);
    let reason = "is not ready: nothing listens there; it listens when the schema is migrated";
    assert!(code == Some(1) && text.contains(reason), "{code:?} {text}");
    open.rollback().unwrap();
    all_are(stack, "healthy");
    assert_eq!(saying("migrated the schema: 4 applied"), 1);
    assert_eq!(saying("the schema is current"), 2);

    let build = format!(
        "migrations {} ({})",
        env!("CARGO_PKG_VERSION"),
        &COMMIT[..12]
    );
    let rows = "SELECT count(*), count(DISTINCT (kind, version, name)) FROM touchmark_ledger
        WHERE state = 'applied' AND build = $1";
    let row = other.query_one(rows, &[&build]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (4, 4));
    for index in ["1", "2", "3"] {
        let root = format!("http://{}", stack.port("app", index, "8000"));
        assert_eq!(get(&root, "/readyz"), (200, json!({ "status": "ready" })));
    }
}

#[track_caller]
fn nothing_but_the_program(stack: &Stack) {
    let size: u64 = inspect(&stack.image(), "{{.Size}}").parse().unwrap();
    assert!(size < 20_000_000, "{size} bytes");
    for id in stack.containers("app") {
        let processes = docker(&["top", &id, "-eo", "pid,uid"]);
        let mut users = processes
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().nth(1));
        assert!(users.all(|user| user == Some("65532")), "{processes}");
        let limits =
            "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}";
        assert_eq!(inspect(&id, limits), "true [ALL] [no-new-privileges:true]");
    }
    stack.fails(&["exec", "-T", "app", "sh", "-c", "true"], &[]);
}

#[track_caller]
fn migrating_by_hand(stack: &Stack) {
    for arguments in [
        &["exec", "-T", "app", "app", "migrate"][..],
        &["run", "--rm", "-T", "migrate"],
    ] {
        let said = stderr(&stack.ok(arguments));
        assert!(said.contains("the schema is current"), "{said}");
    }
    let (code, said) = stack.fails(
        &["run", "--rm", "-T", "--no-deps", "migrate"],
        &[("POSTGRES_PASSWORD", "quite wrong")],
    );
    let expected = "error: failed to connect to postgres:5432/ingestion: password authentication failed for user \"ingestion\"\n\
        help: check user and password in the connection string";
    assert!(
        code == Some(1) && said.contains(expected),
        "{code:?} {said}"
    );
    assert!(!said.contains("quite wrong") && !said.contains(PASSWORD));
}

/// They go on running, and are back when it is.
#[track_caller]
fn without_its_database(stack: &Stack) {
    stack.ok(&["kill", "postgres"]);
    all_are(stack, "unhealthy");
    stack.ok(&["start", "postgres"]);
    all_are(stack, "healthy");
    for id in stack.containers("app") {
        assert_eq!(inspect(&id, "{{.RestartCount}}"), "0");
    }
}

/// By SIGTERM, which is not the engine's last resort.
#[track_caller]
fn stopping(stack: &Stack) {
    stack.ok(&["stop", "app"]);
    for id in stack.containers("app") {
        assert_eq!(inspect(&id, "{{.State.ExitCode}}"), "0");
        let log = log(&id);
        assert!(log.trim_end().ends_with("app::serve: stopped"), "{log}");
        assert!(!log.contains(PASSWORD), "{log}");
    }
}

#[track_caller]
fn all_are(stack: &Stack, expected: &str) {
    let replicas = stack.containers("app");
    eventually(&format!("not all are {expected}"), || {
        replicas.iter().all(|id| health(id) == expected)
    });
}

fn health(id: &str) -> String {
    inspect(id, "{{.State.Health.Status}}")
}
