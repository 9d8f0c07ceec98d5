use discovery::notebook::{NewNotebook, Notebook};
use discovery::repositories::{Error, NotebookRepository, SourceRepository};
use uuid::Uuid;

use crate::database::Database;

fn tagged(name: &str, tags: &[&str]) -> NewNotebook {
    NewNotebook {
        tags: tags.iter().map(ToString::to_string).collect(),
        ..NewNotebook::named(name)
    }
}

fn names(notebooks: &[Notebook]) -> Vec<&str> {
    notebooks
        .iter()
        .map(|notebook| notebook.name.as_str())
        .collect()
}

#[test]
fn a_new_one_has_what_it_was_given() {
    let mut db = Database::new();
    let new = NewNotebook {
        description: Some("What the whales sing".into()),
        ..tagged("whales", &["sea", "größe, \"and\" {more}"])
    };
    let made = db.notebooks().create(&new).unwrap();
    assert_eq!(
        (&made.name, &made.description, &made.tags),
        (&new.name, &new.description, &new.tags)
    );
    assert_eq!((made.source_count, made.output_count), (0, 0));
    assert_eq!(made.created_at, made.updated_at);
    let found = db.notebooks().find(made.id).unwrap();
    assert_eq!(found, Some(made));
}

#[test]
fn a_new_one_needs_a_name_only() {
    let mut db = Database::new();
    let made = db.notebook("whales");
    assert_eq!((made.description, made.tags), (None, Vec::new()));
}

#[test]
fn times_are_utc_whatever_the_session_says() {
    let mut db = Database::new();
    db.run("SET TIME ZONE 'Asia/Tokyo'");
    let made = db.notebook("whales").created_at;
    let now = time::OffsetDateTime::now_utc();
    assert!((now - made).whole_minutes().abs() < 5, "{made} at {now}");
}

#[test]
fn a_name_is_taken_once() {
    let mut db = Database::new();
    db.notebook("whales");
    let again = db.notebooks().create(&NewNotebook::named("whales"));
    assert!(matches!(again, Err(Error::NameTaken { name }) if name == "whales"));
    db.notebook("Whales");
}

#[test]
fn a_name_has_255_characters() {
    let mut db = Database::new();
    db.notebook(&"ä".repeat(255));
    let longer = db.notebooks().create(&NewNotebook::named("ä".repeat(256)));
    let error = longer.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(
        error.to_string(),
        "value too long for type character varying(255)"
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut db = Database::new();
    let id = Uuid::new_v4();
    assert_eq!(db.notebooks().find(id).unwrap(), None);
    assert_eq!(db.notebooks().find_by_name("whales").unwrap(), None);
    let error = db.notebooks().delete(id).unwrap_err();
    assert_eq!(error.to_string(), format!("there is no notebook {id}"));
    assert!(matches!(
        db.notebooks().set_output_count(id, 1),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn one_is_found_by_its_name() {
    let mut db = Database::new();
    let made = db.notebook("'; DROP TABLE notebooks; --");
    let found = db.notebooks().find_by_name(&made.name).unwrap();
    assert_eq!(found, Some(made));
}

#[test]
fn the_list_begins_with_the_newest() {
    let mut db = Database::new();
    assert_eq!(db.notebooks().list(None).unwrap(), []);
    for name in ["one", "two", "three"] {
        db.notebook(name);
    }
    assert_eq!(
        names(&db.notebooks().list(None).unwrap()),
        ["three", "two", "one"]
    );
}

#[test]
fn the_list_is_of_a_tag() {
    let mut db = Database::new();
    for (name, tags) in [
        ("one", &["a", "b"][..]),
        ("two", &[]),
        ("three", &["b", "c"]),
    ] {
        db.notebooks().create(&tagged(name, tags)).unwrap();
    }
    assert_eq!(
        names(&db.notebooks().list(Some("b")).unwrap()),
        ["three", "one"]
    );
    assert_eq!(names(&db.notebooks().list(Some("d")).unwrap()), [""; 0]);
}

#[test]
fn an_update_stores_what_may_change() {
    let mut db = Database::new();
    let before = db.notebook("whales");
    db.source(&before, "a");
    let changed = Notebook {
        name: "dolphins".into(),
        description: Some("smaller".into()),
        tags: vec!["sea".into()],
        source_count: 9,
        output_count: 9,
        ..before.clone()
    };
    let after = db.notebooks().update(&changed).unwrap();
    assert_eq!(
        db.notebooks().find(before.id).unwrap().as_ref(),
        Some(&after)
    );
    assert!(after.updated_at > before.updated_at);
    let expected = Notebook {
        updated_at: after.updated_at,
        source_count: 1,
        output_count: 0,
        ..changed
    };
    assert_eq!(after, expected);
}

#[test]
fn an_update_of_what_somebody_else_has_changed_is_refused() {
    let mut db = Database::new();
    let read = db.notebook("whales");
    db.notebooks().update(&read).unwrap();
    let late = db.notebooks().update(&read);
    assert!(matches!(late, Err(Error::Changed { id, .. }) if id == read.id));
    db.notebooks().delete(read.id).unwrap();
    let later = db.notebooks().update(&read);
    assert!(matches!(later, Err(Error::NotFound { id, .. }) if id == read.id));
}

#[test]
fn an_update_to_a_name_that_is_taken_is_refused() {
    let mut db = Database::new();
    db.notebook("whales");
    let other = Notebook {
        name: "whales".into(),
        ..db.notebook("dolphins")
    };
    assert!(matches!(
        db.notebooks().update(&other),
        Err(Error::NameTaken { .. })
    ));
}

#[test]
fn a_deleted_one_takes_its_sources_with_it() {
    let mut db = Database::new();
    let (gone, stays) = (db.notebook("whales"), db.notebook("dolphins"));
    let kept = db.source(&stays, "a");
    db.source(&gone, "a");
    let trashed = db.source(&gone, "b").id;
    db.sources().delete(trashed).unwrap();
    db.notebooks().delete(gone.id).unwrap();
    assert_eq!(db.notebooks().find(gone.id).unwrap(), None);
    assert_eq!(
        db.lines("SELECT id::text FROM sources"),
        [kept.id.to_string()]
    );
    db.notebook("whales");
}
