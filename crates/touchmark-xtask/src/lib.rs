//! touchmark-xtask
