//! Servers for tests: started in a moment, gone with the process that started them, even when it is killed.
//!
//! ```no_run
//! use touchmark_engine::{Installation, cluster::TestServer};
//!
//! let server = TestServer::start(&Installation::local()?, &[("log_statement", "all")])?;
//! let database = server.create_database()?;
//! let client = postgres::Client::connect(&database.url, postgres::NoTls)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A server lives in a temporary folder and listens on a socket there. A watchdog (`sh`, waiting for the end of a
//! pipe whose other end we hold) stops it and removes the folder when this process ends, however it ends.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error, Installation, account, account::Account, pid_file, places, server, template, url,
};

/// How logins are checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Auth {
    /// Everybody may come in; the folder is closed to others.
    #[default]
    Trust,
    /// With [`TestServer::password`], by scram-sha-256.
    Scram,
}

/// What [`TestServer::start_with`] takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Settings of `postgresql.conf`.
    pub settings: &'a [(&'a str, &'a str)],
    /// Listen on 127.0.0.1 too; [`TestServer::url`] is then a TCP URL.
    pub tcp: bool,
    /// How logins are checked.
    pub auth: Auth,
}

/// A running server of our own. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct TestServer {
    installation: Installation,
    folder: PathBuf,
    arguments: Vec<String>,
    tcp_port: Option<u16>,
    auth: Auth,
    account: Option<Account>,
    /// Open since before the folder was the account's, which could put a link under its name.
    log: File,
    postgres: Mutex<Option<Child>>,
    watchdog: Option<Child>,
    names: AtomicU32,
}

/// A database of a [`TestServer`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
}

/// Stops what still runs and removes the folder when the pipe on standard input ends.
const WATCHDOG: &str = r#"
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null
    n=0
    while [ $n -lt 100 ] && kill -0 "$pid" 2>/dev/null; do n=$((n + 1)); sleep 0.05; done
fi
rm -rf "$1"
"#;

impl TestServer {
    /// Starts a server that listens on a socket only and trusts everybody.
    pub fn start(
        installation: &Installation,
        settings: &[(&str, &str)],
    ) -> Result<TestServer, Error> {
        TestServer::start_with(
            installation,
            Options {
                settings,
                ..Options::default()
            },
        )
    }

