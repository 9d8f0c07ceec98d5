//! Checks `migrations/` and embeds it.

fn main() {
    touchmark_build::embed("migrations")
}
