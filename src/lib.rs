//! The migrations of the ingestion service, embedded at build time.
//!
//! A package of their own, so that the service, a test or another tool links the same set:
//!
//! ```no_run
//! let report = touchmark::migrate(&migrations::MIGRATIONS, "postgresql://app@localhost/app")?;
//! # Ok::<(), touchmark::Error>(())
//! ```

touchmark::embedded!();

#[cfg(test)]
mod tests {
    /// Of all tests Cargo runs these first, so what is missing is told once, rather than by each test that needs it.
    #[test]
    fn the_machine_has_what_the_tests_need() {
        test_needs::everything();
    }
}
