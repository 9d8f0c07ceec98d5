//! On a real server.
#![cfg(unix)]

use std::sync::OnceLock;

use clap::Parser;
use postgres::NoTls;
use touchmark_core::encoded::History;
use touchmark_engine::cluster::TestServer;
use touchmark_engine::{Installation, Kind};

use super::*;
use crate::cli::Cli;

fn value(url: &str, sql: &str) -> String {
    let mut client = Client::connect(url, NoTls).unwrap();
    client.query_one(sql, &[]).unwrap().get(0)
}

/// A process can listen once.
fn interrupts() -> &'static Interrupts {
    static INTERRUPTS: OnceLock<Interrupts> = OnceLock::new();
    INTERRUPTS.get_or_init(|| Interrupts::listen().unwrap())
}

const NAMES: &str = "SELECT coalesce(string_agg(datname, ' ' ORDER BY datname), '') FROM pg_database WHERE datname LIKE 'touchmark%'";

/// One that is in use, and those that somebody else has made.
const KEPT: &str = "touchmark_scratch touchmark_scratch_fedcba9876543210 touchmark_scratch_pad";

#[test]
fn it_is_like_the_developers_and_leaves_nothing() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let screen = Screen::new(&Cli::parse_from(["xtask", "--quiet", "db-status"]));
    let interrupts = interrupts();
    let postgres = server.url("postgres");
    let mut client = Client::connect(&postgres, NoTls).unwrap();
    for sql in [
        "CREATE DATABASE \"o\"\"dd\" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
        "ALTER DATABASE \"o\"\"dd\" SET search_path = app, public",
        "ALTER DATABASE \"o\"\"dd\" SET touchmark.environment = 'production'",
        "CREATE ROLE \"Me\" LOGIN",
        "CREATE DATABASE touchmark_scratch_0123456789abcdef",
        "CREATE DATABASE touchmark_scratch_fedcba9876543210",
        "CREATE DATABASE touchmark_scratch_pad",
        "CREATE DATABASE touchmark_scratch",
        "SET application_name = 'touchmark_scratch_fedcba9876543210'",
    ] {
        client.batch_execute(sql).unwrap();
    }
    let database = |url: String| Database {
        url,
        engine: Kind::Url,
        reason: String::new(),
        started: None,
    };
    let odd = database(server.url("o\"dd"));
    let history = History {
        schema: "hi\"story".into(),
        ..History::default()
    };
    let home = Home {
        schema: Some("app".into()),
        history,
    };
    let mut seen = String::new();
    let outcome = with(&odd, &home, interrupts, &screen, |scratch| {
        seen = value(
            &scratch.url,
            "SELECT concat_ws(' ', left(current_database(), 18), datcollate, getdatabaseencoding(), \
             current_setting('search_path'), current_setting('touchmark.environment', true), \
             to_regnamespace('\"hi\"\"story\"'), to_regnamespace('app')) \
             FROM pg_database WHERE datname = current_database()",
        );
        // Its sessions are ended with it.
        std::mem::forget(Client::connect(&scratch.url, NoTls).unwrap());
        let names = value(&postgres, NAMES);
        Err::<(), _>(Error::NotRunning { detail: names })
    });
    assert_eq!(
        seen,
        "touchmark_scratch_ C LATIN1 app, public \"hi\"\"story\" app"
    );
    let Err(Error::NotRunning { detail }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        !detail.contains("0123456789abcdef") && detail.contains("fedcba9876543210"),
        "{detail}"
    );
    assert_eq!(value(&postgres, NAMES), KEPT);

    let panic = std::panic::catch_unwind(|| {
        let work = |_: &Scratch| -> Result<(), Error> { panic!("on purpose") };
        let _ = with(&odd, &home, interrupts, &screen, work);
    });
    assert!(panic.is_err());
    assert_eq!(value(&postgres, NAMES), KEPT);

    let mine = database(format!("{}&user=Me", server.url("o\"dd")));
    let refused = with(&mine, &home, interrupts, &screen, |_| Ok(()));
    insta::assert_snapshot!(refused.unwrap_err().render(false), @r#"
    error: a scratch database is needed, and Me may not create one
    help: a superuser allows it with `ALTER ROLE "Me" CREATEDB`
    "#);
}

#[test]
fn a_copy_begins_as_its_original_is_unless_somebody_is_there() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let screen = Screen::new(&Cli::parse_from(["xtask", "--quiet", "db-status"]));
    let interrupts = interrupts();
    let database = Database {
        url: server.create_database().unwrap().url,
        engine: Kind::Url,
        reason: String::new(),
        started: None,
    };
    let home = Home::default();
    let is_there = "SELECT coalesce(to_regclass('a')::text, 'nothing')";
    let look = |scratch: &Scratch| Ok(value(&scratch.url, is_there));
    let seen = with(&database, &home, interrupts, &screen, |original| {
        let mut client = Client::connect(&original.url, NoTls).unwrap();
        client.batch_execute("CREATE TABLE a (id int)").unwrap();
        let pair = (original, &database);
        let in_use = with_copy(pair, &home, interrupts, &screen, look)?;
        drop(client);
        let copy = with_copy(pair, &home, interrupts, &screen, look)?;
        Ok((in_use, copy))
    });
    assert_eq!(seen.unwrap(), ("nothing".into(), "a".into()));
    assert_eq!(value(&server.url("postgres"), NAMES), "");
}
