//! The project's tasks: `cargo xtask db-migrate` and the others.

fn main() -> std::process::ExitCode {
    touchmark_xtask::main()
}
