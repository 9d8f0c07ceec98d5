//! What the parents of the commit have.

use touchmark_core::lock::{Entry, FILE, Lines};

use super::touched::names;
use super::{Compared, Eyes, Looked};
use crate::commands::db_verify::staged::finding::{Context, Found, first_change, of_violation};
use crate::error::Error;
use crate::frozen::{Violation, Wrong};
use crate::git::Objects;

impl Eyes<'_> {
    /// In a merge, whether one of the parents has it so: then it is not this commit that changes it.
    pub(super) fn is_of_a_parent(
        &mut self,
        looked: &Looked,
        violation: &Violation,
        base: &Compared,
        staged: Option<&Lines<'_>>,
    ) -> Result<bool, Error> {
        if looked.standpoint.merged.is_empty() {
            return Ok(false);
        }
        let entry = &violation.entry;
        let file = self.file_of(entry);
        let path = looked.path(&file);
        let is_of_lock = violation.wrong.is_of_lock();
        let id = |objects: &mut Objects, from: &str| {
            let object = objects.get(&format!("{from}:{path}"))?;
            Ok::<_, Error>(object.map(|object| object.id))
        };
        let now = id(self.objects, "")?;
        let line = staged.and_then(|lines| lines.find(entry.kind, entry.version, ""));
        let lock_path = looked.path(FILE);
        let parents = looked
            .standpoint
            .head
            .iter()
            .chain(&looked.standpoint.merged);
        for parent in parents {
            let is_same = match is_of_lock {
                true => {
                    let text = self.objects.text(&format!("{parent}:{lock_path}"))?;
                    let lines = text
                        .as_deref()
                        .and_then(|text| Lines::new(text, &lock_path).ok());
                    let theirs = lines.and_then(|lines| lines.find(entry.kind, entry.version, ""));
                    theirs.map(|line| line.leaf) == line.as_ref().map(|line| line.leaf)
                }
                false => id(self.objects, parent)? == now,
            };
            if !is_same {
                continue;
            }
            // A text that stands in a parent is somebody's; a file that is not there was deleted by
            // the parent only if it was there before.
            let is_text = matches!(violation.wrong, Wrong::Edited | Wrong::Cosmetic);
            let builds_on_it = *parent == base.parent
                || match &base.commit {
                    Some(commit) => looked.git.is_ancestor(commit, parent)?,
                    None => false,
                };
            if is_text || builds_on_it {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn file_of(&self, entry: &Entry) -> String {
        let touched = self
            .touched
            .values()
            .find(|touched| names(&touched.name, entry));
        touched.map_or_else(|| entry.file_name(), |touched| touched.up.clone())
    }

    pub(super) fn found(
        &mut self,
        looked: &Looked,
        violation: &Violation,
        base: &Compared,
    ) -> Result<Found, Error> {
        let file = self.file_of(&violation.entry);
        let (source, source_prefix) = looked.source(violation, base);
        let mut place = None;
        if matches!(violation.wrong, Wrong::Edited | Wrong::Cosmetic) {
            let old = format!("{source}:{source_prefix}{file}");
            let old = self.objects.text(&old)?;
            let new = self.objects.text(&format!(":{}", looked.path(&file)))?;
            place = old.zip(new).map(|(old, new)| first_change(&old, &new));
        }
        let context = Context {
            prefix: &looked.prefix,
            source,
            source_prefix,
            file: Some(&file),
            place,
            is_ci: self.is_ci,
        };
        Ok(of_violation(violation, context))
    }
}
