//! The private cluster of a checkout, made by this machine's programs.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use postgres::{Client, NoTls};
use touchmark_engine::{
    Database, EnvFile, Error, Kind, Progress, Settings, State, choose, down, state, up,
};

/// A checkout that is taken down when the test ends.
pub struct Checkout {
    pub settings: Settings,
    root: tempfile::TempDir,
}

impl Checkout {
    pub fn new() -> Checkout {
        Checkout::at("")
    }

    /// In a folder of that name, if it is not empty.
    pub fn at(name: &str) -> Checkout {
        let root = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let folder = root.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let settings = Settings {
            root: folder.clone(),
            state_dir: folder.join("target/touchmark"),
            engine: None,
            database_url: None,
            compose_file: folder.join("compose.yaml"),
            compose_service: "db".to_owned(),
            pgadmin: false,
            database: "app".to_owned(),
            wait: Duration::from_secs(60),
        };
        Checkout { settings, root }
    }

    pub fn up(&self) -> Database {
        self.try_up().unwrap().0
    }

    /// The database, and what was said on the way.
    pub fn try_up(&self) -> Result<(Database, Vec<String>), Error> {
        let mut said = Vec::new();
        let database = up(&self.settings, &mut |progress| {
            said.push(format!("{progress:?}"))
        })?;
        Ok((database, said))
    }

    pub fn cluster(&self) -> PathBuf {
        let entries = fs::read_dir(&self.settings.state_dir).unwrap().flatten();
        let found = entries
            .map(|e| e.path())
            .find(|p| p.join("cluster.json").exists());
        found.expect("no cluster in the state directory")
    }

    pub fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.cluster().join("data/postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    fn kill(&self, signal: &str) {
        let pid = self.pid();
        assert!(
            Command::new("kill")
                .args([signal, &pid.to_string()])
                .status()
                .unwrap()
                .success()
        );
        while Path::new(&format!("/proc/{pid}/cwd")).read_link().is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.settings.database_url = None;
        let _ = fs::remove_file(self.settings.root.join(".env"));
        for engine in [Kind::Local, Kind::Download] {
            self.settings.engine = Some(engine);
            let _ = down(&self.settings, true);
        }
    }
}

fn run(url: &str, sql: &str) {
    Client::connect(url, NoTls)
        .unwrap()
        .batch_execute(sql)
        .unwrap();
}

fn count(url: &str) -> i64 {
    Client::connect(url, NoTls)
        .unwrap()
        .query_one("SELECT count(*) FROM t", &[])
        .unwrap()
        .get(0)
}

#[test]
fn up_twice_then_down_then_up_again() {
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
    let (pid, env) = (checkout.pid(), checkout.root.path().join(".env"));
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
        EnvFile::load(checkout.root.path())
            .unwrap()
            .get("DATABASE_URL"),
        None
    );
}

fn password(url: &str) -> String {
    let (_, rest) = url.split_once("postgres:").unwrap();
    rest.split_once('@').unwrap().0.to_owned()
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
    assert_eq!(mode(&checkout.cluster()), 0o700);
    assert_eq!(mode(&checkout.cluster().join("cluster.json")), 0o600);
    assert_eq!(mode(&checkout.root.path().join(".env")), 0o600);
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
    if !rustix_is_root() {
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

fn rustix_is_root() -> bool {
    String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0"
}

#[test]
fn a_closed_checkout_gets_its_cluster_elsewhere_and_is_told() {
    if !rustix_is_root() {
        return;
    }
    let checkout = Checkout::new();
    fs::set_permissions(checkout.root.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let (database, said) = checkout.try_up().unwrap();
    run(&database.url, "SELECT 1");
    assert!(
        said.iter()
            .any(|line| line.contains("the cluster is in `/var/tmp/touchmark-0/")),
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

impl Checkout {
    /// A process of the cluster's owner that is no server.
    fn sleeper(&self) -> std::process::Child {
        use std::os::unix::{fs::MetadataExt, process::CommandExt};
        let owner = fs::metadata(self.cluster().join("data")).unwrap();
        let mut command = Command::new("sleep");
        command.arg("300");
        if rustix_is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        command.spawn().unwrap()
    }
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
    let env = EnvFile::load(checkout.root.path()).unwrap();
    assert_eq!(env.get("DATABASE_URL"), Some(second.url));
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
fn our_own_url_in_the_environment_is_not_a_choice() {
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
    let mut checkout = Checkout::new();
    let own = "DATABASE_URL=postgres://me@127.0.0.1:1/x\n";
    fs::write(checkout.root.path().join(".env"), own).unwrap();
    assert_eq!(choose(&checkout.settings).unwrap().engine, Kind::Url);
    checkout.settings.engine = Some(Kind::Local);
    let (_, said) = checkout.try_up().unwrap();
    assert!(
        said.iter()
            .any(|line| line.contains("a DATABASE_URL of your own")),
        "{said:?}"
    );
    assert_eq!(
        fs::read_to_string(checkout.root.path().join(".env")).unwrap(),
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
        ("it's 50% #1", true),
        ("pay $HOME \"now\" `id`", false),
    ] {
        let checkout = Checkout::at(name);
        let (database, said) = checkout.try_up().unwrap();
        run(&database.url, "CREATE TABLE t (a int)");
        assert_eq!(checkout.up().url, database.url);
        let told = said
            .iter()
            .any(|line| line.contains("the cluster is in `/var/tmp/touchmark-"));
        assert_eq!(told, !near, "{said:?}");
        assert!(down(&checkout.settings, true).unwrap().deleted);
    }
}

#[test]
fn a_long_path_gets_a_socket_elsewhere() {
    let checkout = Checkout::at(&"long/".repeat(20));
    let database = checkout.up();
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let directory: String = client
        .query_one("SHOW unix_socket_directories", &[])
        .unwrap()
        .get(0);
    assert!(directory.starts_with("/tmp/touchmark-"), "{directory}");
    assert!(down(&checkout.settings, true).unwrap().deleted);
    assert!(!Path::new(&directory).exists());
}

/// Not a test of its own: [`killed_in_the_middle_of_initdb`] runs it in a process that it kills.
#[test]
#[ignore = "runs in a process that is killed"]
fn up_in_a_folder_of_the_environment() {
    let mut checkout = Checkout::new();
    let folder = PathBuf::from(std::env::var_os("TOUCHMARK_TEST_FOLDER").unwrap());
    checkout.settings.state_dir = folder.join("target/touchmark");
    checkout.settings.root = folder;
    up(&checkout.settings, &mut |_| {}).unwrap();
}

#[test]
fn killed_in_the_middle_of_initdb() {
    let checkout = Checkout::new();
    let state_dir = &checkout.settings.state_dir;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "local::up_in_a_folder_of_the_environment",
        ])
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
    if !rustix_is_root() {
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
    if !rustix_is_root() {
        return;
    }
    let checkout = Checkout::new();
    checkout.up();
    fs::remove_file(checkout.settings.root.join(".env")).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "12345", "--regid", "12345", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "local::up_in_a_folder_of_the_environment",
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
