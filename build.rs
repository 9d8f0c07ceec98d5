//! Embeds `migrations/`.

fn main() {
    touchmark_build::embed("migrations")
}
