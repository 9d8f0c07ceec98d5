//! Directories of migrations, good and bad, named after the rows of the battery.

#![allow(clippy::unwrap_used)] // A test that can't set its directory up has failed.

mod content;
mod directory;
mod files;
mod headers;
mod lock;
mod process;
mod scale;
mod sealed;
mod splitting;
mod statements;
