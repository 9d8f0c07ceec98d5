//! A database that is ahead of the set: what an older release makes of it. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::rows::{LedgerRow, MigrationId, Origin, RowState};

/// What a release does on a database that a newer one has migrated on. Whatever the policy, the
/// set must be a prefix of what is applied: anything else is a contradiction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ahead {
    /// It does not start.
    Refuse,
    /// It starts, and tells what the database has more.
    #[default]
    AcceptPrefix,
    /// It starts where everything that it does not know declares `compatible-with previous`, and
    /// was applied by one build: the promise speaks of one release back.
    AcceptCompatible,
}

/// A migration that is applied, or begun, and that the set does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unknown {
    /// Which.
    pub id: MigrationId,
    /// Which build applied it, and when.
    pub origin: Origin,
    /// Whether it declares that the release before it runs on the schema after it.
    pub compatible: bool,
    /// False where it is being applied, or was interrupted.
    pub finished: bool,
}

/// Why what a database has more is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unaccepted {
    /// [`Ahead::Refuse`].
    Policy,
    /// These do not declare that the release before them still runs.
    Incompatible(Vec<MigrationId>),
    /// Not all of them were applied by one build.
    SeveralReleases,
}

impl Ahead {
    /// Whether a release may start that does not know these.
    pub(crate) fn accept(self, unknown: &[Unknown]) -> Result<(), Unaccepted> {
        match self {
            Ahead::Refuse => Err(Unaccepted::Policy),
            Ahead::AcceptPrefix => Ok(()),
            Ahead::AcceptCompatible => {
                let incompatible = unknown.iter().filter(|unknown| !unknown.compatible);
                let incompatible: Vec<_> = incompatible.map(|u| u.id.clone()).collect();
                if !incompatible.is_empty() {
                    return Err(Unaccepted::Incompatible(incompatible));
                }
                match is_one_build(unknown) {
                    true => Ok(()),
                    false => Err(Unaccepted::SeveralReleases),
                }
            }
        }
    }
}

/// Builds without a name may be any.
fn is_one_build(unknown: &[Unknown]) -> bool {
    let builds: BTreeSet<_> = unknown.iter().map(|u| u.origin.build()).collect();
    unknown.len() <= 1 || (builds.len() == 1 && !builds.contains(&None))
}

impl FromStr for Ahead {
    type Err = String;

    /// Reads `refuse`, `accept-prefix` or `accept-compatible`.
    fn from_str(text: &str) -> Result<Ahead, String> {
        let all = [Ahead::Refuse, Ahead::AcceptPrefix, Ahead::AcceptCompatible];
        let found = all.into_iter().find(|policy| policy.to_string() == text);
        found.ok_or_else(|| {
            format!("`{text}` is not one of `refuse`, `accept-prefix` and `accept-compatible`")
        })
    }
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ahead::Refuse => "refuse",
            Ahead::AcceptPrefix => "accept-prefix",
            Ahead::AcceptCompatible => "accept-compatible",
        })
    }
}

impl Unknown {
    pub(crate) fn of(row: &LedgerRow) -> Unknown {
        Unknown {
            id: row.id.clone(),
            origin: Origin::of(row),
            compatible: row.compatible,
            finished: !matches!(row.state, RowState::Running(_)),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)?;
        f.write_str(if self.finished { "" } else { " (unfinished)" })
    }
}

/// `V2__b, V3__c, applied by app 0.2.0; V4__d, applied by refinery`.
pub(crate) fn by_build(unknown: &[Unknown]) -> String {
    let groups = unknown.chunk_by(|a, b| a.origin.by() == b.origin.by());
    let groups: Vec<_> = groups
        .map(|group| format!("{}, applied by {}", ids(group), group[0].origin.by()))
        .collect();
    groups.join("; ")
}

pub(crate) fn ids(unknown: &[Unknown]) -> String {
    let ids: Vec<_> = unknown.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

impl Unaccepted {
    /// The end of the sentence that begins with what is unknown.
    pub(crate) fn reason(&self) -> String {
        match self {
            Unaccepted::Policy => "and the policy is to refuse that".into(),
            Unaccepted::Incompatible(these) => format!(
                "and {} not declare that the release before still runs",
                match &these[..] {
                    [one] => format!("{one} does"),
                    several => format!("{} do", crate::ids(several)),
                }
            ),
            Unaccepted::SeveralReleases => {
                "and not all of these were applied by one release".into()
            }
        }
    }

    /// What to do.
    pub(crate) fn help(&self, unknown: &[Unknown]) -> String {
        let newest = unknown.iter().rev().find_map(|u| u.origin.release());
        let start = match newest {
            Some(build) => format!("start {build}, or a newer release"),
            None => "start a release that has all of these".into(),
        };
        match self {
            Unaccepted::Policy => {
                format!("{start}; the policy `accept-prefix` would let this one start")
            }
            Unaccepted::Incompatible(_) => format!(
                "{start}; a migration after which the release before still runs says so when it \
                 is written: `-- touchmark: compatible-with previous`"
            ),
            Unaccepted::SeveralReleases => format!(
                "{start}; what declares `compatible-with previous` is compatible with one release back"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use touchmark_core::Kind;

    use super::*;

    /// `V2+app 2` is compatible and was applied by the build `app 2`.
    fn unknown(text: &str) -> Unknown {
        let (id, build) = text.split_once(['+', '-']).unwrap();
        Unknown {
            id: MigrationId {
                kind: Kind::Versioned,
                version: id[1..].parse().unwrap(),
                name: "m".into(),
            },
            origin: Origin::new(Some(build), "2026-11-21 05:13:32.123456+00"),
            compatible: text.contains('+'),
            finished: true,
        }
    }

    #[track_caller]
    fn check(policy: &str, list: &[&str], expected: Option<Unaccepted>) {
        let list: Vec<_> = list.iter().map(|text| unknown(text)).collect();
        let policy: Ahead = policy.parse().unwrap();
        assert_eq!(policy.accept(&list).err(), expected, "{policy} {list:?}");
    }

    #[test]
    fn policies() {
        let incompatible = |ids: &[&str]| {
            let ids = ids.iter().map(|text| unknown(&format!("{text}-")).id);
            Some(Unaccepted::Incompatible(ids.collect()))
        };
        check("refuse", &["V2+app 2"], Some(Unaccepted::Policy));
        check("accept-prefix", &["V2-app 2", "V3-app 3"], None);
        check("accept-compatible", &["V2+app 2", "V3+app 2"], None);
        check("accept-compatible", &["V2+"], None);
        check("accept-compatible", &[], None);
        check(
            "accept-compatible",
            &["V2+app 2", "V3-app 2", "V4-app 3"],
            incompatible(&["V3", "V4"]),
        );
        for several in [["V2+app 2", "V3+app 3"], ["V2+", "V3+"]] {
            check(
                "accept-compatible",
                &several,
                Some(Unaccepted::SeveralReleases),
            );
        }
    }

    #[test]
    fn names() {
        for policy in ["refuse", "accept-prefix", "accept-compatible"] {
            assert_eq!(policy.parse::<Ahead>().unwrap().to_string(), policy);
        }
        assert!("accept".parse::<Ahead>().unwrap_err().contains("`accept`"));
    }
}
