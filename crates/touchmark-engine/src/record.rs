//! `cluster.json`: what we must know again about a cluster that we made.

use std::path::{Path, PathBuf};

use crate::{Error, Installation, files, initdb, local, server, trust, url};

const NAME: &str = "cluster.json";

#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Record {
    pub port: u16,
    pub password: String,
    /// "15.18", of the programs that started it last.
    pub version: String,
    /// Where those are.
    pub bin: PathBuf,
}

impl Record {
    pub fn new(installation: &Installation) -> Result<Record, Error> {
        Ok(Record {
            port: server::free_port()?,
            password: initdb::new_password()?,
            version: installation.version.clone(),
            bin: installation.bin.clone(),
        })
    }

    /// What is in a directory that somebody else could have made is not read: we would log in where it says, and run
    /// the programs that it names.
    pub fn load(base: &Path) -> Result<Record, Error> {
        let path = base.join(NAME);
        trust::check(&path).map_err(|error| error.of_cluster(base))?;
        let damaged = |detail| Error::Damaged {
            path: base.to_owned(),
            detail,
        };
        let text = match files::text_of_plain(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged(format!("`{NAME}` is missing")));
            }
            Err(source) => return Err(Error::io("read", path, source)),
        };
        serde_json::from_str(&text)
            .map_err(|error| damaged(format!("`{NAME}` can't be read (line {})", error.line())))
    }

    /// Written in one step, for its owner only.
    pub fn save(&self, base: &Path) -> Result<(), Error> {
        let path = base.join(NAME);
        let write = || {
            let text = serde_json::to_string_pretty(self)? + "\n";
            files::replace_private(&path, text.as_bytes())
        };
        write().map_err(|source| Error::io("write", &path, source))
    }

    pub fn url(&self, database: &str) -> String {
        let (user, password) = (local::USER, url::encode(&self.password));
        let (port, database) = (self.port, url::encode(database));
        format!("postgresql://{user}:{password}@127.0.0.1:{port}/{database}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn survives_and_says_when_it_did_not() {
        let base = tempfile::tempdir().unwrap();
        let record = Record {
            port: 5555,
            password: "p".to_owned(),
            version: "15.1".to_owned(),
            bin: PathBuf::from("/bin"),
        };
        let load = || Record::load(base.path()).map(|record| record.url("a b"));
        assert!(
            load()
                .unwrap_err()
                .to_string()
                .ends_with("`cluster.json` is missing")
        );
        record.save(base.path()).unwrap();
        assert_eq!(
            load().unwrap(),
            "postgresql://postgres:p@127.0.0.1:5555/a%20b"
        );
        fs::write(base.path().join(NAME), "{\"port\": 1").unwrap();
        assert!(
            load()
                .unwrap_err()
                .to_string()
                .ends_with("can't be read (line 1)")
        );
    }
}
