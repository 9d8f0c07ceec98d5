//! Which build a set says that it is from.

use std::path::Path;
use std::process::Command;

use touchmark_core::encoded::{BuildState, Encoded, Stamp};

use crate::project::{Build, Project, SHIP};

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY);\n";

#[track_caller]
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=Tester",
            "-c",
            "user.email=tester@example.com",
        ])
        .args(["-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}\n{stderr}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

fn commit(project: &Project) -> String {
    let directory = project.path("");
    git(&directory, &["add", "--all"]);
    git(
        &directory,
        &["commit", "--quiet", "--allow-empty", "--message", "x"],
    );
    git(&directory, &["rev-parse", "HEAD"])
}

fn repository() -> (Project, String) {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    // Cargo writes it anew for this package, which is a change too.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--format-version=1"]);
    assert!(
        cargo
            .current_dir(project.path(""))
            .output()
            .unwrap()
            .status
            .success()
    );
    git(&project.path(""), &["init", "--quiet"]);
    let head = commit(&project);
    (project, head)
}

/// What a build wrote into `OUT_DIR`, taken apart.
#[track_caller]
fn stamp(build: &Build) -> Stamp {
    assert!(build.is_success, "{}", build.stderr);
    let bytes = build.embedded();
    let set = Encoded::open(&bytes).unwrap();
    let rest = &bytes[set.as_bytes().len()..];
    let (stamp, length) = Stamp::open(rest).unwrap();
    assert_eq!(length, rest.len());
    stamp
}

#[track_caller]
fn check(build: &Build, commit: &str, state: BuildState, text: &str) {
    let stamp = stamp(build);
    assert_eq!(stamp.commit.as_deref().unwrap_or_default(), commit);
    assert_eq!(stamp.state, state);
    assert_eq!(stamp.to_string(), format!("{} {text}", stamp.package));
}

#[test]
fn a_release_build_is_dirty_when_it_says_so() {
    let (project, first) = repository();
    let release = || project.release();
    let clean = |commit: &str| format!("0.1.0 ({})", &commit[..12]);
    let dirty = |commit: &str| format!("0.1.0 ({}, dirty)", &commit[..12]);
    check(&release(), &first, BuildState::Clean, &clean(&first));
    assert!(release().is_fresh(), "nothing has changed");

    let source = std::fs::read_to_string(project.path("src/lib.rs")).unwrap();
    project.write("src/lib.rs", &format!("{source}// More.\n"));
    check(&release(), &first, BuildState::Dirty, &dirty(&first));
    project.write("src/lib.rs", &source);
    check(&release(), &first, BuildState::Clean, &clean(&first));

    project.write("migrations/V2__more.sql", "SELECT 2;\n");
    check(&release(), &first, BuildState::Dirty, &dirty(&first));
    git(&project.path(""), &["pack-refs", "--all"]);
    let second = commit(&project);
    check(&release(), &second, BuildState::Clean, &clean(&second));
    assert!(release().is_fresh(), "nothing has changed");

    // What git does not track, and is nowhere below what it tracks, is not built.
    project.write("notes.txt", "x");
    check(&release(), &second, BuildState::Clean, &clean(&second));
}

#[test]
fn a_debug_build_says_so_and_follows_the_head() {
    let (project, first) = repository();
    let shown = |commit: &str| format!("0.1.0 ({}, debug build)", &commit[..12]);
    check(&project.build(), &first, BuildState::Debug, &shown(&first));
    project.unchanged();
    git(&project.path(""), &["pack-refs", "--all"]);
    check(&project.build(), &first, BuildState::Debug, &shown(&first));
    project.unchanged();
    let second = commit(&project);
    check(
        &project.build(),
        &second,
        BuildState::Debug,
        &shown(&second),
    );
    git(
        &project.path(""),
        &["checkout", "--quiet", "--detach", &first],
    );
    check(&project.build(), &first, BuildState::Debug, &shown(&first));
    project.unchanged();
}

#[test]
fn a_worktree_has_a_head_of_its_own() {
    let (project, first) = repository();
    let worktree = project.worktree("beside", |from, to| {
        git(
            from,
            &[
                "worktree",
                "add",
                "--quiet",
                "-b",
                "beside",
                to.to_str().unwrap(),
            ],
        );
    });
    let shown = |commit: &str| format!("0.1.0 ({}, debug build)", &commit[..12]);
    check(&worktree.build(), &first, BuildState::Debug, &shown(&first));
    worktree.unchanged();
    commit(&project);
    worktree.unchanged();
    let second = commit(&worktree);
    check(
        &worktree.build(),
        &second,
        BuildState::Debug,
        &shown(&second),
    );
}

#[test]
fn a_commit_is_named_where_there_is_no_repository() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    check(&project.build(), "", BuildState::Unknown, "0.1.0");
    let named = |commit| project.build_with(&[], &[("TOUCHMARK_COMMIT", commit)]);
    check(
        &named("a1b2c3"),
        "a1b2c3",
        BuildState::Debug,
        "0.1.0 (a1b2c3, debug build)",
    );
    check(&named(""), "", BuildState::Unknown, "0.1.0");
    let wrong = named("of course");
    assert!(!wrong.is_success);
    insta::assert_snapshot!(wrong.message());
}

/// Of a repository that ignores the project, as one in the home directory may, and of one without
/// a commit nothing is said.
#[test]
fn no_commit_is_no_error() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    git(&project.path(""), &["init", "--quiet"]);
    check(&project.build(), "", BuildState::Unknown, "0.1.0");
    git(&project.path(""), &["add", "--all"]);
    check(&project.build(), "", BuildState::Unknown, "0.1.0");
    let commit = commit(&project);
    let shown = format!("0.1.0 ({}, debug build)", &commit[..12]);
    project.write(
        "build.rs",
        "fn main() {\n    touchmark_build::embed(\"migrations\");\n}\n",
    );
    check(&project.build(), &commit, BuildState::Debug, &shown);
}

