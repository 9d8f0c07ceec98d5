//! What other accounts of the machine, the server's own among them, try when root types a command.
//!
//! Root alone can play another account, so these tests do nothing for anybody else.

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use postgres::{Client, NoTls};
use touchmark_engine::{Error, State, down, dump_tools, logs, psql, state};

use crate::checkout::{Checkout, is_root, run};

/// Whether there is somebody to play the others, and a server to play with.
fn can_play() -> bool {
    is_root() && ["postgresql", "psql"].into_iter().all(test_needs::has)
}

/// `nobody`, where the server runs as `postgres`.
const STRANGER: u32 = 65534;

/// A file of root's that nobody else may write to, read, or get.
struct Victim {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Victim {
    fn new() -> Victim {
        let folder = open_folder();
        let path = folder.path().join("victim");
        fs::write(&path, "precious").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Victim {
            path,
            _folder: folder,
        }
    }

    #[track_caller]
    fn is_unharmed(&self, after: &str) {
        let meta = fs::symlink_metadata(&self.path).expect(after);
        let seen = (meta.uid(), meta.mode() & 0o7777, meta.is_file());
        assert_eq!(seen, (0, 0o600, true), "after {after}");
        assert_eq!(
            fs::read_to_string(&self.path).unwrap(),
            "precious",
            "after {after}"
        );
    }
}

fn open_folder() -> tempfile::TempDir {
    let open = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new()
        .permissions(open)
        .tempdir()
        .unwrap()
}

/// A directory of programs, each of which would leave a mark if somebody ran it.
struct Trap(tempfile::TempDir);

impl Trap {
    fn new() -> Trap {
        let folder = open_folder();
        let mark = folder.path().join("sprung");
        let script = format!("#!/bin/sh\necho \"$0 by $(id -u)\" >>{}\n", mark.display());
        for name in [
            "postgres",
            "initdb",
            "pg_ctl",
            "psql",
            "pg_dump",
            "pg_restore",
            "pg_config",
            "id",
            "git",
            "npm",
        ] {
            let program = folder.path().join(name);
            fs::write(&program, &script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(&mark, "").unwrap();
        fs::set_permissions(&mark, fs::Permissions::from_mode(0o666)).unwrap();
        Trap(folder)
    }

    fn is_not_sprung(&self) {
        let sprung = fs::read_to_string(self.0.path().join("sprung")).unwrap();
        assert_eq!(sprung, "");
    }
}

/// What somebody puts where a cluster is looked for.
fn plant(parent: &Path, trap: &Trap, listener: &TcpListener) -> PathBuf {
    let version = touchmark_engine::Installation::local().unwrap().major;
    let base = parent.join(format!("postgres-{version}"));
    fs::create_dir_all(base.join("data")).unwrap();
    fs::write(base.join("data/PG_VERSION"), version.to_string()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let bin = trap.0.path().display();
    let record =
        format!(r#"{{"port":{port},"password":"x","version":"{version}.1","bin":"{bin}"}}"#);
    fs::write(base.join("cluster.json"), record).unwrap();
    give(parent, STRANGER);
    base
}

/// Everything below a directory, and it.
fn give(path: &Path, owner: u32) {
    let status = Command::new("chown")
        .args(["-hR", &owner.to_string()])
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}

/// A cluster of our own is there, and nothing of what was planted was used.
#[track_caller]
fn is_ours(checkout: &Checkout, said: &[String], trap: &Trap, listener: &TcpListener, note: &str) {
    let (database, again) = checkout.try_up().unwrap();
    let planted = format!(":{}/", listener.local_addr().unwrap().port());
    assert!(!database.url.contains(&planted), "{}", database.url);
    run(&database.url, "SELECT 1");
    assert!(said.iter().any(|line| line.contains(note)), "{said:?}");
    assert_eq!(again, [""; 0]);
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Running(_)
    ));
    let command = psql(&checkout.settings, &database, None).unwrap();
    assert!(
        !Path::new(command.get_program()).starts_with(trap.0.path()),
        "{command:?}"
    );
    let tools = dump_tools(&checkout.settings, &database, 13).unwrap();
    assert!(
        !tools.place().contains(&*trap.0.path().to_string_lossy()),
        "{tools:?}"
    );
    assert!(down(&checkout.settings, true).unwrap().deleted);
    trap.is_not_sprung();
}

#[test]
fn a_directory_in_the_old_place_is_not_believed() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    fs::set_permissions(&checkout.settings.root, fs::Permissions::from_mode(0o700)).unwrap();
    let (_, said) = checkout.try_up().unwrap();
    let line = said
        .iter()
        .find(|line| line.contains("/var/lib/touchmark/"))
        .unwrap();
    let (_, rest) = line.split_once("/var/lib/touchmark/").unwrap();
    let mark = rest.split('/').next().unwrap();
    assert!(line.contains("the server's account can't use"), "{line}");
    assert!(down(&checkout.settings, true).unwrap().deleted);

    let (trap, listener) = (Trap::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let old = Path::new("/var/tmp/touchmark-0").join(mark);
    plant(&old, &trap, &listener);
    let (_, said) = checkout.try_up().unwrap();
    let note = format!(
        "`{}` is not used any more, because anybody could have made it",
        old.display()
    );
    is_ours(&checkout, &said, &trap, &listener, &note);
    fs::remove_dir_all(&old).unwrap();
    // Others use that directory too; it goes if it is empty.
    let _ = fs::remove_dir("/var/tmp/touchmark-0");
}

#[test]
fn nobody_else_can_make_the_place() {
    if !can_play() {
        return;
    }
    for directory in ["/var/lib/touchmark", "/var/cache/touchmark"] {
        let mut command = Command::new("mkdir");
        command.arg("-p").arg(Path::new(directory).join("first"));
        let output = command.uid(STRANGER).gid(STRANGER).output().unwrap();
        assert!(!output.status.success(), "{directory}");
    }
}

#[test]
fn a_target_directory_of_somebody_else_is_not_believed() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let (trap, listener) = (Trap::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let state_dir = &checkout.settings.state_dir;
    plant(state_dir, &trap, &listener);
    fs::write(state_dir.join("engine"), "compose\n").unwrap();
    let (_, said) = checkout.try_up().unwrap();
    let note = format!(
        "`{}` is not safe: it belongs to user {STRANGER}",
        state_dir.display()
    );
    is_ours(&checkout, &said, &trap, &listener, &note);
}

#[test]
fn a_directory_on_the_way_that_everybody_may_write_to() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let (trap, listener) = (Trap::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    plant(&checkout.settings.state_dir, &trap, &listener);
    give(&checkout.settings.state_dir, 0);
    let target = checkout.settings.root.join("target");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o777)).unwrap();
    let (_, said) = checkout.try_up().unwrap();
    let note = format!(
        "`{}` is not safe: everybody may write to it",
        target.display()
    );
    is_ours(&checkout, &said, &trap, &listener, &note);
}

#[test]
fn a_link_on_the_way_that_somebody_else_made() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let other = Checkout::new();
    let theirs = other.up();
    let target = checkout.settings.root.join("target");
    symlink(other.settings.root.join("target"), &target).unwrap();
    lchown(&target, Some(STRANGER), None).unwrap();
    let (database, said) = checkout.try_up().unwrap();
    assert_ne!(database.url, theirs.url);
    let note = format!(
        "`{}` is not safe: it is a link that belongs to user {STRANGER}",
        target.display()
    );
    assert!(said.iter().any(|line| line.contains(&note)), "{said:?}");
    assert!(down(&checkout.settings, true).unwrap().deleted);
    run(&theirs.url, "SELECT 1");
}

