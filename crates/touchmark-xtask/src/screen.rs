//! What people see: cargo's look on standard error, results on standard output.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use touchmark_core::{Diagnostic, plain};

use crate::cli::Cli;
use crate::error::Error;
use crate::json;

/// Where everything for people goes.
pub(crate) struct Screen {
    is_json: bool,
    is_quiet: bool,
    is_verbose: bool,
    /// Drawn on a terminal only.
    line: ProgressBar,
}

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BUSY: Style = AnsiColor::Cyan.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();

impl Screen {
    pub(crate) fn new(cli: &Cli) -> Screen {
        let choice = match cli.global.color {
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        };
        choice.write_global();
        let is_quiet = cli.global.quiet;
        let line = ProgressBar::new_spinner();
        // Hidden unless something goes on: every other line on the screen would draw it empty.
        line.set_draw_target(ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>12.cyan.bold} {wide_msg} {elapsed}")
        {
            line.set_style(style);
        }
        Screen {
            is_json: cli.command.is_json(),
            is_quiet,
            is_verbose: cli.global.verbose,
            line,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    pub(crate) fn is_verbose(&self) -> bool {
        self.is_verbose
    }

    /// Something that was done: a green verb.
    pub(crate) fn done(&self, verb: &str, text: impl Display) {
        self.verb(GOOD, verb, text);
    }

    /// Something that is not as usual: a yellow verb.
    pub(crate) fn odd(&self, verb: &str, text: impl Display) {
        self.verb(ODD, verb, text);
    }

    /// Something only those who asked for more want to know.
    pub(crate) fn detail(&self, verb: &str, text: impl Display) {
        if self.is_verbose {
            self.verb(BUSY, verb, text);
        }
    }

    fn verb(&self, style: Style, verb: &str, text: impl Display) {
        if !self.is_quiet {
            let text = shown(text);
            self.line
                .suspend(|| anstream::eprintln!("{style}{verb:>12}{style:#} {text}"));
        }
    }

    pub(crate) fn warning(&self, text: impl Display) {
        if !self.is_quiet {
            let text = shown(text);
            self.line
                .suspend(|| anstream::eprintln!("{ODD}warning{ODD:#}: {text}"));
        }
    }

    /// Something that is wrong, beside the error that ends the command.
    pub(crate) fn error(&self, text: impl Display) {
        let style = AnsiColor::Red.on_default().bold();
        let text = shown(text);
        self.line
            .suspend(|| anstream::eprintln!("{style}error{style:#}: {text}"));
    }

    /// Lines for a CI system, which reads both streams; results have standard output to themselves.
    pub(crate) fn annotate(&self, lines: &str) {
        if !lines.is_empty() {
            self.line.suspend(|| eprintln!("{lines}"));
        }
    }

    /// Something that is wrong in a file.
    pub(crate) fn report(&self, diagnostic: &Diagnostic) {
        let text = diagnostic.render(coloured());
        self.line.suspend(|| anstream::eprint!("{text}"));
    }

    /// What to do about it.
    pub(crate) fn help(&self, text: impl Display) {
        let text = shown(text);
        self.line
            .suspend(|| anstream::eprintln!("{BUSY}help{BUSY:#}: {text}"));
    }

    /// Text without a word before it, on standard error.
    pub(crate) fn aside(&self, text: impl Display) {
        self.aside_in_colour(shown(text));
    }

    /// The same for a text of ours that has colours. What is of others in it is `plain` already.
    pub(crate) fn aside_in_colour(&self, text: impl Display) {
        if !self.is_quiet {
            self.line.suspend(|| anstream::eprint!("{text}"));
        }
    }

    /// The line that changes while something goes on. On a terminal only.
    pub(crate) fn live(&self, verb: &'static str, text: impl Display) {
        if self.is_quiet || !io::stderr().is_terminal() {
            return;
        }
        if self.line.is_hidden() {
            self.line.set_draw_target(ProgressDrawTarget::stderr());
        }
        let text = shown(text);
        if self.line.message() != text {
            self.line.reset_elapsed();
        }
        self.line.set_prefix(verb);
        self.line.set_message(text);
        self.line.enable_steady_tick(Duration::from_millis(100));
    }

    /// Takes the live line away.
    pub(crate) fn still(&self) {
        self.line.finish_and_clear();
        self.line.set_draw_target(ProgressDrawTarget::hidden());
        self.line.reset();
    }

    /// A result, on standard output.
    pub(crate) fn print(&self, text: impl Display) {
        self.print_in_colour(shown(text));
    }

    /// The same for a text of ours that has colours. What is of others in it is `plain` already.
    pub(crate) fn print_in_colour(&self, text: impl Display) {
        self.still();
        // A reader that has gone away has seen enough.
        let _ = writeln!(anstream::stdout(), "{text}");
    }

    /// Shows an error; gives its exit code.
    pub(crate) fn fail(&self, error: &Error) -> u8 {
        self.still();
        match self.is_json {
            true => json::print(&error.json()),
            false => {
                let _ = write!(anstream::stderr(), "{}", error.render(coloured()));
            }
        }
        error.exit_code()
    }
}

/// What is printed here has names and words of others in it, so nothing of it is for the terminal to carry out.
fn shown(text: impl Display) -> String {
    plain(&text.to_string()).into_owned()
}

/// Whether standard error is coloured.
pub(crate) fn coloured() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// As people write durations: `12 ms`, `2.1 s`, `3 min 20 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!(shown(0), "0 ms");
        assert_eq!(shown(999), "999 ms");
        assert_eq!(shown(2_149), "2.1 s");
        assert_eq!(shown(200_000), "3 min 20 s");
    }
}