    /// Starts a server.
    pub fn start_with(
        installation: &Installation,
        options: Options<'_>,
    ) -> Result<TestServer, Error> {
        let account = account::for_server()?;
        let template = template::directory(installation, account.as_ref())?;
        let parent = places::temporary()?;
        let folder = places::private_directory(&parent, "touchmark-")?;
        let path = folder.path().join("log");
        let log = File::options()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|source| Error::io("create", &path, source))?;
        account::give(account.as_ref(), folder.path())?;
        let tcp_port = if options.tcp {
            Some(server::free_port()?)
        } else {
            None
        };
        let mut server = TestServer {
            installation: installation.clone(),
            arguments: arguments(folder.path(), options.settings, tcp_port),
            folder: folder.keep(),
            tcp_port,
            auth: options.auth,
            watchdog: None,
            account,
            log,
            postgres: Mutex::new(None),
            names: AtomicU32::new(0),
        };
        // From here on the folder is the watchdog's to remove, also when the next steps fail.
        server.watchdog = Some(server.watch()?);
        let account = server.account.as_ref();
        template::copy(&template, &server.data(), account)?;
        template::set_auth(&server.data(), account, options.auth == Auth::Scram)?;
        server.launch()?;
        Ok(server)
    }

    /// The URL of a database of this server. Both `tokio-postgres` and libpq read it.
    pub fn url(&self, database: &str) -> String {
        let database = url::encode(database);
        let password = match self.auth {
            Auth::Trust => String::new(),
            Auth::Scram => format!("&password={}", template::PASSWORD),
        };
        match self.tcp_port {
            Some(port) => {
                let password = password.replace("&password=", ":");
                format!("postgresql://postgres{password}@127.0.0.1:{port}/{database}")
            }
            None => {
                let folder = url::encode_path(&self.folder.to_string_lossy());
                format!("postgresql:///{database}?host={folder}&user=postgres{password}")
            }
        }
    }

    /// The password of `postgres` with [`Auth::Scram`].
    pub fn password(&self) -> &'static str {
        template::PASSWORD
    }

    /// Makes an empty database with a name of its own.
    pub fn create_database(&self) -> Result<TestDatabase, Error> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let url = self.url("postgres");
        let mut client = url::parse(&url)?
            .connect(postgres::NoTls)
            .map_err(|error| self.failed("connect", &error))?;
        client
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .map_err(|error| self.failed("CREATE DATABASE", &error))?;
        Ok(TestDatabase {
            url: self.url(&name),
            name,
        })
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The folder: the socket, the log and the data are in it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port of the socket, or of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.tcp_port.unwrap_or(5432)
    }

    /// The process of the server itself, unless it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Stops the server: like a crash with `immediate`, else as `pg_ctl stop -m fast`. The data stays.
    pub fn stop(&self, immediate: bool) -> Result<(), Error> {
        let mut child = self.child();
        let Some(mut process) = child.take() else {
            return Ok(());
        };
        let signal = match immediate {
            true => rustix::process::Signal::QUIT,
            false => rustix::process::Signal::INT,
        };
        if let Some(pid) = i32::try_from(process.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // A server that is gone already has nothing to be told.
            let _ = rustix::process::kill_process(pid, signal);
        }
        process.wait().map_err(|source| {
            Error::io("wait for", self.installation.program("postgres"), source)
        })?;
        Ok(())
    }

    /// Stops the server fast if it runs, and starts it again at the same address.
    pub fn restart(&self) -> Result<(), Error> {
        self.stop(false)?;
        self.launch()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A panic in another test must not keep this one from stopping its server.
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.postgres.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> Result<Child, Error> {
        let mut command = account::command(self.account.as_ref(), "/bin/sh");
        command.args(["-c", WATCHDOG, "sh"]).arg(&self.folder);
        apart(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| Error::io("run", "/bin/sh", source))
    }

    fn launch(&self) -> Result<(), Error> {
        let program = self.installation.program("postgres");
        let log = self.log();
        let out = (self.log.try_clone()).map_err(|source| Error::io("open", &log, source))?;
        let before = out.metadata().map_or(0, |meta| meta.len());
        let mut command = account::command(self.account.as_ref(), &program);
        command.args(&self.arguments);
        let err = out
            .try_clone()
            .map_err(|source| Error::io("open", &log, source))?;
        let mut process = apart(&mut command)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| Error::io("run", &program, source))?;
        let deadline = Instant::now() + Duration::from_secs(60);
        let id = process.id();
        let result = loop {
            if pid_file::read(&self.data()).is_some_and(|file| file.pid == id && file.ready) {
                break Ok(());
            }
            match process.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(3)),
                _ => {
                    let detail = pid_file::last_lines(&log, before);
                    break Err(Error::NotStarted {
                        what: self.installation.name(),
                        detail,
                        log,
                    });
                }
            }
        };
        *self.child() = Some(process);
        result
    }

    fn failed(&self, what: &str, error: &postgres::Error) -> Error {
        let detail = match error.as_db_error() {
            Some(db) => db.message().to_owned(),
            None => error.to_string(),
        };
        Error::Program {
            program: format!("{what} at {}", self.installation.name()),
            detail,
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // What does not work here, the watchdog does again.
        let _ = self.stop(true);
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
        }
    }
}

/// In a process group of its own, so that Ctrl-C in the terminal is the test's affair and not the server's.
fn apart(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt;
    command.process_group(0)
}

fn arguments(folder: &Path, settings: &[(&str, &str)], tcp_port: Option<u16>) -> Vec<String> {
    let folder_text = folder.to_string_lossy();
    let port = tcp_port.unwrap_or(5432).to_string();
    let quick = [
        (
            "listen_addresses",
            if tcp_port.is_some() { "127.0.0.1" } else { "" },
        ),
        ("port", &port),
        ("unix_socket_directories", &folder_text),
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("shared_buffers", "16MB"),
        ("log_destination", "stderr"),
        ("logging_collector", "off"),
        ("timezone", "UTC"),
    ];
    let mut out = vec![
        "-D".to_owned(),
        folder.join("data").to_string_lossy().into_owned(),
    ];
    for (name, value) in quick.iter().chain(settings) {
        out.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    out
}
