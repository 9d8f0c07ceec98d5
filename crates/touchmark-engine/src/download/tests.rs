//! Bad archives, no network, a full disk.
