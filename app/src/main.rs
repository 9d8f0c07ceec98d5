//! The ingestion service.

fn main() -> std::process::ExitCode {
    app::main()
}
