//! The encoded form.
