//! The exit codes of all commands. They don't change within a major version.

/// Done, or nothing to do.
pub const OK: u8 = 0;
/// Anything that has no code of its own.
pub const FAILURE: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// The migration files are wrong.
pub const FILES: u8 = 10;
/// There is no database to be had: it does not run, does not answer, or refuses the login.
pub const DATABASE: u8 = 11;
/// A migration failed.
pub const MIGRATION: u8 = 12;
/// Another run held the migration lock for too long.
pub const BUSY: u8 = 13;
/// Not confirmed, or refused because of what it would destroy.
pub const REFUSED: u8 = 14;
/// A program carries no migrations, several, or some that can't be read.
pub const BINARY: u8 = 15;
/// An applied migration, or one that is merged, was edited or renamed.
pub const EDITED: u8 = 20;
/// An applied migration, or one that is merged, was edited in comments or white space only.
pub const COSMETIC: u8 = 21;
/// An applied migration, or one that is merged, has no file.
pub const MISSING: u8 = 22;
/// A migration is not applied, or not merged, and a newer one is.
pub const OUT_OF_ORDER: u8 = 23;
/// The history was changed by hand.
pub const HISTORY: u8 = 24;
/// A migration without a transaction is unfinished.
pub const UNFINISHED: u8 = 25;
/// Migrations are pending (`db-status --check` only).
pub const PENDING: u8 = 26;
/// A program was built from other files, and building it again is all there is to do.
pub const STALE: u8 = 27;
/// Files and `migrations.lock` differ in what is applied nowhere yet, or the lock is broken.
pub const LOCK: u8 = 28;
/// The schema's documentation is not of the database that it was held against (`db-docs --check`).
pub const DOCS: u8 = 29;
/// The release before can't run on this one's schema until migrations are undone (`db-inspect`).
pub const UNDO_FIRST: u8 = 30;
/// There is no way back to the release before (`db-inspect`).
pub const IRREVERSIBLE: u8 = 31;
/// A down file does not undo what its migration does (`db-verify --down`).
pub const DOWN: u8 = 32;
/// What migrations make is not in the database, so that they were not recorded (`db-stamp`).
pub const ABSENT: u8 = 33;
/// There is no backup, so that nothing was migrated (`db-migrate --backup`).
pub const BACKUP: u8 = 34;
/// Interrupted by Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;

/// As the help shows them.
pub(crate) const HELP: &str = "Exit codes:
   0  done, or nothing to do
   1  anything that has no code of its own
   2  the command line or the configuration is wrong
  10  the migration files are wrong
  11  no database: not running, not answering, or login refused
  12  a migration failed
  13  another run held the migration lock for too long
  14  not confirmed, or refused because of what it would destroy
  15  a program carries no migrations, several, or some that can't be read
  20  an applied migration was edited or renamed
  21  an applied migration was edited in comments or white space only
  22  an applied migration has no file
  23  a migration is not applied, and a newer one is
  24  the history was changed by hand
  25  a migration without a transaction, or the undo of one, is unfinished
  26  migrations are pending (`db-status --check` only)
  27  a program was built from other files: build it again
  28  files and migrations.lock differ, in what is new, a draft, repeatable or undoes; or it is broken
  29  db-docs --check: what is written is not of this schema
  30  db-inspect: undo migrations before the older release is started
  31  db-inspect: there is no way back to the older release
  32  db-verify --down: a down file does not undo what its migration does
  33  db-stamp: what the migrations make is not there, so nothing was recorded
  34  db-migrate --backup: there is no backup, so nothing was migrated
 130  interrupted";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_each_of_them() {
        let readme = include_str!("../../../README.md");
        for line in HELP.lines().skip(1) {
            let code = line.split_whitespace().next().unwrap();
            assert!(readme.contains(&format!("\n| {code} | ")), "{line}");
        }
    }
}
