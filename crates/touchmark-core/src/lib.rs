//! touchmark-core
