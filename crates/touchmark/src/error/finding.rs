//! What contradicts between the set and the records, in words.

use std::fmt;

use crate::compare::Finding;
use crate::stale;

pub(super) fn first(findings: &[Finding], build: &str) -> String {
    let first = findings.first();
    first.map_or_else(String::new, |first| told(first, build))
}

/// An edit is not called one where the binary may be the older of the two.
pub(super) fn told(finding: &Finding, build: &str) -> String {
    match finding {
        Finding::Edited { id, .. } if stale::rebuild(finding, build).is_some() => {
            format!("{id} is not what was applied")
        }
        finding => finding.to_string(),
    }
}

pub(super) fn divergent_help(findings: &[Finding], build: &str) -> Option<String> {
    let first = findings.first()?;
    let help = finding_help(first);
    Some(match stale::rebuild(first, build) {
        Some(rebuild) => format!("{rebuild}; if not, {help}"),
        None => help,
    })
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Edited { id, .. } => write!(f, "{id} was edited after it was applied"),
            Finding::Renamed { id, applied, .. } => {
                write!(f, "{id} was applied under the name {applied}")
            }
            Finding::Missing { id, finished, .. } => {
                let is = if *finished { "applied" } else { "unfinished" };
                write!(f, "{id} is {is}, and this set does not have it")
            }
            Finding::OutOfOrder { id, newest, .. } => {
                write!(f, "{id} is not applied, and the newer {newest} is")
            }
            Finding::Unfinished { id, done } => {
                write!(f, "{id} is unfinished after statement {done}")
            }
            Finding::UndoUnfinished { id, done } => {
                write!(f, "the undo of {id} is unfinished after statement {done}")
            }
            Finding::HistoryRowMissing { id } => write!(
                f,
                "{id} is in the ledger, and its row in refinery's history is gone"
            ),
            Finding::HistoryRowChanged { id, .. } => write!(
                f,
                "the row of {id} in refinery's history contradicts the ledger"
            ),
        }
    }
}

fn finding_help(finding: &Finding) -> String {
    match finding {
        Finding::Edited { .. } => {
            "`cargo xtask db-verify` shows what changed; put the file back, and write the change as a new migration".into()
        }
        Finding::Renamed { id, applied, .. } => {
            format!("rename the file back to {}__{applied}.sql", id.short())
        }
        Finding::Missing { .. } => {
            "run a release that has it, or bring its file back; a database of another branch can be made anew with `cargo xtask db-reset`".into()
        }
        Finding::OutOfOrder { id, newest, .. } => format!(
            "give it a version above {}, or rename it to `U{}__{}.sql`, which may be applied late",
            newest.version, id.version, id.name
        ),
        Finding::HistoryRowMissing { .. } | Finding::HistoryRowChanged { .. } => {
            "somebody has changed the history by hand: `cargo xtask db-verify` names row and column".into()
        }
        _ => "`cargo xtask db-verify` shows more".into(),
    }
}
