//! A database for each test, freshly migrated, on the server that `cargo xtask db-up` runs.

use std::sync::Once;

use discovery::MIGRATIONS;
use discovery::infrastructure::{PostgresNotebookRepository, PostgresSourceRepository};
use discovery::notebook::{NewNotebook, Notebook};
use discovery::repositories::{NotebookRepository, SourceRepository};
use discovery::source::{NewSource, Origin, Source};
use postgres::{Client, NoTls};
use uuid::Uuid;

/// A database of its own, which is dropped in the end. The developer's is only connected to, to make it and to drop it.
pub struct Database {
    pub url: String,
    pub client: Client,
    name: String,
    developers: Client,
}

impl Database {
    pub fn new() -> Database {
        dotenvy::from_path(".env").ok();
        let url =
            std::env::var("DATABASE_URL").expect("`cargo xtask db-up` writes DATABASE_URL to .env");
        let name = format!("{PREFIX}{}", Uuid::new_v4().simple());
        // The session bears the name of the database that it answers for.
        let named = with(&url, "application_name", &name);
        let mut developers =
            Client::connect(&named, NoTls).expect("the server runs: `cargo xtask db-up` starts it");
        static ONCE: Once = Once::new();
        ONCE.call_once(|| drop_what_was_left(&mut developers));
        let create = format!("CREATE DATABASE {name}");
        developers
            .batch_execute(&create)
            .expect("the role may make databases");
        let url = with(&url, "dbname", &name);
        touchmark::migrate(&MIGRATIONS, &url).unwrap_or_else(|error| panic!("{}", error.report()));
        let client = Client::connect(&url, NoTls).unwrap();
        Database {
            url,
            client,
            name,
            developers,
        }
    }

    pub fn notebooks(&mut self) -> PostgresNotebookRepository<'_> {
        PostgresNotebookRepository::new(&mut self.client)
    }

    pub fn sources(&mut self) -> PostgresSourceRepository<'_> {
        PostgresSourceRepository::new(&mut self.client)
    }

    #[track_caller]
    pub fn notebook(&mut self, name: &str) -> Notebook {
        self.notebooks().create(&NewNotebook::named(name)).unwrap()
    }

    /// A source with this content.
    #[track_caller]
    pub fn source(&mut self, notebook: &Notebook, content: &str) -> Source {
        self.sources().create(&file(notebook, content)).unwrap()
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap();
    }

    /// One text for each row.
    #[track_caller]
    pub fn lines(&mut self, sql: &str) -> Vec<String> {
        let rows = self.client.query(sql, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        if let Err(error) = self.developers.batch_execute(&sql) {
            eprintln!("failed to drop {}: {error}", self.name);
        }
    }
}

const PREFIX: &str = "discovery_test_";

/// A run that was killed could not drop its databases; nobody answers for them any more. A name that only begins alike is
/// somebody's own.
fn drop_what_was_left(developers: &mut Client) {
    let sql = "SELECT datname FROM pg_database
               WHERE datname ~ $1 AND datname NOT IN (SELECT application_name FROM pg_stat_activity)";
    let ours = format!("^{PREFIX}[0-9a-f]{{32}}$");
    for row in developers.query(sql, &[&ours]).unwrap() {
        let name: &str = row.get(0);
        // Another run may be doing the same.
        developers
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name}"))
            .ok();
    }
}

/// The URL with a parameter, which goes before what is in its path.
fn with(url: &str, parameter: &str, value: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{parameter}={value}")
}

/// A file with this content; a hash of it is of no interest here.
pub fn file(notebook: &Notebook, content: &str) -> NewSource {
    NewSource {
        notebook_id: notebook.id,
        name: format!("{content}.pdf"),
        origin: Origin::File {
            file_type: "pdf".into(),
            path: format!("/files/{content}.pdf"),
            size: 1,
        },
        content_hash: content.into(),
        extracted_text: None,
        metadata: None,
    }
}

pub fn url(notebook: &Notebook, address: &str) -> NewSource {
    NewSource {
        name: address.into(),
        origin: Origin::Url(address.into()),
        ..file(notebook, address)
    }
}

#[test]
fn only_what_a_test_has_left_is_dropped() {
    let mut db = Database::new();
    let id = Uuid::new_v4().simple().to_string();
    let (left, own) = (format!("{PREFIX}{id}"), format!("{PREFIX}data_{id}"));
    for name in [&left, &own] {
        db.developers
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
    }
    drop_what_was_left(&mut db.developers);
    let sql = "SELECT datname FROM pg_database WHERE datname IN ($1, $2)";
    let rows = db.developers.query(sql, &[&left, &own]).unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, [own.as_str()]);
    db.developers
        .batch_execute(&format!("DROP DATABASE {own}"))
        .unwrap();
}
