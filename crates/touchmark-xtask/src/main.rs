//! The commands without an `xtask` of one's own; the tests run this.
fn main() -> std::process::ExitCode {
    touchmark_xtask::main()
}
