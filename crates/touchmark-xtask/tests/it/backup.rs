//! `db-migrate --backup`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use touchmark_engine::Installation;

use crate::{Project, Run, USERS, run, screen};

/// A database with a version, some rows and odd objects, of a project that has one more version.
fn project() -> Project {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        (
            "V2__odds.sql",
            "CREATE VIEW ids AS SELECT id FROM users;\nCREATE TYPE mood AS ENUM ('a');\n\
             INSERT INTO users SELECT generate_series(1, 1000);\nCOMMENT ON TABLE users IS 'people';",
        ),
    ]);
    project.ok(&["db-migrate"]);
    project.write(
        "V3__orders.sql",
        "CREATE TABLE orders (user_id bigint REFERENCES users);\nDELETE FROM users WHERE id > 500;",
    );
    project
}

/// All of it, as text.
fn contents(project: &Project) -> String {
    let program = Installation::local().unwrap().program("pg_dump");
    let dump = Command::new(program).arg(&project.url).output().unwrap();
    assert!(dump.status.success());
    let text = String::from_utf8(dump.stdout).unwrap();
    // A newer one has a key in there that is another each time.
    let is_same =
        |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    let lines = text.lines().filter(is_same);
    lines.collect::<Vec<_>>().join("\n")
}

/// What is in the directory of the backups.
fn backups(project: &Project) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(project.path("backups")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.ends_with(".gitignore"));
    paths
}

/// The screen without what differs from machine to machine.
fn plain(project: &Project, mut run: Run) -> Run {
    let bin = Installation::local().unwrap().bin.display().to_string();
    let folder = project.folder.path().display().to_string();
    let size = |text: &str| {
        let (before, after) = text.split_once(".dump (")?;
        let (_, after) = after.split_once(')')?;
        Some(format!("{before}.dump [size]{after}"))
    };
    run.stderr = size(&run.stderr).unwrap_or(run.stderr);
    run.stderr = run.stderr.replace(&folder, "[folder]");
    run.stderr = run
        .stderr
        .replace(&bin, "[bin]")
        .replace("/usr/bin", "[bin]");
    run
}

/// A folder with another `pg_dump` that comes first in PATH. `REAL` in the script is the right one.
fn with_pg_dump(project: &Project, script: &str) -> Command {
    let bin = Installation::local().unwrap().bin;
    let folder = project.path("bin");
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let real = bin.join("pg_dump").display().to_string();
    let version = format!("[ \"$1\" = --version ] && exec {real} --version");
    write(
        "pg_dump",
        &format!("#!/bin/sh\n{version}\n{}\n", script.replace("REAL", &real)),
    );
    write(
        "pg_restore",
        &format!(
            "#!/bin/sh\nexec {} \"$@\"\n",
            bin.join("pg_restore").display()
        ),
    );
    let mut command = project.command(&["db-migrate", "--backup"]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display()));
    command
}

#[track_caller]
fn nothing_happened(project: &Project) {
    assert_eq!(backups(project), Vec::<PathBuf>::new());
    let status = project.ok(&["db-status"]).stdout;
    assert!(status.contains("pending      V3__orders"), "{status}");
}

#[test]
fn it_can_be_restored_as_it_says() {
    if !test_needs::has("postgresql") {
        return;
    }
    let project = project();
    let before = contents(&project);
    let mut command = project.command(&["db-migrate", "--backup", "--json"]);
    // It is for another server, where nothing listens.
    command.env("PGHOSTADDR", "127.0.0.2");
    let run = run(command);
    let answer = run.json();
    assert!(!run.screen().contains("touchmark-test"), "{}", run.screen());
    assert_eq!(answer["applied"][0]["migration"], "V3__orders");
    let files = backups(&project);
    assert_eq!(answer["backup"]["file"], files[0].display().to_string());
    let data = files[0].metadata().unwrap();
    assert_eq!(data.permissions().mode() & 0o777, 0o600);
    assert_eq!(answer["backup"]["bytes"], data.len());
    let after = contents(&project);
    assert_ne!(after, before);
    let line = answer["backup"]["restore"].as_str().unwrap();
    let restore = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        shell.env("PGPASSWORD", crate::server().password());
        shell.output().unwrap()
    };
    // Where the program still runs, nothing is restored into what is there.
    let busy = project.client();
    assert!(!restore().status.success());
    drop(busy);
    assert_eq!(contents(&project), after);
    let restored = restore();
    assert!(
        restored.status.success(),
        "{line}\n{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    assert_eq!(contents(&project), before);
    // Nothing is pending afterwards, and no backup is taken.
    project.ok(&["db-migrate"]);
    project.ok(&["db-migrate", "--backup"]);
    assert_eq!(backups(&project), files);
}

