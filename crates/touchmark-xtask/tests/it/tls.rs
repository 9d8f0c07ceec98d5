//! Connection strings that ask for TLS, which the commands and the library without a connector do not have.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use touchmark_core::encoded::{Home, encode};
use touchmark_core::{ResolveOptions, resolve};
use touchmark_engine::Installation;
use touchmark_engine::cluster::{Options, TestServer};

use crate::{Project, USERS, run, server};

/// A server that says who was let in, with TLS where it is given a certificate.
fn listening(with_tls: bool) -> (TestServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    if with_tls {
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=somewhere.else", "-keyout"])
            .arg(path("key"))
            .arg("-out")
            .arg(path("certificate"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mode = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        mode(folder.path().to_owned(), 0o755).unwrap();
        mode(path("certificate"), 0o644).unwrap();
        mode(path("key"), 0o600).unwrap();
        let account = fs::metadata(server().folder()).unwrap();
        chown(path("key"), Some(account.uid()), Some(account.gid())).unwrap();
    }
    let (certificate, key) = (path("certificate"), path("key"));
    let mut settings = vec![("log_connections", "on")];
    if with_tls {
        settings.push(("ssl", "on"));
        settings.push(("ssl_cert_file", certificate.to_str().unwrap()));
        settings.push(("ssl_key_file", key.to_str().unwrap()));
    }
    let options = Options {
        settings: &settings,
        tcp: true,
        ..Options::default()
    };
    let server = TestServer::start_with(&Installation::local().unwrap(), options).unwrap();
    (server, folder)
}

/// Who was let in so far, as lines of the log.
fn let_in(server: &TestServer) -> usize {
    let log = fs::read_to_string(server.log()).unwrap();
    log.matches("connection authorized").count()
}

const ASKING: [&str; 3] = ["require", "verify-ca", "verify-full"];

#[test]
fn b51_what_asks_for_tls_is_refused_and_never_sent_in_plain_text() {
    if !test_needs::has("openssl") {
        return;
    }
    for with_tls in [true, false] {
        let (server, _certificate) = listening(with_tls);
        let mut project = Project::new(&[("V1__users.sql", USERS)]);
        project.url = server.create_database().unwrap().url;
        let before = let_in(&server);
        for mode in ASKING {
            for command in [
                "db-migrate",
                "db-status",
                "db-history",
                "db-verify",
                "db-current",
            ] {
                let mut by_url = project.command(&[command]);
                by_url.env("DATABASE_URL", format!("{}?sslmode={mode}", project.url));
                let mut by_variable = project.command(&[command]);
                by_variable.env("PGSSLMODE", mode);
                for asking in [by_url, by_variable] {
                    let run = run(asking);
                    let screen = run.screen();
                    assert_eq!(run.code, 11, "{mode} {command}: {screen}");
                    let help = "help: these commands connect without TLS: ";
                    assert!(screen.contains(help), "{mode} {command}: {screen}");
                }
            }
        }
        let mut command = project.command(&["db-status"]);
        let url = format!("{}?sslmode=verify-full", project.url);
        command.env("DATABASE_URL", url);
        let said = "error: the connection string is not valid: `sslmode` can be disable, prefer or require\n\
            help: these commands connect without TLS: use a tunnel or a connection that needs none\n";
        assert_eq!(run(command).stderr, said);
        let directory = project.path("migrations");
        let resolved = resolve(&directory, &ResolveOptions::new("migrations"));
        let set = encode(&resolved.unwrap().set, &Home::default());
        let set = touchmark::Set::from_bytes(&set);
        let by_the_library = |mode: &str| {
            let url = format!("{}?sslmode={mode}", project.url);
            touchmark::Migrator::new(&set).status(url.as_str())
        };
        for mode in ASKING {
            let said = by_the_library(mode).unwrap_err().report().to_string();
            let cause = match mode {
                "require" => "TLS",
                _ => "the connector that `Migrator::tls` takes verifies the certificate",
            };
            assert!(said.contains(cause), "{mode}: {said}");
        }
        assert_eq!(let_in(&server), before, "somebody was let in");

        // What does not ask for it is served, so the server would have let them in.
        for mode in ["disable", "allow", "prefer"] {
            let mut command = project.command(&["db-status"]);
            command.env("DATABASE_URL", format!("{}?sslmode={mode}", project.url));
            assert_eq!(run(command).code, 0, "{mode}");
        }
        by_the_library("prefer").unwrap();
        assert!(let_in(&server) >= before + 4);
    }
}
