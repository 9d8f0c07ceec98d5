//! Starts and stops the server of a private cluster.

use std::{
    fs::{self, OpenOptions},
    net::TcpListener,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error, Installation,
    account::{self, Account},
    initdb,
    local::Cluster,
    pid_file, places,
    record::Record,
};

/// Beyond this the log is put aside at the next start.
const LARGE_LOG: u64 = 10 * 1024 * 1024;

/// Starts the server so that it outlives this process, and returns what is worth telling. The caller has the lock.
pub(crate) fn start(
    cluster: &Cluster,
    record: &mut Record,
    installation: &Installation,
    account: Option<&Account>,
    wait: Duration,
) -> Result<Vec<String>, Error> {
    let data = cluster.data();
    let log = cluster.log();
    let mut notes = Vec::new();
    if let Some(file) = pid_file::read(&data)
        && pid_file::is_alive(file.pid)
    {
        // After a reboot the number belongs to something else, and the server would refuse to start because of it.
        // A number that belongs to nobody it deals with itself.
        let path = data.join("postmaster.pid");
        delete(account, &path).map_err(|source| Error::io("delete", path, source))?;
    }
    put_aside(&log)?;
    make_log(cluster, account)?;
    for _ in 0..3 {
        if !is_free(record.port) {
            let taken = record.port;
            record.port = free_port()?;
            notes.push(format!(
                "port {taken} is taken, so it listens on {} now",
                record.port
            ));
        }
        record.version.clone_from(&installation.version);
        record.bin.clone_from(&installation.bin);
        record.save(&cluster.base)?;
        let before = log.metadata().map_or(0, |meta| meta.len());
        let mut command = account::command(account, installation.program("pg_ctl"));
        command
            .arg("start")
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(&log)
            .arg("-o")
            .arg(address(cluster, record));
        command.args(["-s", "-w", "-t", &wait.as_secs().max(1).to_string()]);
        if fs::symlink_metadata(cluster.socket()).is_err() {
            account::directory(account, &cluster.socket())?;
        }
        clear_sockets(&cluster.socket());
        // pg_ctl finds `postgres` beside itself, and the server has no terminal and no pipe of ours to hold on to.
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::io("run", installation.program("pg_ctl"), source))?;
        if output.status.success() {
            return Ok(notes);
        }
        let tail = pid_file::last_lines(&log, before);
        if tail.contains("Address already in use") || tail.contains("could not bind") {
            continue;
        }
        if tail.contains("pre-existing shared memory block") {
            // Sessions of a server that was killed end in a moment.
            thread::sleep(Duration::from_millis(500));
            continue;
        }
        if cluster.process().is_some() {
            let detail = initdb::said(&output);
            return Err(Error::NotReady {
                what: installation.name(),
                waited: wait,
                detail,
            });
        }
        let detail = match log.metadata().map_or(0, |meta| meta.len()) > before {
            true => tail,
            false => initdb::said(&output),
        };
        if detail.contains("No space left") {
            return Err(Error::DiskFull {
                action: "start a server in",
                path: data,
            });
        }
        return Err(Error::NotStarted {
            what: installation.name(),
            detail,
            log,
        });
    }
    let detail = pid_file::last_lines(&log, 0);
    Err(Error::NotStarted {
        what: installation.name(),
        detail,
        log,
    })
}

/// Where the server listens, as pg_ctl hands it to a shell. These go before what is in any file of the data directory,
/// also what `ALTER SYSTEM` has put there.
fn address(cluster: &Cluster, record: &Record) -> String {
    let socket = cluster.socket();
    let mut directories = match cfg!(unix) && places::fits(&socket) {
        true => socket.to_string_lossy().replace('\'', r"'\''"),
        false => String::new(),
    };
    if directories.contains(',') {
        // It is a list, in which a comma must stand in quotes.
        directories = format!("\"{directories}\"");
    }
    if cfg!(unix) {
        directories = format!("'{directories}'");
    }
    format!(
        "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={directories}",
        record.port
    )
}

