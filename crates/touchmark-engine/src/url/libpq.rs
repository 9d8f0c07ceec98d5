//! What libpq looks up where a connection string leaves it out: a service, then the environment, then the password
//! file. Every command has the same database as `psql` with that string.

use std::env;

use super::{Given, UrlProblem, given, passfile, ports, service};
use crate::{Error, places};

/// A URL with everything in it, and what somebody should know about where that comes from.
pub struct Completed {
    /// With the password; print it through [`redact`](super::redact).
    pub url: String,
    /// As a password file that is ignored.
    pub notes: Vec<String>,
}

/// Fills in what the URL leaves out. One that leaves nothing out stays as it is.
pub fn complete(url: &str) -> Result<Completed, Error> {
    let variable = |name: &str| match name {
        "HOME" => places::home(),
        name => env::var(name).ok(),
    };
    complete_from(url, &variable).map_err(|problem| Error::Url { problem })
}

/// Gives the value of a variable.
pub(super) type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// libpq's variables, and the parameters that they are for.
const VARIABLES: [(&str, &str); 6] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
];

pub(super) fn complete_from(url: &str, variables: Variables<'_>) -> Result<Completed, UrlProblem> {
    let variable = |name: &str| variables(name).filter(|value| !value.is_empty());
    let mut given = given(url)?;
    let (named, mut file) = (given.take("service"), given.take("passfile"));
    let mut is_changed = named.is_some() || file.is_some();
    if let Some(name) = named.or_else(|| variable("PGSERVICE")) {
        let place = format!("the service `{name}`");
        let mut pairs = service::read(&name, &variable)?;
        // An address goes before the name of its host.
        pairs.sort_by_key(|(key, _)| key != "hostaddr");
        for (key, value) in pairs {
            match key.as_str() {
                "passfile" => file = file.or(Some(value)),
                _ => is_changed |= given.fill(&key, &value, &place)?,
            }
        }
    }
    for (key, value) in &mut given.params {
        let known = known(key, value);
        is_changed |= known != *value;
        *value = known;
    }
    for (key, name) in VARIABLES {
        if let Some(value) = variable(name) {
            is_changed |= given.fill(key, &value, name)?;
        }
    }
    let mut notes = Vec::new();
    if given.password.is_none() {
        let found = passfile::find(&given, file, &variable);
        notes.extend(found.note);
        is_changed |= found.password.is_some();
        given.password = found.password;
    }
    let url = match is_changed {
        true => given.parts()?.url(),
        false => url.to_owned(),
    };
    Ok(Completed { url, notes })
}

impl Given {
    /// Takes a parameter out, for the driver does not know it.
    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.params.iter().position(|(name, _)| name == key)?;
        Some(self.params.remove(at).1)
    }

    /// Puts a value where there is none; whether there was none.
    fn fill(&mut self, key: &str, value: &str, place: &str) -> Result<bool, UrlProblem> {
        let into = match key {
            "host" | "hostaddr" => {
                let is_missing = self.hosts.is_empty();
                if is_missing {
                    let hosts = value.split(',').map(|host| (host.to_owned(), None));
                    self.hosts.extend(hosts);
                }
                return Ok(is_missing);
            }
            "port" => {
                let mut own = self.hosts.iter().map(|(_, port)| port.is_some());
                let has_all = !self.hosts.is_empty() && own.all(|has| has);
                let is_missing = self.ports.is_empty() && !has_all;
                if is_missing {
                    self.ports = ports(value).ok_or_else(|| UrlProblem::PortOf {
                        place: place.to_owned(),
                    })?;
                }
                return Ok(is_missing);
            }
            "user" => &mut self.user,
            "password" => &mut self.password,
            "dbname" => &mut self.database,
            _ => {
                let value = known(key, value);
                let is_missing = !self.params.iter().any(|(name, _)| name == key);
                let is_wanted = is_missing && takes(key, &value);
                if is_wanted {
                    self.params.push((key.to_owned(), value));
                }
                return Ok(is_wanted);
            }
        };
        let is_missing = into.is_none();
        into.get_or_insert_with(|| value.to_owned());
        Ok(is_missing)
    }
}

/// The driver has no `allow`. A certificate that is to be verified stays one: psql and pg_dump do it, and what has no TLS
/// refuses.
fn known(key: &str, value: &str) -> String {
    match (key, value) {
        ("sslmode", "allow") => "prefer".to_owned(),
        _ => value.to_owned(),
    }
}

