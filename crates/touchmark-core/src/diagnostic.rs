//! What is wrong with a directory of migrations, and how it is shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::plain::{plain, plain_in_place};

/// A longer line is not shown: it is data, and a terminal would show none of it usefully.
const LONGEST_LINE: usize = 10_000;

/// Whether a diagnostic stops the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Stops the build and every command that needs the set.
    Error,
    /// Is shown, and stops nothing.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One thing that is wrong: what, where, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the build.
    pub severity: Severity,
    /// The file as messages name it: `migrations/V1__users.sql`.
    pub file: String,
    /// Where in the file; `None` when the file as a whole is meant, or its name.
    pub place: Option<Box<Place>>,
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
    /// What to do instead.
    pub help: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes that are meant, in the file's text without its byte order mark and with LF
    /// line ends.
    pub span: Range<usize>,
    /// The first line of the span, without its line end; empty when it is too long to be shown.
    pub source: String,
    /// What stands under the line, next to the caret; may be empty.
    pub label: String,
}

impl Place {
    /// The place of a span of bytes in a text; a span out of bounds is clipped.
    pub fn of(text: &str, span: Range<usize>, label: impl Into<String>) -> Place {
        let start = text.floor_char_boundary(span.start);
        let end = text.floor_char_boundary(span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let source = &text[line_start..line_end];
        Place {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            span: start..end,
            source: if source.len() > LONGEST_LINE {
                String::new()
            } else {
                source.to_owned()
            },
            label: label.into(),
        }
    }

    /// The part of the source line that the span covers; at least one character, if there is one.
    fn underline(&self) -> Range<usize> {
        let start = self
            .source
            .char_indices()
            .nth(self.column - 1)
            .map_or(self.source.len(), |(at, _)| at);
        let end = start + (self.span.end - self.span.start);
        start..end.min(self.source.len()).max(start)
    }
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn error(file: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: file.into(),
            place: None,
            message: message.into(),
            help: None,
        }
    }

    /// The same as a warning.
    pub fn warning(mut self) -> Diagnostic {
        self.severity = Severity::Warning;
        self
    }

    /// The same, at a place in the file.
    pub fn at(mut self, place: Place) -> Diagnostic {
        self.place = Some(Box::new(place));
        self
    }

    /// The same, with what to do instead.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Shows it as rustc does, with the line and a caret under it; ends with a line end.
    pub fn render(&self, coloured: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (message, file) = (plain(&self.message), plain(&self.file));
        let label = self
            .place
            .as_ref()
            .map(|place| plain(&place.label))
            .unwrap_or_default();
        let help = self.help.as_deref().map(plain);
        let source = self
            .place
            .as_ref()
            .map(|place| plain_in_place(&place.source));
        let source = source.unwrap_or_default();
        let title = level.primary_title(&*message);
        let primary = match &self.place {
            Some(place) if !place.source.is_empty() => title.element(
                Snippet::source(source.as_str())
                    .line_start(place.line)
                    .path(&*file)
                    .annotation(
                        AnnotationKind::Primary
                            .span(place.underline())
                            .label(Some(&*label).filter(|label| !label.is_empty())),
                    ),
            ),
            Some(place) => title.element(
                Origin::path(&*file)
                    .line(place.line)
                    .char_column(place.column),
            ),
            None => title.element(Origin::path(&*file)),
        };
        let mut report = vec![primary];
        if let Some(help) = &help {
            report.push(Group::with_title(Level::HELP.secondary_title(&**help)));
        }
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = renderer
            .decor_style(DecorStyle::Ascii)
            .render(&report)
            .lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n");
        out.push('\n');
        out
    }

    fn order(&self) -> (Vec<Part<'_>>, usize, usize) {
        let (line, column) = self.place.as_ref().map_or((0, 0), |p| (p.line, p.column));
        (parts(&self.file), line, column)
    }
}

/// A part of a file's name: numbers are put into order as numbers, so that V2 comes before V10.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    /// How many digits, without leading zeros, and the digits.
    Number(usize, &'a str),
    Text(&'a str),
}

fn parts(file: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let mut rest = file;
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number);
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        let digits = part.trim_start_matches('0');
        out.push(if is_number {
            Part::Number(digits.len(), digits)
        } else {
            Part::Text(part)
        });
        rest = after;
    }
    out
}

impl fmt::Display for Diagnostic {
    /// One line: `migrations/V1__x.sql:4:5: error: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}: {}", self.severity, self.message)
    }
}

/// All that is wrong, in the order of files, lines and columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What to do where it is not known whether the files are new.
    pub advice: Option<&'static str>,
}

/// There is no lock, so the files may be a history that was applied long ago.
const WHERE_APPLIED: &str = "a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out";

impl Problems {
    /// Puts diagnostics into order.
    pub fn new(mut diagnostics: Vec<Diagnostic>) -> Problems {
        diagnostics.sort_by(|a, b| a.order().cmp(&b.order()));
        Problems {
            diagnostics,
            advice: None,
        }
    }

    /// The same, with what is right for files that are applied.
    pub(crate) fn where_applied(self) -> Problems {
        Problems {
            advice: Some(WHERE_APPLIED),
            ..self
        }
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        let is_error = |d: &&Diagnostic| d.severity == Severity::Error;
        self.diagnostics.iter().filter(is_error).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Shows all as rustc does, each followed by an empty line.
    pub fn render(&self, coloured: bool) -> String {
        let diagnostics = self.diagnostics.iter();
        let mut out: String = diagnostics
            .map(|diagnostic| diagnostic.render(coloured) + "\n")
            .collect();
        if let Some(advice) = self.advice {
            out += &format!("help: {advice}\n\n");
        }
        out
    }
}

impl From<Diagnostic> for Problems {
    fn from(diagnostic: Diagnostic) -> Problems {
        Problems {
            diagnostics: vec![diagnostic],
            advice: None,
        }
    }
}

impl fmt::Display for Problems {
    /// As rustc shows them, without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Problems {}
