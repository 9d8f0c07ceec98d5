//! The repositories and the migrations, on a real PostgreSQL.

mod counts;
mod database;
mod notebooks;
mod schema;
mod sources;
