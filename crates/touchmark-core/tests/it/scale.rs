//! Many files and large ones.

use std::fmt::Write;

use crate::directory::Directory;

#[test]
fn b47_ten_thousand_files() {
    let files: Vec<_> = (1..=10_000)
        .map(|version| {
            let name = format!("V{version}__table_{version}.sql");
            let sql = format!("CREATE TABLE t{version} (id bigint PRIMARY KEY);\n");
            (name, sql)
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, sql)| (name.as_str(), sql))
        .collect();
    let set = Directory::new(&files).set();
    assert_eq!(set.migrations.len(), 10_000);
    assert!(set.migrations.is_sorted_by_key(|m| m.version));
}

#[test]
fn b47_a_large_file_of_data() {
    let mut sql = String::from("CREATE TABLE t (id int, name text);\n");
    for chunk in 0..10 {
        sql.push_str("INSERT INTO t VALUES ");
        for row in 0..20_000 {
            let comma = if row == 0 { "" } else { "," };
            let _ = write!(sql, "{comma}\n  ({row}, 'name {chunk} {row};')");
        }
        sql.push_str(";\n");
    }
    let size = sql.len();
    let set = Directory::new(&[("V1__data.sql", sql)]).set();
    assert_eq!(set.migrations[0].up.sql.len(), size);
    assert_eq!(set.migrations[0].up.statements.len(), 11);
}
