//! touchmark-build