#[test]
fn it_says_where_it_is_and_how_to_restore_it() {
    if !test_needs::has("postgresql") {
        return;
    }
    let project = project();
    let backup = project.run(&["db-migrate", "--backup=before.dump", "+1"]);
    screen!(plain(&project, backup), @r#"
           Saved test_n at 127.0.0.1:[port] to before.dump [size]
         Restore it with `[bin]/dropdb --if-exists --maintenance-db postgresql://postgres@127.0.0.1:[port]/postgres test_n && [bin]/pg_restore --create --dbname postgresql://postgres@127.0.0.1:[port]/postgres [folder]/before.dump`
       Migrating test_n at 127.0.0.1:[port]
         Applied V3__orders [time]
        Finished 1 applied, nothing pending, head V3 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    project.write("V4__x.sql", "CREATE TABLE x (id int);");
    let again = project.run(&["db-migrate", "--backup=before.dump"]);
    screen!(plain(&project, again), @r#"
    error: `[folder]/before.dump` is there already
    help: give the backup another name; none is ever written over
    ---
    exit 34
    "#);
    let nowhere = project.run(&["db-migrate", "--backup=no/where.dump"]);
    screen!(plain(&project, nowhere), @r#"
    error: there is no directory `[folder]/no`
    help: make it first, so that a backup is not kept where nobody looks for it
    ---
    exit 34
    "#);
    let behind = project.run(&["db-migrate", "--backup", "after.dump"]);
    screen!(plain(&project, behind), @r#"
    error: `after.dump` is not a target
    help: the file of a backup stands behind `=`: `--backup=after.dump`
    ---
    exit 2
    "#);
    fs::write(project.path("other.dump.part"), "").unwrap();
    let other = project.run(&["db-migrate", "--backup=other.dump"]);
    screen!(plain(&project, other), @r#"
    error: `[folder]/other.dump.part` is there already
    help: another backup is being taken, or one was killed: delete it then
    ---
    exit 34
    "#);
    // A directory gets one with a name of its own.
    fs::create_dir(project.path("backups")).unwrap();
    project.ok(&["db-migrate", "--backup=backups"]);
    assert_eq!(backups(&project).len(), 1);
}

#[test]
fn without_a_backup_nothing_is_migrated() {
    if !test_needs::has("postgresql") {
        return;
    }
    let project = project();
    let check = |script: &str| plain(&project, run(with_pg_dump(&project, script)));
    screen!(check("echo half; echo 'pg_dump: error: no way' >&2; exit 1"), @r#"
    error: pg_dump failed: no way
    help: nothing was migrated, and nothing of the backup is kept; put that right, and run it again
    ---
    exit 34
    "#);
    nothing_happened(&project);
    // It says that all is well, and the archive ends in the middle.
    screen!(check("REAL \"$@\" | head -c 4000"), @r#"
    error: the backup can't be read back: pg_restore failed: could not read from input file: end of file
    help: nothing was migrated, and nothing of the backup is kept; put that right, and run it again
    ---
    exit 34
    "#);
    nothing_happened(&project);
    screen!(check("echo half; kill -9 $$"), @r#"
    error: pg_dump failed (signal: 9 (SIGKILL))
    help: nothing was migrated, and nothing of the backup is kept; put that right, and run it again
    ---
    exit 34
    "#);
    nothing_happened(&project);
    assert_eq!(check(": > /dev/null").code, 34);
    nothing_happened(&project);
    assert_eq!(check("exec REAL \"$@\"").code, 0);
}

#[test]
fn a_role_that_may_not_read_everything() {
    if !test_needs::has("postgresql") {
        return;
    }
    let mut project = project();
    project
        .client()
        .batch_execute(
            "CREATE ROLE migrates LOGIN PASSWORD 'pw'; GRANT SELECT, INSERT, UPDATE ON touchmark_ledger, \
             refinery_schema_history TO migrates; GRANT CREATE ON SCHEMA public TO migrates;",
        )
        .unwrap();
    let (_, place) = project.url.split_once('@').unwrap();
    project.url = format!("postgresql://migrates:pw@{place}");
    let refused = project.run(&["db-migrate", "--backup"]);
    screen!(plain(&project, refused), @r#"
    error: pg_dump failed: query failed: ERROR:  permission denied for table users
    help: nothing was migrated, and nothing of the backup is kept; a backup is taken by a role that may read everything: the owner, or one with pg_read_all_data
    ---
    exit 34
    "#);
    nothing_happened(&project);
}

#[test]
fn b18_an_interrupted_backup() {
    if !test_needs::has("postgresql") {
        return;
    }
    let project = project();
    let marker = project.path("started");
    let script = format!("echo half; touch {}; exec sleep 60", marker.display());
    let stop = |signal: &str| {
        let mut command = with_pg_dump(&project, &script);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !marker.exists() {
            assert!(Instant::now() < deadline, "pg_dump is not started");
            sleep(Duration::from_millis(20));
        }
        fs::remove_file(&marker).unwrap();
        let pid = child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(status.unwrap().success());
        Run::of(child.wait_with_output().unwrap())
    };
    screen!(stop("-INT"), @r#"
     Interrupted stopping: what runs in a transaction is rolled back; once more also cancels what runs without one
    error: the backup was interrupted
    help: nothing was migrated, and nothing of the backup is kept
    ---
    exit 130
    "#);
    nothing_happened(&project);
    assert_eq!(stop("-TERM").code, 130);
    nothing_happened(&project);
}
