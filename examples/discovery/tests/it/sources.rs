use std::sync::Barrier;

use discovery::infrastructure::PostgresSourceRepository;
use discovery::repositories::{Error, NotebookRepository, SourceRepository};
use discovery::source::{NewSource, Origin, Source, SourceType};
use postgres::{Client, NoTls};
use serde_json::json;
use uuid::Uuid;

use crate::database::{Database, file, url};

fn names(sources: &[Source]) -> Vec<&str> {
    sources.iter().map(|source| source.name.as_str()).collect()
}

#[track_caller]
fn is_not_found<T: std::fmt::Debug>(result: Result<T, Error>, expected: Uuid) {
    assert!(
        matches!(result, Err(Error::NotFound { id, .. }) if id == expected),
        "{result:?}"
    );
}

#[track_caller]
fn is_duplicate<T: std::fmt::Debug>(result: Result<T, Error>, of: &Source) {
    assert!(
        matches!(result, Err(Error::Duplicate { existing }) if existing == of.id),
        "{result:?}"
    );
}

// Create

#[test]
fn a_file_has_what_it_was_given() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let new = NewSource {
        extracted_text: Some("They sing.".into()),
        metadata: Some(json!({"pages": 12, "authors": ["A", "B"], "draft": null})),
        ..file(&notebook, "song")
    };
    let made = db.sources().create(&new).unwrap();
    assert_eq!((made.notebook_id, &made.name), (notebook.id, &new.name));
    assert_eq!(
        (&made.origin, &made.content_hash),
        (&new.origin, &new.content_hash)
    );
    assert_eq!(
        (&made.extracted_text, &made.metadata),
        (&new.extracted_text, &new.metadata)
    );
    assert_eq!((made.created_at, made.deleted_at), (made.updated_at, None));
    assert_eq!(db.sources().find(made.id).unwrap(), Some(made));
}

#[test]
fn a_url_has_what_it_was_given() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let new = url(&notebook, "https://example.com/whales?sing=1#now");
    let made = db.sources().create(&new).unwrap();
    assert_eq!(made.origin, new.origin);
    assert_eq!(db.sources().find(made.id).unwrap(), Some(made));
}

#[test]
fn text_and_metadata_may_come_later() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let made = db.source(&notebook, "song");
    assert_eq!((made.extracted_text, made.metadata), (None, None));
}

#[test]
fn the_types_are_written_as_words() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    db.source(&notebook, "song");
    db.sources()
        .create(&url(&notebook, "https://example.com"))
        .unwrap();
    let types =
        db.lines("SELECT source_type || ' ' || coalesce(file_type, '-') FROM sources ORDER BY 1");
    assert_eq!(types, ["file pdf", "url -"]);
}

#[test]
fn a_file_may_be_larger_than_two_gigabytes() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let origin = Origin::File {
        file_type: "wav".into(),
        path: "/files/song.wav".into(),
        size: 1 << 40,
    };
    let new = NewSource {
        origin: origin.clone(),
        ..file(&notebook, "song")
    };
    assert_eq!(db.sources().create(&new).unwrap().origin, origin);
}

#[test]
fn odd_characters_are_kept() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let odd = "'; DROP TABLE sources; -- \\ \" $1 größe 🐋";
    let made = db.source(&notebook, odd);
    assert_eq!(made.name, format!("{odd}.pdf"));
}

#[test]
fn there_is_no_source_without_its_notebook() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    db.notebooks().delete(notebook.id).unwrap();
    let error = db.sources().create(&file(&notebook, "song")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no notebook {}", notebook.id)
    );
}

#[test]
fn what_is_too_long_is_refused() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let new = file(&notebook, "song");
    let (name, hash) = ("ä".repeat(500), "a".repeat(64));
    let longest = NewSource {
        name: name.clone(),
        content_hash: hash.clone(),
        ..new.clone()
    };
    db.sources().create(&longest).unwrap();
    for too_long in [
        NewSource {
            name: name + "ä",
            ..new.clone()
        },
        NewSource {
            content_hash: hash + "a",
            ..new
        },
    ] {
        let refused = db.sources().create(&too_long);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}

#[test]
fn a_text_with_a_nul_is_refused_and_the_connection_goes_on() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let new = NewSource {
        extracted_text: Some("a\0b".into()),
        ..file(&notebook, "song")
    };
    let refused = db.sources().create(&new);
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    db.source(&notebook, "song");
}

// Read

#[test]
fn what_is_not_there_is_not_found() {
    let mut db = Database::new();
    assert_eq!(db.sources().find(Uuid::new_v4()).unwrap(), None);
}

