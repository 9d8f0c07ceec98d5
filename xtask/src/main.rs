//! The project's tasks; all of them are touchmark's.
fn main() -> std::process::ExitCode {
    touchmark_xtask::main()
}
