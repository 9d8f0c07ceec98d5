//! `db-lock` in a repository: real branches, really merged.

use std::fs;
use std::process::Output;

use crate::{Project, USERS, repository, screen};

const LOCK: &str = "migrations/migrations.lock";
const A: &str = "ALTER TABLE users ADD COLUMN a text;\n";
const B: &str = "ALTER TABLE users ADD COLUMN b text;\n";

/// On `main`, V1 and V2 are merged; what follows is on `feature`.
fn repository() -> Project {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V2__names.sql", "ALTER TABLE users ADD COLUMN name text;\n"),
        (
            "R__one.sql",
            "CREATE OR REPLACE VIEW one AS SELECT 1 AS n;\n",
        ),
        (
            "R__two.sql",
            "CREATE OR REPLACE VIEW two AS SELECT 2 AS n;\n",
        ),
    ]);
    project.ok(&["db-lock"]);
    git(&project, &["init", "--quiet", "--initial-branch=main"]);
    commit(&project, "begin");
    git(&project, &["checkout", "--quiet", "-b", "feature"]);
    project
}

fn try_git(project: &Project, arguments: &[&str]) -> Output {
    let mut command = repository::git(&project.path(""), arguments);
    command.env("GIT_EDITOR", "true").output().unwrap()
}

#[track_caller]
fn git(project: &Project, arguments: &[&str]) -> String {
    let output = try_git(project, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn commit(project: &Project, message: &str) {
    git(project, &["add", "--all"]);
    git(project, &["commit", "--quiet", "--message", message]);
}

/// Adds a file on a branch, locks it and commits it.
fn add(project: &Project, branch: &str, files: &[(&str, &str)]) {
    git(project, &["checkout", "--quiet", branch]);
    for (file, text) in files {
        project.write(file, text);
    }
    project.ok(&["db-lock"]);
    commit(project, "add");
}

/// Merges, and expects a conflict in the lock and nowhere else.
#[track_caller]
fn conflict(project: &Project, arguments: &[&str]) {
    let output = try_git(project, arguments);
    assert!(!output.status.success(), "{output:?}");
    let unmerged = git(project, &["diff", "--name-only", "--diff-filter=U"]);
    assert_eq!(unmerged, format!("{LOCK}\n"));
}

fn text(project: &Project) -> String {
    fs::read_to_string(project.path(LOCK)).unwrap()
}

/// The lines of the versions, without the head.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with('V')).collect()
}

fn files(project: &Project) -> Vec<String> {
    let listing = fs::read_dir(project.path("migrations")).unwrap();
    let mut files: Vec<_> = listing
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.starts_with('V'))
        .collect();
    files.sort();
    files
}

#[test]
fn two_branches_that_add_a_version_conflict_wherever_it_stands() {
    for (ours, theirs) in [
        ("V3__ours.sql", "V3__theirs.sql"),
        ("V3__ours.sql", "V4__theirs.sql"),
        ("V9__ours.sql", "V4__theirs.sql"),
        // Far from each other: without the head, git would merge them without a word.
        ("V20__ours.sql", "U0__theirs.sql"),
        ("U0__ours.sql", "V20__theirs.sql"),
    ] {
        let project = repository();
        add(&project, "feature", &[(ours, A)]);
        add(&project, "main", &[(theirs, B)]);
        conflict(&project, &["merge", "feature"]);
    }
}

#[test]
fn repeatable_migrations_merge_and_do_not_disturb_versions() {
    let project = repository();
    add(
        &project,
        "feature",
        &[(
            "R__one.sql",
            "CREATE OR REPLACE VIEW one AS SELECT 11 AS n;\n",
        )],
    );
    add(&project, "main", &[("V3__b.sql", B)]);
    git(&project, &["merge", "feature"]);
    project.ok(&["db-lock", "--check"]);
}

