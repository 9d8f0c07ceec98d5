//! Diesel's table has the versions, and nothing that tells what they were.

use postgres::Client;

use super::Applied;
use crate::database::server;
use crate::error::Error;
use crate::exit_code;

/// Its versions are the digits of the directory's name.
pub(super) fn applied(client: &mut Client, table: &str) -> Result<Applied, Error> {
    let failed = |error| server("read Diesel's table", &error);
    let rows = client
        .query(&format!("SELECT version::text FROM {table}"), &[])
        .map_err(failed)?;
    let read = |row: &postgres::Row| {
        let version: String = row.try_get(0).map_err(failed)?;
        match version.replace('-', "").parse() {
            Ok(number) => Ok((number, version)),
            Err(_) => Err(Error::Found {
                message: format!("Diesel has applied `{version}`, which is no number"),
                help: "write it as a file with a version of its own, and then record that with `cargo xtask db-stamp VERSION`".into(),
                code: exit_code::MISSING,
            }),
        }
    };
    rows.iter().map(read).collect()
}
