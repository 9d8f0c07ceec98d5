//! The servers of the tests themselves.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls};
use touchmark_engine::{
    Installation,
    cluster::{Auth, Options, TestServer},
};

fn value(url: &str, sql: &str) -> String {
    let mut client = Client::connect(url, NoTls).unwrap();
    client.query_one(sql, &[]).unwrap().get(0)
}

/// Servers end in their own time.
#[track_caller]
fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn is_alive(pid: u32) -> bool {
    // An ended child that nobody waited for is still listed, as a zombie.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn starts_with_the_settings_and_goes_away() {
    let server = TestServer::start(
        &Installation::local().unwrap(),
        &[("log_statement", "all"), ("application_name", "a b")],
    )
    .unwrap();
    let url = server.url("postgres");
    assert_eq!(value(&url, "SHOW application_name"), "a b");
    assert_eq!(value(&url, "SHOW server_encoding"), "UTF8");
    assert_eq!(value(&url, "SHOW listen_addresses"), "");
    let log = fs::read_to_string(server.log()).unwrap();
    assert!(log.contains("SHOW server_encoding"), "{log}");

    let pid = server.pid().unwrap();
    let folder = server.folder().to_owned();
    assert!(folder.join(".s.PGSQL.5432").exists());
    drop(server);
    assert!(!folder.exists());
    assert!(!is_alive(pid));
}

#[test]
fn databases_have_names_of_their_own() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let (one, two) = (
        server.create_database().unwrap(),
        server.create_database().unwrap(),
    );
    assert_ne!(one.name, two.name);
    assert_eq!(value(&one.url, "SELECT current_database()::text"), one.name);
    assert_eq!(value(&two.url, "SELECT current_database()::text"), two.name);
}

#[test]
fn libpq_reads_the_url_too() {
    if !test_needs::has("psql") {
        return;
    }
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let database = server.create_database().unwrap();
    let output = Command::new("psql")
        .args([&database.url, "-AtXc", "SELECT 42"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "42\n",
        "{output:?}"
    );
}

#[test]
fn passwords_and_tcp_when_asked_for() {
    let options = Options {
        tcp: true,
        auth: Auth::Scram,
        ..Options::default()
    };
    let server = TestServer::start_with(&Installation::local().unwrap(), options).unwrap();
    let url = server.url("postgres");
    assert!(url.contains("@127.0.0.1:"), "{url}");
    assert_eq!(value(&url, "SELECT 'in'"), "in");
    let wrong = url.replace(server.password(), "wrong");
    let error = Client::connect(&wrong, NoTls).map(drop).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "28P01");
}

#[test]
fn data_survives_a_stop_a_crash_and_a_restart() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let url = server.url("postgres");
    let run = |sql: &str| {
        Client::connect(&url, NoTls)
            .unwrap()
            .batch_execute(sql)
            .unwrap()
    };
    run("CREATE TABLE t (a text); INSERT INTO t VALUES ('kept'); CHECKPOINT");
    let first = server.pid().unwrap();
    server.restart().unwrap();
    assert_ne!(server.pid().unwrap(), first);
    assert_eq!(value(&url, "SELECT a FROM t"), "kept");
    server.stop(true).unwrap();
    assert_eq!(server.pid(), None);
    assert!(Client::connect(&url, NoTls).is_err());
    server.restart().unwrap();
    assert_eq!(value(&url, "SELECT a FROM t"), "kept");
}

#[test]
fn a_setting_that_does_not_exist_is_said() {
    let error =
        TestServer::start(&Installation::local().unwrap(), &[("no_such_thing", "1")]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("unrecognized configuration parameter \"no_such_thing\""),
        "{text}"
    );
}

/// Not a test of its own: [`a_killed_test_leaves_nothing`] runs it in a process that it kills.
#[test]
fn hold_a_server() {
    if std::env::var_os("TOUCHMARK_TEST_HOLD").is_none() {
        return;
    }
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    println!(
        "held {} {}",
        server.pid().unwrap(),
        server.folder().display()
    );
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_test_leaves_nothing() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "test_server::hold_a_server", "--nocapture"])
        .env("TOUCHMARK_TEST_HOLD", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = lines.map(Result::unwrap).find_map(|line| {
        let (_, rest) = line.split_once("held ")?;
        let (pid, folder) = rest.split_once(' ')?;
        Some((pid.parse::<u32>().unwrap(), folder.to_owned()))
    });
    let (pid, folder) = held.expect("the server was not started");
    assert!(is_alive(pid) && Path::new(&folder).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the server is still there", || {
        !is_alive(pid) && !Path::new(&folder).exists()
    });
}

/// The download gives the majors that the machine has not.
#[test]
fn other_major_versions() {
    if !test_needs::has("npm") {
        return;
    }
    for major in [13, 18] {
        let installation = Installation::major(major).unwrap();
        assert_eq!(installation.major, major);
        let begun = Instant::now();
        let server = TestServer::start(&installation, &[]).unwrap();
        println!("{} started in {:?}", installation.name(), begun.elapsed());
        let version = value(&server.url("postgres"), "SHOW server_version_num");
        assert!(version.starts_with(&major.to_string()), "{version}");
    }
}
