//! What a CI system shows beside the changed line: GitHub's workflow commands, and SARIF.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use serde_json::{Value, json};
use touchmark_core::{Diagnostic, Severity};

use super::finding::Found;
use super::look::Looked;
use crate::error::Error;

/// Whether a workflow of GitHub reads the output.
pub(crate) fn is_github() -> bool {
    env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true")
}

/// One line for each finding and warning.
pub(crate) fn github(looked: &Looked) -> String {
    let findings = looked.findings.iter().map(|found| &found.diagnostic);
    let all = findings.chain(&looked.warnings);
    all.map(command).collect::<Vec<_>>().join("\n")
}

/// The same for what goes wrong before anything is found.
pub(crate) fn github_error(error: &Error) -> String {
    let text = error.render(false);
    format!(
        "::error title=touchmark::{}",
        data(text.trim_end().trim_start_matches("error: "))
    )
}

fn command(diagnostic: &Diagnostic) -> String {
    let mut out = format!(
        "::{} file={}",
        diagnostic.severity,
        property(&diagnostic.file)
    );
    if let Some(place) = &diagnostic.place {
        // Writing to a string can't fail.
        let _ = write!(out, ",line={},col={}", place.line, place.column);
    }
    let mut text = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    let _ = write!(out, ",title=touchmark::{}", data(&text));
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Kinds of findings, as SARIF wants them explained.
const RULES: [(&str, &str); 11] = [
    (
        "edited",
        "A migration that is merged or deployed was edited",
    ),
    (
        "cosmetic",
        "A migration that is merged or deployed was edited in comments or white space",
    ),
    (
        "renamed",
        "A migration that is merged or deployed was renamed",
    ),
    (
        "missing",
        "A migration that is merged or deployed was deleted",
    ),
    (
        "out-of-order",
        "A migration would come before one that is merged or deployed",
    ),
    (
        "lock",
        "migrations.lock or environments.lock was changed by hand",
    ),
    ("unlocked", "A migration has no line in migrations.lock"),
    ("draft", "A migration is only a draft in migrations.lock"),
    (
        "down",
        "What undoes a migration is not as migrations.lock says",
    ),
    ("files", "A migration file is wrong"),
    ("warning", "Something to look at"),
];

/// Writes all as SARIF 2.1.0.
pub(crate) fn write_sarif(looked: &Looked, path: &Path) -> Result<(), Error> {
    // Serializing a value to a string can't fail.
    let text = serde_json::to_string_pretty(&sarif(looked)).unwrap_or_default();
    let text = text + "\n";
    // A device or a pipe, as `/dev/stdout` is, is written to; a file is replaced, and a link with it.
    let is_stream = fs::metadata(path).is_ok_and(|meta| !meta.is_file())
        || path.starts_with("/dev")
        || path.starts_with("/proc");
    let written = match is_stream {
        true => fs::write(path, text),
        false => touchmark_engine::replace_file(path, text.as_bytes(), 0o666),
    };
    written.map_err(|source| Error::io("write", path, source))
}

fn sarif(looked: &Looked) -> Value {
    let rules: Vec<_> = RULES
        .iter()
        .map(|(id, text)| json!({ "id": id, "shortDescription": { "text": text } }))
        .collect();
    let findings = looked.findings.iter().map(of_finding);
    let warnings = looked
        .warnings
        .iter()
        .map(|diagnostic| result("warning", &diagnostic.file, diagnostic));
    let results: Vec<_> = findings.chain(warnings).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "touchmark",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {
                "%SRCROOT%": { "description": { "text": "The top of the repository" } },
            },
            "results": results,
        }],
    })
}

fn of_finding(found: &Found) -> Value {
    result(found.kind, &found.migration, &found.diagnostic)
}

fn result(kind: &str, migration: &str, diagnostic: &Diagnostic) -> Value {
    let mut text = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, "\n{help}");
    }
    // Viewers leave out what has no line, so what means a whole file stands at its first one.
    let region = match &diagnostic.place {
        Some(place) => json!({ "startLine": place.line, "startColumn": place.column }),
        None => json!({ "startLine": 1 }),
    };
    let location = json!({
        "artifactLocation": { "uri": uri(&diagnostic.file), "uriBaseId": "%SRCROOT%" },
        "region": region,
    });
    let mut out = json!({
        "ruleId": kind,
        "level": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": { "text": text },
        "locations": [{ "physicalLocation": location }],
        // So that a finding is known again when lines above it move.
        "partialFingerprints": { "touchmark/v1": format!("{kind} {migration}") },
    });
    if let Some(index) = RULES.iter().position(|(id, _)| *id == kind) {
        out["ruleIndex"] = json!(index);
    }
    out
}

/// A relative reference: everything but the plainest characters is encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use touchmark_core::Place;

    use super::*;

    #[test]
    fn a_workflow_command_is_one_line() {
        let place = Place::of("a\nbc", 3..4, "");
        let diagnostic = Diagnostic::error("a,b:c/100%.sql", "first\r\nsecond: 100%")
            .at(place)
            .help("do, it");
        assert_eq!(
            command(&diagnostic),
            "::error file=a%2Cb%3Ac/100%25.sql,line=2,col=2,title=touchmark::first%0D%0Asecond: 100%25%0Ahelp: do, it"
        );
        let warning = Diagnostic::error("x", "y").warning();
        assert_eq!(command(&warning), "::warning file=x,title=touchmark::y");
    }

    #[test]
    fn a_path_becomes_a_reference() {
        assert_eq!(
            uri("größe und so/V1__a.sql"),
            "gr%C3%B6%C3%9Fe%20und%20so/V1__a.sql"
        );
    }
}
