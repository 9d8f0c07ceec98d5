//! touchmark
