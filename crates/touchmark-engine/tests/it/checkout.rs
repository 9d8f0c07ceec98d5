//! A checkout with a private cluster, for the tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use postgres::{Client, NoTls};
use touchmark_engine::{Database, Error, Kind, Settings, down, up};

/// A checkout that is taken down when the test ends.
pub struct Checkout {
    pub settings: Settings,
    _root: tempfile::TempDir,
}

pub fn settings(folder: &Path) -> Settings {
    Settings {
        root: folder.to_owned(),
        state_dir: folder.join("target/touchmark"),
        engine: None,
        database_url: None,
        compose_file: folder.join("compose.yaml"),
        compose_service: "db".to_owned(),
        pgadmin: false,
        database: "app".to_owned(),
        wait: Duration::from_secs(60),
    }
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
        let settings = settings(&folder);
        Checkout {
            settings,
            _root: root,
        }
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

    pub fn kill(&self, signal: &str) {
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

impl Checkout {
    /// A process of the cluster's owner that is no server.
    pub fn sleeper(&self) -> std::process::Child {
        use std::os::unix::{fs::MetadataExt, process::CommandExt};
        let owner = fs::metadata(self.cluster().join("data")).unwrap();
        let mut command = Command::new("sleep");
        command.arg("300");
        if is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        command.spawn().unwrap()
    }
}

pub fn run(url: &str, sql: &str) {
    Client::connect(url, NoTls)
        .unwrap()
        .batch_execute(sql)
        .unwrap();
}

pub fn count(url: &str) -> i64 {
    Client::connect(url, NoTls)
        .unwrap()
        .query_one("SELECT count(*) FROM t", &[])
        .unwrap()
        .get(0)
}

pub fn password(url: &str) -> String {
    let (_, rest) = url.split_once("postgres:").unwrap();
    rest.split_once('@').unwrap().0.to_owned()
}

pub fn is_root() -> bool {
    String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0"
}
