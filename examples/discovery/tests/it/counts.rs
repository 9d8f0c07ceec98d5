//! The cached number of sources.

use discovery::infrastructure::PostgresSourceRepository;
use discovery::notebook::Notebook;
use discovery::repositories::{Error, NotebookRepository, SourceRepository};
use postgres::{Client, NoTls};

use crate::database::{Database, file};

#[track_caller]
fn check(db: &mut Database, notebook: &Notebook, expected: i32) {
    let found = db.notebooks().find(notebook.id).unwrap().unwrap();
    assert_eq!(found.source_count, expected);
    assert_eq!(found.updated_at, notebook.updated_at, "counting is no edit");
}

#[test]
fn it_is_right_after_everything_that_a_repository_does() {
    let mut db = Database::new();
    let (notebook, other) = (db.notebook("whales"), db.notebook("dolphins"));
    let one = db.source(&notebook, "a");
    let two = db.source(&notebook, "b");
    check(&mut db, &notebook, 2);
    db.sources().delete(one.id).unwrap();
    check(&mut db, &notebook, 1);
    db.sources().restore(one.id).unwrap();
    check(&mut db, &notebook, 2);
    db.sources().update(&two).unwrap();
    check(&mut db, &notebook, 2);
    db.sources().delete(one.id).unwrap();
    db.sources().purge(one.id).unwrap();
    check(&mut db, &notebook, 1);
    db.sources().purge(two.id).unwrap();
    check(&mut db, &notebook, 0);
    check(&mut db, &other, 0);
}

#[test]
fn what_is_refused_is_not_counted() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let source = db.source(&notebook, "a");
    let again = db.sources().create(&file(&notebook, "a"));
    assert!(matches!(again, Err(Error::Duplicate { .. })));
    db.sources().delete(source.id).unwrap();
    assert!(db.sources().delete(source.id).is_err());
    check(&mut db, &notebook, 0);
}

#[test]
fn it_is_right_after_what_is_done_by_hand() {
    let mut db = Database::new();
    let (one, two) = (db.notebook("one"), db.notebook("two"));
    for content in ["a", "b", "c"] {
        db.source(&one, content);
    }
    db.run(&format!(
        "UPDATE sources SET notebook_id = '{}' WHERE content_hash = 'a'",
        two.id
    ));
    check(&mut db, &one, 2);
    check(&mut db, &two, 1);
    db.run("UPDATE sources SET deleted_at = now(), name = 'gone'");
    check(&mut db, &one, 0);
    db.run("UPDATE sources SET deleted_at = now() + interval '1 day'; DELETE FROM sources WHERE content_hash = 'b'");
    check(&mut db, &one, 0);
    db.run("UPDATE sources SET deleted_at = NULL");
    check(&mut db, &one, 1);
    db.run("TRUNCATE sources");
    check(&mut db, &one, 0);
    check(&mut db, &two, 0);
}

#[test]
fn it_is_right_after_many_at_once() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let url = db.url.clone();
    let work = |worker: usize| {
        let mut client = Client::connect(&url, NoTls).unwrap();
        let mut sources = PostgresSourceRepository::new(&mut client);
        for number in 0..10 {
            let source = sources
                .create(&file(&notebook, &format!("{worker}-{number}")))
                .unwrap();
            if number % 2 == 0 {
                sources.delete(source.id).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..6 {
            scope.spawn(move || work(worker));
        }
    });
    check(&mut db, &notebook, 30);
}

#[test]
fn the_number_of_outputs_is_what_it_was_told_to_be() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    db.notebooks().set_output_count(notebook.id, 7).unwrap();
    assert_eq!(
        db.notebooks()
            .find(notebook.id)
            .unwrap()
            .unwrap()
            .output_count,
        7
    );
}
