//! The migrations of which a file differs from the base: each is read and hashed once.

use touchmark_core::lock::{self, Entry};
use touchmark_core::{Diagnostic, FileName, Kind, check, file_name};

use super::{Eyes, Looked};
use crate::error::Error;
use crate::frozen::File;
use crate::git::{self, Objects};

/// A migration of which a file differs from the base.
pub(super) struct Touched {
    pub(super) name: FileName,
    /// The names of its files, without the directory.
    pub(super) up: String,
    pub(super) down: String,
    pub(super) up_bytes: Option<Vec<u8>>,
    pub(super) down_bytes: Option<Vec<u8>>,
    pub(super) entry: Option<Entry>,
    /// The up file is a link, so that git has the name of another file for it.
    pub(super) is_link: bool,
    pub(super) is_up_changed: bool,
    pub(super) is_down_changed: bool,
    /// Its up file can't be a migration's text.
    pub(super) broken: Option<Diagnostic>,
}

impl Eyes<'_> {
    /// Reads the files that have changed, each once.
    pub(super) fn touch(&mut self, looked: &Looked, changes: &[git::Change]) -> Result<(), Error> {
        for change in changes {
            let Some((file, name)) = migration_of(looked, change) else {
                continue;
            };
            let stem = file.trim_end_matches(".sql").trim_end_matches(".down");
            if !self.touched.contains_key(stem) {
                let touched = self.read(looked, stem, &name)?;
                self.touched.insert(stem.to_owned(), touched);
            }
            if let Some(touched) = self.touched.get_mut(stem) {
                touched.is_down_changed |= name.is_down;
                touched.is_up_changed |= !name.is_down;
                touched.is_link |= change.new.as_ref().is_some_and(|blob| !blob.is_file());
            }
        }
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        looked: &Looked,
        stem: &str,
        name: &FileName,
    ) -> Result<Touched, Error> {
        let (up, down) = (format!("{stem}.sql"), format!("{stem}.down.sql"));
        let bytes = |objects: &mut Objects, file: &str| {
            let object = objects.get(&format!(":{}", looked.path(file)))?;
            Ok::<_, Error>(object.map(|object| object.bytes))
        };
        let up_bytes = bytes(self.objects, &up)?;
        let down_bytes = match name.kind {
            Kind::Repeatable => None,
            _ => bytes(self.objects, &down)?,
        };
        let name = FileName {
            is_down: false,
            ..name.clone()
        };
        let mut broken = None;
        let entry = up_bytes.clone().and_then(|bytes| {
            let entry = lock::entry(&name, bytes, down_bytes.clone(), &looked.path(&up));
            entry.map_err(|problem| broken = Some(problem)).ok()
        });
        Ok(Touched {
            name,
            up,
            down,
            up_bytes,
            down_bytes,
            entry,
            is_link: false,
            is_up_changed: false,
            is_down_changed: false,
            broken,
        })
    }

    /// The up files among the changes.
    pub(super) fn files(&self, looked: &Looked, changes: &[git::Change]) -> Vec<File> {
        let of = |change: &git::Change| {
            let (file, name) = migration_of(looked, change)?;
            let touched = self.touched.get(file.trim_end_matches(".sql"))?;
            let is_known = !name.is_down && touched.broken.is_none();
            is_known.then(|| File {
                name,
                staged: touched.entry.clone(),
            })
        };
        changes.iter().filter_map(of).collect()
    }

    /// A file that may be as it was in the base.
    pub(super) fn present(
        &mut self,
        looked: &Looked,
        entry: &Entry,
    ) -> Result<Option<File>, Error> {
        let file = entry.file_name();
        let Some(name) = file_name(&file) else {
            return Ok(None);
        };
        let object = self.objects.get(&format!(":{}", looked.path(&file)))?;
        let entry = object.and_then(|object| lock::entry(&name, object.bytes, None, &file).ok());
        Ok(entry.map(|entry| File {
            name,
            staged: Some(entry),
        }))
    }
}

fn migration_of<'c>(looked: &Looked, change: &'c git::Change) -> Option<(&'c str, FileName)> {
    let file = change.path.strip_prefix(&looked.prefix)?;
    Some((file, file_name(file)?))
}

pub(super) fn names(name: &FileName, entry: &Entry) -> bool {
    (name.kind, name.version, &name.name) == (entry.kind, entry.version, &entry.name)
}

pub(super) fn name_of(entry: &Entry) -> FileName {
    FileName {
        kind: entry.kind,
        version: entry.version,
        digits: entry.digits,
        name: entry.name.clone(),
        is_down: false,
    }
}

pub(super) fn shown(touched: &Touched) -> String {
    shown_name(&touched.name)
}

/// As [`Entry`] shows it.
pub(super) fn shown_name(name: &FileName) -> String {
    match name.kind {
        Kind::Repeatable => format!("R__{}", name.name),
        kind => format!("{}{}__{}", kind.letter(), name.version, name.name),
    }
}

/// What is wrong in the texts that have changed.
pub(super) fn contents(looked: &Looked, touched: &Touched, is_up_frozen: bool) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(bytes) = touched
        .up_bytes
        .as_ref()
        .filter(|_| touched.is_up_changed && !is_up_frozen)
    {
        let file = looked.path(&touched.up);
        let declared = &looked.placeholders;
        problems.extend(check(&touched.name, bytes.clone(), &file, declared));
    }
    if let Some(bytes) = touched
        .down_bytes
        .as_ref()
        .filter(|_| touched.is_down_changed)
    {
        let name = FileName {
            is_down: true,
            ..touched.name.clone()
        };
        let file = looked.path(&touched.down);
        problems.extend(check(&name, bytes.clone(), &file, &looked.placeholders));
    }
    problems
}