#[test]
fn a_merge_of_the_base_gives_later_versions_to_what_is_not_merged() {
    let project = repository();
    project.ok(&["db-new", "ours"]);
    let up = fs::read_to_string(project.path("migrations/V3__ours.sql")).unwrap();
    add(
        &project,
        "feature",
        &[
            ("V3__ours.sql", &format!("{up}{A}")),
            ("V4__more.sql", "SELECT 1;\n"),
        ],
    );
    project.ok(&["db-migrate"]);
    add(&project, "main", &[("V3__theirs.sql", B)]);
    let base = text(&project);
    git(&project, &["checkout", "--quiet", "feature"]);
    conflict(&project, &["merge", "main"]);

    assert_eq!(
        project.run(&["db-lock"]).code,
        28,
        "not without a look at the order"
    );
    screen!(project.run(&["db-lock", "--rebase"]), @r#"
         Renamed V3__ours to V4__ours
         Renamed V4__more to V5__more
        Finished 7 migrations in migrations.lock, 3 of them as in main
    help: look at it, then `git add --all migrations`
    warning: V3__ours, V4__more are applied in the local database under their old versions
    help: make it anew with `cargo xtask db-reset`, which deletes its data
    ---
    exit 0
    "#);
    assert_eq!(
        files(&project),
        [
            "V1__users.sql",
            "V2__names.sql",
            "V3__theirs.sql",
            "V4__ours.down.sql",
            "V4__ours.sql",
            "V5__more.sql"
        ]
    );
    let locked = text(&project);
    assert_eq!(lines(&locked)[..3], lines(&base)[..3], "verbatim");
    let ours = fs::read_to_string(project.path("migrations/V4__ours.sql")).unwrap();
    assert!(ours.starts_with("-- V4__ours: ours\n"), "{ours}");
    project.ok(&["db-lock", "--check"]);
    commit(&project, "merge");
    screen!(project.run(&["db-lock", "--rebase"]), @r#"
        Finished 7 migrations in migrations.lock, 3 of them as in main
    ---
    exit 0
    "#);
    assert_eq!(text(&project), locked);
}

#[test]
fn a_merge_into_the_base_keeps_what_the_base_has() {
    let project = repository();
    add(&project, "feature", &[("V3__ours.sql", A)]);
    add(&project, "main", &[("V3__theirs.sql", B)]);
    conflict(&project, &["merge", "feature"]);
    let answer = project.ok(&["db-lock", "--rebase", "--json"]).json();
    assert_eq!(answer["base"], "HEAD");
    assert_eq!(answer["renamed"][0]["from"], "V3__ours");
    assert_eq!(answer["renamed"][0]["to"], "V4__ours");
    commit(&project, "merge");
    project.ok(&["db-lock", "--check"]);
}

#[test]
fn a_rebase_does_the_same() {
    let project = repository();
    add(&project, "feature", &[("V3__ours.sql", A)]);
    add(&project, "main", &[("V3__theirs.sql", B)]);
    git(&project, &["checkout", "--quiet", "feature"]);
    conflict(&project, &["rebase", "main"]);
    project.ok(&["db-lock", "--rebase"]);
    git(&project, &["add", "--all", "migrations"]);
    git(&project, &["rebase", "--continue"]);
    project.ok(&["db-lock", "--check"]);
    assert_eq!(files(&project)[2..], ["V3__theirs.sql", "V4__ours.sql"]);
}

#[test]
fn nothing_is_locked_that_nobody_has_checked() {
    let project = repository();
    add(&project, "main", &[("V3__theirs.sql", B)]);
    add(&project, "feature", &[("V3__ours.sql", A)]);
    conflict(&project, &["merge", "main"]);
    let ours = fs::read(project.path("migrations/V3__ours.sql")).unwrap();
    project.write("V3__ours.sql", "ALTER TABEL users;\n");
    screen!(project.run(&["db-lock", "--rebase"]), @r#"
    error: syntax error: no statement begins with `ALTER TABEL`
     --> migrations/V3__ours.sql:1:1
      |
    1 | ALTER TABEL users;
      | ^^^^^^^^^^^
      |
    help: did you mean `ALTER TABLE`?

    ---
    exit 10
    "#);
    assert_eq!(files(&project)[2..], ["V3__ours.sql", "V3__theirs.sql"]);
    // What was locked as it is stays locked.
    fs::write(project.path("migrations/V3__ours.sql"), ours).unwrap();
    git(&project, &["merge", "--abort"]);
    project.write("V3__ours.sql", "ALTER TABEL users;\n");
    project.ok(&["db-lock", "--seal"]);
    commit(&project, "sealed");
    conflict(&project, &["merge", "main"]);
    project.ok(&["db-lock", "--rebase"]);
    assert_eq!(files(&project)[2..], ["V3__theirs.sql", "V4__ours.sql"]);
}

#[test]
fn names_that_move_into_each_others_place() {
    let project = repository();
    let ours = [
        ("V3__fix.sql", A),
        ("V4__fix.sql", "SELECT 4;\n"),
        ("V4__fix.down.sql", "SELECT -4;\n"),
    ];
    add(&project, "feature", &ours);
    add(&project, "main", &[("V3__theirs.sql", B)]);
    conflict(&project, &["merge", "feature"]);
    project.ok(&["db-lock", "--rebase"]);
    let read = |file: &str| fs::read_to_string(project.path("migrations").join(file)).unwrap();
    assert_eq!(read("V4__fix.sql"), A);
    assert_eq!(read("V5__fix.sql"), "SELECT 4;\n");
    assert_eq!(read("V5__fix.down.sql"), "SELECT -4;\n");
    assert_eq!(files(&project).len(), 6);
    project.ok(&["db-lock", "--check"]);
}

#[test]
fn a_draft_stays_one() {
    let project = repository();
    project.ok(&["db-new", "ours"]);
    commit(&project, "draft");
    add(&project, "main", &[("V3__theirs.sql", B)]);
    git(&project, &["checkout", "--quiet", "feature"]);
    conflict(&project, &["merge", "main"]);
    project.ok(&["db-lock", "--rebase"]);
    let locked = text(&project);
    assert!(
        lines(&locked)[3].starts_with("V4 ours ") && locked.matches(" draft").count() == 1,
        "{locked}"
    );
}

#[test]
fn what_an_environment_has_applied_keeps_its_version() {
    let project = repository();
    add(
        &project,
        "feature",
        &[("V3__ours.sql", A), ("V4__more.sql", "SELECT 1;\n")],
    );
    project.ok(&["db-migrate"]);
    let mut record = project.command(&["db-verify", "--record", "staging"]);
    record.env("SOURCE_DATE_EPOCH", "1770076800");
    assert_eq!(crate::run(record).code, 0);
    commit(&project, "deployed");
    add(&project, "main", &[("V3__theirs.sql", B)]);
    git(&project, &["checkout", "--quiet", "feature"]);
    conflict(&project, &["merge", "main"]);
    screen!(project.run(&["db-lock", "--rebase"]), @r#"
    error: V3__ours must get a later version, and staging has it applied since 2026-02-03
    help: make staging anew or undo it there, delete the lines of staging from environments.lock, and try again; or give the other side's migrations later versions
    ---
    exit 23
    "#);
    assert_eq!(
        files(&project)[2..],
        ["V3__ours.sql", "V3__theirs.sql", "V4__more.sql"]
    );
}

#[test]
fn what_is_not_merged_yet_is_said() {
    let project = repository();
    add(&project, "main", &[("V3__theirs.sql", B)]);
    add(&project, "feature", &[("V3__ours.sql", A)]);
    screen!(project.run(&["db-lock", "--rebase", "main"]), @r#"
         Renamed V3__ours to V4__ours
    warning: main has V3__theirs, which is not merged here: `git merge main`, then this command again
        Finished 5 migrations in migrations.lock, 2 of them as in main
    help: look at it, then `git add --all migrations`
    ---
    exit 0
    "#);
    assert_eq!(files(&project)[2..], ["V4__ours.sql"]);
    project.ok(&["db-lock", "--check"]);
}

#[test]
fn without_a_base_nothing_is_touched() {
    let project = repository();
    add(&project, "feature", &[("V3__ours.sql", A)]);
    screen!(project.run(&["db-lock", "--rebase", "nowhere"]), @r#"
    error: there is no commit `nowhere` in this clone
    help: fetch it: `git fetch origin` (GitHub: `fetch-depth: 0` of actions/checkout; GitLab: `GIT_DEPTH: 0` and `git fetch origin nowhere`), or name another one with `--base REV`
    ---
    exit 2
    "#);
    git(&project, &["checkout", "--quiet", "--orphan", "empty"]);
    git(&project, &["rm", "--quiet", "--cached", LOCK]);
    git(&project, &["commit", "--quiet", "--message", "no lock"]);
    screen!(project.run(&["db-lock", "--rebase", "empty"]), @r#"
    error: the base has no lock
    --> empty:migrations/migrations.lock
     |
    help: name a commit that has one: `cargo xtask db-lock --rebase BASE`; or write the first one with `cargo xtask db-lock`

    ---
    exit 28
    "#);
    fs::remove_dir_all(project.path(".git")).unwrap();
    let run = project.run(&["db-lock", "--rebase"]);
    assert!(
        run.stderr.contains("is in no git repository"),
        "{}",
        run.stderr
    );
    assert_eq!(files(&project)[2..], ["V3__ours.sql"]);
}

#[test]
fn what_is_merged_is_not_locked_again_in_another_way() {
    let project = repository();
    let before = text(&project);
    project.write(
        "V2__names.sql",
        "ALTER TABLE users ADD COLUMN title text;\n",
    );
    screen!(project.run(&["db-lock"]), @r#"
    error: V2__names is merged into main, and was edited since
    help: put the file back, and write the change as a new migration: `cargo xtask db-new`; one that is applied nowhere may be mended: `cargo xtask db-lock --replace 2`
    ---
    exit 20
    "#);
    let cosmetic = "-- why\nALTER TABLE users ADD COLUMN name text;\n";
    project.write("V2__names.sql", cosmetic);
    screen!(project.run(&["db-lock"]), @r#"
    error: V2__names is merged into main, and its comments or white space were edited since
    help: put the file back; or keep the edit with `cargo xtask db-lock --replace 2`, and with `cargo xtask db-verify --accept-cosmetic 2` on each database that has applied it
    ---
    exit 21
    "#);
    fs::remove_file(project.path("migrations/V2__names.sql")).unwrap();
    screen!(project.run(&["db-lock"]), @r#"
    error: V2__names is merged into main, and its file is gone
    help: bring the file back, and undo what it does in a new migration: `cargo xtask db-new`
    ---
    exit 22
    "#);
    assert_eq!(text(&project), before);
    git(&project, &["checkout", "--quiet", "migrations"]);
    add(&project, "feature", &[("V3__ours.sql", A)]);
    project.write("V3__ours.sql", "SELECT 1;\n");
    project.ok(&["db-lock"]);
    commit(&project, "edit");
    add(&project, "main", &[("V9__theirs.sql", B)]);
    project.write("V5__late.sql", A);
    screen!(project.run(&["db-lock"]), @r#"
    error: V5__late would stand before V9__theirs, which is merged into main
    help: give it a later version with `cargo xtask db-lock --rebase`, or a name that begins with U to allow it
    ---
    exit 23
    "#);
}
