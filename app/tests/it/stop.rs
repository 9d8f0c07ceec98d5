//! How the service ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use rustix::process::Signal;

use crate::running::{Service, post};
use crate::{Running, connect, count, database, eventually, run, stderr};

/// How many statements of this database wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[test]
fn a_signal_ends_serving() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = Service::start(&database());
        assert!(service.is_ready());
        service.process.signal(signal);
        assert_eq!(service.process.end(), Some(0));
        service.process.wait_for_end_of_log("stopped");
    }
}

#[test]
fn an_open_request_is_answered_first() {
    let url = database();
    let mut service = Service::start(&url);
    let mut other = connect(&url);
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("LOCK TABLE ingestion_service.ingestion_requests")
        .unwrap();
    let root = service.root.clone();
    let open = thread::spawn(move || post(&root, "/ingestion-requests", r#"{"source_type":"s3"}"#));
    eventually("the request does not wait", || count(&url, WAITING) == 1);
    service.process.signal(Signal::TERM);
    service.process.wait_for("answering what is open");
    lock.rollback().unwrap();
    assert_eq!(open.join().unwrap().0, 201);
    assert_eq!(service.process.end(), Some(0));
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut service = Service::start(&database());
    // A request whose body does not come.
    let mut socket = TcpStream::connect(service.root.strip_prefix("http://").unwrap()).unwrap();
    let head = "POST /ingestion-requests HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                Content-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    // The answer to `Expect` says that the body is being read.
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    service.process.signal(Signal::TERM);
    service.process.wait_for("answering what is open");
    service.process.signal(Signal::INT);
    assert_eq!(service.process.end(), Some(130));
}

#[test]
fn a_signal_ends_a_migration_that_waits() {
    for (command, signal, code) in [
        ("migrate", Signal::TERM, 143),
        ("migrate", Signal::INT, 130),
        ("serve", Signal::TERM, 143),
    ] {
        let url = database();
        let mut other = connect(&url);
        let mut open = other.transaction().unwrap();
        // The first migration makes the same schema, and waits to see whether this one is kept.
        open.batch_execute("CREATE SCHEMA ingestion_service")
            .unwrap();
        let mut process = Running::start(&[command], &url);
        process.wait_for("applying V1__ingestion_service");
        process.signal(signal);
        assert_eq!(process.end(), Some(code), "{}", process.log());
        process.wait_for_end_of_log("the run was interrupted");
        open.rollback().unwrap();
        let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'ingestion_service'";
        assert_eq!(count(&url, schemas), 0);

        let output = run(&["migrate"], &[("DATABASE_URL", &url)]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn an_address_that_is_taken() {
    let url = database();
    let service = Service::start(&url);
    let taken = service.root.strip_prefix("http://").unwrap();
    let output = run(&["serve", "--listen", taken], &[("DATABASE_URL", &url)]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains(&format!("error: failed to listen at {taken}")),
        "{text}"
    );
    assert!(
        text.contains("help: something listens there already"),
        "{text}"
    );
}

#[test]
fn a_caller_who_goes_away_takes_the_statement_along() {
    let url = database();
    let service = Service::start(&url);
    let mut other = connect(&url);
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("LOCK TABLE ingestion_service.ingestion_requests")
        .unwrap();
    let mut socket = TcpStream::connect(service.root.strip_prefix("http://").unwrap()).unwrap();
    let request = "POST /ingestion-requests HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                   Content-Length: 20\r\n\r\n{\"source_type\":\"s3\"}";
    socket.write_all(request.as_bytes()).unwrap();
    eventually("the request does not wait", || count(&url, WAITING) == 1);
    drop(socket);
    eventually("the statement goes on", || count(&url, WAITING) == 0);
    lock.rollback().unwrap();
    let rows = "SELECT count(*) FROM ingestion_service.ingestion_requests";
    assert_eq!(count(&url, rows), 0);
    let answer = service.post("/ingestion-requests", r#"{"source_type":"s3"}"#);
    assert_eq!(answer.0, 201);
}
