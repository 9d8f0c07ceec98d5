//! A bad file stops the build, and says why.

use crate::project::Project;

#[test]
fn bad_files_stop_the_build_with_their_places() {
    let project = Project::new(&[
        (
            "V1__users.sql",
            "CREATE TABLE users (\n    id bigint PRIMARY KEY,\n    name text NOT NUL\n);\n",
        ),
        ("V2__add-orders.sql", "SELECT 1;\n"),
        ("V3__lock.sql", "BEGIN;\nLOCK TABLE users;\nCOMMIT;\n"),
        ("V4__dump.sql", "\\restrict abc\nSELECT 1;\n"),
    ]);
    let build = project.build();
    assert!(!build.is_success);
    assert!(!build.stderr.contains("panicked"), "{}", build.stderr);
    // Nothing stands between Cargo's words and the first diagnostic.
    assert!(!build.stderr.contains("--- stdout"), "{}", build.stderr);
    insta::assert_snapshot!(build.message());
}

#[test]
fn a_package_inside_a_workspace_names_files_from_its_root() {
    let project = Project::new(&[("V1__x.sql", "SELECT 1;;\nCOMMIT;\n")]);
    let root = Project::new(&[]);
    let manifest = std::fs::read_to_string(project.path("Cargo.toml")).unwrap();
    root.write(
        "Cargo.toml",
        "[workspace]\nmembers = ['db/one']\nresolver = '3'\n",
    );
    root.write("db/one/Cargo.toml", &manifest.replace("[workspace]\n", ""));
    for file in ["build.rs", "src/lib.rs", "migrations/V1__x.sql"] {
        let text = std::fs::read_to_string(project.path(file)).unwrap();
        root.write(&format!("db/one/{file}"), &text);
    }
    std::fs::remove_dir_all(root.path("src")).unwrap();
    let message = root.build().message();
    assert!(
        message.contains(" --> db/one/migrations/V1__x.sql:2:1"),
        "{message}"
    );
}

#[test]
fn warnings_are_shown_and_stop_nothing() {
    let project = Project::new(&[(
        "V1__x.sql",
        "ALTER TYPE state ADD VALUE 'done';\nUPDATE t SET state = 'done';\n",
    )]);
    let build = project.built();
    let warning = build
        .stderr
        .lines()
        .find(|line| line.starts_with("warning: warnings_are"));
    insta::assert_snapshot!(warning.unwrap());
}

#[test]
fn a_misspelt_key_stops_the_build() {
    let manifest = "[workspace]\n\n[workspace.metadata.touchmark]\nhistory-shema = 'app'\n";
    let project = Project::with_manifest(manifest, &[]);
    insta::assert_snapshot!(project.build().message());
}