#[test]
fn a_record_that_others_could_have_written() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let first = checkout.up();
    let cluster = checkout.cluster();
    let file = cluster.join("cluster.json");
    let refused = |what: &Path, detail: &str| {
        let error = checkout.try_up().unwrap_err();
        assert!(matches!(error, Error::NotOurCluster { .. }), "{error}");
        let expected = format!(
            "the cluster in `{}` is not used, because others could have put it there (`{}`: {detail})",
            cluster.display(),
            what.display()
        );
        assert_eq!(error.to_string(), expected);
        let help = error.help().unwrap();
        assert!(help.contains("`cargo xtask db-down --volumes`"), "{help}");
    };
    let theirs = format!("it belongs to user {STRANGER}");
    chown(&cluster, Some(STRANGER), None).unwrap();
    refused(&cluster, &theirs);
    chown(&cluster, Some(0), None).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o606)).unwrap();
    refused(&file, "everybody may write to it");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&file, Some(STRANGER), None).unwrap();
    refused(&file, &theirs);
    // A link to what is ours, too: it was not written by us.
    let aside = checkout.settings.root.join("aside");
    fs::rename(&file, &aside).unwrap();
    chown(&aside, Some(0), None).unwrap();
    symlink(&aside, &file).unwrap();
    let error = checkout.try_up().unwrap_err().to_string();
    assert!(error.starts_with("failed to read `"), "{error}");
    fs::remove_file(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    assert_eq!(checkout.up().url, first.url);
    // The way out that the message names.
    chown(&cluster, Some(STRANGER), None).unwrap();
    assert!(down(&checkout.settings, true).unwrap().deleted);
    assert_ne!(checkout.up().url, first.url);
}

