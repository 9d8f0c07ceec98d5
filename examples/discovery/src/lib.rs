//! Notebooks and their sources.
//!
//! The repositories are traits in [`repositories`]; [`infrastructure`] keeps them in PostgreSQL, in the tables that
//! [`MIGRATIONS`] makes.

pub mod infrastructure;
pub mod notebook;
pub mod repositories;
pub mod source;

touchmark::embedded!();
