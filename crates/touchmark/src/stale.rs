//! A binary that contradicts a database because it is older than the files. Pure.

use crate::compare::Finding;
use crate::rows::{Origin, is_command};

/// What a finding is when this binary may be the one that is wrong, and how to find out. None
/// where building it again would explain nothing: the database was migrated by this very build,
/// by another application, or by refinery.
pub(crate) fn rebuild(finding: &Finding, build: &str) -> Option<String> {
    let origin = finding.origin().filter(|origin| is_other(origin, build))?;
    let by = origin.by();
    let at = origin.second();
    Some(match finding {
        Finding::Edited { id, .. } => format!(
            "this binary ({build}) carries another {id} than the one that {by} applied at {at}: if the file was \
             changed since this binary was built, build it again"
        ),
        Finding::Renamed { id, applied, .. } => format!(
            "this binary ({build}) carries {id}, which {by} applied as {}__{applied} at {at}: if the file was \
             renamed since this binary was built, build it again",
            id.short()
        ),
        Finding::Missing {
            id, finished: true, ..
        } => format!(
            "this binary ({build}) does not carry {id}, which {by} applied at {at}: if the file was added since \
             this binary was built, build it again"
        ),
        Finding::OutOfOrder { id, newest, .. } => format!(
            "this binary ({build}) carries {id}, and {by} applied the newer {newest} at {at} without it: if the \
             file was renumbered or deleted since this binary was built, build it again"
        ),
        _ => return None,
    })
}

/// Whether another build of the same package applied it, or a command that reads the files.
fn is_other(origin: &Origin, build: &str) -> bool {
    let package = |build: &str| build.split(' ').next().map(str::to_owned);
    // A command has just read the files.
    let is_binary = !build.is_empty() && !is_command(build);
    is_binary
        && origin
            .build()
            .is_some_and(|by| by != build && (is_command(by) || package(by) == package(build)))
}
