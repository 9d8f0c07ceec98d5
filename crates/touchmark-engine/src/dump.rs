//! `pg_dump` and `pg_restore`, for a backup.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Database, Error, Kind, Settings, compose, installation, local, programs, psql, url};

/// Programs that back up a server, on this machine or in the server's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpTools {
    place: Place,
    /// "17.5".
    pub version: String,
    major: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The directory of the programs.
    Here(PathBuf),
    /// The container's id.
    Container(String),
}

/// Finds them for a server of this major version: an older `pg_dump` refuses a newer server. The nearest
/// version is taken, because the archive of a much newer one may not go back into the server.
pub fn dump_tools(
    settings: &Settings,
    database: &Database,
    server: u32,
) -> Result<DumpTools, Error> {
    let mut found: Vec<DumpTools> = directories(settings, database.engine)
        .iter()
        .filter_map(|directory| here(directory))
        .collect();
    if database.engine == Kind::Compose {
        found.extend(in_container(settings)?);
    }
    nearest(found, server)
}

/// The first of the lowest version that is not older than the server.
fn nearest(found: Vec<DumpTools>, server: u32) -> Result<DumpTools, Error> {
    let names = found.iter().map(|tools| {
        let (version, place) = (&tools.version, tools.place());
        format!("{version} in {place}")
    });
    let names = names.collect();
    let fits = found.into_iter().filter(|tools| tools.major >= server);
    fits.min_by_key(|tools| tools.major).ok_or(Error::NoDump {
        server,
        found: names,
    })
}

impl DumpTools {
    /// Where they are, for people.
    pub fn place(&self) -> String {
        match &self.place {
            Place::Here(directory) => directory.display().to_string(),
            Place::Container(id) => format!("the container {}", short(id)),
        }
    }

