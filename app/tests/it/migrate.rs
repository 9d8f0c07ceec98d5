//! `app migrate` and `app migrations`, and what they say when they can't.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use touchmark::{Migrator, Set};
use touchmark_engine::Installation;
use touchmark_engine::cluster::{Auth, Options, TestServer};

use crate::running::Service;
use crate::{Running, app, changed_set, count, database, run, stderr};

const APPLIED: &str = "SELECT count(*) FROM touchmark_ledger";

#[test]
fn twice() {
    let url = database();
    let first = run(&["migrate"], &[("DATABASE_URL", &url)]);
    let log = stderr(&first);
    assert!(first.status.success(), "{log}");
    assert!(
        log.contains("applying V1__ingestion_service (1 of 4)"),
        "{log}"
    );
    assert!(log.contains("migrated the schema: 4 applied"), "{log}");
    // Plain, and one line for each event: all begin with the time.
    assert!(!log.contains('\x1b'), "{log}");
    assert!(log.lines().all(|line| line.starts_with("20")), "{log}");

    let second = run(&["migrate"], &[("DATABASE_URL", &url)]);
    let log = stderr(&second);
    assert!(second.status.success(), "{log}");
    assert!(log.contains("the schema is current"), "{log}");
    assert_eq!(count(&url, APPLIED), 4);
    let valid = "SELECT count(*) FROM pg_index WHERE indisvalid
         AND indexrelid = 'ingestion_service.ingestion_requests_by_status_idx'::regclass";
    assert_eq!(count(&url, valid), 1);
}

#[test]
fn replicas_at_once() {
    let url = database();
    let replicas: Vec<_> = (0..4).map(|_| Running::start(&["serve"], &url)).collect();
    for replica in replicas {
        assert!(Service::listening(replica).is_ready());
    }
    assert_eq!(count(&url, APPLIED), 4);
}

#[test]
fn the_listing_needs_no_database() {
    let output = run(&["migrations", "--json"], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let listing: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = listing["migrations"].as_array().unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| {
            assert_eq!(entry["checksum"].as_str().unwrap().len(), 64);
            let (version, name) = (entry["version"].as_i64(), entry["name"].as_str().unwrap());
            let (kind, down) = (entry["kind"].as_str().unwrap(), entry["has_down"].as_bool());
            (version, name, kind, down.unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [
            (Some(1), "ingestion_service", "versioned", true),
            (Some(2), "users_and_documents", "versioned", true),
            (Some(3), "ingestion_requests_by_status", "versioned", true),
            (None, "ingestion_summary", "repeatable", false),
        ]
    );

    let output = run(&["migrations"], &[]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), 6, "{table}");
    assert!(table.contains(listing["head"].as_str().unwrap()), "{table}");
}

#[test]
fn no_url() {
    for command in ["migrate", "serve"] {
        let output = run(&[command], &[("DATABASE_URL", "")]);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(
            text.starts_with("error: DATABASE_URL is not set\nhelp: "),
            "{text}"
        );
    }
}

#[test]
fn a_url_that_is_none() {
    let output = run(
        &["migrate"],
        &[("DATABASE_URL", "postgresql://u:hunter2@h:port/d")],
    );
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(
        text.starts_with("error: DATABASE_URL: the connection string is not valid"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_url_of_dotenv_is_read_and_the_environment_wins() {
    let url = database();
    let directory = TempDir::new().unwrap();
    let dotenv = directory.path().join(".env");
    fs::write(&dotenv, format!("# mine\nDATABASE_URL=\"{url}\"\n")).unwrap();
    let output = app(directory.path(), &["migrate"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(count(&url, APPLIED), 4);

    let mut command = app(directory.path(), &["migrate"]);
    let output = command
        .env("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));

    fs::write(&dotenv, "DATABASE URL=postgresql://u:hunter2@h/d\n").unwrap();
    let output = app(directory.path(), &["migrate"]).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("failed to read .env"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let output = app(directory.path(), &["migrations"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn the_migration_url_is_preferred() {
    let url = database();
    let nowhere = "postgresql://u@127.0.0.1:1/d";
    let urls = [("DATABASE_URL", nowhere), ("MIGRATION_DATABASE_URL", &url)];
    let output = run(&["migrate"], &urls);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(count(&url, APPLIED), 4);
}

#[test]
fn a_server_that_is_not_there() {
    let output = run(
        &["serve"],
        &[("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")],
    );
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("error: failed to connect to 127.0.0.1:1/d"),
        "{text}"
    );
    assert!(text.contains("help: check that the server runs"), "{text}");
}

#[test]
fn a_password_is_never_shown() {
    let options = Options {
        tcp: true,
        auth: Auth::Scram,
        ..Options::default()
    };
    let server = TestServer::start_with(&Installation::local().unwrap(), options).unwrap();
    let url = server.create_database().unwrap().url;
    let wrong = url.replace(server.password(), "hunter2");
    let output = run(
        &["migrate"],
        &[("DATABASE_URL", &wrong), ("RUST_LOG", "trace")],
    );
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(text.contains("help: check user and password"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");

    let output = run(
        &["migrate"],
        &[("DATABASE_URL", &url), ("RUST_LOG", "trace")],
    );
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains(server.password()), "{text}");
}

#[test]
fn a_history_that_contradicts() {
    let url = database();
    let edited = changed_set(|directory| {
        let file = directory.join("V2__users_and_documents.sql");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("display_name", "name")).unwrap();
    });
    Migrator::new(&Set::from_bytes(&edited)).run(&url).unwrap();
    let output = run(&["serve"], &[("DATABASE_URL", &url)]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("V2__users_and_documents was edited after it was applied"),
        "{text}"
    );
    assert!(text.contains("help: "), "{text}");
}

#[test]
fn help_names_the_exit_codes() {
    let output = run(&["--help"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("MIGRATION_DATABASE_URL"), "{text}");
    assert!(text.contains("143"), "{text}");
    assert_eq!(run(&["no-such-command"], &[]).status.code(), Some(2));
}
