//! Up, up again, down, up with the data kept, down with it deleted.

use super::{
    Checkout, ask, is_child, own_file,
    project::{ask_sql, run_sql},
    run_test,
};
use std::{env, fs, net::TcpListener, thread};
use touchmark_engine::{Kind, State};

#[test]
fn lifecycle() {
    if !test_needs::has("docker") {
        return;
    }
    let program = env::var("TOUCHMARK_COMPOSE").unwrap_or("docker compose".to_owned());
    let mut checkout = Checkout::new(own_file());

    let State::Absent {
        engine: Kind::Compose,
        ..
    } = checkout.state()
    else {
        panic!("{:?}", checkout.state())
    };
    let mut left: Vec<_> = fs::read_dir(checkout.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["compose.yaml"], "looking creates nothing");

    let first = checkout.up();
    let started = first.started.clone().unwrap();
    assert_eq!(started.what, format!("postgres:17 with {program}"));
    assert_eq!(first.engine, Kind::Compose);
    let starting = format!("starting postgres:17 with {program}");
    assert!(checkout.said.contains(&starting), "{:?}", checkout.said);
    assert_eq!(
        checkout.said.last().unwrap(),
        "waiting for `postgres` to be healthy"
    );
    assert_eq!(
        ask_sql(&first, "SELECT current_user || '@' || current_database()"),
        "ingestion@ingestion"
    );
    run_sql(
        &first,
        "CREATE TABLE kept (a text); INSERT INTO kept VALUES ('still here')",
    );

    let password = checkout.env("POSTGRES_PASSWORD").unwrap();
    assert!(
        password.len() >= 20 && first.url.contains(&password),
        "{password}"
    );
    assert!(!format!("{first:?}").contains(&password));
    let pgadmin = checkout.env("PGADMIN_PASSWORD").unwrap();
    assert_ne!(password, pgadmin);
    assert!(
        checkout
            .env("COMPOSE_PROJECT_NAME")
            .unwrap()
            .starts_with("checkout-")
    );
    let port = checkout.env("POSTGRES_PORT").unwrap();
    assert!(
        first.url.contains(&format!("@127.0.0.1:{port}/")),
        "{first:?}"
    );
    assert_eq!(
        fs::read_to_string(checkout.root().join(".gitignore")).unwrap(),
        ".env\n"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(checkout.env_path())
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    let container = checkout.container("postgres");
    let bound = ask(&["port", &container, "5432"]);
    assert_eq!(
        bound,
        format!("127.0.0.1:{port}"),
        "only this machine gets in"
    );

    for _ in 0..2 {
        let again = checkout.up();
        assert_eq!((&again.url, &again.started), (&first.url, &None));
        assert_eq!(checkout.said, [""; 0]);
        assert_eq!(checkout.container("postgres"), container);
        let _ = fs::remove_file(checkout.settings.state_dir.join("compose.stamp")); // The second time the longer way.
    }
    let State::Running(database) = checkout.state() else {
        panic!("{:?}", checkout.state())
    };
    assert_eq!(
        (database.url.as_str(), database.started),
        (first.url.as_str(), None)
    );

    let down = checkout.down(false);
    assert!(down.stopped && !down.deleted, "{down:?}");
    let State::Stopped { detail, .. } = checkout.state() else {
        panic!("{:?}", checkout.state())
    };
    assert!(detail.contains("its data is kept in checkout-"), "{detail}");
    let down = checkout.down(false);
    assert!(!down.stopped && !down.deleted, "{down:?}");

    let second = checkout.up();
    assert_eq!(second.url, first.url);
    assert_eq!(ask_sql(&second, "SELECT a FROM kept"), "still here");

    let down = checkout.down(true);
    assert!(down.stopped && down.deleted, "{down:?}");
    let State::Absent { .. } = checkout.state() else {
        panic!("{:?}", checkout.state())
    };
    let third = checkout.up();
    assert_eq!(
        ask_sql(&third, "SELECT coalesce(to_regclass('kept')::text, 'gone')"),
        "gone"
    );

    checkout.down(false);
    let down = checkout.down(true);
    assert!(
        !down.stopped && down.deleted,
        "the volume of a container that is gone: {down:?}"
    );
    let State::Absent { .. } = checkout.state() else {
        panic!("{:?}", checkout.state())
    };
}

#[test]
fn lifecycle_with_the_old_program() {
    if !test_needs::has("docker") {
        return;
    }
    let output = run_test("compose::lifecycle::lifecycle", |command| {
        command.env("TOUCHMARK_COMPOSE", "docker-compose");
    });
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_container_that_was_stopped_by_hand_is_started_again() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    let first = checkout.up();
    ask(&["stop", &checkout.container("postgres")]);
    let State::Stopped { detail, .. } = checkout.state() else {
        panic!("{:?}", checkout.state())
    };
    assert_eq!(detail, "the container of `postgres` is stopped");
    let second = checkout.up();
    assert_eq!(second.url, first.url);
    assert!(second.started.is_some());
}

#[test]
fn a_changed_file_is_noticed() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    checkout.up();
    let container = checkout.container("postgres");
    checkout.write(
        "compose.yaml",
        &own_file().replace("POSTGRES_DB:", "NEW: x\n      POSTGRES_DB:"),
    );
    assert!(checkout.up().started.is_some());
    assert_ne!(checkout.container("postgres"), container);
}