/// Runs a command of the system as the server's account, as any migration can.
fn as_server(url: &str, script: &str) {
    let script = script.replace('\'', "''");
    run(
        url,
        &format!(
            "COPY (SELECT 1) TO PROGRAM '{{ cat >/dev/null; {script}; }} 2>/dev/null || true'"
        ),
    );
}

#[test]
fn links_of_the_servers_account_lead_root_nowhere() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let victim = Victim::new();
    let mut url = checkout.up().url;
    let base = checkout.cluster();
    for name in [
        "cluster.json",
        "server.log",
        "server.log.1",
        "socket",
        "socket/.s.PGSQL.1.lock",
        "data/touchmark.conf",
        "data/server.log",
        "data/PG_VERSION.new",
        "data/cluster.json",
        ".new-x",
    ] {
        let (path, target) = (base.join(name), victim.path.display());
        let link = format!("rm -rf {0}; ln -sfn {target} {0}", path.display());
        as_server(&url, &link);
        checkout.up();
        logs(&checkout.settings, false, &mut Vec::new()).unwrap();
        victim.is_unharmed(name);
        assert!(down(&checkout.settings, false).unwrap().stopped, "{name}");
        victim.is_unharmed(name);
        let database = checkout.up();
        url.clone_from(&database.url);
        run(&url, "SELECT 1");
        let command = psql(&checkout.settings, &database, None).unwrap();
        assert!(Path::new(command.get_program()).is_absolute());
        victim.is_unharmed(name);
    }
    assert!(down(&checkout.settings, true).unwrap().deleted);
    victim.is_unharmed("the cluster was deleted");
}

/// What the account owns it can spoil, and then its own server does not start. Root is not led on by it.
#[test]
fn what_the_servers_account_spoils_is_its_own() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let victim = Victim::new();
    for name in [
        "postgresql.conf",
        "pg_hba.conf",
        "PG_VERSION",
        "postmaster.pid",
        "postmaster.opts",
    ] {
        let url = checkout.up().url;
        let data = checkout.cluster().join("data");
        let (file, pid) = (data.join(name), checkout.pid());
        as_server(
            &url,
            &format!("ln -sfn {} {}", victim.path.display(), file.display()),
        );
        let _ = (state(&checkout.settings), down(&checkout.settings, false));
        victim.is_unharmed(name);
        let _ = checkout.try_up();
        victim.is_unharmed(name);
        let _ = logs(&checkout.settings, false, &mut Vec::new());
        // Whose number nobody knows any more.
        let _ = Command::new("kill")
            .args(["-QUIT", &pid.to_string()])
            .status();
        let _ = down(&checkout.settings, true).unwrap();
        victim.is_unharmed(name);
    }
}

#[test]
fn files_of_the_servers_account_that_have_no_end() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let url = checkout.up().url;
    let pid_file = checkout.cluster().join("data/postmaster.pid");
    let kept = fs::read(&pid_file).unwrap();
    let pid = pid_file.display();
    for spoil in [
        format!("rm {pid}; mkfifo {pid}"),
        format!("ln -sfn /dev/zero {pid}"),
        format!("rm {pid}; truncate -s 1T {pid}"),
    ] {
        as_server(&url, &spoil);
        assert!(
            matches!(state(&checkout.settings).unwrap(), State::Stopped { .. }),
            "{spoil}"
        );
    }
    let owner = fs::metadata(pid_file.parent().unwrap()).unwrap().uid();
    fs::remove_file(&pid_file).unwrap();
    fs::write(&pid_file, kept).unwrap();
    chown(&pid_file, Some(owner), None).unwrap();
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Running(_)
    ));
}

/// The number in `postmaster.pid` is the account's word. It may be that of a process of root's.
#[test]
fn a_process_of_root_is_not_ended() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    checkout.up();
    down(&checkout.settings, false).unwrap();
    let data = checkout.cluster().join("data");
    let programs = open_folder();
    let program = programs.path().join("postgres");
    fs::copy("/bin/sleep", &program).unwrap();
    let mut process = Command::new(&program)
        .arg("300")
        .current_dir(&data)
        .spawn()
        .unwrap();
    let text = format!(
        "{}\n{}\n1700000000\n5432\n\n127.0.0.1\n 1 2\nready\n",
        process.id(),
        data.display()
    );
    fs::write(data.join("postmaster.pid"), text).unwrap();
    assert!(!down(&checkout.settings, false).unwrap().stopped);
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Stopped { .. }
    ));
    assert!(process.try_wait().unwrap().is_none());
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Runs the helper below as a program of its own, with another environment.
fn helper(checkout: &Checkout) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "hostile::up_and_psql_in_another_environment",
        "--nocapture",
    ]);
    command.env("TOUCHMARK_TEST_HOSTILE", &checkout.settings.root);
    command
}

