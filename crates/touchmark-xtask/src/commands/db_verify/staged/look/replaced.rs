//! Merged migrations that are meant to have another text.

use touchmark_core::environments::{self, Environments};
use touchmark_core::lock::{self, Entry};

use super::touched::{name_of, names};
use super::{Compared, Eyes, Looked};
use crate::error::Error;
use crate::frozen::{Violation, Wrong};

impl Eyes<'_> {
    /// Those of which an edit is let go: deployed nowhere, or edited in comments only. What is gone
    /// or has another name was not replaced.
    pub(super) fn let_go(
        &mut self,
        looked: &Looked,
        base: &Compared,
        found: &[Violation],
    ) -> Result<Vec<Entry>, Error> {
        let mut out = Vec::new();
        let is_edited = |one: &&Violation| matches!(one.wrong, Wrong::Edited | Wrong::Cosmetic);
        for violation in found.iter().filter(is_edited) {
            let entry = &violation.entry;
            if !self.environments("", looked)?.is_replaced(entry) {
                continue;
            }
            // Nobody takes a watermark away together with what it freezes.
            let mut is_deployed = false;
            for from in ["", "HEAD", base.commit.as_deref().unwrap_or("HEAD")] {
                let environments = self.environments(from, looked)?;
                let mut deployed = environments.deployed(entry.kind, entry.version);
                is_deployed |= deployed.next().is_some();
            }
            if !is_deployed || self.is_cosmetic(looked, base, violation)? {
                out.push(entry.clone());
            }
        }
        Ok(out)
    }

    /// One that can't be read is found where the watermarks are read.
    fn environments(&mut self, from: &str, looked: &Looked) -> Result<Environments, Error> {
        let path = looked.path(environments::FILE);
        let text = self.objects.text(&format!("{from}:{path}"))?;
        let read = text.and_then(|text| Environments::parse(&text, &path).ok());
        Ok(read.unwrap_or_default())
    }

    /// Proven with the text itself: what the lock says of it commits to nothing.
    fn is_cosmetic(
        &mut self,
        looked: &Looked,
        base: &Compared,
        violation: &Violation,
    ) -> Result<bool, Error> {
        let entry = &violation.entry;
        let (source, prefix) = looked.source(violation, base);
        let path = format!("{source}:{prefix}{}", self.file_of(entry));
        let before = self.objects.get(&path)?;
        let before = before.and_then(|object| {
            let before = lock::entry(&name_of(entry), object.bytes, None, &path).ok();
            before.filter(|before| before.leaf == entry.leaf)
        });
        let mut touched = self.touched.values();
        let now = touched.find(|touched| names(&touched.name, entry));
        let now = now.and_then(|touched| touched.entry.as_ref());
        Ok(before
            .zip(now)
            .is_some_and(|(before, now)| before.semantic == now.semantic))
    }
}
