//! A server whose disk is full.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use crate::harness::*;

/// About 30 MB, of which nothing is compressed.
const FILL: &str =
    "INSERT INTO large SELECT repeat(md5(i::text), 60) FROM generate_series(1, 15000) i;";

#[test]
fn b19_a_full_disk() {
    let test = "battery::disk::b19_a_full_disk";
    let Some(disk) = test_needs::small_disk(64, test) else {
        return;
    };
    let place = disk.join("tablespace");
    fs::create_dir(&place).unwrap();
    let server_is = fs::metadata(server().folder()).unwrap();
    chown(&place, Some(server_is.uid()), Some(server_is.gid())).unwrap();
    let mut admin = client(&server().url("postgres"));
    let sql = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
    admin.batch_execute(&sql).unwrap();
    let filler = disk.join("filler");

    let in_one = format!("CREATE TABLE large (x text);\n{FILL}\n");
    let one_by_one = format!(
        "-- touchmark: no-transaction\nCREATE TABLE large (x text);\n{FILL}\nVACUUM large;\n"
    );
    for (name, text, kept) in [("in_one", in_one, "f"), ("one_by_one", one_by_one, "t")] {
        let sql = format!("CREATE DATABASE {name} TABLESPACE small");
        admin.batch_execute(&sql).unwrap();
        let url = server().url(name);
        let set = encoded(&[
            ("V1__a.sql", "CREATE TABLE a ();"),
            ("V2__large.sql", &text),
        ]);
        fs::write(&filler, vec![1; 32 << 20]).unwrap();
        let error = migrate(&url, &set).unwrap_err();
        let failure = error.failure().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(failure.server.code, "53100");
        let report = error.report().to_string();
        for part in [
            "V2__large.sql:",
            "No space left on device",
            "make room on the server's disk",
        ] {
            assert!(report.contains(part), "{report}");
        }
        // What is recorded is what is there.
        let state = "SELECT string_agg(version || state || statements_done, ' ' ORDER BY version) FROM touchmark_ledger";
        let recorded = match kept {
            "t" => "1applied0 2running1",
            _ => "1applied0",
        };
        assert_eq!(value(&url, state), recorded);
        let table = "SELECT to_regclass('large') IS NOT NULL";
        assert_eq!(value(&url, table), kept);

        // A failed insert leaves the table as large as the disk was until it is vacuumed.
        fs::remove_file(&filler).unwrap();
        if kept == "t" {
            client(&url).batch_execute("VACUUM large").unwrap();
        }
        assert_eq!(applied(&url, &set), ["V2__large"]);
        assert_eq!(value(&url, "SELECT count(*) FROM large"), "15000");
        admin
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .unwrap();
    }
}
