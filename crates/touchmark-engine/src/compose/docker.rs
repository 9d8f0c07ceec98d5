//! Runs `docker` and Compose, and turns what they say into problems with a name.

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::ComposeProblem;
use crate::programs;

/// How long a question to the engine may take. Starting and pulling have no such limit.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is kept of the output, in bytes: a container may print for ever. The rest is only read.
const MOST: usize = 16 << 20;

/// A longer line is handled in parts.
const LONGEST_LINE: u64 = 1 << 20;

/// Names the Compose program where the choice made here does not suit: `docker-compose`, or a path.
const OVERRIDE: &str = "TOUCHMARK_COMPOSE";

/// A command that came back.
pub struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// The Compose program of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    program: Vec<String>,
    pub version: String,
}

impl Compose {
    /// The plugin, or else the old program; `TOUCHMARK_COMPOSE` names another one.
    pub fn find() -> Result<Compose, ComposeProblem> {
        let candidates = match env::var(OVERRIDE) {
            Ok(line) if !line.trim().is_empty() => vec![line],
            _ => vec!["docker compose".to_owned(), "docker-compose".to_owned()],
        };
        let mut detail = String::new();
        for line in candidates {
            let program: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let mut command = start_of(&program);
            command.args(["version", "--short"]);
            match run(command, Some(PATIENCE), &mut |_| {}) {
                Ok(output) if output.success => {
                    let version = output.stdout.trim().trim_start_matches('v').to_owned();
                    return Ok(Compose { program, version });
                }
                Ok(output) => detail = said(&output),
                Err(ComposeProblem::NoDocker) => {
                    detail = format!(
                        "there is no `{}` in PATH",
                        program.first().map_or("", String::as_str)
                    );
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(ComposeProblem::NoCompose { detail })
    }

    /// "docker compose", for people.
    pub fn name(&self) -> String {
        self.program.join(" ")
    }

    pub fn command(&self) -> Command {
        start_of(&self.program)
    }
}

fn start_of(program: &[String]) -> Command {
    let mut words = program.iter();
    let mut command = programs::command(words.next().map_or("docker", String::as_str));
    command.args(words);
    command
}

/// Asks the engine for its version, which tells the ways in which there is none apart.
pub fn engine() -> Result<String, ComposeProblem> {
    docker(&["version", "--format", "{{.Server.Version}}"]).map(|version| version.trim().to_owned())
}

/// Runs `docker` and gives what it printed.
pub fn docker(arguments: &[&str]) -> Result<String, ComposeProblem> {
    let output = docker_output(arguments)?;
    if output.success {
        Ok(output.stdout)
    } else {
        Err(failed(&format!("docker {}", arguments[0]), &output))
    }
}

/// Runs `docker`; a failure of the command itself is in the output.
pub fn docker_output(arguments: &[&str]) -> Result<Output, ComposeProblem> {
    let mut command = programs::command("docker");
    command.args(arguments);
    run(command, Some(PATIENCE), &mut |_| {})
}

/// What a failed command means.
pub fn failed(command: &str, output: &Output) -> ComposeProblem {
    let detail = said(output);
    let text = output.stderr.to_lowercase();
    if text.contains("permission denied")
        && (text.contains("docker.sock") || text.contains("docker daemon socket"))
    {
        ComposeProblem::NoPermission {
            detail: until_url(&detail),
        }
    } else if text.contains("cannot connect to the docker daemon")
        || text.contains("is the docker daemon running")
        || text.contains("error during connect")
        || text.contains("error while fetching server api version")
        || text.contains("failed to connect to the docker api")
    {
        ComposeProblem::EngineDown { detail }
    } else {
        ComposeProblem::Failed {
            command: command.to_owned(),
            detail,
        }
    }
}

/// The client repeats itself in the form of an escaped URL, which helps nobody.
fn until_url(detail: &str) -> String {
    match detail.find(": Get ").or_else(|| detail.find(": Post ")) {
        Some(end) => detail[..end].to_owned(),
        None => detail.to_owned(),
    }
}

/// The lines of a failed command that say why: those with "error" in them, or else the last ones.
pub fn said(output: &Output) -> String {
    let text = if output.stderr.trim().is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    // The plugin indents what it reports as progress, and prints the same error once more at the end.
    let mut lines: Vec<&str> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(str::trim_end)
    {
        if !line.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    let errors: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| line.to_lowercase().contains("error"))
        .collect();
    let chosen = match errors.last() {
        Some(last) => vec![*last],
        None if lines.is_empty() => text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .take(5)
            .collect(),
        None => lines[lines.len().saturating_sub(5)..].to_vec(),
    };
    if chosen.is_empty() {
        return "it said nothing".to_owned();
    }
    let text = chosen.join("\n  ");
    let text = text
        .trim_start_matches("ERROR: ")
        .trim_start_matches("Error response from daemon: ");
    text.to_owned()
}

/// Runs a command to its end, hands every line of it to `on_line`, and kills it at the deadline.
pub fn run(
    mut command: Command,
    patience: Option<Duration>,
    on_line: &mut dyn FnMut(&str),
) -> Result<Output, ComposeProblem> {
    let name = described(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(&name, &error))?;
    let (sender, receiver) = mpsc::channel();
    read_lines(child.stdout.take(), false, sender.clone());
    read_lines(child.stderr.take(), true, sender);

    let start = Instant::now();
    let mut output = Output {
        success: false,
        stdout: String::new(),
        stderr: String::new(),
    };
    loop {
        let left = patience.map_or(Duration::from_secs(3600), |patience| {
            patience.saturating_sub(start.elapsed())
        });
        match receiver.recv_timeout(left) {
            Ok((is_error, line)) => {
                on_line(line.trim_end());
                let text = if is_error {
                    &mut output.stderr
                } else {
                    &mut output.stdout
                };
                if text.len() < MOST {
                    text.push_str(&line);
                }
            }
            Err(RecvTimeoutError::Timeout) if patience.is_none() => {}
            Err(RecvTimeoutError::Timeout) => {
                stop(&mut child);
                return Err(ComposeProblem::Silent {
                    command: name,
                    waited: start.elapsed(),
                });
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().map_err(|error| cannot_start(&name, &error))?;
    output.success = status.success();
    Ok(output)
}

fn stop(child: &mut Child) {
    // It may have ended by itself in this very moment, and then there is nothing to stop.
    let _ = child.kill();
    let _ = child.wait();
}

fn read_lines(
    pipe: Option<impl Read + Send + 'static>,
    is_error: bool,
    sender: mpsc::Sender<(bool, String)>,
) {
    let Some(pipe) = pipe else { return };
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while matches!(
            reader
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut bytes),
            Ok(1..)
        ) {
            if sender
                .send((is_error, String::from_utf8_lossy(&bytes).into_owned()))
                .is_err()
            {
                return;
            }
            bytes.clear();
        }
    });
}

pub fn cannot_start(name: &str, error: &io::Error) -> ComposeProblem {
    match error.kind() {
        io::ErrorKind::NotFound => ComposeProblem::NoDocker,
        _ => ComposeProblem::Failed {
            command: name.to_owned(),
            detail: error.to_string(),
        },
    }
}

/// The program and its first words, which are never a value.
fn described(command: &Command) -> String {
    let words = command
        .get_args()
        .filter(|word| !word.to_string_lossy().starts_with('-'))
        .take(2);
    let mut text = vec![command.get_program().to_owned()];
    text.extend(words.map(OsString::from));
    text.iter()
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stderr: &str) -> Output {
        Output {
            success: false,
            stdout: String::new(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn the_clients_words_become_problems() {
        let check = |stderr: &str, expected: &str| {
            assert_eq!(failed("docker ps", &output(stderr)).to_string(), expected);
        };
        check(
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
            "the Docker engine does not run: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the \
             docker daemon running?",
        );
        check(
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \
             \"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version\": dial unix /var/run/docker.sock: connect: permission denied\n",
            "this user may not talk to the Docker engine: permission denied while trying to connect to the Docker daemon \
             socket at unix:///var/run/docker.sock",
        );
        check(
            "Error response from daemon: No such container: x\n",
            "`docker ps` failed: No such container: x",
        );
        check("", "`docker ps` failed: it said nothing");
    }

    #[test]
    fn of_progress_and_errors_the_errors_count() {
        for (stderr, expected) in [
            (
                " Container x  Creating\n Container x  Created\nError response from daemon: no luck\n",
                "no luck",
            ),
            (
                "Recreating x ... \nRecreating x ... error\n\nERROR: for x  no luck\n",
                "for x  no luck",
            ),
            (" Container x  Creating\n", "Container x  Creating"),
            ("a\nb\n", "a\n  b"),
        ] {
            assert_eq!(said(&output(stderr)), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn of_endless_output_a_part_is_kept() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "head -c 50000000 /dev/zero; echo; yes | head -c 1000000; echo end >&2",
        ]);
        let output = run(command, None, &mut |line| {
            assert!(line.len() as u64 <= LONGEST_LINE)
        });
        let output = output.unwrap_or_else(|problem| panic!("{problem}"));
        assert!(output.success);
        assert!(output.stdout.len() <= MOST + LONGEST_LINE as usize);
        assert_eq!(output.stderr, "end\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_hangs_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let problem = run(command, Some(Duration::from_millis(100)), &mut |_| {})
            .err()
            .unwrap();
        assert!(
            matches!(problem, ComposeProblem::Silent { .. }),
            "{problem}"
        );
    }
}
