//! In a build: annotations, SARIF, and the steps of the action and of the documentation.

use std::fs;
use std::path::Path;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::repository::{Repository, program, seen, write_program};
use crate::staged::THREE;
use crate::{Run, run};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// V1 was edited and V4 has no line, on the way to `main`.
fn wrong(within: &str) -> Repository {
    let repository = Repository::within(within);
    repository.write("V1__one.sql", "CREATE TABLE one (\n    id int\n);\n");
    repository.write("V4__größe.sql", THREE);
    repository.commit("edit");
    repository
}

#[test]
fn annotations_for_github() {
    let repository = wrong("server, two");
    let verify = |arguments: &[&str]| {
        let mut command = repository.command(arguments);
        command.env("GITHUB_ACTIONS", "true");
        run(command)
    };
    seen!(verify(&["db-verify", "--ci"]));
    // In a hook nobody reads them.
    assert!(!verify(&["db-verify", "--staged"]).stderr.contains("::"));
    let unknown = verify(&["db-verify", "--ci", "--base", "gone", "--json"]);
    seen!(unknown);
    // The answer stays JSON.
    assert_eq!(
        verify(&["db-verify", "--ci", "--json"]).json()["changed"],
        2
    );
}

/// A link may have come with the checkout.
#[test]
fn sarif_is_written_through_no_link() {
    let repository = Repository::new();
    let other = repository.beside("other");
    std::fs::write(&other, "other").unwrap();
    std::os::unix::fs::symlink(&other, repository.path("found.sarif")).unwrap();
    repository.ok(&["db-verify", "--ci", "--sarif", "found.sarif"]);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "other");
    assert!(repository.read("found.sarif").contains("sarif-2.1.0"));
    let run = repository.ok(&["db-verify", "--ci", "--sarif", "/dev/stdout"]);
    assert!(run.stdout.contains("sarif-2.1.0"), "{}", run.screen());
}

#[test]
fn sarif() {
    let repository = wrong("größe");
    let run = repository.run(&["db-verify", "--ci", "--sarif", "found.sarif"]);
    assert_eq!(run.code, 20, "{}", run.screen());
    let log: Value = serde_json::from_str(&repository.read("found.sarif")).unwrap();
    // What the standard demands of a log, a run, a tool and a result.
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "touchmark");
    let rules = driver["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string());
        let location = &result["locations"][0]["physicalLocation"];
        let artifact = &location["artifactLocation"];
        let base = artifact["uriBaseId"].as_str().unwrap();
        assert!(run["originalUriBaseIds"][base].is_object());
        let uri = artifact["uri"].as_str().unwrap();
        assert!(uri.starts_with("gr%C3%B6%C3%9Fe/migrations/V"), "{uri}");
        assert!(location["region"]["startLine"].as_u64().unwrap() >= 1);
    }
    let edited = &results[0];
    assert_eq!(edited["ruleId"], "edited");
    let location = &edited["locations"][0]["physicalLocation"];
    assert_eq!(location["region"]["startLine"], 2);

    repository.git(&["reset", "-q", "--hard", "main"]);
    repository.ok(&["db-verify", "--ci", "--sarif", "found.sarif"]);
    let log: Value = serde_json::from_str(&repository.read("found.sarif")).unwrap();
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
    seen!(repository.run(&["db-verify", "--sarif", "found.sarif"]));
}

fn yaml(text: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(text).unwrap();
    documents.remove(0)
}

/// Runs lines as a CI system does, in a clone that has its own `cargo`.
fn steps(clone: &Repository, text: &str, variables: &[(&str, &str)]) -> Run {
    let cargo = format!(
        "#!/bin/sh\nshift\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_touchmark-xtask")
    );
    write_program(&clone.beside("bin/cargo"), &cargo);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", clone.beside("bin").display());
    let mut command = program("bash", clone.root());
    command.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", text]);
    command.envs(variables.iter().copied()).env("PATH", path);
    run(command)
}

fn clone(repository: &Repository) -> Repository {
    let path = repository.beside("clone");
    repository.git(&["clone", "-q", ".", &path.display().to_string()]);
    Repository::at(path)
}