/// Whether the driver has the parameter: a service may say more, as where certificates are.
fn takes(key: &str, value: &str) -> bool {
    if key == "sslmode" {
        return true;
    }
    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{key}='{value}'")
        .parse::<postgres::Config>()
        .is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn from(url: &str, variables: &[(&str, &str)]) -> Result<Completed, UrlProblem> {
        complete_from(url, &|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[track_caller]
    fn check(url: &str, variables: &[(&str, &str)], expected: &str) {
        let completed = from(url, variables).unwrap();
        assert_eq!(completed.url, expected);
        assert_eq!(completed.notes, [""; 0]);
        crate::url::parse(expected).unwrap();
    }

    #[track_caller]
    fn fails(url: &str, variables: &[(&str, &str)], expected: &str) {
        let problem = from(url, variables).err().unwrap();
        assert_eq!(format!("{problem}; help: {}", problem.help()), expected);
    }

    const ALL: [(&str, &str); 5] = [
        ("PGHOST", "h"),
        ("PGPORT", "5433"),
        ("PGUSER", "me"),
        ("PGPASSWORD", "p@:/w"),
        ("PGDATABASE", "d"),
    ];

    #[test]
    fn b52_the_environment_fills_what_is_left_out() {
        check(
            "postgresql://",
            &ALL,
            "postgresql://me:p%40%3A%2Fw@h:5433/d",
        );
        check("postgres://a:b@c:1/e", &ALL, "postgres://a:b@c:1/e");
        check("postgres://a:b@c/e", &ALL, "postgresql://a:b@c:5433/e");
        check("postgres://c:1/e", &ALL[2..3], "postgresql://me@c:1/e");
        check(
            "postgres://c:1/e",
            &ALL[3..4],
            "postgresql://c:1/e?password=p%40%3A%2Fw",
        );
        check(
            "dbname=e user='a b'",
            &ALL[..2],
            "postgresql://a%20b@h:5433/e",
        );
        check("host=c dbname=e", &[], "host=c dbname=e");
        check("postgres://c/e", &[("PGPORT", "")], "postgres://c/e");
        check("postgresql:///e?port=1", &ALL[..2], "postgresql://h:1/e");
        let hosts = [("PGHOST", "a,b"), ("PGPORT", "1,2")];
        check("postgresql:///e", &hosts, "postgresql://a:1,b:2/e");
        let socket = [("PGHOST", "/tmp/x"), ("PGUSER", "me"), ("PGPASSWORD", "pw")];
        check(
            "postgresql:///e",
            &socket,
            "postgresql://me:pw@/e?host=/tmp/x&port=5432",
        );
        for (mode, known) in [
            ("disable", "disable"),
            ("allow", "prefer"),
            ("verify-full", "verify-full"),
        ] {
            let expected = format!("postgresql://c:1/e?sslmode={known}");
            check("postgres://c:1/e", &[("PGSSLMODE", mode)], &expected);
        }
        check(
            "postgres://c:1/e?sslmode=allow",
            &[],
            "postgresql://c:1/e?sslmode=prefer",
        );
        let both = "postgres://c:1/e?sslmode=disable";
        check(both, &[("PGSSLMODE", "require")], both);
    }

    #[test]
    fn b52_what_is_still_left_out() {
        let example = "help: write it like postgresql://user:password@host:5432/database";
        let no_database = format!("the database URL names no database; {example}");
        fails("postgresql://", &ALL[..1], &no_database);
        let no_host = format!("the database URL names no host; {example}");
        fails("postgresql:///d", &ALL[1..4], &no_host);
        fails(
            "postgresql://h/d",
            &[("PGPORT", "54x")],
            "the port in PGPORT is not a number from 1 to 65535; help: correct the port in PGPORT",
        );
    }

    #[test]
    fn b52_a_service() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join(".pg_service.conf");
        let text = "# mine\n[other]\nport=7\nhost=o\n\n[app]\nhost=h\nport = 5433\nuser=me\ndbname=d\npassword=p=w\n\
            application_name=a'b\nsslrootcert=/x\n[broken]\nhost\n";
        fs::write(&own, text).unwrap();
        let system = folder.path().join("pg_service.conf");
        fs::write(&system, "[shared]\nhost=s\ndbname=d\n").unwrap();
        let (home, own) = (folder.path().to_str().unwrap(), own.to_str().unwrap());
        let full = "postgresql://me:p%3Dw@h:5433/d?application_name=a%27b";
        check("service=app", &[("HOME", home)], full);
        check("postgresql://?service=app", &[("PGSERVICEFILE", own)], full);
        let named = [("PGSERVICE", "app"), ("HOME", home)];
        check("postgresql://", &named, full);
        // What is written goes before a service, and a service before the environment.
        let other = [
            ("PGSERVICE", "other"),
            ("HOME", home),
            ("PGHOST", "e"),
            ("PGDATABASE", "e"),
        ];
        check("postgresql://me@/d", &other, "postgresql://me@o:7/d");
        let address = folder.path().join("address.conf");
        fs::write(&address, "[near]\nhost=far\nhostaddr=127.0.0.1\ndbname=d\n").unwrap();
        let near = [("PGSERVICEFILE", address.to_str().unwrap())];
        check("service=near", &near, "postgresql://127.0.0.1:5432/d");
        let shared = [("HOME", home), ("PGSYSCONFDIR", home)];
        check("service=shared", &shared, "postgresql://s:5432/d");

        let help = |name| {
            format!(
                "help: write a section `[{name}]` with `host=…`, `dbname=…`, or correct PGSERVICE and PGSERVICEFILE"
            )
        };
        let unknown = format!(
            "the service `nobody` is not known: there is no `[nobody]` in `{own}` or `{home}/pg_service.conf`; {}",
            help("nobody")
        );
        fails("service=nobody", &shared, &unknown);
        let broken = format!(
            "`{own}:15` is not `keyword=value`, as a line of a service is; help: mend the line; a service does not name another one"
        );
        fails("service=broken", &shared, &broken);
    }

    #[cfg(unix)]
    #[test]
    fn b52_a_password_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".pgpass");
        let text = "# h:1:d:me:no\nh:2:d:me:two\nh:1:*:you:yours\nh:1:d:me:p\\:w\\\\\nlocalhost:*:*:me:socket\n*:*:*:last\n*:*:*:*:any\n";
        fs::write(&path, text).unwrap();
        let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        allow(0o600);
        let (home, file) = (folder.path().to_str().unwrap(), path.to_str().unwrap());
        for variables in [[("HOME", home)], [("PGPASSFILE", file)]] {
            check(
                "postgres://me@h:1/d",
                &variables,
                "postgresql://me:p%3Aw%5C@h:1/d",
            );
            check(
                "postgres://me@h:2/d",
                &variables,
                "postgresql://me:two@h:2/d",
            );
            check(
                "postgres://you@h:1/x",
                &variables,
                "postgresql://you:yours@h:1/x",
            );
            check(
                "postgres://me@i:1/d",
                &variables,
                "postgresql://me:any@i:1/d",
            );
            check(
                "postgres://me:own@h:1/d",
                &variables,
                "postgres://me:own@h:1/d",
            );
        }
        let socket = "postgresql://me:socket@/d?host=/var/run/postgresql&port=5432";
        check(
            "postgres:///d?host=/var/run/postgresql&user=me",
            &[("HOME", home)],
            socket,
        );
        let named = format!("host=h port=1 dbname=d user=me passfile={file}");
        check(&named, &[], "postgresql://me:p%3Aw%5C@h:1/d");
        let variable = [("HOME", home), ("PGPASSWORD", "first")];
        check(
            "postgres://me@h:1/d",
            &variable,
            "postgresql://me:first@h:1/d",
        );

        for mode in [0o640, 0o604, 0o620] {
            allow(mode);
            let completed = from("postgres://me@h:1/d", &[("HOME", home)]).unwrap();
            assert_eq!(completed.url, "postgres://me@h:1/d");
            let note = format!(
                "`{file}` is ignored: others than its owner may use it; `chmod 600 {file}` mends that"
            );
            assert_eq!(completed.notes, [note]);
        }
        let completed = from("postgres://me@h:1/d", &[("PGPASSFILE", home)]).unwrap();
        assert_eq!(
            completed.notes,
            [format!("`{home}` is ignored: it is not a plain file")]
        );
        check(
            "postgres://me@h:1/d",
            &[("PGPASSFILE", "/nowhere")],
            "postgres://me@h:1/d",
        );
    }
}
