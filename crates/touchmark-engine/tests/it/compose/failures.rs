//! Everything that goes wrong says so, and what to do.

use super::{Checkout, is_child, own_file, project::rendered, run_test, shown};
use std::{env, net::TcpListener, path::PathBuf, time::Duration};

/// A service of `image` with `lines` below it.
fn service(lines: &str) -> String {
    format!("services:\n  postgres:\n    image: postgres:17\n{lines}")
}

#[track_caller]
fn check(checkout: &mut Checkout, expected: &str) {
    assert_eq!(checkout.error(), expected);
}

/// What `up` says in this environment, for the tests below.
#[test]
fn child() {
    if !is_child() {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    if let Some(file) = env::var_os("TOUCHMARK_TEST_FILE") {
        checkout.settings.compose_file = PathBuf::from(file);
    }
    match checkout.try_up() {
        Ok(database) => println!("up: {database:?}"),
        Err(error) => println!("{}", rendered(&error)),
    }
}

/// The error of an `up` in another environment.
#[track_caller]
fn error_with(change: impl FnOnce(&mut std::process::Command)) -> String {
    let output = run_test("compose::failures::child", change);
    let text = String::from_utf8(output.stdout).unwrap();
    let start = text
        .find("error: ")
        .unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let end = text
        .find("\ntest ")
        .or_else(|| text.find("\nok\n"))
        .unwrap_or(text.len());
    text[start..end.max(start)]
        .trim_end()
        .trim_end_matches("ok")
        .trim_end()
        .to_owned()
}

#[test]
fn no_docker() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(
        error_with(|command| {
            command.env("PATH", empty.path());
        }),
        "error: there is no `docker` in PATH\n\
         help: install Docker, or choose another engine with `--engine local` or `--engine download`"
    );
}

#[test]
fn dead_engine() {
    if !test_needs::has("docker") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix://{}", shown(&folder.path().join("no.sock")));
    let error = error_with(|command| {
        command.env("DOCKER_HOST", &socket);
    });
    let (first, help) = error.split_once("\nhelp: ").unwrap();
    assert!(
        first.starts_with("error: the Docker engine does not run: ") && first.contains(&socket),
        "{error}"
    );
    assert_eq!(
        help,
        "start it (Docker Desktop, or `sudo systemctl start docker`), correct DOCKER_HOST if it is set, or choose \
         another engine with `--engine local` or `--engine download`"
    );
}

#[test]
fn no_compose() {
    if !test_needs::has("docker") {
        return;
    }
    let error = error_with(|command| {
        command.env("TOUCHMARK_COMPOSE", "no-such-compose");
    });
    assert!(
        error.starts_with(
            "error: neither `docker compose` nor `docker-compose` works: there is no `no-such-compose` in PATH\nhelp: \
             install the plugin"
        ),
        "{error}"
    );
}

#[test]
fn a_port_of_the_environment_that_is_taken() {
    if !test_needs::has("docker") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = error_with(|command| {
        command.env("POSTGRES_PORT", port.to_string());
    });
    let start = format!(
        "error: port {port} is taken by the process {} (",
        std::process::id()
    );
    assert!(error.starts_with(&start), "{error}");
    let help =
        "help: stop what listens there, or change the port (POSTGRES_PORT in the environment)";
    assert!(error.ends_with(help), "{error}");
}

#[test]
fn a_port_of_the_file_that_is_taken_by_a_container() {
    if !test_needs::has("docker") {
        return;
    }
    let mut one = Checkout::new(own_file());
    one.up();
    let port = one.env("POSTGRES_PORT").unwrap();
    let text = own_file().replace("${POSTGRES_PORT:-54321}", &port);
    let mut two = Checkout::new(&text);
    let name = super::ask(&[
        "inspect",
        "--format",
        "{{.Name}}",
        &one.container("postgres"),
    ]);
    check(
        &mut two,
        &format!(
            "error: port {port} is taken by the container `{}` (postgres:17)\n\
             help: stop what listens there, or change the port (`ports:` in ROOT/compose.yaml)",
            name.trim_start_matches('/')
        ),
    );
}

#[test]
fn a_missing_image() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout =
        Checkout::new("services:\n  postgres:\n    image: registry.invalid/nosuch:1\n");
    let error = checkout.error();
    let start = "error: the image `registry.invalid/nosuch:1` is not on this machine and cannot be pulled: ";
    assert!(
        error.starts_with(start) && error.contains("registry.invalid"),
        "{error}"
    );
    let help = "\nhelp: check the name and the network, or load the image with `docker load`; then `docker pull \
        registry.invalid/nosuch:1` must work";
    assert!(error.ends_with(help), "{error}");
}

#[test]
fn a_container_that_exits_at_once() {
    if !test_needs::has("docker") {
        return;
    }
    let lines = "    entrypoint: [sh, -c, \"echo begins; sleep 0.2; echo 'last words' >&2; exit 3\"]\n    ports: ['127.0.0.1::5432']\n";
    check(
        &mut Checkout::new(&service(lines)),
        "error: the container of `postgres` exited with code 3\n  | begins\n  | last words\n\
         help: `cargo xtask db-logs` shows the whole log; mend the service in the compose file and run `cargo xtask \
         db-up` again",
    );
}

#[test]
fn a_container_that_restarts_for_ever() {
    if !test_needs::has("docker") {
        return;
    }
    let lines = "    restart: always\n    ports: ['127.0.0.1::5432']\n";
    let error = Checkout::new(&service(lines)).error();
    assert!(
        error.starts_with("error: the container of `postgres` exited with code 1\n"),
        "{error}"
    );
    assert!(
        error.contains(
            "  | Error: Database is uninitialized and superuser password is not specified."
        ),
        "{error}"
    );
}

