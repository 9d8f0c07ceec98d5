//! Dropping a database and making one like it.

use crate::database::like::{self, Extent};
use crate::database::{connect, name, server};
use crate::error::Error;

/// What is known of a database before it is dropped.
pub(super) struct Known {
    /// `touchmark.environment`, where it is set.
    pub(super) environment: Option<String>,
    /// Makes one like it, and sets what was set for it; without the database in between.
    create: String,
    settings: Vec<String>,
}

/// Looks at the database; changes nothing.
pub(super) fn look(url: &str) -> Result<Known, Error> {
    let mut client = connect(url, None)?;
    let doing = "look at the database";
    let name = name(url);
    let row = client
        .query_one(
            "SELECT pg_catalog.current_setting('touchmark.environment', true)",
            &[],
        )
        .map_err(|e| server(doing, &e))?;
    Ok(Known {
        environment: row.get(0),
        create: like::create(&mut client, &name, Extent::Whole).map_err(|e| server(doing, &e))?,
        settings: like::settings(&mut client, &name, Extent::Whole)
            .map_err(|e| server(doing, &e))?,
    })
}

/// Drops the database and makes it again, connected to another one of the same server.
pub(super) fn recreate(url: &str, known: &Known) -> Result<(), Error> {
    let name = name(url);
    let other = if name == "postgres" {
        "template1"
    } else {
        "postgres"
    };
    let mut client = connect(url, Some(other))?;
    let ident = format!("\"{}\"", name.replace('"', "\"\""));
    // FORCE ends the sessions of the application, which would hold the database.
    client
        .batch_execute(&format!("DROP DATABASE {ident} WITH (FORCE)"))
        .map_err(|e| server("drop the database", &e))?;
    client
        .batch_execute(&known.create)
        .map_err(|e| server("make the database again", &e))?;
    for setting in &known.settings {
        client
            .batch_execute(setting)
            .map_err(|e| server("set what was set for the database", &e))?;
    }
    Ok(())
}
