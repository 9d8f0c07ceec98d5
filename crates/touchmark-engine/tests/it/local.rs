//! The life of a private cluster, made by this machine's programs.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use postgres::{Client, NoTls};
use touchmark_engine::{EnvFile, Kind, State, choose, down, state};

use crate::checkout::{Checkout, count, is_root, password, run};

#[test]
fn up_twice_then_down_then_up_again() {
    if !test_needs::has("postgresql") {
        return;
    }
    let checkout = Checkout::new();
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Absent {
            engine: Kind::Local,
            ..
        }
    ));
    assert!(
        !checkout.settings.state_dir.exists(),
        "looking made something"
    );

    let first = checkout.up();
    assert_eq!(first.engine, Kind::Local);
    assert!(first.started.is_some());
    assert!(
        !format!("{first:?}").contains(&password(&first.url)),
        "{first:?}"
    );
    run(
        &first.url,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1)",
    );
    let (pid, env) = (checkout.pid(), checkout.settings.root.join(".env"));
    let written = fs::metadata(&env).unwrap().modified().unwrap();

    let second = checkout.up();
    assert_eq!(second.url, first.url);
    assert_eq!(second.started, None);
    assert_eq!(checkout.pid(), pid);
    assert_eq!(fs::metadata(&env).unwrap().modified().unwrap(), written);
    let State::Running(seen) = state(&checkout.settings).unwrap() else {
        panic!("not running")
    };
    assert_eq!(seen.url, first.url);

    let stopped = down(&checkout.settings, false).unwrap();
    assert!(stopped.stopped && !stopped.deleted, "{stopped:?}");
    assert!(Client::connect(&first.url, NoTls).is_err());
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Stopped { .. }
    ));
    assert!(!down(&checkout.settings, false).unwrap().stopped);

    let third = checkout.up();
    assert_eq!(third.url, first.url, "port and password stay");
    assert_eq!(count(&third.url), 1);

    let deleted = down(&checkout.settings, true).unwrap();
    assert!(deleted.stopped && deleted.deleted, "{deleted:?}");
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Absent { .. }
    ));
    let left: Vec<_> = fs::read_dir(&checkout.settings.state_dir)
        .unwrap()
        .flatten()
        .collect();
    assert!(
        left.iter().all(|entry| entry.file_name() == "lock"),
        "{left:?}"
    );
    assert_eq!(
        EnvFile::load(&checkout.settings.root)
            .unwrap()
            .get("DATABASE_URL"),
        None
    );
}

#[test]
fn the_server_is_private() {
    let checkout = Checkout::new();
    let database = checkout.up();
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let mut show = |name: &str| -> String {
        client
            .query_one(&format!("SHOW {name}"), &[])
            .unwrap()
            .get(0)
    };
    assert_eq!(show("listen_addresses"), "127.0.0.1");
    assert_eq!(show("server_encoding"), "UTF8");
    assert_eq!(show("password_encryption"), "scram-sha-256");
    assert_eq!(show("fsync"), "on");
    let socket = show("unix_socket_directories");
    assert!(
        Path::new(&socket)
            .join(format!(".s.PGSQL.{}", show("port")))
            .exists()
    );

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let cluster = checkout.cluster();
    assert_eq!(mode(&cluster), if is_root() { 0o711 } else { 0o700 });
    assert_eq!(mode(&cluster.join("data")), 0o700);
    assert_eq!(mode(&cluster.join("socket")), 0o700);
    assert_eq!(mode(&cluster.join("server.log")), 0o600);
    assert_eq!(mode(&checkout.cluster().join("cluster.json")), 0o600);
    assert_eq!(mode(&checkout.settings.root.join(".env")), 0o600);
    let secret = password(&database.url);
    for url in [
        database.url.replace(&secret, "wrong"),
        database.url.replace(&secret, ""),
    ] {
        let error = Client::connect(&url, NoTls).map(drop).unwrap_err();
        assert!(!error.to_string().contains(&secret));
    }
    let line = fs::read(format!("/proc/{}/cmdline", checkout.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&line).contains(&secret));
}

