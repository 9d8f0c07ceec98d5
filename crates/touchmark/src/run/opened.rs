//! A set and where it belongs, before there is a connection.

use std::borrow::Cow;
use std::cell::OnceCell;

use touchmark_core::encoded::{Encoded, EncodedMigration, History, Home};

use super::{Context, Options};
use crate::event::Events;
use crate::history::Tables;
use crate::lock::Scope;
use crate::placeholder::Values;
use crate::{Error, Set};

/// What a run knows of its set without decoding it.
pub(crate) struct Opened<'s> {
    pub encoded: Encoded<'s>,
    pub directory: &'s str,
    pub tables: Tables,
    pub values: Values,
    set: Set<'s>,
    /// Read when it is needed: its stamp is hashed, and a start with nothing to do hashes nothing.
    build: OnceCell<Cow<'s, str>>,
}

impl<'s> Opened<'s> {
    pub(crate) fn of(set: &Set<'s>, options: &Options) -> Result<Opened<'s>, Error> {
        let encoded = set.open()?;
        let (directory, home) = encoded.names()?;
        Ok(Opened {
            directory,
            tables: tables(options, home)?,
            values: Values::of(&encoded, &options.placeholders)?,
            set: *set,
            build: OnceCell::new(),
            encoded,
        })
    }

    /// Decodes the migrations, with the values of placeholders.
    pub(crate) fn migrations(&self) -> Result<Vec<EncodedMigration<'s>>, Error> {
        Ok(self.values.fill(self.encoded.migrations()?))
    }

    pub(crate) fn context<'c>(
        &'c self,
        set: &'c [EncodedMigration<'c>],
        options: &'c Options,
        events: Events<'c>,
        scope: Scope,
    ) -> Context<'c> {
        Context {
            set,
            directory: self.directory,
            values: &self.values,
            build: self.build.get_or_init(|| self.set.build()),
            tables: &self.tables,
            options,
            events,
            scope,
        }
    }
}

/// What the caller names goes before what was configured when the set was built.
fn tables(options: &Options, mut home: Home) -> Result<Tables, Error> {
    if let Some(schema) = &options.schema {
        home = Home {
            schema: Some(schema.clone()),
            history: History {
                schema: schema.clone(),
                ..home.history
            },
        };
    }
    if let Some(history) = &options.history {
        home.history.clone_from(history);
    }
    Ok(Tables {
        one_of_many: options.schema.is_some(),
        ..Tables::of(home)?
    })
}
