//! What a screen shows of the events of a run.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use touchmark::Event;
use touchmark_engine::Database;

use crate::database;
use crate::project::Files;
use crate::screen::{Screen, duration};

/// Shows the events of a run.
pub(crate) struct Watcher<'a> {
    screen: &'a Screen,
    place: String,
    width: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    has_begun: bool,
    /// When waiting was last mentioned: without a live line it is mentioned now and then.
    waiting: Option<Instant>,
}

/// How often a wait is mentioned again.
const AGAIN: Duration = Duration::from_secs(10);

impl<'a> Watcher<'a> {
    pub(crate) fn new(files: &Files, database: &Database, screen: &'a Screen) -> Watcher<'a> {
        let names = files
            .set
            .migrations
            .iter()
            .map(|m| m.to_string().chars().count());
        Watcher {
            screen,
            place: database::place(&database.url),
            width: names.max().unwrap_or_default().min(50),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn show(&self, event: &Event) {
        let screen = self.screen;
        let width = self.width;
        match event {
            Event::Applying {
                migration,
                number,
                total,
            } => {
                self.begin("Migrating");
                screen.live(
                    "Applying",
                    format_args!("{migration} ({number} of {total})"),
                );
            }
            Event::StatementDone {
                migration,
                number,
                total,
            } => {
                screen.live(
                    "Applying",
                    format_args!("{migration}: {number} of {total} statements done"),
                );
                screen.detail(
                    "Done",
                    format_args!("{migration}: statement {number} of {total}"),
                );
            }
            Event::Applied { migration, elapsed } => {
                let name = migration.to_string();
                screen.still();
                screen.done(
                    "Applied",
                    format_args!("{name:<width$} {:>8}", duration(*elapsed)),
                );
            }
            Event::Undoing {
                migration,
                number,
                total,
                ..
            } => {
                self.begin("Undoing");
                screen.live("Undoing", format_args!("{migration} ({number} of {total})"));
            }
            Event::Undone { migration, elapsed } => {
                let name = migration.to_string();
                screen.still();
                screen.done(
                    "Undone",
                    format_args!("{name:<width$} {:>8}", duration(*elapsed)),
                );
            }
            Event::Adopted { count } => {
                screen.done("Adopted", format_args!("{count} that refinery had applied"));
            }
            Event::Stamped { migration } => screen.done("Stamped", migration),
            Event::WaitingForLock { .. } | Event::WaitingForServer { .. } => self.wait(event),
            Event::Retrying { .. } => screen.odd("Retrying", event),
            Event::Blocked { .. } => screen.odd("Blocked", event),
            Event::Reconnecting { .. } => screen.odd("Reconnecting", event),
            Event::DatabaseAhead { .. } => screen.warning(event),
            Event::Notice { severity, message } => match severity.as_str() {
                "WARNING" => screen.odd("Warning", message),
                _ => screen.odd("Notice", message),
            },
            other => screen.detail("Note", other),
        }
    }

    fn begin(&self, verb: &str) {
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        if !seen.has_begun {
            seen.has_begun = true;
            self.screen.done(verb, &self.place);
        }
    }

    fn wait(&self, event: &Event) {
        self.screen.live("Waiting", event);
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        if seen.waiting.is_none_or(|last| last.elapsed() >= AGAIN) {
            seen.waiting = Some(Instant::now());
            self.screen.odd("Waiting", event);
        }
    }
}