    /// Writes an archive of the database to its standard output. The password is in its environment, never
    /// among its arguments, and it never asks for one.
    pub fn dump(&self, database: &Database) -> Result<Command, Error> {
        let parts = url::split(&database.url).map_err(|problem| Error::Url { problem })?;
        let mut command = self.command("pg_dump", parts.password.as_deref());
        command.args(["--format=custom", "--no-password"]);
        match self.place {
            Place::Here(_) => {
                command.arg("--dbname").arg(parts.without_password());
            }
            Place::Container(_) => {
                command.args(["--dbname", &parts.database]);
                if let Some(user) = &parts.user {
                    command.args(["--username", user]);
                }
            }
        }
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Reads an archive from its standard input, all of it, and writes it as SQL to its standard output.
    pub fn read(&self) -> Command {
        let mut command = self.command("pg_restore", None);
        command.arg("--file=-");
        command
    }

    /// What to type, in a shell, to have the database back as an archive has it. It is dropped first, because what
    /// was added since would be in the way. That is a program of its own: where `pg_restore --clean` can't drop a
    /// database that somebody is connected to, it goes on, and adds the rows to those that are there.
    pub fn restore(&self, database: &Database, file: &Path) -> Result<String, Error> {
        let mut parts = url::split(&database.url).map_err(|problem| Error::Url { problem })?;
        let name = quoted(&parts.database);
        parts.database = match parts.database.as_str() {
            "postgres" => "template1".to_owned(),
            _ => "postgres".to_owned(),
        };
        let file = quoted(&file.display().to_string());
        Ok(match &self.place {
            Place::Here(directory) => {
                let program = |program: &str| {
                    let path = directory.join(format!("{program}{}", env::consts::EXE_SUFFIX));
                    quoted(&path.display().to_string())
                };
                let (drop, restore) = (program("dropdb"), program("pg_restore"));
                let server = quoted(&parts.without_password());
                format!(
                    "{drop} --if-exists --maintenance-db {server} {name} && {restore} --create --dbname {server} {file}"
                )
            }
            Place::Container(id) => {
                let user = parts.user.as_deref().map(quoted);
                let user = user
                    .map(|user| format!("--username {user} "))
                    .unwrap_or_default();
                let database = &parts.database;
                let id = short(id);
                format!(
                    "docker exec {id} dropdb --if-exists {user}--maintenance-db {database} {name} && \
                     docker exec -i {id} pg_restore --create {user}--dbname {database} < {file}"
                )
            }
        })
    }

    fn command(&self, program: &str, password: Option<&str>) -> Command {
        let mut command = match &self.place {
            Place::Here(directory) => {
                let name = format!("{program}{}", env::consts::EXE_SUFFIX);
                psql::client(&directory.join(name))
            }
            Place::Container(id) => {
                let mut command = programs::command("docker");
                command.args(["exec", "--interactive"]);
                if password.is_some() {
                    // Only the name is among the arguments; docker takes the value from its own environment.
                    command.args(["--env", "PGPASSWORD"]);
                }
                command.args([id, program]);
                command
            }
        };
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        command
    }
}

/// Beside the programs of the cluster, in PATH, and in the usual places.
fn directories(settings: &Settings, engine: Kind) -> Vec<PathBuf> {
    let cluster = match engine {
        Kind::Local | Kind::Download => local::existing(settings, engine).ok().flatten(),
        Kind::Url | Kind::Compose => None,
    };
    let beside = cluster.and_then(|cluster| cluster.record().ok());
    let mut directories: Vec<_> = beside.into_iter().map(|record| record.bin).collect();
    directories.extend(installation::directories());
    let mut seen = BTreeSet::new();
    directories.retain(|directory| {
        let program = directory.join(format!("pg_dump{}", env::consts::EXE_SUFFIX));
        // Links lead to the same programs; a wrapper that chooses among them is a program of its own.
        programs::may_run(&program) && fs::canonicalize(program).is_ok_and(|real| seen.insert(real))
    });
    directories
}

fn here(directory: &Path) -> Option<DumpTools> {
    let program = |name: &str| directory.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    if !program("pg_restore").is_file() {
        return None;
    }
    let (version, major) = asked(psql::client(&program("pg_dump")))?;
    Some(DumpTools {
        place: Place::Here(directory.to_owned()),
        version,
        major,
    })
}

fn in_container(settings: &Settings) -> Result<Option<DumpTools>, Error> {
    let id = compose::container_id(settings)?;
    let mut command = programs::command("docker");
    command.args(["exec", &id, "pg_dump"]);
    Ok(asked(command).map(|(version, major)| DumpTools {
        place: Place::Container(id),
        version,
        major,
    }))
}

fn asked(mut command: Command) -> Option<(String, u32)> {
    let output = command
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    installation::version(&text).filter(|_| output.status.success())
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(url: &str) -> Database {
        Database {
            url: url.into(),
            engine: Kind::Url,
            reason: String::new(),
            started: None,
        }
    }

    fn tools(place: Place) -> DumpTools {
        DumpTools {
            place,
            version: "17.5".into(),
            major: 17,
        }
    }

    #[test]
    fn the_password_is_not_among_the_arguments() {
        let database = database("postgres://me:s%40cret@h:5433/app?sslmode=require");
        for place in [
            Place::Here("/usr/bin".into()),
            Place::Container("0123456789abcdef".into()),
        ] {
            let tools = tools(place);
            let command = tools.dump(&database).unwrap();
            let arguments = format!("{:?}", command.get_args().collect::<Vec<_>>());
            assert!(!arguments.contains("cret"), "{arguments}");
            let mut envs = command.get_envs();
            assert!(envs.any(|(name, value)| {
                name == "PGPASSWORD" && value.is_some_and(|value| value == "s@cret")
            }));
            let line = tools.restore(&database, Path::new("a b.dump")).unwrap();
            assert!(!line.contains("cret"), "{line}");
        }
    }

    #[test]
    fn the_nearest_version_is_taken() {
        let of = |version: &str, place: &str| DumpTools {
            place: Place::Here(place.into()),
            version: version.into(),
            major: version.split('.').next().unwrap().parse().unwrap(),
        };
        let found = || {
            vec![
                of("18.1", "/a"),
                of("15.3", "/b"),
                of("17.2", "/c"),
                of("17.5", "/d"),
            ]
        };
        for (server, place) in [(13, "/b"), (15, "/b"), (16, "/c"), (18, "/a")] {
            assert_eq!(nearest(found(), server).unwrap().place(), place, "{server}");
        }
        let error = nearest(found().split_off(1), 18).unwrap_err();
        assert_eq!(
            error.to_string(),
            "found no `pg_dump` for PostgreSQL 18, only 15.3 in /b, 17.2 in /c, 17.5 in /d"
        );
        let error = nearest(Vec::new(), 18).unwrap_err();
        assert_eq!(error.to_string(), "found no `pg_dump` for PostgreSQL 18");
        assert_eq!(
            error.help().unwrap(),
            "install PostgreSQL's client programs, 18 or newer (`apt install postgresql-client-18`, \
             `brew install postgresql@18`), or put them into PATH"
        );
    }

    #[test]
    fn the_line_that_restores() {
        #[track_caller]
        fn check(place: Place, url: &str, file: &str, expected: &str) {
            let line = tools(place).restore(&database(url), Path::new(file));
            assert_eq!(line.unwrap(), expected);
        }
        let here = || Place::Here("/usr/bin".into());
        check(
            here(),
            "postgres://me:pw@h/app?sslmode=require",
            "it's.dump",
            "/usr/bin/dropdb --if-exists --maintenance-db 'postgresql://me@h:5432/postgres?sslmode=require' app && \
             /usr/bin/pg_restore --create --dbname 'postgresql://me@h:5432/postgres?sslmode=require' 'it'\\''s.dump'",
        );
        check(
            here(),
            "postgres://me@h/postgres",
            "/b/x.dump",
            "/usr/bin/dropdb --if-exists --maintenance-db postgresql://me@h:5432/template1 postgres && \
             /usr/bin/pg_restore --create --dbname postgresql://me@h:5432/template1 /b/x.dump",
        );
        check(
            Place::Container("0123456789abcdef".into()),
            "postgres://me:pw@127.0.0.1:54321/app",
            "x.dump",
            "docker exec 0123456789ab dropdb --if-exists --username me --maintenance-db postgres app && \
             docker exec -i 0123456789ab pg_restore --create --username me --dbname postgres < x.dump",
        );
    }
}
