//! A file of which no more than a limit is held in memory, whatever it says of itself.

use std::cell::Cell;
use std::ops::Range;

use object::{ReadCache, ReadCacheOps, ReadRef};

/// How many bytes may still be held.
#[derive(Debug)]
pub(super) struct Left(Cell<Option<u64>>);

impl Left {
    pub(super) fn new(limit: u64) -> Left {
        Left(Cell::new(Some(limit)))
    }

    /// Whether more was wanted.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0.get().is_none()
    }

    fn take(&self, size: u64) -> Result<(), ()> {
        let left = self.0.get().and_then(|left| left.checked_sub(size));
        self.0.set(left);
        left.map(drop).ok_or(())
    }
}

/// A part of a file, or all of it. What is held stays so until the file is closed.
#[derive(Debug)]
pub(super) struct Bounded<'a, R: ReadCacheOps> {
    cache: &'a ReadCache<R>,
    left: &'a Left,
    /// Where the part begins, and its size; the end of the file may come first.
    offset: u64,
    size: u64,
}

impl<R: ReadCacheOps> Clone for Bounded<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: ReadCacheOps> Copy for Bounded<'_, R> {}

impl<'a, R: ReadCacheOps> Bounded<'a, R> {
    pub(super) fn new(cache: &'a ReadCache<R>, left: &'a Left) -> Bounded<'a, R> {
        Bounded {
            cache,
            left,
            offset: 0,
            size: cache.len().unwrap_or_default(),
        }
    }

    pub(super) fn part(self, (offset, size): (u64, u64)) -> Bounded<'a, R> {
        Bounded {
            offset,
            size,
            ..self
        }
    }
}

impl<'a, R: ReadCacheOps> ReadRef<'a> for Bounded<'a, R> {
    fn len(self) -> Result<u64, ()> {
        Ok(self.size)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        if offset.checked_add(size).ok_or(())? > self.size {
            return Err(());
        }
        self.left.take(size)?;
        self.cache
            .read_bytes_at(self.offset.checked_add(offset).ok_or(())?, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        if range.end > self.size {
            return Err(());
        }
        let at = |offset: u64| self.offset.checked_add(offset).ok_or(());
        let range = at(range.start)?..at(range.end)?;
        let bytes = self.cache.read_bytes_at_until(range, delimiter)?;
        // Short ones have their price, too.
        self.left.take((bytes.len() as u64).max(64))?;
        Ok(bytes)
    }
}
