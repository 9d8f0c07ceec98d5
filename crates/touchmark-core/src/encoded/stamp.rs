//! Which build carries a set: written behind it, so that the set is the same in every build.

use std::fmt;

use super::decode::{Body, DecodeError, fixed};
use super::layout::*;

/// Which build carries a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The package whose build script embedded the set.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The commit it was built from, where that is known.
    pub commit: Option<String>,
    /// How far the commit says what was built.
    pub state: BuildState,
    /// The version of touchmark that embedded it.
    pub touchmark: String,
}

/// How far the commit of a build says what was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildState {
    /// A release build of exactly this commit.
    Clean,
    /// A release build with changes that are not committed.
    Dirty,
    /// A debug build: nobody looked whether anything was changed.
    Debug,
    /// No commit is known, or somebody named one and nobody looked.
    Unknown,
}

impl BuildState {
    /// `clean`, `dirty`, `debug` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            BuildState::Clean => "clean",
            BuildState::Dirty => "dirty",
            BuildState::Debug => "debug",
            BuildState::Unknown => "unknown",
        }
    }
}

impl Stamp {
    /// Reads the stamp at the start of `bytes`, which is what follows a set; gives its length too.
    ///
    /// # Errors
    /// When there is none, a newer release wrote it, or its checksum is not that of its bytes.
    pub fn open(bytes: &[u8]) -> Result<(Stamp, usize), DecodeError> {
        if bytes.get(..STAMP_MAGIC.len()) != Some(&STAMP_MAGIC) {
            return Err(DecodeError::NoStamp);
        }
        let damaged = |_| DecodeError::StampDamaged;
        let format = u32::from_le_bytes(fixed(bytes, FORMAT_AT).map_err(damaged)?);
        if format != STAMP_FORMAT {
            return Err(DecodeError::StampFormat(format));
        }
        let total = u32::from_le_bytes(fixed(bytes, STAMP_TOTAL_AT).map_err(damaged)?) as usize;
        let (content, checksum) = bytes
            .get(..total)
            .and_then(<[u8]>::split_last_chunk::<32>)
            .ok_or(DecodeError::StampDamaged)?;
        if blake3::derive_key(STAMP_CONTEXT, content) != *checksum {
            return Err(DecodeError::StampDamaged);
        }
        let body = Body {
            bytes: content,
            at: STAMP_BODY_AT,
        };
        Ok((read(body).map_err(damaged)?, total))
    }

    /// The bytes to write behind a set.
    #[cfg(feature = "resolve")]
    pub fn encode(&self) -> Vec<u8> {
        use super::encode::{number, string};
        let mut out = STAMP_MAGIC.to_vec();
        out.extend_from_slice(&STAMP_FORMAT.to_le_bytes());
        out.resize(STAMP_BODY_AT, 0);
        number(&mut out, self.state as u64);
        for text in [&self.package, &self.version, &self.touchmark] {
            string(&mut out, text);
        }
        string(&mut out, self.commit.as_deref().unwrap_or_default());
        let total = (out.len() + 32) as u32;
        out[STAMP_TOTAL_AT..STAMP_TOTAL_AT + 4].copy_from_slice(&total.to_le_bytes());
        let checksum = blake3::derive_key(STAMP_CONTEXT, &out);
        out.extend_from_slice(&checksum);
        out
    }
}

fn read(mut body: Body) -> Result<Stamp, DecodeError> {
    let states = [
        BuildState::Clean,
        BuildState::Dirty,
        BuildState::Debug,
        BuildState::Unknown,
    ];
    let state = body.number()?;
    Ok(Stamp {
        state: states
            .into_iter()
            .find(|known| *known as u64 == state)
            .unwrap_or(BuildState::Unknown),
        package: body.owned()?,
        version: body.owned()?,
        touchmark: body.owned()?,
        commit: Some(body.owned()?).filter(|commit| !commit.is_empty()),
    })
}

impl fmt::Display for Stamp {
    /// As the ledger names a build: `app 0.1.0 (a1b2c3d4e5f6, dirty)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.version)?;
        let Some(commit) = &self.commit else {
            return Ok(());
        };
        let state = match self.state {
            BuildState::Clean | BuildState::Unknown => "",
            BuildState::Dirty => ", dirty",
            BuildState::Debug => ", debug build",
        };
        write!(f, " ({}{state})", short(commit))
    }
}

/// Twelve digits of a git commit are as good as all of them; any other name stays whole.
fn short(commit: &str) -> &str {
    let is_git = matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit());
    match is_git {
        true => &commit[..12],
        false => commit,
    }
}