/// Not a test of its own, see [`helper`].
#[test]
fn up_and_psql_in_another_environment() {
    let Some(folder) = std::env::var_os("TOUCHMARK_TEST_HOSTILE") else {
        return;
    };
    let mut settings = crate::checkout::settings(Path::new(&folder));
    let engine = std::env::var("TOUCHMARK_TEST_ENGINE").ok();
    settings.engine = engine.map(|name| name.parse().unwrap());
    let database = touchmark_engine::up(&settings, &mut |_| {}).unwrap();
    let mut command = psql(&settings, &database, None).unwrap();
    assert!(command.args(["-c", "SELECT 1"]).status().unwrap().success());
}

#[test]
fn the_server_knows_nothing_of_roots_environment() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let output = helper(&checkout)
        .env("TOUCHMARK_TEST_SECRET", "s3cret")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let environment = fs::read(format!("/proc/{}/environ", checkout.pid())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(environment.contains("LC_ALL=C"), "{environment}");
    assert!(!environment.contains("s3cret"), "{environment}");
}

#[test]
fn programs_of_others_in_path_are_not_run() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let (here, theirs) = (Trap::new(), Trap::new());
    give(theirs.0.path(), STRANGER);
    let path = format!(
        ".::{}:{}",
        theirs.0.path().display(),
        std::env::var("PATH").unwrap()
    );
    let output = helper(&checkout)
        .env("PATH", path)
        .current_dir(here.0.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    here.is_not_sprung();
    theirs.is_not_sprung();
}

/// `sudo` may keep the home of whoever typed it.
#[test]
fn a_home_of_somebody_else() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let (home, trap) = (open_folder(), Trap::new());
    let mark = trap.0.path().join("sprung");
    fs::write(
        home.path().join(".psqlrc"),
        format!("\\! echo psqlrc >>{}\n", mark.display()),
    )
    .unwrap();
    // Whatever its version is, it would be found there.
    let cache = home.path().join(".cache/touchmark");
    fs::create_dir_all(&cache).unwrap();
    give(home.path(), STRANGER);
    let output = helper(&checkout)
        .env("HOME", home.path())
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    trap.is_not_sprung();
    if test_needs::has("npm") {
        let other = Checkout::new();
        let mut command = helper(&other);
        command
            .env("HOME", home.path())
            .env_remove("XDG_CACHE_HOME")
            .env("TOUCHMARK_TEST_ENGINE", "download");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
        assert!(Path::new("/var/cache/touchmark").is_dir());
    }
    // Where it is asked for, it is refused.
    let mut command = helper(&checkout);
    command
        .env("TOUCHMARK_CACHE", &cache)
        .env("TOUCHMARK_TEST_ENGINE", "download");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let refused = format!(
        "Unsafe {{ path: {:?}, detail: \"it belongs to user {STRANGER}\" }}",
        home.path()
    );
    assert!(text.contains(&refused), "{text}");
}

/// Programs of PostgreSQL that somebody else can change are not run as the account, which may own other databases.
#[test]
fn an_installation_of_somebody_else() {
    if !can_play() {
        return;
    }
    let trap = Trap::new();
    give(trap.0.path(), STRANGER);
    let error = touchmark_engine::Installation::at(trap.0.path(), touchmark_engine::Kind::Local);
    let text = error.unwrap_err().to_string();
    let expected = format!(
        "refused to use `{}`: it belongs to user {STRANGER}",
        trap.0.path().display()
    );
    assert!(text.ends_with(&expected), "{text}");
    trap.is_not_sprung();
}

/// The files of a checkout whose lock, state and links are somebody else's.
#[test]
fn what_is_remembered_is_written_through_no_link() {
    if !can_play() {
        return;
    }
    let checkout = Checkout::new();
    let victim = Victim::new();
    let state_dir = &checkout.settings.state_dir;
    fs::create_dir_all(state_dir).unwrap();
    for name in ["engine", "lock"] {
        symlink(&victim.path, state_dir.join(name)).unwrap();
    }
    let error = checkout.try_up().unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("failed to open `{}", state_dir.display())),
        "{error}"
    );
    fs::remove_file(state_dir.join("lock")).unwrap();
    let database = checkout.up();
    victim.is_unharmed("up");
    assert!(
        fs::symlink_metadata(state_dir.join("engine"))
            .unwrap()
            .is_file()
    );
    assert!(Client::connect(&database.url, NoTls).is_ok());
}
