//! `db-logs`: the server's log.

use std::io::{self, IsTerminal, Write};

use touchmark_core::plain;
use touchmark_engine as engine;

use crate::error::Error;
use crate::exit_code;
use crate::project::Project;

/// Print the log of the developer's database
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-logs | grep ERROR
  cargo xtask db-logs -f                go on with what is added, until Ctrl-C")]
pub(crate) struct Args {
    /// Go on with what is added
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(args: &Args, project: &Project) -> Result<u8, Error> {
    let mut out = io::stdout().lock();
    let settings = project.settings()?;
    match out.is_terminal() {
        true => engine::logs(&settings, args.follow, &mut Plain::new(&mut out))?,
        false => engine::logs(&settings, args.follow, &mut out)?,
    }
    Ok(exit_code::OK)
}

/// Writes lines as a terminal may show them: a log has the words of everybody.
struct Plain<W: Write> {
    out: W,
    /// A line that has not ended yet.
    line: Vec<u8>,
}

/// A longer line is written in parts.
const LONGEST: usize = 1 << 16;

impl<W: Write> Plain<W> {
    fn new(out: W) -> Plain<W> {
        Plain {
            out,
            line: Vec::new(),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.out
            .write_all(plain(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend(part);
            if part.ends_with(b"\n") || self.line.len() > LONGEST {
                self.end()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Drop for Plain<W> {
    fn drop(&mut self) {
        // Nobody can be told any more.
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_lines_and_carries_nothing_out() {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out);
        // However the bytes come.
        for part in ["ERROR: \u{1b}]0;", "x\u{7}\nne", "xt é\n"] {
            let (one, two) = part.as_bytes().split_at(part.len() / 2);
            plain.write_all(one).unwrap();
            plain.write_all(two).unwrap();
        }
        plain.write_all(b"end\x1b[2J").unwrap();
        drop(plain);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "ERROR: \u{fffd}]0;x\u{fffd}\nnext é\nend\u{fffd}[2J");
    }
}
