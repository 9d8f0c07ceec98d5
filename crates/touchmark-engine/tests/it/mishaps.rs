//! What happens to a private cluster, and what is made of it.

use std::{
    fs, net::TcpListener, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, thread,
    time::Duration,
};

use postgres::{Client, NoTls};
use touchmark_engine::{EnvFile, Error, Progress, State, down, state, up};

use crate::checkout::{Checkout, count, is_root, run, settings};

#[test]
fn a_closed_checkout_gets_its_cluster_elsewhere_and_is_told() {
    if !is_root() {
        return;
    }
    let checkout = Checkout::new();
    fs::set_permissions(&checkout.settings.root, fs::Permissions::from_mode(0o700)).unwrap();
    let (database, said) = checkout.try_up().unwrap();
    run(&database.url, "SELECT 1");
    assert!(
        said.iter()
            .any(|line| line.contains("the cluster is in `/var/lib/touchmark/")),
        "{said:?}"
    );
    assert_eq!(checkout.up().url, database.url);
    assert!(down(&checkout.settings, true).unwrap().deleted);
}

#[test]
fn a_killed_server_is_started_again() {
    let checkout = Checkout::new();
    let first = checkout.up();
    run(
        &first.url,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1)",
    );
    checkout.kill("-KILL");
    assert!(
        checkout.cluster().join("data/postmaster.pid").exists(),
        "the file is stale now"
    );
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Stopped { .. }
    ));
    let second = checkout.up();
    assert_eq!(second.url, first.url);
    assert!(second.started.is_some());
    assert_eq!(count(&second.url), 1);
}

#[test]
fn a_stale_pid_that_belongs_to_something_else_now() {
    let checkout = Checkout::new();
    let first = checkout.up();
    down(&checkout.settings, false).unwrap();
    // The account that the server runs as must own the other process, or PostgreSQL itself would see through it.
    let other = checkout.sleeper();
    let file = checkout.cluster().join("data/postmaster.pid");
    let data = checkout.cluster().join("data");
    fs::write(
        &file,
        format!(
            "{}\n{}\n1700000000\n5432\n/tmp\n127.0.0.1\n 1 2\nready\n",
            other.id(),
            data.display()
        ),
    )
    .unwrap();
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Stopped { .. }
    ));
    assert!(
        !down(&checkout.settings, false).unwrap().stopped,
        "something else was stopped"
    );
    assert_eq!(checkout.up().url, first.url);
    let mut other = other;
    assert!(
        other.try_wait().unwrap().is_none(),
        "something else was killed"
    );
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_taken_port_is_changed_and_told() {
    let checkout = Checkout::new();
    let first = checkout.up();
    down(&checkout.settings, false).unwrap();
    let port: u16 = first
        .url
        .rsplit_once(':')
        .unwrap()
        .1
        .split_once('/')
        .unwrap()
        .0
        .parse()
        .unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (second, said) = checkout.try_up().unwrap();
    assert_ne!(second.url, first.url);
    run(&second.url, "SELECT 1");
    let told = format!("port {port} is taken");
    assert!(said.iter().any(|line| line.contains(&told)), "{said:?}");
    let env = EnvFile::load(&checkout.settings.root).unwrap();
    assert_eq!(env.get("DATABASE_URL"), Some(second.url));
}

#[test]
fn a_cluster_that_was_half_made_is_made_anew() {
    let checkout = Checkout::new();
    // What a killed `initdb` leaves behind.
    let half = checkout.settings.state_dir.join(".new-abc123/data/base");
    fs::create_dir_all(&half).unwrap();
    checkout.up();
    assert!(!half.exists());
    let names: Vec<_> = fs::read_dir(&checkout.settings.state_dir)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(
        names.len(),
        3,
        "the cluster, the lock and the engine's name: {names:?}"
    );
}

#[test]
fn a_damaged_cluster_is_said_and_can_be_deleted() {
    let checkout = Checkout::new();
    checkout.up();
    down(&checkout.settings, false).unwrap();
    let cluster = checkout.cluster();
    fs::write(cluster.join("cluster.json"), "{").unwrap();
    let error = checkout.try_up().unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.help().unwrap().contains("db-down --volumes"));
    fs::remove_dir_all(cluster.join("data")).unwrap();
    assert!(matches!(checkout.try_up(), Err(Error::Damaged { .. })));
    assert!(down(&checkout.settings, true).unwrap().deleted);
    checkout.up();
}

