//! `npm pack`, and what npm says when it fails.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{Error, programs};

/// The `npm` of PATH.
pub(crate) fn found() -> Option<PathBuf> {
    let name = if cfg!(windows) { "npm.cmd" } else { "npm" };
    programs::directories()
        .into_iter()
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// Fetches the archive of `package` ("name@version") into `directory` with the user's own npm settings.
pub(super) fn pack(
    npm: &Path,
    environment: &[(&str, &str)],
    package: &str,
    directory: &Path,
) -> Result<PathBuf, Error> {
    let failed = |detail: String| Error::Npm {
        package: package.to_owned(),
        detail,
    };
    let output = programs::command(npm)
        .args([
            "pack",
            package,
            "--json",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ])
        .args(["--no-update-notifier", "--loglevel=error"])
        // npm's own patience (over a minute) looks like a hang to somebody who is offline.
        .args([
            "--fetch-retries=2",
            "--fetch-retry-mintimeout=500",
            "--fetch-retry-maxtimeout=2000",
        ])
        .current_dir(directory)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("ENOSPC") {
            return Err(Error::DiskFull {
                action: "download into",
                path: directory.to_owned(),
            });
        }
        return Err(failed(cause(
            &said,
            &String::from_utf8_lossy(&output.stdout),
        )));
    }
    // The name is npm's affair, so the file is looked for rather than computed.
    let entries = directory
        .read_dir()
        .map_err(|source| Error::io("read", directory, source))?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| failed("npm wrote no archive".to_owned()))
}

/// npm's error lines without their prefix and without where it keeps its log.
fn cause(stderr: &str, stdout: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .filter_map(|line| {
            line.strip_prefix("npm error ")
                .or(line.strip_prefix("npm ERR! "))
        })
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains("complete log of this run"))
        .take(4)
        .collect();
    let everything = || {
        stderr
            .lines()
            .chain(stdout.lines())
            .map(str::trim)
            .find(|line| !line.is_empty())
    };
    match lines.is_empty() {
        true => everything().unwrap_or("it printed nothing").to_owned(),
        false => lines.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::cause;

    #[test]
    fn the_cause_is_npms_own() {
        let said = "npm warn Unknown user config\nnpm error code ECONNREFUSED\nnpm error network request failed\n\
            npm error A complete log of this run can be found in: /home/me/.npm/_logs/x.log\n";
        assert_eq!(cause(said, ""), "code ECONNREFUSED; network request failed");
        assert_eq!(cause("npm ERR! code E404\n", ""), "code E404");
        assert_eq!(
            cause("\nSyntaxError: old node\n", ""),
            "SyntaxError: old node"
        );
        assert_eq!(cause("", ""), "it printed nothing");
    }
}