/// A stale `postmaster.pid`. Its directory is the account's.
fn delete(account: Option<&Account>, path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if account.is_some() {
        return account::let_do(account, "rm -f -- \"$0\"", path, "");
    }
    let _ = account;
    fs::remove_file(path)
}

/// A killed server leaves its socket's lock file, whose number may belong to something else by now.
fn clear_sockets(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(".s.PGSQL.") {
            // If it stays, the server says so.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The log's file is made by us, because the account may write to it and not choose what is under its name.
pub(crate) fn make_log(cluster: &Cluster, account: Option<&Account>) -> Result<(), Error> {
    let log = cluster.log();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&log) {
        Ok(_) => account::give(account, &log),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(Error::io("create", log, source)),
    }
}

fn put_aside(log: &Path) -> Result<(), Error> {
    if log.metadata().is_ok_and(|meta| meta.len() > LARGE_LOG) {
        fs::rename(log, log.with_extension("log.1"))
            .map_err(|source| Error::io("rename", log, source))?;
    }
    Ok(())
}

/// Stops the server of this cluster, and no other. Whether one was running. The caller has the lock.
pub(crate) fn stop(cluster: &Cluster, wait: Duration) -> Result<bool, Error> {
    let Some(pid) = cluster.process() else {
        return Ok(false);
    };
    let deadline = Instant::now() + wait;
    signal(cluster, pid, Stop::Fast)?;
    // A server that hangs in its shutdown is in the way of everything; a crash loses nothing that was committed.
    let patience = Instant::now() + wait / 2;
    let mut told = false;
    while cluster.process() == Some(pid) {
        if Instant::now() > deadline {
            let detail = format!("the server (process {pid}) does not stop");
            return Err(Error::Program {
                program: "stop".to_owned(),
                detail,
            });
        }
        if !told && Instant::now() > patience {
            signal(cluster, pid, Stop::Immediate)?;
            told = true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Fast,
    Immediate,
}

/// By signal, so that it works also when the programs that started the server are gone.
#[cfg(unix)]
fn signal(_cluster: &Cluster, pid: u32, stop: Stop) -> Result<(), Error> {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(account) = account::for_server()? {
        // The number is from a file of the account's, so it may be that of any process: only the account's is ended.
        let script = match stop {
            Stop::Fast => "kill -s INT \"$0\"",
            Stop::Immediate => "kill -s QUIT \"$0\"",
        };
        let told = account::let_do(Some(&account), script, Path::new(&pid.to_string()), "");
        return match told {
            Err(error) if pid_file::is_alive(pid) => Err(Error::Program {
                program: "stop".to_owned(),
                detail: format!("process {pid}: {error}"),
            }),
            _ => Ok(()),
        };
    }
    let signal = match stop {
        Stop::Fast => Signal::INT,
        Stop::Immediate => Signal::QUIT,
    };
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    match kill_process(number, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => {
            let detail = format!("process {pid}: {error}");
            Err(Error::Program {
                program: "stop".to_owned(),
                detail,
            })
        }
    }
}

#[cfg(not(unix))]
fn signal(cluster: &Cluster, _pid: u32, stop: Stop) -> Result<(), Error> {
    let program = cluster.record()?.bin.join("pg_ctl.exe");
    let mode = if stop == Stop::Fast {
        "fast"
    } else {
        "immediate"
    };
    let mut command = account::command(None, &program);
    let output = command
        .args(["stop", "-W", "-s", "-m", mode, "-D"])
        .arg(cluster.data())
        .output()
        .map_err(|source| Error::io("run", program, source))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Program {
            program: "pg_ctl stop".to_owned(),
            detail: initdb::said(&output),
        }),
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, Error> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| Error::io("find a free port at", "127.0.0.1", source))
}
