//! A merged migration that is meant to have another text.

use crate::repository::{ONE, Repository, seen};

/// V3 is merged, and fails wherever it is applied.
fn broken() -> Repository {
    let repository = Repository::new();
    repository.git(&["checkout", "-q", "main"]);
    repository.write("V3__three.sql", "SELECT 1 / 0;\n");
    repository.lock();
    repository.commit("three");
    repository.git(&["checkout", "-q", "-B", "work"]);
    repository.write("V3__three.sql", "SELECT 1 / 1;\n");
    repository
}

#[test]
fn one_that_fails_everywhere_is_mended() {
    let repository = broken();
    assert_eq!(repository.run(&["db-lock"]).code, 20);
    seen!(repository.run(&["db-lock", "--replace", "3"]));
    assert_eq!(repository.staged().code, 0);
    // Its line must fit all the same.
    repository.write("V3__three.sql", "SELECT 2;\n");
    assert_eq!(repository.staged().code, 28);
    repository.ok(&["db-lock"]);
    assert_eq!(repository.staged().code, 0);
    repository.commit("mended");
    repository.ok(&["db-verify", "--ci"]);
    // Once that is merged, it is frozen as it is now.
    repository.git(&["checkout", "-q", "main"]);
    repository.git(&["merge", "-q", "work"]);
    repository.git(&["checkout", "-q", "-b", "next"]);
    repository.write("V3__three.sql", "SELECT 3;\n");
    repository.lock();
    assert_eq!(repository.staged().code, 20);
}

#[test]
fn what_is_deployed_is_not_replaced() {
    let repository = broken();
    let lock = repository.read("migrations/migrations.lock");
    let lock = touchmark_core::lock::Lock::parse(&lock, "lock").unwrap();
    let mut environments = touchmark_core::environments::Environments::default();
    environments.record("production", lock.versioned(), "2026-11-21");
    repository.write("environments.lock", &environments.to_string());
    seen!(repository.run(&["db-lock", "--replace", "V3"]));
    // Written by hand, it is not let go either.
    let text = format!(
        "{environments}replaced V3 {} 2026-11-21\n",
        lock.versioned()[2].leaf
    );
    repository.write("environments.lock", &text);
    repository.lock();
    assert_eq!(repository.staged().code, 20);
    // Comments may be edited everywhere.
    repository.write("V3__three.sql", "-- mended\nSELECT 1 / 0;\n");
    repository.lock();
    assert_eq!(repository.staged().code, 0);
}

/// Written by hand, too.
#[test]
fn only_its_text_is_replaced() {
    let edits: [fn(&Repository); 3] = [
        |repository| repository.remove("V1__one.sql"),
        |repository| repository.rename("V1__one.sql", "V1__other.sql"),
        |repository| repository.rename("V1__one.sql", "R__one.sql"),
    ];
    for edit in edits {
        let repository = Repository::new();
        let lock = repository.read("migrations/migrations.lock");
        let leaf = lock.lines().nth(2).unwrap().split(' ').nth(2).unwrap();
        edit(&repository);
        assert_eq!(repository.run(&["db-lock", "--replace", "1"]).code, 2);
        let text = format!("replaced V1 {leaf} 2026-11-21\n");
        repository.write("environments.lock", &text);
        assert_ne!(repository.run(&["db-lock"]).code, 0);
        repository.lock();
        assert_ne!(repository.staged().code, 0);
    }
}

#[test]
fn a_watermark_is_not_taken_away_to_replace() {
    let repository = broken();
    let lock = repository.read("migrations/migrations.lock");
    let lock = touchmark_core::lock::Lock::parse(&lock, "lock").unwrap();
    let mut environments = touchmark_core::environments::Environments::default();
    environments.record("production", lock.versioned(), "2026-11-21");
    repository.git(&["stash", "-q"]);
    repository.git(&["checkout", "-q", "main"]);
    repository.write("environments.lock", &environments.to_string());
    // A forged value would make the edit one of comments.
    let text = lock.to_string();
    let edited = repository.git(&["show", "stash@{0}:migrations/V3__three.sql"]);
    let name = touchmark_core::file_name("V3__three.sql").unwrap();
    let edited = touchmark_core::lock::entry(&name, edited.into(), None, "V3").unwrap();
    let was = lock.versioned()[2].semantic.to_string();
    let forged = text.replace(&was, &edited.semantic.to_string());
    assert_ne!(forged, text);
    repository.write("migrations.lock", &forged);
    repository.commit("deployed");
    repository.git(&["checkout", "-q", "-B", "work"]);
    repository.git(&["stash", "pop", "-q"]);
    let replaced = format!("replaced V3 {} 2026-11-21\n", lock.versioned()[2].leaf);
    for environments in [replaced.clone(), format!("{environments}{replaced}")] {
        repository.write("environments.lock", &environments);
        repository.lock();
        assert_eq!(repository.staged().code, 21, "{environments}");
    }
    repository.write("environments.lock", &replaced);
    repository.commit("taken away");
    assert_eq!(repository.run(&["db-verify", "--ci"]).code, 21);
}

#[test]
fn comments_are_replaced_with_a_word_on_databases() {
    let repository = Repository::new();
    repository.write("V1__one.sql", &format!("-- why\n{ONE}"));
    seen!(repository.run(&["db-lock", "--replace", "V1__one"]));
    assert_eq!(repository.staged().code, 0);
}

#[test]
fn only_what_is_merged_and_was_changed() {
    let repository = Repository::new();
    seen!(repository.run(&["db-lock", "--replace", "1"]));
    repository.write("V3__three.sql", "SELECT 3;\n");
    assert_eq!(repository.run(&["db-lock", "--replace", "3"]).code, 2);
    assert!(!repository.path("migrations/environments.lock").exists());
}