#[test]
fn the_steps_of_the_action() {
    let action =
        fs::read_to_string(Path::new(TOP).join(".github/actions/db-verify/action.yml")).unwrap();
    let action = yaml(&action);
    let step = &action["runs"]["steps"][0];
    let script = step["run"].as_str().unwrap();
    // What the step is given is what the script asks for.
    for name in ["BASE", "SARIF", "BEFORE", "DEFAULT_BRANCH"] {
        assert!(
            step["env"][name].as_str().unwrap().starts_with("${{ "),
            "{name}"
        );
        assert!(script.contains(&format!("${name}")), "{name}");
    }
    for name in ["working-directory", "base", "sarif"] {
        assert!(
            action["inputs"][name]["description"].as_str().is_some(),
            "{name}"
        );
    }
    let repository = wrong("");
    let before = repository.git(&["rev-parse", "main"]);
    let clone = clone(&repository);
    let event = |name: &str, more: &[(&str, &str)]| {
        let mut variables = vec![
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", name),
            ("GITHUB_REF_NAME", "work"),
            ("BASE", ""),
            ("SARIF", ""),
            ("BEFORE", ""),
            ("DEFAULT_BRANCH", "main"),
        ];
        variables.extend_from_slice(more);
        steps(&clone, script, &variables)
    };
    let asked = event(
        "pull_request",
        &[("GITHUB_BASE_REF", "main"), ("SARIF", "found.sarif")],
    );
    assert_eq!(asked.code, 20, "{}", asked.screen());
    assert!(
        asked
            .stderr
            .contains("::error file=migrations/V1__one.sql,line=2"),
        "{}",
        asked.stderr
    );
    assert!(clone.path("found.sarif").is_file());
    assert_eq!(
        event("workflow_dispatch", &[("BASE", "origin/gone")]).code,
        2
    );

    // Two commits are pushed to the branch itself; the edit is in the first of them.
    clone.write("README", "more");
    clone.commit("more");
    clone.git(&["branch", "-qM", "work", "main"]);
    clone.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let pushed = [("GITHUB_REF_NAME", "main"), ("BEFORE", before.trim())];
    assert_eq!(event("push", &pushed).code, 20);
    // Where nobody knows what was there, the commit before has to do; the lock is compared anyway.
    let zeros = "0".repeat(40);
    let unknown = [("GITHUB_REF_NAME", "main"), ("BEFORE", zeros.as_str())];
    assert_eq!(event("push", &unknown).code, 28);
}

#[test]
fn the_snippet_for_gitlab() {
    let readme = fs::read_to_string(Path::new(TOP).join("README.md")).unwrap();
    let (_, gitlab) = readme.split_once("# GitLab\n").unwrap();
    let (snippet, _) = gitlab.split_once("```").unwrap();
    let job = &yaml(snippet)["db-verify"];
    assert_eq!(job["variables"]["GIT_DEPTH"].as_i64(), Some(0));
    let script: Vec<&str> = job["script"]
        .as_vec()
        .unwrap()
        .iter()
        .filter_map(Yaml::as_str)
        .collect();
    let script = script.join("\n");
    let repository = wrong("");
    let clone = clone(&repository);
    clone.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
    clone.git(&["update-ref", "--no-deref", "-d", "refs/remotes/origin/HEAD"]);
    let variables = [
        ("TARGET", "main"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
    ];
    let run = steps(&clone, &script, &variables);
    assert_eq!(run.code, 20, "{}", run.screen());
}

/// git takes the tag where both are there.
#[test]
fn a_tag_is_no_target() {
    let repository = wrong("");
    repository.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    repository.git(&["tag", "origin/main", "HEAD"]);
    let mut command = repository.command(&["db-verify", "--ci"]);
    command.env("GITHUB_BASE_REF", "main");
    let run = run(command);
    assert_eq!(run.code, 20, "{}", run.screen());
    assert!(run.stderr.contains("merged into origin/main "));
}

#[test]
fn all_commits_of_a_push_count() {
    let repository = wrong("");
    let before = repository.git(&["rev-parse", "main"]);
    repository.git(&["commit", "-qm", "nothing", "--allow-empty"]);
    repository.git(&["branch", "-qf", "main"]);
    let verify = |before: &str| {
        let mut command = repository.command(&["db-verify", "--ci"]);
        command.env("CI_COMMIT_BEFORE_SHA", before);
        run(command)
    };
    let pushed = verify(before.trim());
    assert_eq!(pushed.code, 20, "{}", pushed.screen());
    // A branch that is new, and one that was pushed with force.
    for unknown in ["0", "1"] {
        let run = verify(&unknown.repeat(40));
        assert!(run.stderr.contains("since main "), "{}", run.screen());
    }
}
