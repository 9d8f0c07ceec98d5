//! Compose files that others wrote.

use super::{
    Checkout, ask, own_file,
    project::{ask_sql, run_sql},
};
use std::process::Command;
use touchmark_engine::State;

const FOREIGN: &str = r#"
name: theirs
services:
  db:
    image: postgres:17
    environment:
      - POSTGRES_USER=me@home
      - POSTGRES_PASSWORD_FILE=/run/secrets/db
      - POSTGRES_DB=My "data"
    ports: ["5432"]
    secrets: [db]
    volumes: ["data:/var/lib/postgresql/data"]
  cache:
    image: postgres:17
    entrypoint: [sleep, "300"]
    volumes: ["cache:/cache"]
volumes:
  data:
  cache:
secrets:
  db:
    file: ./secret.txt
"#;

#[test]
fn login_and_port_come_from_the_container() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::named("foreign", FOREIGN);
    checkout.settings.compose_service = "db".to_owned();
    checkout.write("secret.txt", "p@ss w:rd/%\n");
    let database = checkout.up();
    assert_eq!(
        ask_sql(
            &database,
            "SELECT current_user || '@' || current_database()"
        ),
        "me@home@My \"data\""
    );
    assert!(
        database
            .url
            .starts_with("postgresql://me%40home:p%40ss%20w%3Ard%2F%25@127.0.0.1:"),
        "{}",
        database.url
    );
    assert_eq!(
        checkout.env("POSTGRES_PASSWORD"),
        None,
        "nothing asks for one"
    );
    assert_eq!(checkout.up().url, database.url);
    let State::Running(seen) = checkout.state() else {
        panic!("{:?}", checkout.state())
    };
    assert_eq!(seen.url, database.url);
}

#[test]
fn other_services_are_left_alone() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::named("foreign", FOREIGN);
    checkout.settings.compose_service = "db".to_owned();
    checkout.write("secret.txt", "x\n");
    // They were here first, by hand, under the name of their own file.
    let compose = Command::new("docker")
        .args(["compose", "up", "--detach"])
        .current_dir(checkout.root())
        .output()
        .unwrap();
    assert!(
        compose.status.success(),
        "{}",
        String::from_utf8_lossy(&compose.stderr)
    );
    let (db, cache) = (checkout.container("db"), checkout.container("cache"));
    let project = ask(&[
        "inspect",
        "--format",
        "{{index .Config.Labels \"com.docker.compose.project\"}}",
        &db,
    ]);
    let database = checkout.up();
    assert_eq!(
        database.started, None,
        "the running container is taken as it is"
    );
    assert_eq!(checkout.container("db"), db);
    run_sql(&database, "SELECT 1");

    let down = checkout.down(true);
    assert!(down.stopped && down.deleted, "{down:?}");
    assert_eq!(checkout.container("db"), "");
    assert_eq!(
        ask(&["inspect", "--format", "{{.State.Status}}", &cache]),
        "running"
    );
    let volumes = ask(&[
        "volume",
        "ls",
        "--quiet",
        "--filter",
        &format!("label=com.docker.compose.project={project}"),
    ]);
    assert_eq!(volumes, format!("{project}_cache"));
}

#[test]
fn an_override_beside_the_file_counts() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    checkout.write(
        "compose.override.yaml",
        "services:\n  postgres:\n    environment:\n      POSTGRES_DB: other\n",
    );
    let database = checkout.up();
    assert!(database.url.ends_with("/other"), "{database:?}");
}

#[test]
fn a_container_without_a_health_check_is_ready_when_it_lets_us_in() {
    if !test_needs::has("docker") {
        return;
    }
    let text = "services:\n  postgres:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: ${MY_PASSWORD:?}\n    \
        ports: ['127.0.0.1::5432']\n";
    let mut checkout = Checkout::new(text);
    let database = checkout.up();
    assert_eq!(ask_sql(&database, "SELECT current_user::text"), "postgres");
    assert!(database.url.contains(&checkout.env("MY_PASSWORD").unwrap()));
    run_sql(&database, "CREATE TABLE kept ()");
    assert!(checkout.down(false).stopped);
    assert_eq!(
        ask_sql(&checkout.up(), "SELECT to_regclass('kept')::text"),
        "kept"
    );
    let down = checkout.down(true);
    assert!(down.deleted, "the volume without a name: {down:?}");
}

#[test]
fn pgadmin_is_started_with_it() {
    if !test_needs::has("docker") {
        return;
    }
    // pgAdmin's own image is large; what is tested is that the profile's service starts, and what is said about it.
    let text = own_file()
        .replace(
            "image: dpage/pgadmin4:9",
            "image: postgres:17\n    command: [\"1\"]",
        )
        .replace("exec /entrypoint.sh", "exec sleep 300")
        .replace(
            "[CMD, wget, -q, -O, /dev/null, \"http://127.0.0.1/misc/ping\"]",
            "[CMD, test, -s, /tmp/servers.json]",
        )
        .replace("interval: 5s", "interval: 1s");
    let mut checkout = Checkout::new(&text);
    checkout.up();
    assert_eq!(checkout.container("pgadmin"), "");
    checkout.settings.pgadmin = true;
    checkout.up();
    let port = checkout.env("PGADMIN_PORT").unwrap();
    let note = format!(
        "note: pgAdmin at http://127.0.0.1:{port}, login admin@example.com, password PGADMIN_PASSWORD in .env"
    );
    assert_eq!(checkout.said.last(), Some(&note));
    let container = checkout.container("pgadmin");
    let storage = "/var/lib/pgadmin/storage/admin_example.com/pgpass";
    let expected = format!(
        "postgres:5432:*:ingestion:{}",
        checkout.env("POSTGRES_PASSWORD").unwrap()
    );
    assert_eq!(ask(&["exec", &container, "cat", storage]), expected);
    assert_eq!(
        ask(&["exec", &container, "stat", "-c", "%a", storage]),
        "600"
    );
    let servers: serde_json::Value =
        serde_json::from_str(&ask(&["exec", &container, "cat", "/tmp/servers.json"])).unwrap();
    assert_eq!(servers["Servers"]["1"]["Host"], "postgres");
    assert_eq!(
        servers["Servers"]["1"]["ConnectionParameters"]["passfile"],
        "/pgpass"
    );
    checkout.settings.pgadmin = false;
    checkout.down(false);
    assert_eq!(
        checkout.container("pgadmin"),
        "",
        "it goes with the database"
    );
}

#[test]
fn both_generations_read_the_repositorys_file() {
    if !test_needs::has("docker") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), own_file()).unwrap();
    for program in [&["docker", "compose"][..], &["docker-compose"]] {
        let output = Command::new(program[0])
            .args(&program[1..])
            .args(["app", "migrate", "pgadmin"].map(|name| format!("--profile={name}")))
            .args(["config", "--services"])
            .env("POSTGRES_PASSWORD", "x")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let mut services: Vec<_> = text.lines().collect();
        services.sort_unstable();
        assert_eq!(
            services,
            ["app", "migrate", "pgadmin", "postgres"],
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
