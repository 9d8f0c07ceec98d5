//! The server's log.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::Duration,
};

use crate::{Choice, EnvFile, Error, Kind, Settings, choose, compose, files, local, url};

/// Writes the server's log to `out`; with `follow`, goes on with what is added until the process is stopped or nobody
/// reads any more. It has the words of whoever has talked to the server.
pub fn logs(settings: &Settings, follow: bool, out: &mut dyn Write) -> Result<(), Error> {
    let Choice { engine, .. } = choose(settings)?;
    match engine {
        Kind::Compose => compose::logs(settings, follow, out),
        Kind::Url => {
            let url = choose::url(settings, &EnvFile::load(&settings.root)?)?.url;
            Err(Error::NotOurs {
                url: url::redact(&url),
                cannot: "has no log that we know of",
            })
        }
        Kind::Local | Kind::Download => match local::existing(settings, engine)? {
            Some(cluster) => print(&cluster.log(), follow, out),
            None => Err(Error::Absent {
                action: "show the log of",
                detail: "there is no cluster yet".to_owned(),
            }),
        },
    }
}

fn print(log: &Path, follow: bool, out: &mut dyn Write) -> Result<(), Error> {
    let failed = |source| Error::io("read", log, source);
    let mut file = files::open(log).map_err(failed)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut position = 0;
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        position += count as u64;
        if count > 0 {
            match out.write_all(&buffer[..count]).and_then(|()| out.flush()) {
                Ok(()) => continue,
                // `db-logs | head`: whoever read has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(source) => return Err(Error::io("write", "standard output", source)),
            }
        }
        if !follow {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
        // A restart may have put the log aside and begun a new one.
        if log.metadata().is_ok_and(|meta| meta.len() < position) {
            file = files::open(log).map_err(failed)?;
            position = file.seek(SeekFrom::Start(0)).map_err(failed)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_all_of_it_and_stops_when_nobody_reads() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("server.log");
        assert!(print(&log, false, &mut Vec::new()).is_err());
        let text = "line\n".repeat(50_000);
        std::fs::write(&log, &text).unwrap();
        let mut out = Vec::new();
        print(&log, false, &mut out).unwrap();
        assert_eq!(out, text.as_bytes());

        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        print(&log, true, &mut Closed).unwrap();
    }
}