/// A release says so, because its provenance is lost by accident there.
#[test]
fn a_release_warns_where_git_can_not_be_asked() {
    let (project, _) = repository();
    let programs = tempfile::tempdir().unwrap();
    for program in ["cc", "ld", "rustc", "cargo", "sccache"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|directory| directory.join(program))
            .find(|path| path.is_file());
        if let Some(found) = found {
            std::os::unix::fs::symlink(found, programs.path().join(program)).unwrap();
        }
    }
    let path = programs.path().to_str().unwrap();
    let debug = project.build_with(&[], &[("PATH", path)]);
    check(&debug, "", BuildState::Unknown, "0.1.0");
    let release = project.build_with(&SHIP, &[("PATH", path)]);
    check(&release, "", BuildState::Unknown, "0.1.0");
    let warning =
        "warning: a_release_warns_where_git_can_not_be_asked@0.1.0: the binary does not say";
    assert!(!debug.stderr.contains(warning), "{}", debug.stderr);
    assert!(release.stderr.contains(warning), "{}", release.stderr);
}

#[test]
fn two_clones_embed_the_same_bytes_at_any_time() {
    let (project, first) = repository();
    let built = project.build();
    let shown = format!("0.1.0 ({}, debug build)", &first[..12]);
    check(&built, &first, BuildState::Debug, &shown);
    let bytes = built.embedded();
    let clone = project.worktree("clone", |from, to| {
        git(from, &["clone", "--quiet", ".", to.to_str().unwrap()]);
    });
    for time in [&[][..], &[("SOURCE_DATE_EPOCH", "1"), ("TZ", "Asia/Tokyo")]] {
        std::fs::write(clone.path("migrations/V1__users.sql"), USERS).unwrap();
        let cloned = clone.build_with(&[], time);
        assert!(
            cloned.stderr.contains("build-script-build`"),
            "{}",
            cloned.stderr
        );
        assert_eq!(cloned.embedded(), bytes);
    }
}
