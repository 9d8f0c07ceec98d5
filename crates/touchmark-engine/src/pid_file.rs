//! `postmaster.pid`: which process serves a data directory, and whether it really does.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub pid: u32,
    pub port: Option<u16>,
    /// The server accepts connections.
    pub ready: bool,
}

/// The file in `data`, if there is a readable one. A server that is starting may not have written all of it.
pub(crate) fn read(data: &Path) -> Option<PidFile> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
    let ready = lines.nth(3).is_some_and(|line| line.trim() == "ready");
    Some(PidFile { pid, port, ready })
}

/// Whether process `pid` is a server of `data`. After a reboot the number may belong to anything.
pub(crate) fn serves(pid: u32, data: &Path) -> bool {
    let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    if Path::new("/proc/self/stat").exists() {
        // A server works in its data directory.
        return fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory == data)
            && is_postgres(&fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default());
    }
    #[cfg(unix)]
    {
        let output = std::process::Command::new("ps")
            .args(["-o", "command=", "-p", &pid.to_string()])
            .output();
        output.is_ok_and(|output| {
            let line = String::from_utf8_lossy(&output.stdout);
            is_postgres(&line) && line.contains(data.to_string_lossy().as_ref())
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

/// The end of a log, for an error message: the last lines that say why.
pub(crate) fn last_lines(log: &Path) -> String {
    const MOST: u64 = 8 * 1024;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = match read() {
        Ok(text) => text,
        Err(error) => return format!("its log can't be read: {error}"),
    };
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let telling = |line: &&str| {
        ["FATAL:", "PANIC:", "ERROR:", "HINT:"]
            .iter()
            .any(|w| line.contains(w))
    };
    let mut chosen: Vec<&str> = lines.iter().copied().filter(|line| telling(line)).collect();
    if chosen.is_empty() {
        chosen = lines;
    }
    match chosen.len() {
        0 => "its log is empty".to_owned(),
        n => chosen[n.saturating_sub(3)..].join("; "),
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
    fn another_process_is_not_the_server() {
        let data = tempfile::tempdir().unwrap();
        assert!(is_alive(std::process::id()));
        assert!(!serves(std::process::id(), data.path()));
        assert!(!serves(1, data.path()));
    }
}