#[test]
fn a_deleted_one_is_not_found() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let source = db.source(&notebook, "song");
    db.sources().delete(source.id).unwrap();
    assert_eq!(db.sources().find(source.id).unwrap(), None);
}

#[test]
fn an_empty_notebook_has_an_empty_list() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    assert_eq!(db.sources().list(notebook.id, None).unwrap(), []);
    assert_eq!(db.sources().list(Uuid::new_v4(), None).unwrap(), []);
}

#[test]
fn the_list_begins_with_the_newest() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    for content in ["a", "b", "c"] {
        db.source(&notebook, content);
    }
    let list = db.sources().list(notebook.id, None).unwrap();
    assert_eq!(names(&list), ["c.pdf", "b.pdf", "a.pdf"]);
}

#[test]
fn the_list_is_of_one_notebook() {
    let mut db = Database::new();
    let (one, two) = (db.notebook("one"), db.notebook("two"));
    db.source(&one, "a");
    db.source(&two, "b");
    assert_eq!(names(&db.sources().list(one.id, None).unwrap()), ["a.pdf"]);
}

#[test]
fn the_list_is_of_a_type() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    db.source(&notebook, "a");
    db.sources()
        .create(&url(&notebook, "https://example.com"))
        .unwrap();
    let mut check = |of_type, expected: &str| {
        let list = db.sources().list(notebook.id, Some(of_type)).unwrap();
        assert_eq!(names(&list), [expected]);
    };
    check(SourceType::File, "a.pdf");
    check(SourceType::Url, "https://example.com");
}

#[test]
fn deleted_ones_have_a_list_of_their_own() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let made = ["a", "b", "c"].map(|content| db.source(&notebook, content));
    assert_eq!(db.sources().list_deleted(notebook.id).unwrap(), []);
    for source in &made[..2] {
        db.sources().delete(source.id).unwrap();
    }
    assert_eq!(
        names(&db.sources().list(notebook.id, None).unwrap()),
        ["c.pdf"]
    );
    let deleted = db.sources().list_deleted(notebook.id).unwrap();
    assert_eq!(names(&deleted), ["b.pdf", "a.pdf"]);
    assert!(
        deleted
            .iter()
            .all(|source| source.deleted_at >= Some(source.created_at))
    );
}

// Update

#[test]
fn an_update_stores_what_may_change() {
    let mut db = Database::new();
    let (notebook, other) = (db.notebook("whales"), db.notebook("dolphins"));
    let before = db.source(&notebook, "song");
    let changed = Source {
        name: "Song".into(),
        content_hash: "second".into(),
        extracted_text: Some("They sing.".into()),
        metadata: Some(json!([1])),
        ..before.clone()
    };
    let asked = Source {
        notebook_id: other.id,
        origin: Origin::Url("https://example.com".into()),
        ..changed.clone()
    };
    let after = db.sources().update(&asked).unwrap();
    assert_eq!(db.sources().find(before.id).unwrap().as_ref(), Some(&after));
    assert!(after.updated_at > before.updated_at);
    let expected = Source {
        updated_at: after.updated_at,
        ..changed
    };
    assert_eq!(after, expected, "neither the notebook nor the origin");
}

#[test]
fn an_update_takes_text_and_metadata_away() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let new = NewSource {
        extracted_text: Some("They sing.".into()),
        metadata: Some(json!({})),
        ..file(&notebook, "song")
    };
    let made = db.sources().create(&new).unwrap();
    let less = Source {
        extracted_text: None,
        metadata: None,
        ..made
    };
    let after = db.sources().update(&less).unwrap();
    assert_eq!((after.extracted_text, after.metadata), (None, None));
}

#[test]
fn an_update_of_what_is_not_there_is_refused() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let (gone, deleted) = (db.source(&notebook, "a"), db.source(&notebook, "b"));
    db.sources().purge(gone.id).unwrap();
    db.sources().delete(deleted.id).unwrap();
    is_not_found(db.sources().update(&gone), gone.id);
    is_not_found(db.sources().update(&deleted), deleted.id);
}

#[test]
fn an_update_of_what_somebody_else_has_changed_is_refused() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let read = db.source(&notebook, "song");
    let first = Source {
        name: "first".into(),
        ..read.clone()
    };
    let first = db.sources().update(&first).unwrap();
    let late = db.sources().update(&read);
    assert!(matches!(late, Err(Error::Changed { id, .. }) if id == read.id));
    assert_eq!(db.sources().find(read.id).unwrap(), Some(first));
}

