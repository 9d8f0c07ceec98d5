//! `postmaster.pid`: which process serves a data directory, and whether it really does.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use crate::files;
#[cfg(unix)]
use crate::{account, programs};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub pid: u32,
    pub port: Option<u16>,
    /// The server has started: it accepts connections, or it is a standby that does not (yet).
    pub ready: bool,
}

/// The file in `data`, if there is a readable one. A server that is starting may not have written all of it.
pub(crate) fn read(data: &Path) -> Option<PidFile> {
    let text = files::text_of_plain(&data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
    let ready = lines
        .nth(3)
        .is_some_and(|line| matches!(line.trim(), "ready" | "standby"));
    Some(PidFile { pid, port, ready })
}

/// Whether process `pid` is a server of `data`. After a reboot the number may belong to anything, and the server's
/// account can write any number.
pub(crate) fn serves(pid: u32, given: &Path) -> bool {
    if !fs::symlink_metadata(given).is_ok_and(|meta| meta.is_dir()) {
        return false;
    }
    let data = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
    if Path::new("/proc/self/stat").exists() {
        // A server works in its data directory, and runs as nobody but its account.
        return is_of_account(pid)
            && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory == data)
            && is_postgres(&fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default());
    }
    #[cfg(unix)]
    {
        let output = programs::command("ps")
            .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
            .output();
        output.is_ok_and(|output| {
            let line = String::from_utf8_lossy(&output.stdout);
            // The server was given the path as we know it, which on macOS may lead through a link.
            is_postgres(&line)
                && [given, &data]
                    .iter()
                    .any(|path| line.contains(path.to_string_lossy().as_ref()))
        })
    }
    #[cfg(not(unix))]
    {
        let output = std::process::Command::new("tasklist")
            .args(["/NH", "/FO", "CSV", "/FI", &format!("PID eq {pid}")])
            .output();
        output.is_ok_and(|output| is_postgres(&String::from_utf8_lossy(&output.stdout)))
    }
}

#[cfg(unix)]
fn is_of_account(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(format!("/proc/{pid}")).map(|meta| meta.uid());
    let expected = match account::for_server() {
        Ok(Some(account)) => account.uid,
        _ => crate::trust::user(),
    };
    owner.is_ok_and(|owner| owner == expected)
}

#[cfg(not(unix))]
fn is_of_account(_pid: u32) -> bool {
    true
}

fn is_postgres(text: &str) -> bool {
    text.contains("postgres") || text.contains("postmaster")
}

/// Whether there is a process with this number, whosever it is.
#[cfg(unix)]
pub(crate) fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    else {
        return false;
    };
    !matches!(
        rustix::process::test_kill_process(pid),
        Err(rustix::io::Errno::SRCH)
    )
}

#[cfg(not(unix))]
pub(crate) fn is_alive(_pid: u32) -> bool {
    true
}

/// The end of a log, for an error message: the last lines that say why. What stands before byte `from` is older.
pub(crate) fn last_lines(log: &Path, from: u64) -> String {
    const MOST: u64 = 8 * 1024;
    let read = || -> std::io::Result<String> {
        let mut file = files::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST).max(from)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = match read() {
        Ok(text) => text,
        Err(error) => return format!("its log can't be read: {error}"),
    };
    // What every start says is no reason for its end.
    let usual = [
        "LOG:  starting ",
        "LOG:  listening on ",
        "LOG:  database system is shut down",
    ];
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty() && !usual.iter().any(|words| line.contains(words)))
        .map(without_time)
        .collect();
    match lines.len() {
        0 => "its log says nothing".to_owned(),
        n => lines[n.saturating_sub(4)..].join("; "),
    }
}

/// "2026-11-21 02:45:41.562 UTC [8239] FATAL:  …" without its beginning.
fn without_time(line: &str) -> &str {
    match line.split_once("] ") {
        Some((time, rest))
            if time.starts_with(|c: char| c.is_ascii_digit()) && time.contains('[') =>
        {
            rest
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_server_writes() {
        let data = tempfile::tempdir().unwrap();
        let check = |text: &str, expected: Option<PidFile>| {
            fs::write(data.path().join("postmaster.pid"), text).unwrap();
            assert_eq!(read(data.path()), expected, "{text:?}");
        };
        let whole = "4711\n/data\n1700000000\n54321\n/tmp\n127.0.0.1\n  12345   0\nready   \n";
        check(
            whole,
            Some(PidFile {
                pid: 4711,
                port: Some(54321),
                ready: true,
            }),
        );
        check(
            "4711\n/data\n",
            Some(PidFile {
                pid: 4711,
                port: None,
                ready: false,
            }),
        );
        check(
            &whole.replace("ready", "starting"),
            Some(PidFile {
                pid: 4711,
                port: Some(54321),
                ready: false,
            }),
        );
        check("", None);
        check("garbage\n", None);
    }

    #[test]
    fn the_end_of_a_log_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let old = "2026-11-21 02:45:41.562 UTC [1] FATAL:  of yesterday\n";
        let new = "2026-11-21 02:45:41.562 GMT [8239] LOG:  starting PostgreSQL 15.18\n\
            2026-11-21 02:45:41.562 GMT [8239] LOG:  unrecognized configuration parameter \"x\"\n\
            2026-11-21 02:45:41.562 GMT [8239] FATAL:  configuration file contains errors\n";
        fs::write(&log, format!("{old}{new}")).unwrap();
        let told = "LOG:  unrecognized configuration parameter \"x\"; FATAL:  configuration file contains errors";
        assert_eq!(last_lines(&log, old.len() as u64), told);
        fs::write(&log, "").unwrap();
        assert_eq!(last_lines(&log, 0), "its log says nothing");
        assert!(
            last_lines(&directory.path().join("none"), 0).starts_with("its log can't be read: ")
        );
    }

    #[test]
    fn another_process_is_not_the_server() {
        let data = tempfile::tempdir().unwrap();
        assert!(is_alive(std::process::id()));
        assert!(!serves(std::process::id(), data.path()));
        assert!(!serves(1, data.path()));
    }
}
