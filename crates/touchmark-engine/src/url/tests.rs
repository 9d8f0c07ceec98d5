//! Right URLs, wrong ones, and that no message shows a password.

use super::*;

/// Every wrong URL of people that we know of, with what is said about it.
#[test]
fn what_is_said_about_wrong_urls() {
    let cases = [
        "",
        "  ",
        "\"postgres://app:Sec4et@localhost/app\"",
        "'postgres://app:Sec4et@localhost/app'",
        "postgres://app:Sec4et@local host/app",
        "postgres://app:Sec4et@localhost/app\n",
        "postgresql+psycopg2://app:Sec4et@localhost/app",
        "postgresql+asyncpg://app:Sec4et@localhost/app",
        "mysql://app:Sec4et@localhost/app",
        "sqlite:app.db",
        "localhost/app",
        "postgres://app:Sec@4et@localhost/app",
        "postgres://app:Sec/4et@localhost/app",
        "postgres://app:Sec?4et@localhost/app",
        "postgres://app:Sec#4et@localhost/app",
        "postgres://app:Sec@4/et#Sec@localhost/app",
        "postgres://app:Sec@4/et?Sec@localhost/app",
        "postgres://app:Sec%xx4et@localhost/app",
        "postgres://app:Sec4et%@localhost/app",
        "postgres://app:Sec4et@localhost/100%",
        "postgres://app:Sec4et@local:host/app",
        "postgres://app:Sec4et@localhost:0/app",
        "postgres://app:Sec4et@localhost:123456/app",
        "postgres://app:Sec4et/app",
        "postgres://app:Sec4et@/app",
        "postgres:///app",
        "postgres://app:Sec4et@localhost",
        "postgres://app:Sec4et@localhost/",
        "postgres://app:Sec4et@localhost/app?sslmode",
        "host=localhost password=Sec4et",
        "host=localhost dbname='app password=Sec4et",
    ];
    let mut text = String::new();
    for case in cases {
        let error = parse(case).expect_err(case);
        let help = error.help().unwrap();
        text.push_str(&format!("{case:?}\n    error: {error}\n    help: {help}\n"));
        let said = format!("{error} {error:?} {help}");
        assert!(
            !said.contains("4et") && !said.contains("Sec"),
            "{case}: {said}"
        );
    }
    insta::assert_snapshot!(text);
}

#[test]
fn right_urls() {
    #[track_caller]
    fn check(url: &str, user: &str, password: Option<&str>, hosts: &[(&str, u16)], database: &str) {
        let parts = split(url).unwrap();
        assert_eq!(parts.user.as_deref().unwrap_or(""), user);
        assert_eq!(parts.password.as_deref(), password);
        let found: Vec<_> = parts
            .hosts
            .iter()
            .map(|(host, port)| (host.as_str(), *port))
            .collect();
        assert_eq!(found, hosts);
        assert_eq!(parts.database, database);
        // The driver's own reader agrees, where it can read it.
        if let Ok(config) = url.parse::<postgres::Config>() {
            assert_eq!(config.get_user().unwrap_or(""), user);
            assert_eq!(config.get_password(), password.map(str::as_bytes));
            assert_eq!(config.get_dbname(), Some(database));
        }
    }
    check(
        "postgres://me:pw@h/d",
        "me",
        Some("pw"),
        &[("h", 5432)],
        "d",
    );
    check(
        "postgresql://me@h:5433/d?sslmode=disable",
        "me",
        None,
        &[("h", 5433)],
        "d",
    );
    check(
        "postgres://me:a%40b%2Fc%25@h/d",
        "me",
        Some("a@b/c%"),
        &[("h", 5432)],
        "d",
    );
    check(
        "postgres://me:a$b:c&d!e@h/d",
        "me",
        Some("a$b:c&d!e"),
        &[("h", 5432)],
        "d",
    );
    check(
        "postgres://me:pw@[::1]:5433/d",
        "me",
        Some("pw"),
        &[("::1", 5433)],
        "d",
    );
    check(
        "postgres://me@a:1,b:2/d",
        "me",
        None,
        &[("a", 1), ("b", 2)],
        "d",
    );
    check(
        "postgresql:///d?host=/tmp/x&user=me",
        "me",
        None,
        &[("/tmp/x", 5432)],
        "d",
    );
    check(
        "postgres://me@%2Fvar%2Frun/d",
        "me",
        None,
        &[("/var/run", 5432)],
        "d",
    );
    check(
        "postgresql:///d?host=/tmp/x&port=5433",
        "",
        None,
        &[("/tmp/x", 5433)],
        "d",
    );
    check(
        "postgres://me@h/d?application_name=a@b",
        "me",
        None,
        &[("h", 5432)],
        "d",
    );
    check(
        "postgres://me:pw@h/d?options=-c%20x%3D1",
        "me",
        Some("pw"),
        &[("h", 5432)],
        "d",
    );
    for url in [
        "postgres://me@far:5433/d?hostaddr=127.0.0.1",
        "postgres://me@far:5433/d?host=127.0.0.1",
        "host=far hostaddr=127.0.0.1 port=5433 dbname=d user=me",
        "hostaddr=127.0.0.1 host=far port=5433 dbname=d user=me",
    ] {
        check(url, "me", None, &[("127.0.0.1", 5433)], "d");
    }
    check(
        "host=h port=5433 dbname=d user=me password='p w'",
        "me",
        Some("p w"),
        &[("h", 5433)],
        "d",
    );
    check(
        "postgres://h:5432/d?user=a%40b",
        "a@b",
        None,
        &[("h", 5432)],
        "d",
    );
}

