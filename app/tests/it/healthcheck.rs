//! `app healthcheck`, as a container runs it beside the service.

use std::net::TcpListener;

use crate::running::Service;
use crate::{database, eventually, run, server, stderr};

/// Exit code and message.
#[track_caller]
fn ask(address: &str) -> (Option<i32>, String) {
    // No database is named: it asks the service, and nobody else.
    let output = run(&["healthcheck"], &[("LISTEN_ADDRESS", address)]);
    (output.status.code(), stderr(&output))
}

#[track_caller]
fn check(address: &str, reason: &str) {
    let expected = format!("error: the service at {address} is not ready: {reason}\n");
    assert_eq!(ask(address), (Some(1), expected));
}

#[test]
fn a_service_that_is_ready() {
    let service = Service::start(&database());
    let address = service.root.strip_prefix("http://").unwrap();
    assert_eq!(ask(address), (Some(0), String::new()));
    let (_, port) = address.split_once(':').unwrap();
    assert_eq!(ask(&format!("0.0.0.0:{port}")).0, Some(0));
    assert_eq!(ask(&format!("localhost:{port}")).0, Some(0));
}

#[test]
fn a_service_without_its_database() {
    let server = server(&[]);
    let service = Service::start(&server.create_database().unwrap().url);
    server.stop(false).unwrap();
    eventually("it still says that it is ready", || !service.is_ready());
    let address = service.root.strip_prefix("http://").unwrap();
    check(address, "the database does not answer");
}

#[test]
fn what_is_no_service() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // The connection waits for somebody who takes it.
    check(&address, "no answer in time");
    drop(listener);
    let refused = "nothing listens there; it listens when the schema is migrated";
    check(&address, refused);
    check("8000", "invalid socket address");
}
