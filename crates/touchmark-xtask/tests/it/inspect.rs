//! What real programs carry, built in all ways, and read without running them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::foreign::copy;
use crate::repository::git;
use crate::{Run, clean, run};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/carrier");

/// The fixture as somebody's repository, and what was built of it: once for all tests, because
/// they would build the same packages into the same directory.
struct Carrier {
    folder: TempDir,
    commit: String,
}

/// How the program `app` is built, by the name that it gets. What only the linker does is asked
/// of the linker only, so that no dependency is built again for it.
const WAYS: [(&str, &[&str]); 6] = [
    ("plain", &["build", "--bins"]),
    ("stripped", &["rustc", "--bin=app", "--", "-Cstrip=symbols"]),
    (
        "static",
        &["rustc", "--bin=app", "--", "-Ctarget-feature=+crt-static"],
    ),
    (
        "abort",
        &["build", "--bin=app", "--config=profile.dev.panic='abort'"],
    ),
    (
        "small",
        &["build", "--bin=app", "--config=profile.dev.opt-level='z'"],
    ),
    (
        "everything",
        &[
            "build",
            "--bin=app",
            "--config=profile.dev.lto='fat'",
            "--config=profile.dev.codegen-units=1",
            "--config=profile.dev.opt-level='z'",
            "--config=profile.dev.panic='abort'",
            "--config=profile.dev.strip=true",
        ],
    ),
];

fn carrier() -> &'static Carrier {
    static CARRIER: OnceLock<Carrier> = OnceLock::new();
    CARRIER.get_or_init(Carrier::build)
}

impl Carrier {
    fn build() -> Carrier {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        copy(Path::new(FIXTURE), &root);
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        fs::copy(lock, root.join("Cargo.lock")).unwrap();
        let git = |arguments: &[&str]| run(git(&root, arguments));
        assert_eq!(git(&["init", "--quiet"]).code, 0);
        assert_eq!(git(&["add", "."]).code, 0);
        assert_eq!(git(&["commit", "--quiet", "--message=x"]).code, 0);
        let carrier = Carrier {
            commit: git(&["rev-parse", "HEAD"]).stdout.trim().to_owned(),
            folder,
        };
        for (name, arguments) in WAYS {
            carrier.cargo(arguments, "app", name);
        }
        carrier.cargo(WAYS[0].1, "both", "both");
        // Two releases after it.
        let add = |file: &str, text: &str| {
            fs::write(root.join("one/migrations").join(file), text).unwrap();
        };
        add(
            "V2__email.sql",
            "-- touchmark: compatible-with previous\nALTER TABLE one ADD COLUMN email text;\n",
        );
        carrier.cargo(WAYS[0].1, "app", "next");
        add(
            "V3__name.sql",
            "ALTER TABLE one RENAME COLUMN email TO name;\n",
        );
        add(
            "V3__name.down.sql",
            "ALTER TABLE one RENAME COLUMN name TO email;\n",
        );
        carrier.cargo(WAYS[0].1, "app", "after-next");
        carrier
    }

