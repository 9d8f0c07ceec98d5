//! `completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::Error;
use crate::exit_code;

/// Print completions for a shell
///
/// Cargo completes its own commands only, so these are for a program or an alias of your own that
/// calls `cargo xtask`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask completions bash --name xtask > ~/.local/share/bash-completion/completions/xtask
  alias xtask='cargo xtask'")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
    /// What the command is called where it is typed
    #[arg(long, default_value = "xtask")]
    name: String,
}

pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), &args.name, &mut script);
    // A reader that has gone away has seen enough.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
    Ok(exit_code::OK)
}