#[test]
fn a_taken_port_is_left_to_its_owner() {
    if !test_needs::has("docker") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut checkout = Checkout::new(own_file());
    checkout.set_env("POSTGRES_PORT", &port);
    let database = checkout.up();
    let chosen = checkout.env("POSTGRES_PORT").unwrap();
    assert_ne!(chosen, port);
    assert!(
        database.url.contains(&format!(":{chosen}/")),
        "{database:?}"
    );
    let process = std::process::id();
    let note = format!("note: port {port} is taken by the process {process} (");
    assert!(checkout.said[0].starts_with(&note), "{:?}", checkout.said);
    assert!(
        checkout.said[0].ends_with(&format!("), so POSTGRES_PORT is {chosen} now")),
        "{:?}",
        checkout.said
    );
}

#[test]
fn a_lost_env_file_is_made_again_from_the_container() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    let first = checkout.up();
    run_sql(&first, "CREATE TABLE kept ()");
    let before = fs::read_to_string(checkout.env_path()).unwrap();
    fs::remove_file(checkout.env_path()).unwrap();
    let second = checkout.up();
    assert_eq!(second.url, first.url);
    assert_eq!(ask_sql(&second, "SELECT to_regclass('kept')::text"), "kept");
    let after = fs::read_to_string(checkout.env_path()).unwrap();
    let line = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .map(str::to_owned)
    };
    for key in [
        "POSTGRES_PASSWORD=",
        "POSTGRES_PORT=",
        "COMPOSE_PROJECT_NAME=",
    ] {
        assert_eq!(line(&before, key), line(&after, key));
        assert!(line(&after, key).is_some());
    }
}

#[test]
fn two_checkouts_of_one_name_share_nothing() {
    if !test_needs::has("docker") {
        return;
    }
    let (mut one, mut two) = (Checkout::new(own_file()), Checkout::new(own_file()));
    let (first, second) = (one.up(), two.up());
    assert_ne!(first.url, second.url);
    assert_ne!(
        one.env("COMPOSE_PROJECT_NAME"),
        two.env("COMPOSE_PROJECT_NAME")
    );
    run_sql(&second, "CREATE TABLE kept ()");
    one.down(true);
    assert_eq!(ask_sql(&second, "SELECT to_regclass('kept')::text"), "kept");
}

#[test]
fn a_copied_checkout_gets_a_project_of_its_own() {
    if !test_needs::has("docker") {
        return;
    }
    let (mut one, mut two) = (Checkout::new(own_file()), Checkout::new(own_file()));
    let first = one.up();
    run_sql(&first, "CREATE TABLE kept ()");
    fs::copy(one.env_path(), two.env_path()).unwrap();
    let second = two.up();
    assert_ne!(
        one.env("COMPOSE_PROJECT_NAME"),
        two.env("COMPOSE_PROJECT_NAME")
    );
    assert_eq!(
        ask_sql(
            &second,
            "SELECT coalesce(to_regclass('kept')::text, 'gone')"
        ),
        "gone"
    );
    two.down(true);
    assert_eq!(ask_sql(&first, "SELECT to_regclass('kept')::text"), "kept");
}

#[test]
fn psql_runs_without_the_password_among_its_arguments() {
    if !test_needs::has("docker") {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    let database = checkout.up();
    let password = checkout.env("POSTGRES_PASSWORD").unwrap();
    let mut psql = touchmark_engine::psql(&checkout.settings, &database, None).unwrap();
    psql.args(["-XAtc", "SELECT 'it' || ' works'"]);
    assert!(
        !psql
            .get_args()
            .any(|word| word.to_string_lossy().contains(&password)),
        "{:?}",
        psql.get_program()
    );
    let output = psql.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "it works\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn two_at_once_start_one() {
    if !test_needs::has("docker") {
        return;
    }
    let checkout = Checkout::new(own_file());
    let up = || touchmark_engine::up(&checkout.settings, &mut |_| {}).unwrap();
    let (one, two) = thread::scope(|scope| {
        let (one, two) = (scope.spawn(up), scope.spawn(up));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one.url, two.url);
    assert!(
        one.started.is_some() != two.started.is_some(),
        "{one:?} {two:?}"
    );
    assert_eq!(checkout.container("postgres").lines().count(), 1);
}

/// What `logs` prints, for the test below.
#[test]
fn log_of_the_folder() {
    if !is_child() {
        return;
    }
    let mut checkout = Checkout::new(own_file());
    checkout.up();
    touchmark_engine::logs(&checkout.settings, false, &mut std::io::stdout()).unwrap();
}

#[test]
fn the_whole_log_goes_to_standard_output() {
    if !test_needs::has("docker") {
        return;
    }
    let output = run_test("compose::lifecycle::log_of_the_folder", |_| {});
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("PostgreSQL init process complete"), "{text}");
    assert!(
        text.contains("database system is ready to accept connections"),
        "{text}"
    );
}
