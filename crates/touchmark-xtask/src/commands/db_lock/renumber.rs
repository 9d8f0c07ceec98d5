//! Giving later versions to what is not merged yet. Pure: names in, names out.

use touchmark_core::lock::Lock;
use touchmark_core::{FileName, Kind};

use crate::commands::db_new::version;
use crate::error::Error;

/// A migration that gets another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Renumbered {
    /// Its file as it is.
    pub from: FileName,
    /// Its file as it shall be.
    pub to: FileName,
}

/// What of the files the base does not have, and what of it must have another version so that it
/// stands behind everything that the base has. The order among them stays.
///
/// # Errors
/// When there is no greater version.
pub(super) fn renumber(
    base: &Lock,
    files: &[FileName],
    now: i64,
) -> Result<Vec<Renumbered>, Error> {
    let mut mine: Vec<&FileName> = files
        .iter()
        .filter(|file| !file.is_down && file.kind != Kind::Repeatable && !is_in(base, file))
        .collect();
    mine.sort_by(|a, b| (a.version, &a.name).cmp(&(b.version, &b.name)));
    // As the files of the base are written; the lock does not tell how many digits they have.
    let mut present: Vec<FileName> = base
        .versioned()
        .iter()
        .map(|entry| {
            let file = files.iter().find(|file| file.version == entry.version);
            FileName {
                kind: entry.kind,
                version: entry.version,
                digits: file.map_or(0, |file| file.digits),
                name: entry.name.clone(),
                is_down: false,
            }
        })
        .collect();
    let mut out = Vec::new();
    for file in mine {
        let is_taken = present.iter().any(|other| other.version == file.version);
        let is_late = present.iter().any(|other| other.version > file.version);
        let mut to = file.clone();
        if is_taken || is_late && file.kind == Kind::Versioned {
            let digits = version::next(&present, now)?;
            to.digits = u8::try_from(digits.len()).unwrap_or(u8::MAX);
            // It was made of a 64-bit number.
            to.version = digits.parse().unwrap_or(i64::MAX);
            out.push(Renumbered {
                from: file.clone(),
                to: to.clone(),
            });
        }
        present.push(to);
    }
    Ok(out)
}

fn is_in(base: &Lock, file: &FileName) -> bool {
    base.find(file.kind, file.version, &file.name)
        .is_some_and(|entry| entry.kind == file.kind && entry.name == file.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use touchmark_core::{file_name, lock};

    const NOW: i64 = 20_260_131_120_000;

    #[track_caller]
    fn check(base: &[&str], files: &[&str], expected: &[(&str, &str)]) {
        let entries = base.iter().map(|file| {
            let name = file_name(file).unwrap();
            lock::entry(&name, b"SELECT 1;".to_vec(), None, file).unwrap()
        });
        let base = Lock::new(entries.collect());
        let files: Vec<_> = files.iter().map(|file| file_name(file).unwrap()).collect();
        let found = renumber(&base, &files, NOW).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.from.to_string(), one.to.to_string()))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(from, to)| (from.to_string(), to.to_string()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_what_is_not_merged_and_stands_in_front_moves() {
        check(&[], &["V1__a.sql", "V1__a.down.sql"], &[]);
        check(&["V1__a.sql"], &["V1__a.sql", "V2__b.sql"], &[]);
        // Both branches took the same number.
        check(
            &["V1__a.sql", "V2__b.sql"],
            &["V1__a.sql", "V2__b.sql", "V2__c.sql", "V2__c.down.sql"],
            &[("V2__c.sql", "V3__c.sql")],
        );
        // The ones behind it move too, so that their order stays.
        check(
            &["V1__a.sql", "V3__b.sql"],
            &["V1__a.sql", "V2__c.sql", "V3__b.sql", "V4__d.sql"],
            &[("V2__c.sql", "V4__c.sql"), ("V4__d.sql", "V5__d.sql")],
        );
        check(
            &["V001__a.sql", "V002__b.sql"],
            &["V001__a.sql", "V002__b.sql", "V002__c.sql"],
            &[("V002__c.sql", "V003__c.sql")],
        );
    }

    #[test]
    fn times_move_to_now() {
        check(
            &["V20260101000000__a.sql", "V20260103000000__b.sql"],
            &[
                "V20260102000000__c.sql",
                "V20260102000001__d.sql",
                "V20260103000000__b.sql",
            ],
            &[
                ("V20260102000000__c.sql", "V20260131120000__c.sql"),
                ("V20260102000001__d.sql", "V20260131120001__d.sql"),
            ],
        );
    }

    #[test]
    fn what_may_be_late_stays_unless_its_number_is_taken() {
        check(&["V1__a.sql", "V3__b.sql"], &["U2__c.sql", "R__d.sql"], &[]);
        check(
            &["V1__a.sql", "V3__b.sql"],
            &["U3__c.sql", "V3__b.sql"],
            &[("U3__c.sql", "U4__c.sql")],
        );
    }
}
