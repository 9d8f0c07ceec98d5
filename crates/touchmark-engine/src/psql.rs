//! `psql` for whoever wants to look.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Database, Error, Kind, Settings, compose, local, places, programs, url};

/// A `psql` connected to `database`, where unqualified names mean `schema` first, if one is given. The password is
/// in the command's environment, never among its arguments.
///
/// Arguments may be added. Without a `psql` on the machine, the container's serves the engine compose.
pub fn psql(
    settings: &Settings,
    database: &Database,
    schema: Option<&str>,
) -> Result<Command, Error> {
    let options = schema.map(|schema| options(schema, env::var("PGOPTIONS").ok()));
    let mut command = match find(settings, database.engine) {
        Some(program) => command(&program, &database.url)?,
        None => match database.engine {
            Kind::Compose => compose::psql(settings, database, options.is_some())?,
            engine => return Err(Error::NoPsql { engine }),
        },
    };
    if let Some(options) = options {
        command.env("PGOPTIONS", options);
    }
    Ok(command)
}

/// What is in `PGOPTIONS` already counts more, as it does for psql itself.
fn options(schema: &str, present: Option<String>) -> String {
    let path = match schema {
        "public" => "public".to_owned(),
        schema => format!("\"{}\", public", schema.replace('"', "\"\"")),
    };
    let mut options = "-csearch_path=".to_owned();
    for character in path.chars() {
        // The server splits at white space that has no backslash before it.
        if character == '\\' || character.is_whitespace() {
            options.push('\\');
        }
        options.push(character);
    }
    match present {
        Some(present) => format!("{options} {present}"),
        None => options,
    }
}

fn command(program: &Path, database_url: &str) -> Result<Command, Error> {
    let parts = url::split(database_url).map_err(|problem| Error::Url { problem })?;
    let mut command = client(program);
    command.arg("--dbname").arg(parts.without_password());
    if let Some(password) = &parts.password {
        command.env("PGPASSWORD", password);
    }
    Ok(command)
}

/// A program of libpq's, which takes the server from what it is given alone. These two name an address that goes before
/// the host of a URL, and would lead it to another server than ours. psql carries out what a home directory has in
/// its `.psqlrc`, so for root it must not be the home of somebody else.
pub(crate) fn client(program: &Path) -> Command {
    let mut command = programs::command(program);
    command.env_remove("PGHOSTADDR").env_remove("PGSERVICE");
    if places::home().is_none() {
        command.env_remove("HOME").env("PSQLRC", "/dev/null");
    }
    command
}

/// Beside the programs of the cluster first: a client knows the servers of its own version best.
fn find(settings: &Settings, engine: Kind) -> Option<PathBuf> {
    let name = format!("psql{}", env::consts::EXE_SUFFIX);
    let cluster = match engine {
        Kind::Local | Kind::Download => local::existing(settings, engine).ok().flatten(),
        Kind::Url | Kind::Compose => None,
    };
    let beside = cluster
        .and_then(|cluster| cluster.record().ok())
        .map(|record| record.bin);
    let on_path = programs::directories();
    let others = crate::installation::candidates();
    beside
        .into_iter()
        .chain(on_path)
        .chain(others)
        .map(|directory| directory.join(&name))
        .find(|program| program.is_file() && programs::may_run(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_quoted_for_sql_and_for_the_server() {
        let of = |schema: &str| options(schema, None);
        assert_eq!(of("app"), "-csearch_path=\"app\",\\ public");
        assert_eq!(of("public"), "-csearch_path=public");
        assert_eq!(of("a b\\\"c"), "-csearch_path=\"a\\ b\\\\\"\"c\",\\ public");
        let present = Some("-c jit=off".to_owned());
        assert_eq!(
            options("public", present),
            "-csearch_path=public -c jit=off"
        );
    }

    #[test]
    fn the_password_is_not_among_the_arguments() {
        let check = |given: &str, argument: &str, password: Option<&str>| {
            let command = command(Path::new("psql"), given).unwrap();
            let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
            assert_eq!(arguments, ["--dbname", argument], "{given}");
            let found = command.get_envs().find(|(name, _)| *name == "PGPASSWORD");
            let found = found
                .and_then(|(_, value)| value)
                .map(|v| v.to_string_lossy().into_owned());
            assert_eq!(found.as_deref(), password, "{given}");
        };
        check(
            "postgres://me:s%40cret@h:5433/d?sslmode=require&sslrootcert=/a%20b",
            "postgresql://me@h:5433/d?sslmode=require&sslrootcert=/a%20b",
            Some("s@cret"),
        );
        check(
            "postgresql:///d?host=/tmp/x&user=me&password=s",
            "postgresql://me@/d?host=/tmp/x&port=5432",
            Some("s"),
        );
        check("postgresql://[::1]/d", "postgresql://[::1]:5432/d", None);
        check(
            "host=h dbname=d user=u password='s s'",
            "postgresql://u@h:5432/d",
            Some("s s"),
        );
    }
}
