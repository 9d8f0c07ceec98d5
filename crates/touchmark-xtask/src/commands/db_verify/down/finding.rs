//! What is wrong with a down file, in words.

use crate::catalog::{Depth, Entry, differences};
use crate::error::Error;
use crate::json;

/// Something that is not as it should be.
pub(super) struct Finding {
    pub step: Step,
    /// `V3__x`; of the last step, where the descent ended: `V1__a`.
    pub migration: String,
    /// The file that is to be mended.
    pub file: String,
    pub what: What,
}

/// What was being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Up,
    Down,
    UpAgain,
    /// All the way down with the repeatable files applied, and up again.
    Repeatable,
}

/// What was found.
pub(super) enum What {
    /// The server refused it, or it can't be undone in one transaction.
    Failed(Box<Error>),
    Differs(Vec<Object>),
}

/// One object that is not as it should be.
pub(super) struct Object {
    /// `index public.users_email_idx`.
    name: String,
    change: &'static str,
    diff: String,
}

impl Object {
    /// What differs between two moments that should be the same.
    pub(super) fn all(before: &[Entry], after: &[Entry]) -> Vec<Object> {
        let differences = differences(before, after, Depth::Everything);
        let objects = differences.iter().map(|difference| Object {
            name: difference.name(),
            change: match (difference.before, difference.after) {
                (None, _) => "is left behind",
                (_, None) => "is gone",
                _ => "is changed",
            },
            diff: difference.diff(),
        });
        objects.collect()
    }
}

impl Finding {
    pub(super) fn is_up(&self) -> bool {
        self.step == Step::Up
    }

    /// Without the server's error, which is shown on its own.
    pub(super) fn message(&self) -> String {
        let Finding {
            migration, file, ..
        } = self;
        let objects = match &self.what {
            What::Failed(_) => None,
            What::Differs(objects) => Some(told(objects)),
        };
        match (self.step, objects) {
            (Step::Up, _) => format!("{migration} can't be applied to an empty database"),
            (Step::Down, None) => format!("{file} can't be carried out"),
            (Step::Down, Some(objects)) => {
                format!("{file} does not undo {migration}: {objects}")
            }
            (Step::UpAgain, None) => {
                format!("{migration} can't be applied again after {file}")
            }
            (Step::UpAgain, Some(objects)) => {
                format!("{migration} applied again after {file} makes something else: {objects}")
            }
            (Step::Repeatable, None) => format!(
                "with the repeatable files applied, everything down to {migration} can't be undone and applied again"
            ),
            (Step::Repeatable, Some(objects)) => format!(
                "with the repeatable files applied, undoing everything down to {migration} and applying it again makes something else: {objects}"
            ),
        }
    }

    /// What to do where objects differ; a server's error has its own advice.
    pub(super) fn help(&self) -> String {
        let file = &self.file;
        match self.step {
            Step::Down => {
                format!("in {file}, take away what has a `+`, and bring back what has a `-`")
            }
            _ => "`-` is how it was the first time, `+` the second time".into(),
        }
    }

    /// All objects with both definitions, as a unified diff.
    pub(super) fn diff(&self) -> Option<String> {
        let What::Differs(objects) = &self.what else {
            return None;
        };
        let Finding {
            migration, file, ..
        } = self;
        let head = match self.step {
            Step::Down => format!("--- before {migration}\n+++ after {file}\n"),
            _ => format!("--- {migration}, the first time\n+++ {migration}, the second time\n"),
        };
        let diffs = objects.iter().map(|object| object.diff.as_str());
        Some(head + &diffs.collect::<String>())
    }

    pub(super) fn json(&self) -> json::DownFinding {
        let error = match &self.what {
            What::Failed(error) => Some(error.json().error),
            What::Differs(_) => None,
        };
        json::DownFinding {
            kind: match self.step {
                Step::Up => "up",
                Step::Down => "down",
                Step::UpAgain => "again",
                Step::Repeatable => "repeatable",
            },
            migration: self.migration.clone(),
            file: self.file.clone(),
            message: self.message(),
            diff: self.diff(),
            error,
        }
    }
}

/// `index public.a is left behind`, `index public.a is left behind, and 2 more differ`.
fn told(objects: &[Object]) -> String {
    let first = objects.first();
    let first = first.map_or_else(String::new, |o| format!("{} {}", o.name, o.change));
    match objects.len() {
        0 | 1 => first,
        2 => format!("{first}, and 1 more differs"),
        more => format!("{first}, and {} more differ", more - 1),
    }
}
