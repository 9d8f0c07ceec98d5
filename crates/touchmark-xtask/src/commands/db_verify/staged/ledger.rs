//! The local database, where it answers at once: a warning for whoever has applied what changes.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use touchmark::{Kind, LedgerRow, RowState, Set};
use touchmark_core::encoded;
use touchmark_core::{Diagnostic, MigrationSet};
use touchmark_engine::url;

use super::look::Looked;
use crate::frozen::File;
use crate::project::Project;

/// How long a commit may wait for it.
const PATIENCE: Duration = Duration::from_millis(200);

/// A question that may have been asked.
pub(crate) struct Asked {
    files: Vec<File>,
    directory: String,
    since: Instant,
    answer: Option<Receiver<Vec<LedgerRow>>>,
}

/// Asks in the background. Any failure is silence.
pub(crate) fn ask(looked: &Looked, project: &Project) -> Asked {
    let url = match looked.free.is_empty() {
        true => None,
        false => project.database_url().filter(|url| url::is_local(url)),
    };
    let (home, given) = (project.home.clone(), project.given.clone());
    let answer = url.and_then(|url| {
        let (sender, receiver) = mpsc::channel();
        let work = move || {
            let bytes = encoded::encode(&MigrationSet::default(), &home);
            let set = Set::from_bytes(&bytes);
            if let Ok(status) = given.migrator(&set).status(url.as_str()) {
                // Nobody waits any more after a while.
                let _ = sender.send(status.rows.ledger);
            }
        };
        thread::Builder::new().spawn(work).ok().map(|_| receiver)
    });
    Asked {
        files: looked.free.clone(),
        directory: looked.prefix.clone(),
        since: Instant::now(),
        answer,
    }
}

impl Asked {
    pub(crate) fn warnings(self) -> Vec<Diagnostic> {
        let Some(answer) = self.answer else {
            return Vec::new();
        };
        let left = PATIENCE.saturating_sub(self.since.elapsed());
        let Ok(rows) = answer.recv_timeout(left) else {
            return Vec::new();
        };
        let of = |file: &File| warning(file, &rows, &self.directory);
        self.files.iter().filter_map(of).collect()
    }
}

fn warning(file: &File, rows: &[LedgerRow], prefix: &str) -> Option<Diagnostic> {
    let name = &file.name;
    if name.kind == Kind::Repeatable {
        return None;
    }
    let mut rows = rows.iter().rev();
    let row = rows.find(|row| row.id.kind != Kind::Repeatable && row.id.version == name.version)?;
    let is_applied = !matches!(row.state, RowState::Abandoned | RowState::Undone);
    let is_same = file
        .staged
        .as_ref()
        .is_some_and(|staged| staged.leaf == row.leaf);
    let path = format!("{prefix}{}", touchmark_core::lock::FILE);
    (is_applied && !is_same).then(|| {
        let message = format!(
            "{} is applied in the local database as it was before this change",
            row.id
        );
        Diagnostic::error(path, message)
            .warning()
            .help("`cargo xtask db-reset` makes that database anew")
    })
}
