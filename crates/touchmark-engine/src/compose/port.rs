//! Ports of this machine: whether one is free, and who has it if not.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use super::docker::docker_output;

/// Whether nobody listens on the port at 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // Some systems let us bind beside a listener on all addresses, so knock too.
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err()
        && TcpListener::bind(address).is_ok()
}

/// A port that nobody listens on now.
pub fn free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Who listens on a port of this machine; none where nobody does.
pub fn taken_by(port: u16) -> Option<String> {
    let is_taken = !is_free(port);
    is_taken.then(|| owner(port).unwrap_or_else(|| "a process of another account".to_owned()))
}

/// Who listens there, in words: a container, or else a process where the system tells.
pub fn owner(port: u16) -> Option<String> {
    let filter = format!("publish={port}");
    let format = "the container `{{.Names}}` ({{.Image}})";
    if let Ok(output) = docker_output(&["ps", "--filter", &filter, "--format", format])
        && let Some(line) = output.stdout.lines().next()
    {
        return Some(line.to_owned());
    }
    process(port)
}

#[cfg(target_os = "linux")]
fn process(port: u16) -> Option<String> {
    use std::fs;
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            table
                .lines()
                .filter_map(|line| listener(line, port))
                .collect::<Vec<_>>()
        })
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        // Other people's processes can't be looked into; theirs stays without a name.
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let has = files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok());
        if has
            .map(|link| link.to_string_lossy().into_owned())
            .any(|link| sockets.contains(&link))
        {
            let program = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(format!("the process {name} ({})", program.trim()));
        }
    }
    None
}

/// The inode of a listening socket in a line of the kernel's table.
#[cfg(target_os = "linux")]
fn listener(line: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (_, hex) = columns.get(1)?.rsplit_once(':')?;
    let matches = columns.get(3) == Some(&LISTEN) && u16::from_str_radix(hex, 16).ok()? == port;
    matches.then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
}

#[cfg(not(target_os = "linux"))]
fn process(port: u16) -> Option<String> {
    let output = crate::programs::command("lsof")
        .args(["-nP", "-sTCP:LISTEN", "-Fpc", &format!("-iTCP:{port}")])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |letter: char| text.lines().find_map(|line| line.strip_prefix(letter));
    Some(format!(
        "the process {} ({})",
        field('p')?,
        field('c').unwrap_or("?")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_has_an_owner() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        let owner = process(port).unwrap();
        assert!(
            owner.starts_with(&format!("the process {} (", std::process::id())),
            "{owner}"
        );
        drop(listener);
        assert!(is_free(port));
    }
}
