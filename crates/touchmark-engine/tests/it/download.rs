//! The private cluster of a checkout, made by downloaded programs.

use std::process::Command;

use postgres::{Client, NoTls};
use touchmark_engine::{Kind, State, choose, down, psql, state};

use crate::checkout::Checkout;

#[test]
fn up_sticks_and_goes() {
    if !test_needs::has("npm") || !test_needs::has("postgresql") || !test_needs::has("psql") {
        return;
    }
    let mut checkout = Checkout::new();
    checkout.settings.engine = Some(Kind::Download);
    let (database, said) = checkout.try_up().unwrap();
    assert_eq!(database.engine, Kind::Download);
    assert!(
        database.reason.contains("downloaded with npm"),
        "{}",
        database.reason
    );
    assert!(
        said.iter()
            .any(|line| line.contains("a new cluster with PostgreSQL 18.")),
        "{said:?}"
    );
    let mut client = Client::connect(&database.url, NoTls).unwrap();
    let version: String = client.query_one("SHOW server_version", &[]).unwrap().get(0);
    assert!(version.starts_with("18."), "{version}");
    drop(client);
    assert!(checkout.cluster().ends_with("download-18"));

    // Nobody has to ask for it again, although this machine's own programs would come first.
    checkout.settings.engine = None;
    let choice = choose(&checkout.settings).unwrap();
    assert_eq!(choice.engine, Kind::Download);
    assert!(choice.reason.ends_with("as before"), "{}", choice.reason);
    assert_eq!(checkout.up().url, database.url);
    assert!(matches!(
        state(&checkout.settings).unwrap(),
        State::Running(_)
    ));

    // The packages have no psql; this machine's own serves, and never shows the password.
    let mut command = psql(&checkout.settings, &database, None).unwrap();
    let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let (_, secret) = database.url.split_once("postgres:").unwrap();
    assert!(
        !shown.contains(secret.split_once('@').unwrap().0),
        "{shown}"
    );
    let output = command
        .args(["-AtXc", "SELECT current_database()"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "app\n",
        "{output:?}"
    );

    assert!(down(&checkout.settings, true).unwrap().deleted);
    assert_eq!(choose(&checkout.settings).unwrap().engine, Kind::Local);
}

#[test]
fn two_engines_of_one_checkout_do_not_meet() {
    if !test_needs::has("npm") || !test_needs::has("postgresql") {
        return;
    }
    let mut checkout = Checkout::new();
    let local = checkout.up();
    checkout.settings.engine = Some(Kind::Download);
    let download = checkout.up();
    assert_ne!(local.url, download.url);
    assert!(down(&checkout.settings, true).unwrap().deleted);
    checkout.settings.engine = Some(Kind::Local);
    assert_eq!(checkout.up().url, local.url);
    assert!(
        Command::new("kill")
            .args(["-0", &checkout.pid().to_string()])
            .status()
            .unwrap()
            .success()
    );
}
