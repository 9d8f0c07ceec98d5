//! When the service says that it is ready.

use std::fs;
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use touchmark::{Migrator, Set};

use crate::running::{Service, get};
use crate::{Running, changed_set, database, eventually, run, server, stderr};

/// Does what a newer release does.
fn migrate_on(url: &str) {
    let newer = changed_set(|directory| {
        fs::write(
            directory.join("V4__later.sql"),
            "CREATE TABLE ingestion_service.later (id bigint);",
        )
        .unwrap();
    });
    let newer = Set::from_bytes(&newer).with_build("app 9.9.9");
    let report = Migrator::new(&newer).run(url).unwrap();
    assert_eq!(report.applied.len(), 1);
}

/// Replicas of the release before take requests until they are replaced.
#[test]
fn b08_while_a_newer_release_migrates_on() {
    let url = database();
    let service = Service::start(&url);
    assert!(service.is_ready());
    migrate_on(&url);
    // The last answer is kept for a second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(service.is_ready());
    let mut restarted = Service::start(&url);
    let ahead = "the database is ahead of this binary by V4__later, applied by app 9.9.9";
    restarted.process.wait_for(ahead);
    assert!(restarted.is_ready());
}

#[test]
fn b08_not_where_a_newer_release_is_to_be_refused() {
    let url = database();
    let refuse = [("TOUCHMARK_AHEAD", "refuse")];
    let service = Service::listening(Running::start_with(&["serve"], &url, &refuse));
    assert!(service.is_ready());
    migrate_on(&url);
    let output = run(&["migrate"], &[("DATABASE_URL", &url), refuse[0]]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("by V4__later, and the policy is to refuse that\n       V4__later was applied by app 9.9.9 at "),
        "{text}"
    );
    eventually("it still says that it is ready", || !service.is_ready());
    let (status, body) = service.get("/readyz");
    assert_eq!(status, 503);
    let reason = "the schema of the database is not one for this release";
    assert_eq!(body, json!({ "status": "not ready", "reason": reason }));
    assert_eq!(service.get("/healthz").0, 200);
}

#[test]
fn not_while_the_database_is_down() {
    let server = server(&[]);
    let service = Service::start(&server.create_database().unwrap().url);
    assert!(service.is_ready());

    server.stop(false).unwrap();
    eventually("it still says that it is ready", || !service.is_ready());
    let reason = "the database does not answer";
    let not_ready = json!({ "status": "not ready", "reason": reason });
    assert_eq!(service.get("/readyz"), (503, not_ready));
    assert_eq!(service.get("/healthz").0, 200);
    let body = r#"{"source_type":"s3"}"#;
    let down = json!({ "error": "the database is not available; try again later" });
    assert_eq!(
        service.post("/ingestion-requests", body),
        (503, down.clone())
    );
    assert_eq!(service.get("/ingestion-requests"), (503, down));

    server.restart().unwrap();
    eventually("it does not say that it is ready", || service.is_ready());
    assert_eq!(service.post("/ingestion-requests", body).0, 201);
}

#[test]
fn many_probes_open_few_connections() {
    let server = server(&[("log_connections", "on")]);
    let service = Service::start(&server.create_database().unwrap().url);
    let log = || fs::read_to_string(server.log()).unwrap();
    let connections = || log().matches("connection received").count();
    let (before, begun) = (connections(), Instant::now());
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(get(&service.root, "/readyz").0, 200);
                }
            });
        }
    });
    // A look a second, with one connection, and one of the pool.
    let most = usize::try_from(begun.elapsed().as_secs()).unwrap() + 3;
    let opened = connections() - before;
    assert!(
        opened <= most,
        "{opened} connections, at most {most} expected"
    );
}

#[test]
fn not_while_the_database_hangs() {
    let server = server(&[]);
    let service = Service::start(&server.create_database().unwrap().url);
    assert!(service.is_ready());
    let threads = || {
        let tasks = format!("/proc/{}/task", service.process.id());
        fs::read_dir(tasks).map_or(0, Iterator::count)
    };
    let before = threads();

    // The postmaster takes no new connection, and refuses none.
    let postmaster = i32::try_from(server.pid().unwrap()).unwrap();
    let postmaster = Pid::from_raw(postmaster).unwrap();
    kill_process(postmaster, Signal::STOP).unwrap();
    eventually("it still says that it is ready", || !service.is_ready());
    assert_eq!(service.get("/readyz").0, 503);
    kill_process(postmaster, Signal::CONT).unwrap();
    eventually("it does not say that it is ready", || service.is_ready());
    eventually("a look left its thread behind", || threads() <= before);
}
