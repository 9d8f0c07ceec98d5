//! Real Cargo projects that embed migrations.

#![allow(clippy::unwrap_used)] // A test that can't set its project up has failed.

mod lock;
mod project;
mod provenance;
mod rebuild;
mod stop;
