//! Many files and large ones.

use std::fmt::Write;

use touchmark_core::encoded::{Home, encode};

use crate::directory::Directory;
use crate::process;

/// What a build does with them: reads, checks, hashes and encodes.
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
    assert!(encode(&set, &Home::default()).len() > 10_000);
}

/// The most that a process had in memory at once, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    words[1].parse().unwrap()
}

/// Three times what it takes: a copy of all files more would still pass, one of each thread would not.
#[cfg(target_os = "linux")]
#[test]
fn b47_ten_thousand_files_take_little_memory() {
    if process::argument().is_some() {
        let before = peak();
        b47_ten_thousand_files();
        println!("peak {} KiB", peak() - before);
        return;
    }
    let test = "scale::b47_ten_thousand_files_take_little_memory";
    let screen = process::run(process::own(), test, "");
    let (_, number) = screen.split_once("peak ").unwrap();
    let peak: usize = number.split(' ').next().unwrap().parse().unwrap();
    assert!(peak < 64 * 1024, "{peak} KiB");
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
    assert_eq!(set.migrations[0].up.spans.len(), 11);
}
