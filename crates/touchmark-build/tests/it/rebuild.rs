//! When a build does something, and when it doesn't.

use std::fs;

use touchmark_core::encoded::Encoded;

use crate::project::Project;

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY);\n";
const ORDERS: &str = "CREATE TABLE orders (id bigint PRIMARY KEY);\n";

#[test]
fn b46_every_change_of_a_file_rebuilds_and_nothing_else_does() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    assert!(!project.built().is_fresh());
    project.unchanged();

    project.write("migrations/V2__orders.sql", ORDERS);
    assert!(!project.built().is_fresh(), "a new file");
    project.unchanged();

    project.write(
        "migrations/V2__orders.sql",
        "CREATE TABLE orders (id int);\n",
    );
    assert!(!project.built().is_fresh(), "an edited file");
    project.unchanged();

    let renamed = project.path("migrations/V3__orders.sql");
    fs::rename(project.path("migrations/V2__orders.sql"), &renamed).unwrap();
    assert!(!project.built().is_fresh(), "a renamed file");
    project.unchanged();

    fs::remove_file(renamed).unwrap();
    assert!(!project.built().is_fresh(), "a deleted file");
    project.unchanged();
}

#[test]
fn b46_a_directory_that_appears_later_is_noticed() {
    let project = Project::new(&[]);
    fs::remove_dir(project.path("migrations")).unwrap();
    let build = project.build();
    assert!(!build.is_success);
    insta::assert_snapshot!(build.message());

    project.write("migrations/V1__users.sql", USERS);
    project.built();
    project.unchanged();
}

#[test]
fn b46_a_mended_file_is_noticed_after_a_failed_build() {
    let project = Project::new(&[("V1__users.sql", "CREATE TABEL users (id int);\n")]);
    assert!(!project.build().is_success);
    assert!(!project.build().is_success, "the failure is not forgotten");
    project.write("migrations/V1__users.sql", USERS);
    project.built();
}

#[test]
fn the_set_and_its_history_are_in_the_binary() {
    let manifest = "[workspace]\n\n[package.metadata.touchmark]\nhistory-schema = 'app'\n";
    let project = Project::with_manifest(manifest, &[("V1__users.sql", USERS)]);
    let bytes = project.embedded();
    let set = Encoded::open(&bytes).unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(
        set.names().unwrap().1.history.to_string(),
        "app.refinery_schema_history"
    );

    let edited = manifest.replace("'app'", "'other'");
    let text = fs::read_to_string(project.path("Cargo.toml")).unwrap();
    project.write("Cargo.toml", &text.replace(manifest, &edited));
    assert_ne!(
        project.embedded(),
        bytes,
        "an edited configuration rebuilds"
    );
}
