//! The commit that the index is compared with: what stands in the lock there is merged.

use std::fs;

use super::{Error, Git, Objects};

/// What says which branch is the one that everybody builds on.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// `--base`.
    pub explicit: Option<&'a str>,
    /// `upstream` of the configuration.
    pub configured: Option<&'a str>,
    pub is_ci: bool,
    /// The branch that a merge request goes to, as a CI system says it.
    pub target: Option<String>,
    /// What a branch was before the push, as a CI system says it.
    pub before: Option<String>,
}

/// What a commit builds on.
#[derive(Debug)]
pub(crate) struct Standpoint {
    /// None before the first commit.
    pub head: Option<String>,
    /// The other parents of a merge that is about to be committed.
    pub merged: Vec<String>,
    /// HEAD's own, and in a merge also that of the other parent where it is another one.
    pub bases: Vec<Base>,
    /// Why the base is only HEAD.
    pub problem: Option<NoBase>,
}

#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub commit: String,
    /// As messages name it: `origin/main`.
    pub upstream: String,
    /// The parent of the commit that builds on it.
    pub parent: String,
}

/// Why there is no base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBase {
    #[error(
        "there is no upstream branch: neither origin/HEAD, origin/main, origin/master, main nor master"
    )]
    NoUpstream,
    #[error("there is no commit `{0}` in this clone")]
    Unknown(String),
    #[error("the clone is shallow, so what was merged into {0} can't be told")]
    Shallow(String),
    #[error("HEAD and {0} have no commit in common")]
    Unrelated(String),
}

impl NoBase {
    pub(crate) fn help(&self) -> String {
        match self {
            NoBase::NoUpstream => {
                "name it: `upstream = \"…\"` in [workspace.metadata.touchmark], TOUCHMARK_UPSTREAM or `--base REV`"
                    .into()
            }
            NoBase::Unknown(rev) => format!(
                "fetch it: `git fetch origin` (GitHub: `fetch-depth: 0` of actions/checkout; GitLab: `GIT_DEPTH: 0` and \
                 `git fetch origin {}`), or name another one with `--base REV`",
                rev.trim_start_matches("origin/")
            ),
            NoBase::Shallow(_) => "fetch all of it: `git fetch --unshallow` (GitHub: `fetch-depth: 0` of actions/checkout; \
                                   GitLab: `GIT_DEPTH: 0`), or name a commit that is there with `--base REV`"
                .into(),
            NoBase::Unrelated(_) => "name the branch that this one goes to with `--base REV`".into(),
        }
    }
}

/// Finds it. Where there is none, HEAD takes its place.
pub(crate) fn find(
    git: &Git,
    objects: &mut Objects,
    wanted: &Wanted<'_>,
) -> Result<Standpoint, Error> {
    let mut standpoint = Standpoint {
        head: objects.commit("HEAD")?,
        merged: merged(git),
        bases: Vec::new(),
        problem: None,
    };
    let Some(head) = standpoint.head.clone() else {
        return Ok(standpoint);
    };
    let found = match upstream(objects, wanted)? {
        Ok((upstream, commit)) => of_head(git, objects, wanted, &head, &upstream, &commit)?
            .map(|base| (base, upstream, commit)),
        Err(problem) => Err(problem),
    };
    let own = |commit, upstream| Base {
        commit,
        upstream,
        parent: head.clone(),
    };
    match found {
        Ok((base, upstream, tip)) => {
            let first = base.map(|commit| own(commit, upstream.clone()));
            standpoint.bases.extend(first);
            for parent in &standpoint.merged {
                let commit = match *parent == tip {
                    true => Some(tip.clone()),
                    false => git.merge_base(parent, &tip)?,
                };
                let is_known = |commit: &String| {
                    let mut bases = standpoint.bases.iter();
                    bases.any(|base| base.commit == *commit)
                };
                if let Some(commit) = commit.filter(|commit| !is_known(commit)) {
                    standpoint.bases.push(Base {
                        commit,
                        upstream: upstream.clone(),
                        parent: parent.clone(),
                    });
                }
            }
        }
        Err(problem) => {
            standpoint.bases.push(own(head.clone(), "HEAD".into()));
            standpoint.problem = Some(problem);
        }
    }
    Ok(standpoint)
}

/// The base of HEAD; none where nothing is merged yet.
fn of_head(
    git: &Git,
    objects: &mut Objects,
    wanted: &Wanted<'_>,
    head: &str,
    upstream: &str,
    tip: &str,
) -> Result<Result<Option<String>, NoBase>, Error> {
    let shallow = || NoBase::Shallow(upstream.to_owned());
    if wanted.is_ci && git.is_shallow && wanted.explicit.is_none() {
        return Ok(Err(shallow()));
    }
    if head == tip {
        // A build of the branch itself: what the last push brought is compared with what was there.
        if !wanted.is_ci {
            return Ok(Ok(Some(head.to_owned())));
        }
        // Of a branch that is new, or was pushed with force, it is not there.
        let before = match &wanted.before {
            Some(before) => objects.commit(before)?,
            None => None,
        };
        return Ok(Ok(match before {
            Some(before) => git.merge_base(head, &before)?,
            None => objects.commit("HEAD^1")?,
        }));
    }
    Ok(match git.merge_base(head, tip)? {
        Some(base) => Ok(Some(base)),
        None if git.is_shallow => Err(shallow()),
        None => Err(NoBase::Unrelated(upstream.to_owned())),
    })
}

/// The upstream branch as messages name it, and its commit.
pub(crate) fn upstream(
    objects: &mut Objects,
    wanted: &Wanted<'_>,
) -> Result<Result<(String, String), NoBase>, Error> {
    let target = wanted.target.as_ref().filter(|_| wanted.is_ci);
    // In full: a tag may have the short name, and git would take that.
    let target = target.map(|branch| format!("refs/remotes/origin/{branch}"));
    let named = wanted.explicit.or(wanted.configured).or(target.as_deref());
    if let Some(name) = named {
        let commit = objects.commit(name)?;
        let short = name.trim_start_matches("refs/remotes/");
        return Ok(commit
            .map(|commit| (shown(short), commit))
            .ok_or_else(|| NoBase::Unknown(short.to_owned())));
    }
    let default = objects.commit("refs/remotes/origin/HEAD")?;
    let usual = [
        "refs/remotes/origin/main",
        "refs/remotes/origin/master",
        "refs/heads/main",
        "refs/heads/master",
    ];
    for name in usual {
        let Some(commit) = objects.commit(name)? else {
            continue;
        };
        // The default branch by its name, where it is one of these.
        if default.as_ref().is_none_or(|default| *default == commit) {
            let short = name.trim_start_matches("refs/remotes/");
            return Ok(Ok((short.trim_start_matches("refs/heads/").into(), commit)));
        }
    }
    Ok(default
        .map(|commit| ("origin/HEAD".to_owned(), commit))
        .ok_or(NoBase::NoUpstream))
}

/// A whole id is more than anybody reads.
fn shown(name: &str) -> String {
    let is_id = name.len() >= 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        name[..12].to_owned()
    } else {
        name.to_owned()
    }
}

fn merged(git: &Git) -> Vec<String> {
    let text = fs::read_to_string(git.git_dir.join("MERGE_HEAD")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}
