//! touchmark-engine
