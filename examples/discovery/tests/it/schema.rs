//! The tables are those of the guide.

use discovery::MIGRATIONS;
use touchmark::{Migrator, RollbackTarget};

use crate::database::Database;

#[track_caller]
fn check(db: &mut Database, sql: &str, expected: &str) {
    let lines = db.lines(sql);
    let expected: Vec<_> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(lines, expected, "{lines:#?}");
}

#[test]
fn columns() {
    let mut db = Database::new();
    check(
        &mut db,
        "SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod),
                          CASE WHEN attnotnull THEN 'not null' END)
         FROM pg_attribute WHERE attrelid IN ('notebooks'::regclass, 'sources'::regclass) AND attnum > 0
         ORDER BY attrelid::regclass::text, attnum",
        "notebooks id uuid not null
         notebooks name character varying(255) not null
         notebooks description text
         notebooks tags character varying[] not null
         notebooks created_at timestamp without time zone not null
         notebooks updated_at timestamp without time zone not null
         notebooks source_count integer not null
         notebooks output_count integer not null
         sources id uuid not null
         sources notebook_id uuid not null
         sources name character varying(500) not null
         sources source_type character varying(20) not null
         sources file_type character varying(20)
         sources url text
         sources file_path text
         sources file_size bigint
         sources content_hash character varying(64) not null
         sources extracted_text text
         sources source_metadata json
         sources created_at timestamp without time zone not null
         sources updated_at timestamp without time zone not null
         sources deleted_at timestamp without time zone",
    );
}

#[test]
fn indexes() {
    let mut db = Database::new();
    check(
        &mut db,
        "SELECT concat_ws(' ', indrelid::regclass, indexrelid::regclass,
                          substring(pg_get_indexdef(indexrelid) FROM '\\(.*'),
                          CASE WHEN indisprimary THEN 'primary key' WHEN indisunique THEN 'unique' END)
         FROM pg_index WHERE indrelid IN ('notebooks'::regclass, 'sources'::regclass) ORDER BY 1",
        "notebooks ix_notebooks_created_at (created_at)
         notebooks ix_notebooks_name (name)
         notebooks notebooks_name_key (name) unique
         notebooks notebooks_pkey (id) primary key
         sources ix_sources_content_hash (content_hash)
         sources ix_sources_created_at (created_at)
         sources ix_sources_deleted_at (deleted_at)
         sources ix_sources_notebook_id (notebook_id)
         sources ix_sources_notebook_id_content_hash (notebook_id, content_hash)
         sources sources_pkey (id) primary key",
    );
}

#[test]
fn constraints() {
    let mut db = Database::new();
    check(
        &mut db,
        "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
         WHERE conrelid IN ('notebooks'::regclass, 'sources'::regclass) AND contype IN ('f', 'p', 'u') ORDER BY 1",
        "notebooks notebooks_name_key UNIQUE (name)
         notebooks notebooks_pkey PRIMARY KEY (id)
         sources sources_notebook_id_fkey FOREIGN KEY (notebook_id) REFERENCES notebooks(id) ON DELETE CASCADE
         sources sources_pkey PRIMARY KEY (id)",
    );
}

#[test]
fn a_source_is_a_file_or_a_url() {
    let mut db = Database::new();
    let notebook = db.notebook("whales").id;
    let mut check = |values: &str, is_taken: bool| {
        let sql = format!(
            "INSERT INTO sources (notebook_id, name, content_hash, source_type, file_type, file_path, file_size, url)
             VALUES ('{notebook}', 'a', 'a', {values})"
        );
        assert_eq!(db.client.batch_execute(&sql).is_ok(), is_taken, "{values}");
    };
    check("'file', 'pdf', '/a.pdf', 1, NULL", true);
    check("'file', 'pdf', '/a.pdf', NULL, NULL", false);
    check("'url', NULL, NULL, NULL, 'https://example.com'", true);
    check("'url', NULL, NULL, NULL, NULL", false);
    check("'book', NULL, NULL, NULL, 'https://example.com'", false);
}

#[test]
fn there_and_back() {
    let mut db = Database::new();
    let tables = "SELECT relname::text FROM pg_class
                  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1";
    let there = db.lines(tables);
    assert_eq!(there.len(), 4, "{there:?}");
    let migrator = Migrator::new(&MIGRATIONS);
    migrator.rollback(&db.url, RollbackTarget::Base).unwrap();
    assert_eq!(
        db.lines(tables),
        ["refinery_schema_history", "touchmark_ledger"]
    );
    assert_eq!(migrator.run(&db.url).unwrap().applied.len(), 5);
    assert_eq!(db.lines(tables), there);
}

#[test]
fn what_is_there_is_counted_when_counting_begins() {
    let mut db = Database::new();
    let migrator = Migrator::new(&MIGRATIONS);
    migrator
        .rollback(&db.url, RollbackTarget::Version(2))
        .unwrap();
    let notebook = db.notebook("whales");
    let gone = db.source(&notebook, "a").id;
    db.source(&notebook, "b");
    db.run(&format!(
        "UPDATE sources SET deleted_at = now() WHERE id = '{gone}'"
    ));
    let count = "SELECT source_count::text FROM notebooks";
    assert_eq!(db.lines(count), ["0"]);
    migrator.run(&db.url).unwrap();
    assert_eq!(db.lines(count), ["1"]);
}
