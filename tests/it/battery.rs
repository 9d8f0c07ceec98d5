//! Rows of the battery, each named after its number.

mod blocked;
mod disk;
mod idle;
mod interrupted;
mod lost;
mod pooler;