#[test]
fn passwords_are_hidden() {
    for (url, expected) in [
        ("postgres://me:pw@h/d", "postgres://me:***@h/d"),
        ("postgres://me@h/d", "postgres://me@h/d"),
        ("postgres://h:5432/d", "postgres://h:5432/d"),
        ("postgres://me:p@w@h/d", "postgres://***"),
        ("postgres://me:p/w@h/d", "postgres://***"),
        ("postgres://me:p?w#@h/d", "postgres://***"),
        ("postgres://me:p@/w#@h/d", "postgres://***"),
        ("postgres://me:p@/w?w@h/d", "postgres://***"),
        ("postgres://me:pw@h/d?a=pw", "postgres://me:***@h/d?***"),
        (
            "postgres://me:pw@h/d?sslmode=require&sslpassword=pw",
            "postgres://me:***@h/d?sslmode=require&***",
        ),
        (
            "postgres://h/d?password=p&pw=w",
            "postgres://h/d?password=***&***",
        ),
        (
            "postgres://h/d?sslmode=a?password=pw",
            "postgres://h/d?sslmode=***",
        ),
        (
            "postgres://h/d?sslmode=a%26password%3Dpw",
            "postgres://h/d?sslmode=***",
        ),
        (
            "postgres://h/d?options=-c%20my.key%3Dpw",
            "postgres://h/d?options=***",
        ),
        ("postgres://h/d?user=me:pw", "postgres://h/d?user=me:***"),
        ("postgres://h/d?host=me:pw@h", "postgres://h/d?host=***"),
        ("postgres://h/d?PASSWORD=pw", "postgres://h/d?***"),
        ("postgres://me%3Apw@h/d", "postgres://me:***@h/d"),
        ("postgres://me%3apw%40h/d", "postgres://***/d"),
        ("postgres://me:pw,h/d", "postgres://***"),
        ("postgres://h/d%3Fpassword=pw", "postgres://h/***"),
        ("postgres://h/d#pw", "postgres://h/***"),
        ("host=me:pw@h dbname=d", "host=*** dbname=d"),
        ("host=h dbname=d user=me:pw secret=pw", "***"),
        (
            "host=h dbname='a b' options='-c my.key=pw'",
            "host=h dbname='a b' options=***",
        ),
        ("pw", "***"),
        ("pw://h/d", "***"),
        (
            "postgres:///d?host=/tmp/x&user=me",
            "postgres:///d?host=/tmp/x&user=me",
        ),
        ("postgres://me:pw/d", "postgres://***"),
        ("postgres://a:1,b:2/d", "postgres://a:1,b:2/d"),
        ("postgres://[::1]:5432/d", "postgres://[::1]:5432/d"),
        ("postgres://me:pw@[::1]/d", "postgres://me:***@[::1]/d"),
        (
            "postgres:///d?user=me&password=pw&host=/x",
            "postgres:///d?user=me&password=***&host=/x",
        ),
        ("postgres:///d?password=pw", "postgres:///d?password=***"),
        (
            "host=h password=pw dbname=d",
            "host=h password=*** dbname=d",
        ),
        (
            "host=h password='p w' dbname=d",
            "host=h password=*** dbname=d",
        ),
        ("\"postgres://me:pw@h/d\"", "***"),
        ("mysql://me:pw@h/d", "***"),
        ("", ""),
    ] {
        assert_eq!(redact(url), expected, "{url}");
    }
}

#[test]
fn local_or_not() {
    for url in [
        "postgres://me@localhost/d",
        "postgres://me@127.0.0.1:5433/d",
        "postgres://me@127.9.9.9/d",
        "postgres://me@[::1]/d",
        "postgresql:///d?host=/tmp/x",
        "postgres://me@localhost,127.0.0.1/d",
        "host=/var/run/postgresql dbname=d",
    ] {
        assert!(is_local(url), "{url}");
    }
    for url in [
        "postgres://me@db.example/d",
        "postgres://me@10.0.0.1/d",
        "postgres://me@localhost,db.example/d",
        "postgresql://localhost/d?host=db.example",
        "postgresql://localhost/d?hostaddr=10.0.0.1",
        "postgres://me@localhost.example/d",
        "not a url",
        "",
    ] {
        assert!(!is_local(url), "{url}");
    }
}

#[test]
fn without_a_password_it_is_the_same_url() {
    for url in [
        "postgres://me:pw@h:1,i:2/d?sslmode=require",
        "postgresql:///d?host=/tmp/a%20b&user=me",
    ] {
        let parts = split(url).unwrap();
        let again = split(&parts.without_password()).unwrap();
        let expected = Parts {
            password: None,
            ..parts
        };
        assert!(again == expected, "{}", again.without_password());
    }
}

#[test]
fn another_database_of_the_same_server() {
    for (url, expected) in [
        (
            "postgres://me:p%40w@h:1,i:2/d?sslmode=require",
            "postgresql://me:p%40w@h:1,i:2/a%22b?sslmode=require",
        ),
        (
            "postgresql:///d?host=/tmp/a%20b&user=me&password=s%2Fs",
            "postgresql://me:s%2Fs@/a%22b?host=/tmp/a%20b&port=5432",
        ),
        ("host=h dbname=d", "postgresql://h:5432/a%22b"),
    ] {
        assert_eq!(with_database(url, "a\"b").unwrap(), expected);
    }
}