    /// Builds, and keeps one of the programs under this name.
    #[track_caller]
    fn cargo(&self, arguments: &[&str], program: &str, name: &str) {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = temporary.join("carrier");
        let mut command = cargo(&self.folder.path().join("project"), arguments);
        command.env("CARGO_TARGET_DIR", &target);
        command.env("CARGO_BUILD_BUILD_DIR", temporary.join(".."));
        let build = run(command);
        assert_eq!(build.code, 0, "{name}\n{}", build.screen());
        fs::copy(target.join("debug").join(program), self.path(name)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Inspects, where there is no project.
    fn inspect(&self, arguments: &[&str]) -> Run {
        inspect(self.folder.path(), arguments)
    }

    /// A screen without what differs from commit to commit.
    fn screen(&self, arguments: &[&str]) -> String {
        let screen = self.inspect(arguments).screen();
        let screen = screen.replace(&self.commit, "[commit]");
        screen.replace(&self.commit[..12], "[commit]")
    }
}

/// Cargo in the way that it is called everywhere, whatever the packages in the project.
fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    clean(&mut command, root);
    command.env_remove("RUSTFLAGS");
    let (verb, rest) = arguments.split_first().unwrap();
    command.args([verb, "--quiet", "--offline", "--package=app"]);
    command.args(rest);
    command
}

fn inspect(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_touchmark-xtask"));
    clean(&mut command, folder);
    command.arg("db-inspect").args(arguments);
    run(command)
}

#[test]
fn programs_built_in_all_ways_carry_their_set() {
    let carrier = carrier();
    let shown = format!("one 0.1.0 ({}, debug build)", &carrier.commit[..12]);
    let mut heads = Vec::new();
    for (name, _) in WAYS {
        let said = run(Command::new(carrier.path(name)));
        assert_eq!(said.stdout.trim_end(), shown, "{name}");
        let found = carrier.inspect(&[name, "--json"]);
        assert_eq!(found.code, 0, "{name}\n{}", found.screen());
        let found = found.json();
        assert_eq!(found["build"], shown.as_str(), "{name}");
        assert_eq!(found["commit"], carrier.commit.as_str(), "{name}");
        assert_eq!(found["migrations"][0]["migration"], "V1__one");
        assert_eq!(found["migrations"][0]["down"], true);
        heads.push(found["head"].clone());
    }
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
    insta::assert_snapshot!(carrier.screen(&["everything"]));
}

#[test]
fn two_packages_in_one_program() {
    let carrier = carrier();
    let screens = [
        &["both"][..],
        &["both", "--package", "two"],
        &["both", "--package", "three"],
    ]
    .map(|arguments| carrier.screen(arguments));
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn a_release_may_go_back_or_not() {
    let carrier = carrier();
    let screens = [
        ["plain", "everything"],
        ["plain", "next"],
        ["next", "after-next"],
        ["plain", "after-next"],
        ["next", "plain"],
    ]
    .map(|arguments| carrier.screen(&arguments));
    insta::assert_snapshot!(screens.join("\n"));
    let answer = carrier.inspect(&["plain", "after-next", "--json"]);
    let json = answer.json();
    assert_eq!((answer.code, &json["verdict"]), (30, &"undo-first".into()));
    assert_eq!(json["undo"], serde_json::json!(["V3__name"]));
    assert_eq!(json["new"]["migrations"].as_array().unwrap().len(), 3);
}

#[test]
fn two_builds_of_one_commit_are_alike() {
    let carrier = carrier();
    let project = carrier.folder.path().join("project");
    // Another target directory, so that everything is built again, and at another time.
    let target = tempfile::tempdir().unwrap();
    let mut command = cargo(&project, WAYS[0].1);
    command.env("CARGO_TARGET_DIR", target.path());
    command.env("SOURCE_DATE_EPOCH", "1");
    let build = run(command);
    assert_eq!(build.code, 0, "{}", build.screen());
    let again = fs::read(target.path().join("debug/app")).unwrap();
    assert!(again == fs::read(carrier.path("after-next")).unwrap());
}

/// A container image from a real engine, in which a later layer replaces the program.
#[test]
fn a_container_image() {
    if !test_needs::has("docker") {
        return;
    }
    let carrier = carrier();
    let context = tempfile::tempdir().unwrap();
    for name in ["everything", "next"] {
        fs::copy(carrier.path(name), context.path().join(name)).unwrap();
    }
    let dockerfile = "FROM scratch\nCOPY everything /srv/app\nCOPY everything /opt/old\n\
        COPY next /srv/app\nLABEL touchmark=test\n";
    fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
    let tag = format!("touchmark-test-{}", std::process::id());
    let docker = |arguments: &[&str]| {
        let mut command = Command::new("docker");
        command.args(arguments).current_dir(context.path());
        let run = run(command);
        assert_eq!(run.code, 0, "docker {arguments:?}\n{}", run.screen());
    };
    docker(&["build", "--quiet", "--tag", &tag, "."]);
    docker(&["save", "--output", "image.tar", &tag]);
    docker(&["rmi", "--force", &tag]);
    let image = |arguments: &[&str]| inspect(context.path(), arguments);
    let several = image(&["image.tar"]);
    assert_eq!(several.code, 15);
    assert!(
        several
            .stderr
            .contains("`image.tar` several programs carry migrations: /opt/old, /srv/app"),
        "{}",
        several.screen()
    );
    let migrations = |path: &str| {
        let json = image(&["image.tar", "--path", path, "--json"]).json();
        assert_eq!(json["program"], path);
        json["migrations"].as_array().unwrap().len()
    };
    assert_eq!((migrations("/srv/app"), migrations("/opt/old")), (2, 1));
}

#[test]
fn what_carries_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    fs::write(folder.path().join("script"), "#!/bin/sh\n").unwrap();
    fs::copy(
        env!("CARGO_BIN_EXE_touchmark-xtask"),
        folder.path().join("tool"),
    )
    .unwrap();
    let tool = fs::read(folder.path().join("tool")).unwrap();
    fs::write(folder.path().join("cut"), &tool[..tool.len() / 2]).unwrap();
    fs::write(folder.path().join("packed"), b"\x1f\x8b\x08\0").unwrap();
    let pipe = Command::new("mkfifo")
        .arg(folder.path().join("pipe"))
        .status();
    assert!(pipe.unwrap().success());
    let names = [
        "directory",
        "script",
        "tool",
        "cut",
        "packed",
        "pipe",
        "nothing",
    ];
    let screens = names.map(|name| inspect(folder.path(), &[name]).screen());
    insta::assert_snapshot!(screens.join("\n"));
    let json = inspect(folder.path(), &["tool", "--json"]).json();
    assert_eq!(json["error"]["kind"], "binary");
    // Paths are relative to where `-C` says.
    let elsewhere = inspect(
        Path::new("/"),
        &["-C", folder.path().to_str().unwrap(), "tool"],
    );
    assert!(
        elsewhere.stderr.contains("tool` carries no migrations"),
        "{}",
        elsewhere.screen()
    );
}
