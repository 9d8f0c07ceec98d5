//! Logins that fail, and what is said about each.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use touchmark_engine::{
    Error, Installation,
    cluster::{Auth, Options, TestServer},
    probe,
    probe::Refusal,
};

const LIMIT: Duration = Duration::from_secs(5);

fn tcp_server(settings: &[(&str, &str)]) -> TestServer {
    let options = Options {
        settings,
        tcp: true,
        auth: Auth::Scram,
    };
    TestServer::start_with(&Installation::local().unwrap(), options).unwrap()
}

#[track_caller]
fn refusal(url: &str) -> (Refusal, String) {
    let error = probe(url, LIMIT).unwrap_err();
    let text = format!("error: {error}\nhelp: {}", error.help().unwrap_or_default());
    assert!(
        !text.contains("s3cret") && !format!("{error:?}").contains("s3cret"),
        "{text}"
    );
    match error {
        Error::Connect { refusal, .. } => (refusal, text),
        other => panic!("{other}"),
    }
}

#[test]
fn a_server_says_why_it_refuses() {
    let server = tcp_server(&[]);
    let url = server.url("postgres");
    probe(&url, LIMIT).unwrap();
    let with = |password: &str| url.replace(server.password(), password);

    let (why, text) = refusal(&with("s3cret"));
    assert_eq!(why, Refusal::Password { suspect: None });
    assert!(
        text.contains("wrong password (28P01: password authentication failed for user"),
        "{text}"
    );
    let (why, text) = refusal(&with("s3cret$x"));
    assert_eq!(why, Refusal::Password { suspect: Some('$') });
    assert!(text.contains("write its `$` as %24"), "{text}");
    let (why, _) = refusal(&url.replace(&format!(":{}", server.password()), ""));
    assert_eq!(why, Refusal::NoPassword);

    let (why, text) = refusal(&server.url("nowhere"));
    assert_eq!(why, Refusal::Database);
    assert!(
        text.contains("database \"nowhere\" does not exist"),
        "{text}"
    );
    // PostgreSQL does not tell a stranger from a wrong password.
    let (why, _) = refusal(&url.replace("postgres:", "nobody:"));
    assert_eq!(why, Refusal::Password { suspect: None });

    server.stop(false).unwrap();
    let (why, text) = refusal(&url);
    assert_eq!(why, Refusal::Refused);
    assert!(text.contains("cargo xtask db-up"), "{text}");
}

#[test]
fn a_socket_that_is_not_there() {
    let (why, text) = refusal("postgresql:///d?host=/nowhere&user=me");
    assert_eq!(why, Refusal::Refused);
    assert!(text.contains("/nowhere/.s.PGSQL.5432"), "{text}");
}

#[test]
fn a_role_without_a_line_in_pg_hba() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let hba = server.folder().join("data/pg_hba.conf");
    fs::write(&hba, "local all postgres trust\n").unwrap();
    server.restart().unwrap();
    let (why, _) = refusal(
        &server
            .url("postgres")
            .replace("user=postgres", "user=other"),
    );
    assert_eq!(why, Refusal::Role);
}

#[test]
fn a_host_that_does_not_exist() {
    assert_eq!(
        refusal("postgres://me:s3cret@no-such-host.invalid/d").0,
        Refusal::HostNotFound
    );
}

#[test]
fn the_second_host_counts_when_the_first_is_down() {
    let server = tcp_server(&[]);
    let url = server
        .url("postgres")
        .replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1");
    probe(&url, LIMIT).unwrap();
}

#[test]
fn something_else_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let (why, text) = refusal(&format!("postgres://me:s3cret@127.0.0.1:{port}/d"));
    assert_eq!(why, Refusal::NotPostgres);
    assert!(
        text.ends_with("help: correct the port in DATABASE_URL; 5432 is the usual one"),
        "{text}"
    );
}

#[test]
fn something_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://me:s3cret@127.0.0.1:{port}/d");
    let error = probe(&url, Duration::from_millis(200)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                refusal: Refusal::Timeout,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_server_that_is_starting_up() {
    // A standby that lets nobody in answers for ever as one that is starting.
    let server = TestServer::start(
        &Installation::local().unwrap(),
        &[("hot_standby", "off"), ("restore_command", "false")],
    )
    .unwrap();
    server.stop(false).unwrap();
    fs::write(server.folder().join("data/standby.signal"), "").unwrap();
    server.restart().unwrap();
    let (why, text) = refusal(&server.url("postgres"));
    assert_eq!(why, Refusal::StartingUp, "{text}");
}

#[test]
fn no_connection_is_left() {
    let server = TestServer::start(
        &Installation::local().unwrap(),
        &[
            ("max_connections", "1"),
            ("superuser_reserved_connections", "0"),
            ("max_wal_senders", "0"),
        ],
    )
    .unwrap();
    let url = server.url("postgres");
    let _only = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    assert_eq!(refusal(&url).0, Refusal::TooMany);
}

#[test]
fn where_tls_is_wanted_only_the_protocol_is_asked_for() {
    let server = tcp_server(&[]);
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = server.url("postgres").replace(server.password(), "s3cret");
        probe(&format!("{url}?sslmode={mode}&sslrootcert=/none"), LIMIT).unwrap();
    }
}
