//! The lines in the hook: for any POSIX shell, also that of Git for Windows.

use std::env;
use std::path::{Component, Path};

use crate::error::Error;
use crate::git::Git;
use crate::project::Project;

const BEGIN: &str = "# >>> touchmark: `cargo xtask db-hook install` writes these lines, `uninstall` takes them out >>>";
const END: &str = "# <<< touchmark <<<";

/// What the lines have to know. A hook runs at the top of the working tree.
pub(super) struct Script {
    /// The program that Cargo built, where it is one.
    program: Option<String>,
    /// The workspace, from the top; `.` for the top itself.
    workspace: String,
    fix: bool,
}

impl Script {
    pub(super) fn new(project: &Project, git: &Git, fix: bool) -> Result<Script, Error> {
        let program = env::current_exe()
            .ok()
            .and_then(|path| path.canonicalize().ok());
        let from_top = |path: &Path| match path.strip_prefix(&git.top) {
            Ok(inside) => with_slashes(inside),
            Err(_) => path.display().to_string().replace('\\', "/"),
        };
        let root = project.root.canonicalize();
        let root = root.map_err(|source| Error::io("find", &project.root, source))?;
        Ok(Script {
            // Only Cargo says what a program was made from.
            program: program
                .filter(|program| program.with_extension("d").is_file())
                .map(|program| from_top(&program)),
            workspace: from_top(&root),
            fix,
        })
    }

    pub(super) fn block(&self) -> String {
        let fix = if self.fix { " --fix" } else { "" };
        let workspace = quoted(&self.workspace);
        let manifest = quoted(&format!("{}/Cargo.toml", self.workspace));
        let program = self.program.as_deref().map(|program| {
            let is_absolute = program.starts_with('/') || program.contains(':');
            let program = quoted(&if is_absolute {
                program.to_owned()
            } else {
                format!("./{program}")
            });
            format!(
                "    if [ -x {program} ]; then
        touchmark_code=0
        {program} --manifest-path {manifest} db-verify --staged{fix} --if-fresh || touchmark_code=$?
    fi
"
            )
        });
        format!(
            "{BEGIN}
touchmark_verify() {{
    [ -f {manifest} ] || return 0
    touchmark_code=75
{}    # 75: it is older than its sources, so Cargo builds it first.
    if [ \"$touchmark_code\" -eq 75 ]; then
        touchmark_code=0
        (
            PATH=$PATH:${{CARGO_HOME:-${{HOME:-}}/.cargo}}/bin
            if [ -n \"${{GIT_DIR:-}}\" ]; then
                GIT_DIR=$(git rev-parse --absolute-git-dir) GIT_WORK_TREE=$PWD
                export GIT_DIR GIT_WORK_TREE
            fi
            cd {workspace} && cargo xtask db-verify --staged{fix} --from-hook
        ) || touchmark_code=$?
    fi
    return \"$touchmark_code\"
}}
touchmark_verify || exit $?
{END}
",
            program.unwrap_or_default()
        )
    }
}

/// A hook with the lines in it, behind its first line; `None` where it is no shell script.
pub(super) fn with(hook: &str, block: &str) -> Option<String> {
    let own = without(hook).unwrap_or_else(|| hook.to_owned());
    if !own.starts_with("#!") {
        // git lets `sh` run what names nobody else.
        return Some(format!("#!/bin/sh\n{block}{own}"));
    }
    let (first, rest) = own.split_once('\n').unwrap_or((&own, ""));
    is_shell(first).then(|| format!("{first}\n{block}{rest}"))
}

/// The hook as it was before; `None` where the lines are not in it.
pub(super) fn without(hook: &str) -> Option<String> {
    let begin = hook.find(BEGIN)?;
    let end = begin + hook[begin..].find(END)? + END.len();
    let rest = hook[end..].strip_prefix('\n').unwrap_or(&hook[end..]);
    Some(format!("{}{rest}", &hook[..begin]))
}

/// Whether nothing is left that does anything.
pub(super) fn is_empty(hook: &str) -> bool {
    let mut lines = hook.lines();
    lines.all(|line| line.trim().is_empty() || line.starts_with("#!"))
}

fn is_shell(first: &str) -> bool {
    let mut words = first.trim_start_matches("#!").split_whitespace();
    let name = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let mut program = words.next().map(name);
    if program.as_deref() == Some("env") {
        program = words.find(|word| !word.starts_with('-')).map(name);
    }
    let shells = [
        "sh", "bash", "dash", "ksh", "zsh", "ash", "sh.exe", "bash.exe",
    ];
    program.is_some_and(|program| shells.contains(&program.as_str()))
}

fn with_slashes(path: &Path) -> String {
    let parts = path.components().map(|part| match part {
        Component::CurDir => ".".into(),
        part => part.as_os_str().to_string_lossy(),
    });
    match parts.collect::<Vec<_>>().join("/") {
        empty if empty.is_empty() => ".".into(),
        path => path,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(program: Option<&str>) -> Script {
        Script {
            program: program.map(str::to_owned),
            workspace: "it's größe".into(),
            fix: true,
        }
    }

    #[test]
    fn the_block() {
        insta::assert_snapshot!(script(Some("it's größe/target/debug/xtask")).block());
    }

    #[track_caller]
    fn check(hook: &str) {
        let block = script(None).block();
        let with_block = with(hook, &block).unwrap();
        assert_eq!(with(&with_block, &block).unwrap(), with_block);
        let rest = without(&with_block).unwrap();
        assert_eq!(
            rest.trim_start_matches("#!/bin/sh\n"),
            hook.trim_start_matches("#!/bin/sh\n")
        );
        let (_, rest) = with_block.split_once(END).unwrap();
        assert!(rest.ends_with(hook.split_once('\n').map_or("", |(_, rest)| rest)));
    }

    #[test]
    fn it_is_put_in_and_taken_out() {
        check("#!/bin/sh\n");
        check("#!/bin/sh\nset -e\nmake test\n");
        check("#!/usr/bin/env -S bash -e\nmake test");
        check("#! /bin/bash\nmake test\n");
        check("make test\n");
        assert!(is_empty("#!/bin/sh\n\n"));
        assert!(!is_empty("#!/bin/sh\nmake"));
        assert_eq!(without("#!/bin/sh\nmake\n"), None);
        for other in [
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/env node",
            "#!/usr/bin/perl\n",
        ] {
            assert_eq!(with(other, ""), None, "{other}");
        }
    }
}
