//! The migrations of the ingestion service, embedded at build time.
//!
//! A package of their own, so that the service, a test or another tool links the same set:
//!
//! ```no_run
//! let report = touchmark::migrate(&migrations::MIGRATIONS, "postgresql://app@localhost/app")?;
//! # Ok::<(), touchmark::Error>(())
//! ```

touchmark::embedded!();