#[test]
fn a_cluster_of_a_major_that_is_gone() {
    if !test_needs::has("postgresql") {
        return;
    }
    let checkout = Checkout::new();
    checkout.up();
    down(&checkout.settings, false).unwrap();
    let cluster = checkout.cluster();
    // As if the cluster had been made by programs that are not on this machine any more.
    let gone = checkout.settings.state_dir.join("postgres-99");
    fs::rename(&cluster, &gone).unwrap();
    let error = checkout.try_up().unwrap_err();
    assert!(
        matches!(error, Error::MajorChanged { major: 99, .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("was made by PostgreSQL 99, and this machine has PostgreSQL ")
    );
    assert!(error.help().unwrap().contains("PostgreSQL 99"));
}

#[test]
fn a_server_that_can_not_start_says_why() {
    let checkout = Checkout::new();
    checkout.up();
    down(&checkout.settings, false).unwrap();
    let conf = checkout.cluster().join("data/postgresql.conf");
    let before = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, format!("{before}\nno_such_setting = 1\n")).unwrap();
    let error = checkout.try_up().unwrap_err();
    assert!(matches!(error, Error::NotStarted { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
    fs::write(&conf, before).unwrap();
    checkout.up();
}

#[test]
fn waiting_for_the_other_is_bounded() {
    let mut checkout = Checkout::new();
    fs::create_dir_all(&checkout.settings.state_dir).unwrap();
    let held = fs::File::create(checkout.settings.state_dir.join("lock")).unwrap();
    held.lock().unwrap();
    checkout.settings.wait = Duration::from_millis(200);
    let mut said = Vec::new();
    let error = up(&checkout.settings, &mut |progress| {
        if let Progress::Waiting(what) = progress {
            said.push(what.to_owned());
        }
    })
    .unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert_eq!(said, ["another command of this checkout"]);
}

#[test]
fn folders_with_odd_names() {
    for (name, near) in [
        ("my project é", true),
        ("it's 50%, #1", true),
        ("pay $HOME \"now\" `id`", false),
    ] {
        let checkout = Checkout::at(name);
        let (database, said) = checkout.try_up().unwrap();
        run(&database.url, "CREATE TABLE t (a int)");
        assert_eq!(checkout.up().url, database.url);
        let told = said
            .iter()
            .any(|line| line.contains("the cluster is in `") && line.contains("in its path"));
        assert_eq!(told, !near, "{said:?}");
        assert!(down(&checkout.settings, true).unwrap().deleted);
    }
}

#[test]
fn a_long_path_gets_no_socket() {
    let checkout = Checkout::at(&"long/".repeat(20));
    let database = checkout.up();
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let directory: String = client
        .query_one("SHOW unix_socket_directories", &[])
        .unwrap()
        .get(0);
    assert_eq!(directory, "");
    assert!(down(&checkout.settings, true).unwrap().deleted);
}

/// Not a test of its own: others run it in a process with another environment, or one that they kill.
#[test]
fn up_in_a_folder_of_the_environment() {
    let Some(folder) = std::env::var_os("TOUCHMARK_TEST_FOLDER") else {
        return;
    };
    let folder = PathBuf::from(folder);
    let mut settings = settings(&folder);
    settings.engine = std::env::var("TOUCHMARK_TEST_ENGINE")
        .ok()
        .map(|name| name.parse().unwrap());
    up(&settings, &mut |_| {}).unwrap();
}

#[test]
fn killed_in_the_middle_of_initdb() {
    let checkout = Checkout::new();
    let state_dir = &checkout.settings.state_dir;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mishaps::up_in_a_folder_of_the_environment"])
        .env("TOUCHMARK_TEST_FOLDER", &checkout.settings.root)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let half_made = || {
        let entries = fs::read_dir(state_dir).ok()?;
        let name = |path: &PathBuf| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(".new-")
        };
        entries
            .flatten()
            .map(|e| e.path())
            .find(name)
            .filter(|path| path.join("data/base").exists())
    };
    let half = loop {
        if let Some(half) = half_made() {
            break half;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "it was too fast to be killed"
        );
        thread::sleep(Duration::from_millis(1));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Absent { .. }
    ));
    let database = checkout.up();
    run(&database.url, "SELECT 1");
    // The initdb whose parent was killed may have made its folder again while it was deleted.
    let _ = fs::remove_dir_all(half);
}

#[test]
fn a_full_disk() {
    if !is_root() {
        return;
    }
    let checkout = Checkout::new();
    let state_dir = &checkout.settings.state_dir;
    fs::create_dir_all(state_dir).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
    assert!(
        Command::new("mount")
            .args(mount)
            .arg(state_dir)
            .status()
            .unwrap()
            .success()
    );
    let result = checkout.try_up();
    let left: Vec<_> = fs::read_dir(state_dir)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        Command::new("umount")
            .arg(state_dir)
            .status()
            .unwrap()
            .success()
    );
    let error = result.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert_eq!(left, ["lock"]);
}

#[test]
fn what_another_account_made_is_not_damaged() {
    if !is_root() {
        return;
    }
    let checkout = Checkout::new();
    checkout.up();
    fs::remove_file(checkout.settings.root.join(".env")).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "12345", "--regid", "12345", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "mishaps::up_in_a_folder_of_the_environment",
            "--nocapture",
        ])
        .env("TOUCHMARK_TEST_FOLDER", &checkout.settings.root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains("PermissionDenied") && !text.contains("Damaged"),
        "{text}"
    );
}

#[test]
fn a_download_without_npm() {
    let checkout = Checkout::new();
    let (bin, cache) = (
        checkout.settings.root.join("bin"),
        checkout.settings.root.join("cache"),
    );
    fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let id = std::env::split_paths(&path)
        .map(|d| d.join("id"))
        .find(|file| file.exists());
    std::os::unix::fs::symlink(id.unwrap(), bin.join("id")).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "mishaps::up_in_a_folder_of_the_environment",
            "--nocapture",
        ])
        .env("TOUCHMARK_TEST_FOLDER", &checkout.settings.root)
        .env("TOUCHMARK_TEST_ENGINE", "download")
        .env("TOUCHMARK_CACHE", &cache)
        .env("PATH", &bin)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("NpmMissing"), "{text}");
    let left: Vec<_> = fs::read_dir(&cache)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, ["lock"]);
}
