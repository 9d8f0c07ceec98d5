//! What is applied in an environment that others use, and not merged.
