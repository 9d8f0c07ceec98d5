//! What a container's health check runs: in an image without a shell nothing else could ask.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Deserialize;

use crate::Error;

/// `/readyz` answers within 2 s.
const PATIENCE: Duration = Duration::from_secs(4);

/// Far more than any answer of `/readyz` has, in bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// Asks `/readyz` of the service that listens at `address`.
///
/// # Errors
/// [`Error::NotReady`] with what the service answered, or why it did not.
pub fn ask(address: &str) -> Result<(), Error> {
    let not_ready = |reason| Error::NotReady {
        address: address.into(),
        reason,
    };
    let answer = get(address, "/readyz").map_err(|error| not_ready(said(&error)))?;
    verdict(&answer).map_err(not_ready)
}

/// What the system's words mean here.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there; it listens when the schema is migrated".into()
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".into(),
        _ => error.to_string(),
    }
}

/// The whole answer, as text.
fn get(address: &str, path: &str) -> io::Result<String> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for target in address.to_socket_addrs()? {
        match get_from(reachable(target), path) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn get_from(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LARGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Who listens everywhere is asked on this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[derive(Deserialize)]
struct Body {
    reason: String,
}

fn verdict(answer: &str) -> Result<(), String> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.lines().next().unwrap_or_default();
    match status.strip_prefix("HTTP/1.1 ") {
        Some(rest) if rest.starts_with("200 ") => Ok(()),
        Some(rest) => {
            Err(serde_json::from_str(body)
                .map_or_else(|_| rest.to_owned(), |body: Body| body.reason))
        }
        None => Err("what answers there is not this service".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let unavailable = "HTTP/1.1 503 Service Unavailable";
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ready\"}", Ok(())),
            (
                &format!("{unavailable}\r\nX: y\r\n\r\n{{\"reason\":\"no database\"}}"),
                Err("no database"),
            ),
            (
                &format!("{unavailable}\r\n\r\n<html>"),
                Err("503 Service Unavailable"),
            ),
            ("HTTP/1.1 2000 OK\r\n\r\n", Err("2000 OK")),
            (
                "SSH-2.0-x\r\n",
                Err("what answers there is not this service"),
            ),
            ("", Err("what answers there is not this service")),
        ] {
            assert_eq!(verdict(answer), expected.map_err(String::from), "{answer}");
        }
    }

    #[test]
    fn everywhere_is_here_too() {
        for (address, expected) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            let reachable = reachable(address.parse().unwrap());
            assert_eq!(reachable.to_string(), expected);
        }
    }
}
