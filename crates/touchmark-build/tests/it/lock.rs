//! A build beside a lock.

use std::fs;

use touchmark_core::lock::{FILE, Lock, entries};

use crate::project::Project;

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY);\n";
const ORDERS: &str = "CREATE TABLE orders (id bigint PRIMARY KEY);\n";

fn write_lock(project: &Project, lock: &Lock) {
    project.write(&format!("migrations/{FILE}"), &lock.to_string());
}

fn lock_of(project: &Project) -> Lock {
    let files = entries(&project.path("migrations"), "migrations", &Lock::default());
    Lock::new(files.unwrap())
}

#[test]
fn what_is_as_its_lock_says_builds_without_a_word() {
    let project = Project::new(&[("V1__users.sql", USERS), ("R__v.sql", "SELECT 1;\n")]);
    write_lock(&project, &lock_of(&project));
    assert_eq!(project.built().warnings(), "");
    let release = project.release();
    assert!(release.is_success, "{}", release.stderr);
    assert_eq!(release.warnings(), "");
}

#[test]
fn without_a_lock_a_release_build_warns() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    assert_eq!(project.built().warnings(), "");
    let release = project.release();
    assert!(release.is_success, "{}", release.stderr);
    insta::assert_snapshot!(release.warnings());
}

#[test]
fn a_difference_is_a_warning_and_in_a_release_build_an_error() {
    let project = Project::new(&[
        ("V1__cosmetic.sql", USERS),
        ("V2__edited.sql", ORDERS),
        ("V3__gone.sql", "SELECT 3;\n"),
        ("V4__down.sql", "SELECT 4;\n"),
        ("V4__down.down.sql", "SELECT 5;\n"),
        ("V6__before.sql", "SELECT 6;\n"),
        ("R__view.sql", "SELECT 7;\n"),
    ]);
    write_lock(&project, &lock_of(&project));
    project.write("migrations/V1__cosmetic.sql", &format!("-- x\n{USERS}"));
    project.write("migrations/V2__edited.sql", "SELECT 2;\n");
    fs::remove_file(project.path("migrations/V3__gone.sql")).unwrap();
    project.write("migrations/V4__down.down.sql", "SELECT 55;\n");
    project.write("migrations/V5__late.sql", "SELECT 8;\n");
    fs::rename(
        project.path("migrations/V6__before.sql"),
        project.path("migrations/V6__after.sql"),
    )
    .unwrap();
    project.write("migrations/V7__new.sql", "SELECT 9;\n");
    project.write("migrations/R__view.sql", "SELECT 77;\n");
    insta::assert_snapshot!(project.built().warnings());
    let release = project.release();
    assert!(!release.is_success);
    insta::assert_snapshot!(release.message());

    // As soon as it is written down, it is no difference any more.
    write_lock(&project, &lock_of(&project));
    assert_eq!(project.built().warnings(), "");
    let release = project.release();
    assert!(release.is_success, "{}", release.stderr);
}

#[test]
fn a_draft_is_not_shipped() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut entries = lock_of(&project).entries().to_vec();
    entries[0].draft = true;
    write_lock(&project, &Lock::new(entries));
    assert_eq!(project.built().warnings(), "");
    let release = project.release();
    assert!(!release.is_success);
    insta::assert_snapshot!(release.message());
}

#[test]
fn a_broken_lock_is_not_shipped() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let text = lock_of(&project).to_string();
    let conflict = format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n");
    project.write(&format!("migrations/{FILE}"), &conflict);
    insta::assert_snapshot!(project.built().warnings());
    let release = project.release();
    assert!(!release.is_success);
    insta::assert_snapshot!(release.message());
}