#[test]
fn an_update_to_the_content_of_another_is_a_duplicate() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let (one, two) = (db.source(&notebook, "a"), db.source(&notebook, "b"));
    let same = Source {
        content_hash: one.content_hash.clone(),
        ..two
    };
    is_duplicate(db.sources().update(&same), &one);
}

// Delete, restore, purge

#[test]
fn what_is_not_there_cant_be_deleted() {
    let mut db = Database::new();
    let id = Uuid::new_v4();
    is_not_found(db.sources().delete(id), id);
    is_not_found(db.sources().restore(id), id);
    is_not_found(db.sources().purge(id), id);
}

#[test]
fn one_is_deleted_once() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let source = db.source(&notebook, "song");
    db.sources().delete(source.id).unwrap();
    is_not_found(db.sources().delete(source.id), source.id);
}

#[test]
fn a_deleted_one_keeps_everything_and_is_restored() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let new = NewSource {
        extracted_text: Some("They sing.".into()),
        metadata: Some(json!({"pages": 12})),
        ..file(&notebook, "song")
    };
    let made = db.sources().create(&new).unwrap();
    db.sources().delete(made.id).unwrap();
    assert_eq!(db.sources().restore(made.id).unwrap(), made);
    assert_eq!(db.sources().find(made.id).unwrap(), Some(made));
    assert_eq!(db.sources().list_deleted(notebook.id).unwrap(), []);
}

#[test]
fn only_what_is_deleted_is_restored() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let source = db.source(&notebook, "song");
    let error = db.sources().restore(source.id).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no deleted source {}", source.id)
    );
}

#[test]
fn what_has_come_again_is_not_restored() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let first = db.source(&notebook, "song");
    db.sources().delete(first.id).unwrap();
    let second = db.source(&notebook, "song");
    is_duplicate(db.sources().restore(first.id), &second);
    db.sources().delete(second.id).unwrap();
    db.sources().restore(first.id).unwrap();
}

#[test]
fn a_purged_one_is_gone() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let (live, deleted) = (db.source(&notebook, "a"), db.source(&notebook, "b"));
    db.sources().delete(deleted.id).unwrap();
    for source in [live, deleted] {
        db.sources().purge(source.id).unwrap();
        is_not_found(db.sources().restore(source.id), source.id);
    }
    assert_eq!(db.lines("SELECT name::text FROM sources"), [""; 0]);
}

// Duplicates

#[test]
fn the_same_content_twice_is_a_duplicate() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let first = db.source(&notebook, "song");
    let again = NewSource {
        name: "another name".into(),
        ..file(&notebook, "song")
    };
    let refused = db.sources().create(&again);
    is_duplicate(refused, &first);
    assert_eq!(
        names(&db.sources().list(notebook.id, None).unwrap()),
        ["song.pdf"]
    );
}

#[test]
fn the_same_content_in_another_notebook_is_none() {
    let mut db = Database::new();
    let (one, two) = (db.notebook("one"), db.notebook("two"));
    let first = db.source(&one, "song");
    let second = db.source(&two, "song");
    assert_eq!(first.content_hash, second.content_hash);
    let found = db.sources().find_duplicate(two.id, "song").unwrap();
    assert_eq!(found, Some(second));
}

#[test]
fn a_deleted_one_is_no_duplicate() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let first = db.source(&notebook, "song");
    db.sources().delete(first.id).unwrap();
    assert_eq!(
        db.sources().find_duplicate(notebook.id, "song").unwrap(),
        None
    );
    assert_ne!(db.source(&notebook, "song").id, first.id);
}

#[test]
fn a_duplicate_is_found_before_it_is_made() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    assert_eq!(
        db.sources().find_duplicate(notebook.id, "song").unwrap(),
        None
    );
    let made = db.source(&notebook, "song");
    assert_eq!(
        db.sources().find_duplicate(notebook.id, "song").unwrap(),
        Some(made)
    );
}

#[test]
fn of_the_same_content_at_once_one_is_made() {
    let mut db = Database::new();
    let notebook = db.notebook("whales");
    let (new, url) = (file(&notebook, "song"), db.url.as_str());
    let together = Barrier::new(8);
    let create = || {
        let mut client = Client::connect(url, NoTls).unwrap();
        together.wait();
        PostgresSourceRepository::new(&mut client).create(&new)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    let made = made[0].as_ref().unwrap();
    for result in refused {
        is_duplicate(result, made);
    }
}