#[test]
fn root_hands_the_server_to_somebody_else() {
    if !is_root() {
        return;
    }
    let checkout = Checkout::new();
    checkout.up();
    let status = fs::read_to_string(format!("/proc/{}/status", checkout.pid())).unwrap();
    let uid = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .unwrap();
    assert!(!uid.contains("\t0"), "{uid}");
    let groups = status
        .lines()
        .find(|line| line.starts_with("Groups:"))
        .unwrap();
    assert_eq!(groups.trim(), "Groups:", "root's groups went along");
}

#[test]
fn two_checkouts_side_by_side() {
    let (one, two) = (Checkout::new(), Checkout::new());
    let (first, second) = (one.up(), two.up());
    assert_ne!(first.url, second.url);
    run(&first.url, "CREATE TABLE t (a int)");
    assert!(down(&one.settings, true).unwrap().deleted);
    run(&second.url, "CREATE TABLE t (a int)");
    assert_eq!(count(&second.url), 0);
}

#[test]
fn two_at_once_make_one_cluster() {
    let checkout = Checkout::new();
    let urls: Vec<String> = thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| checkout.up().url)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(urls.iter().all(|url| *url == urls[0]));
    run(&urls[0], "SELECT 1");
}

#[test]
fn our_own_url_in_the_environment_is_not_a_choice() {
    if !test_needs::has("postgresql") {
        return;
    }
    let mut checkout = Checkout::new();
    let database = checkout.up();
    checkout.settings.database_url = Some(database.url.clone());
    assert_eq!(choose(&checkout.settings).unwrap().engine, Kind::Local);
    checkout.settings.database_url = Some("postgres://me:secret@127.0.0.1:1/x".to_owned());
    assert_eq!(choose(&checkout.settings).unwrap().engine, Kind::Url);
    let error = checkout.try_up().unwrap_err().to_string();
    assert!(
        error.starts_with(
            "failed to connect to postgres://me:***@127.0.0.1:1/x: nothing listens there"
        ),
        "{error}"
    );
    let error = down(&checkout.settings, true).unwrap_err().to_string();
    assert!(
        error.contains("is left alone") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn a_users_url_in_the_env_file_wins_and_stays() {
    if !test_needs::has("postgresql") {
        return;
    }
    let mut checkout = Checkout::new();
    let own = "DATABASE_URL=postgres://me@127.0.0.1:1/x\n";
    fs::write(checkout.settings.root.join(".env"), own).unwrap();
    assert_eq!(choose(&checkout.settings).unwrap().engine, Kind::Url);
    checkout.settings.engine = Some(Kind::Local);
    let (_, said) = checkout.try_up().unwrap();
    assert!(
        said.iter()
            .any(|line| line.contains("a DATABASE_URL of your own")),
        "{said:?}"
    );
    assert_eq!(
        fs::read_to_string(checkout.settings.root.join(".env")).unwrap(),
        own
    );
}

#[test]
fn a_database_with_an_odd_name() {
    let mut checkout = Checkout::new();
    checkout.settings.database = "a\"; DROP-- %é".to_owned();
    let database = checkout.up();
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let name: String = client
        .query_one("SELECT current_database()::text", &[])
        .unwrap()
        .get(0);
    assert_eq!(name, checkout.settings.database);
}

#[test]
fn the_server_outlives_the_tool_and_its_terminal() {
    let checkout = Checkout::new();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mishaps::up_in_a_folder_of_the_environment"])
        .env("TOUCHMARK_TEST_FOLDER", &checkout.settings.root)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Running(_)
    ));
    let pid = checkout.pid();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let session = fields.split(' ').nth(3).unwrap();
    assert_ne!(
        session,
        own_session(),
        "Ctrl-C in the terminal would stop it"
    );
}

fn own_session() -> String {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(3).unwrap().to_owned()
}

/// A strict umask closes every new directory to the account that root's server runs as.
#[test]
fn a_strict_umask() {
    let checkout = Checkout::new();
    let output = Command::new("sh")
        .args([
            "-c",
            "umask 077 && exec \"$0\" --exact mishaps::up_in_a_folder_of_the_environment",
        ])
        .arg(std::env::current_exe().unwrap())
        .env("TOUCHMARK_TEST_FOLDER", &checkout.settings.root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Running(_)
    ));
    assert!(down(&checkout.settings, true).unwrap().deleted);
}
