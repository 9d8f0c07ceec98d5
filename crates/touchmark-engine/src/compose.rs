//! `docker compose`. (This file belongs to the compose engine; the functions are what the crate calls.)
#![allow(dead_code)]

use crate::{Database, Down, Error, Progress, Settings, State};
use std::process::Command;

/// Whether an engine and a compose program answer: `Ok("docker compose v2.24")`, or `Err` with the reason why not.
pub fn answers() -> Result<String, String> {
    Err("not there yet".to_owned())
}

pub fn up(
    _settings: &Settings,
    _reason: &str,
    _progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Database, Error> {
    todo!()
}

pub fn state(_settings: &Settings, _reason: &str) -> Result<State, Error> {
    todo!()
}

pub fn down(_settings: &Settings, _volumes: bool) -> Result<Down, Error> {
    todo!()
}

pub fn logs(_settings: &Settings, _follow: bool) -> Result<(), Error> {
    todo!()
}

/// `psql` inside the container, for a machine that has none.
pub fn psql(_settings: &Settings, _database: &Database) -> Result<Command, Error> {
    todo!()
}
