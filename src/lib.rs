//! The embedded migrations.