#[test]
fn an_unhealthy_container() {
    if !test_needs::has("docker") {
        return;
    }
    let lines = "    environment: {POSTGRES_PASSWORD: s3cret-s3cret}\n    ports: ['127.0.0.1::5432']\n    healthcheck:\n      \
        test: [CMD-SHELL, \"echo no such luck; exit 1\"]\n      interval: 1s\n      retries: 2\n";
    let error = Checkout::new(&service(lines)).error();
    let start = "error: the container of `postgres` is unhealthy: the health check says: no such luck\n  | ";
    assert!(error.starts_with(start), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn a_container_that_takes_too_long() {
    if !test_needs::has("docker") {
        return;
    }
    let lines =
        "    entrypoint: [sleep, \"300\"]\n    init: true\n    ports: ['127.0.0.1::5432']\n";
    let mut checkout = Checkout::new(&service(lines));
    checkout.settings.wait = Duration::from_secs(2);
    let error = checkout.error();
    assert!(
        error.starts_with("error: the container of `postgres` is not ready after 2 s: "),
        "{error}"
    );
}

#[test]
fn a_volume_with_another_password() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    checkout.up();
    let old = checkout.env("POSTGRES_PASSWORD").unwrap();
    checkout.set_env("POSTGRES_PASSWORD", "a-new-password");
    let project = checkout.env("COMPOSE_PROJECT_NAME").unwrap();
    for _ in 0..2 {
        check(
            &mut checkout,
            &format!(
                "error: PostgreSQL in `postgres` runs, and refuses the login of its own settings: 28P01: password \
                 authentication failed for user \"ingestion\"\n\
                 help: the volume `{project}_postgres` was made with another login: put the old password into `.env` \
                 as POSTGRES_PASSWORD, or delete the data with `cargo xtask db-down --volumes`"
            ),
        );
        checkout.down(false);
    }
    checkout.set_env("POSTGRES_PASSWORD", &old);
    checkout.up();
    checkout.set_env("POSTGRES_PASSWORD", "a-new-password");
    checkout.down(true);
    assert!(checkout.up().url.contains(":a-new-password@"));
}

#[test]
fn a_volume_with_another_role() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    checkout.up();
    checkout.write(
        "compose.yaml",
        &own_file().replace("POSTGRES_USER: ingestion", "POSTGRES_USER: other"),
    );
    let error = checkout.error();
    let start =
        "error: PostgreSQL in `postgres` runs, and refuses the login of its own settings: 28P01: ";
    assert!(
        error.starts_with(start) && error.contains("was made with another login"),
        "{error}"
    );
}

#[test]
fn no_such_file() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    checkout.settings.compose_file = checkout.root().join("docker/compose.yaml");
    check(
        &mut checkout,
        "error: there is no compose file `ROOT/docker/compose.yaml`\n\
         help: write one, name another one as `compose-file` in [workspace.metadata.touchmark], or choose another engine \
         with `--engine local` or `--engine download`",
    );
}

#[test]
fn an_invalid_file() {
    if !test_needs::has("docker") {
        return;
    }
    for text in [
        "services:\n  postgres:\n    imag: postgres:17\n",
        "services: [\n",
        "services:\n  postgres: 5\n",
    ] {
        let mut checkout = Checkout::new(text);
        let error = checkout.error();
        assert!(
            error.starts_with("error: the compose file `ROOT/compose.yaml` is not valid: "),
            "{error}"
        );
        let help = "\nhelp: mend the file; `docker compose -f ";
        assert!(error.contains(help), "{error}");
        assert!(
            !checkout.env_path().exists(),
            "nothing was written for a file that does not work"
        );
    }
}

#[test]
fn an_invalid_file_with_the_old_program() {
    if !test_needs::has("docker") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compose.yaml");
    std::fs::write(&path, "services:\n  postgres:\n    imag: postgres:17\n").unwrap();
    let error = error_with(|command| {
        command
            .env("TOUCHMARK_COMPOSE", "docker-compose")
            .env("TOUCHMARK_TEST_FILE", &path);
    });
    assert!(
        error.contains("Unsupported config option for services.postgres: 'imag'"),
        "{error}"
    );
}

#[test]
fn a_variable_that_nobody_set() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(&service("    command: [\"${MY_OPTION:?say which}\"]\n"));
    let error = checkout.error();
    let start = "error: the compose file `ROOT/compose.yaml` needs a variable that is not set: ";
    assert!(
        error.starts_with(start) && error.contains("MY_OPTION"),
        "{error}"
    );
    checkout.set_env("MY_OPTION", "postgres");
    assert!(
        !checkout.error().contains("MY_OPTION"),
        "from .env it is known"
    );
}

#[test]
fn a_wrong_service_name() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    checkout.settings.compose_service = "database".to_owned();
    check(
        &mut checkout,
        "error: there is no service `database` in `ROOT/compose.yaml` (it has `postgres`)\n\
         help: name the one that is PostgreSQL as `compose-service` in [workspace.metadata.touchmark]",
    );
}

#[test]
fn no_published_port() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(&service("    environment: {POSTGRES_PASSWORD: x}\n"));
    check(
        &mut checkout,
        "error: the service `postgres` publishes no port for PostgreSQL\n\
         help: add this to the service: ports: [\"127.0.0.1:${POSTGRES_PORT:-54321}:5432\"]",
    );
}
