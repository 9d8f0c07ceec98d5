//! What is disturbed: each operation that records something, with each kind of file.

use postgres::{Client, NoTls};
use touchmark::{Error, Kind, Migrator, Resolution, RollbackTarget, Set, Target};
use touchmark_core::checksum;

use crate::harness::encoded;

/// An operation, and the database that it begins with.
pub struct Scenario {
    pub name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Makes the database as it is before.
    prepare: fn(&str),
    perform: fn(&Migrator, &str) -> Result<(), Error>,
}

impl Scenario {
    pub fn named(name: &str) -> &'static Scenario {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        found.unwrap_or_else(|| panic!("there is no scenario {name}"))
    }

    pub fn set(&self) -> Vec<u8> {
        encoded(self.files)
    }

    pub fn prepare(&self, url: &str) {
        (self.prepare)(url);
    }

    pub fn perform(&self, migrator: &Migrator, url: &str) -> Result<(), Error> {
        (self.perform)(migrator, url)
    }

    /// Whether somebody looks at the database in the middle of it, and must be alone with it.
    pub fn is_settled_by_hand(&self) -> bool {
        self.name == "run with a statement that commits"
    }

    /// Whether an error of a second attempt says that the first one did it.
    pub fn is_done(&self, error: &Error) -> bool {
        match error {
            Error::NotAccepted { why, .. } => *why == "it is recorded as the set has it",
            Error::NotUnfinished { .. } => self.name.starts_with("resolve"),
            _ => false,
        }
    }
}

const T: (&str, &str) = (
    "V1__t.sql",
    "CREATE TABLE log (what text);
CREATE TABLE t AS SELECT i AS id, i % 3 AS x FROM generate_series(1, 9) AS i;
INSERT INTO log VALUES ('V1');",
);
const T_EDITED: (&str, &str) = (
    "V1__t.sql",
    "-- Who wrote what.
CREATE TABLE log (what text);
CREATE TABLE t AS SELECT i AS id, i % 3 AS x FROM generate_series(1, 9) AS i;
INSERT INTO log VALUES ('V1');",
);
const T_DOWN: (&str, &str) = ("V1__t.down.sql", "DROP TABLE t, log;");
const U: (&str, &str) = (
    "V2__u.sql",
    "ALTER TABLE t ADD COLUMN y int DEFAULT 1;
INSERT INTO log VALUES ('V2');",
);
const U_DOWN: (&str, &str) = (
    "V2__u.down.sql",
    "ALTER TABLE t DROP COLUMN y; INSERT INTO log VALUES ('V2 undone');",
);
const N: (&str, &str) = (
    "V3__n.sql",
    "-- touchmark: no-transaction
INSERT INTO log VALUES ('V3');
CREATE INDEX CONCURRENTLY t_x ON t (x);
VACUUM t;
DROP INDEX CONCURRENTLY t_x;
UPDATE t SET x = x + 1;",
);
const N_DOWN: (&str, &str) = (
    "V3__n.down.sql",
    "UPDATE t SET x = x - 1; INSERT INTO log VALUES ('V3 undone');",
);
const N_DOWN_BARE: (&str, &str) = (
    "V3__n.down.sql",
    "-- touchmark: no-transaction
INSERT INTO log VALUES ('V3 undone');
CREATE INDEX CONCURRENTLY t_id ON t (id);
DROP INDEX CONCURRENTLY t_id;
UPDATE t SET x = x - 1;",
);
const VIEW: (&str, &str) = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM t;");
const COMMITTING: (&str, &str) = (
    "V2__c.sql",
    "-- touchmark: no-transaction
DO $$ BEGIN INSERT INTO log VALUES ('a part'); COMMIT; END $$;
INSERT INTO log VALUES ('V2');",
);
const BAD: (&str, &str) = (
    "V2__bad.sql",
    "INSERT INTO log VALUES ('V2');
SELECT 1 / (count(*) - count(*)) FROM t;",
);
const BAD_INDEX: (&str, &str) = (
    "V2__bad.sql",
    "-- touchmark: no-transaction
INSERT INTO log VALUES ('V2');
CREATE UNIQUE INDEX CONCURRENTLY t_x ON t (x);",
);
const IN_DOUBT: (&str, &str) = (
    "V2__d.sql",
    "-- touchmark: no-transaction
INSERT INTO log VALUES ('V2');
DO $$ BEGIN INSERT INTO log VALUES ('a part'); COMMIT; PERFORM 1 / 0; END $$;",
);

pub static SCENARIOS: [Scenario; 14] = [
    Scenario {
        name: "run",
        files: &[T, U, VIEW],
        prepare: |_| {},
        perform: run,
    },
    Scenario {
        name: "run without a transaction",
        files: &[T, U, N],
        prepare: |url| apply(url, &[T, U]),
        perform: run,
    },
    Scenario {
        name: "run with a statement that commits",
        files: &[T, COMMITTING],
        prepare: |url| apply(url, &[T]),
        perform: run_and_settle,
    },
    Scenario {
        name: "run that fails",
        files: &[T, BAD, VIEW],
        prepare: |_| {},
        perform: run,
    },
    Scenario {
        name: "run that fails without a transaction",
        files: &[T, BAD_INDEX],
        prepare: |url| apply(url, &[T]),
        perform: run,
    },
    Scenario {
        name: "rollback",
        files: &[T, T_DOWN, U, U_DOWN, N, N_DOWN, VIEW],
        prepare: |url| apply(url, &[T, T_DOWN, U, U_DOWN, N, N_DOWN, VIEW]),
        perform: rollback,
    },
    Scenario {
        name: "rollback without a transaction",
        files: &[T, U, U_DOWN, N, N_DOWN_BARE],
        prepare: |url| apply(url, &[T, U, U_DOWN, N, N_DOWN_BARE]),
        perform: rollback,
    },
    Scenario {
        name: "stamp",
        files: &[T, U, N],
        prepare: |url| execute(url, &[T.1, U.1]),
        perform: stamp,
    },
    Scenario {
        name: "stamp on refinery's history",
        files: &[T, U, N],
        prepare: |url| {
            refinery(url, &[T]);
            execute(url, &[U.1]);
        },
        perform: stamp,
    },
    Scenario {
        name: "adoption of refinery's history",
        files: &[T, U, VIEW],
        prepare: |url| refinery(url, &[T]),
        perform: run,
    },
    Scenario {
        name: "accept",
        files: &[T_EDITED, U],
        prepare: |url| apply(url, &[T, U]),
        perform: |migrator, url| {
            let before = checksum::leaf(Kind::Versioned, 1, "t", T.1);
            let accepted = migrator.accept_cosmetic(url, "V1", before, "a test");
            accepted.map(drop)
        },
    },
    Scenario {
        name: "resolve: done",
        files: &[T, IN_DOUBT],
        prepare: |url| apply(url, &[T, IN_DOUBT]),
        perform: |migrator, url| migrator.resolve(url, "V2", Resolution::Done).map(drop),
    },
    Scenario {
        name: "resolve: retry",
        files: &[T, IN_DOUBT],
        prepare: |url| apply(url, &[T, IN_DOUBT]),
        perform: |migrator, url| migrator.resolve(url, "V2", Resolution::Retry).map(drop),
    },
    Scenario {
        name: "resolve: abandon",
        files: &[T, IN_DOUBT],
        prepare: |url| apply(url, &[T, IN_DOUBT]),
        perform: |migrator, url| migrator.resolve(url, "V2", Resolution::Abandon).map(drop),
    },
];

fn run(migrator: &Migrator, url: &str) -> Result<(), Error> {
    migrator.run(url).map(drop)
}

/// As an operator does: of the statement that commits, the database tells whether it did.
fn run_and_settle(migrator: &Migrator, url: &str) -> Result<(), Error> {
    let outcome = migrator.run(url);
    let Err(Error::Unresolved { statement: 1, .. }) = &outcome else {
        return outcome.map(drop);
    };
    let mut client = Client::connect(url, NoTls).unwrap();
    let part = "SELECT count(*) FROM log WHERE what = 'a part'";
    let resolution = match client.query_one(part, &[]).unwrap().get::<_, i64>(0) {
        0 => Resolution::Retry,
        _ => Resolution::Done,
    };
    drop(client);
    migrator.resolve(url, "V2", resolution)?;
    migrator.run(url).map(drop)
}

fn rollback(migrator: &Migrator, url: &str) -> Result<(), Error> {
    let target = RollbackTarget::Version(1);
    migrator.rollback(url, target).map(drop)
}

fn stamp(migrator: &Migrator, url: &str) -> Result<(), Error> {
    migrator.stamp(url, Target::Latest).map(drop)
}

/// Applies what can be applied.
fn apply(url: &str, files: &[(&str, &str)]) {
    let set = encoded(files);
    match Migrator::new(&Set::from_bytes(&set)).run(url) {
        Ok(_) | Err(Error::Failed(_)) => {}
        Err(error) => panic!("{}", error.report()),
    }
}

fn execute(url: &str, texts: &[&str]) {
    let mut client = Client::connect(url, NoTls).unwrap();
    client.batch_execute(&texts.concat()).unwrap();
}

fn refinery(url: &str, files: &[(&str, &str)]) {
    let migrations: Vec<_> = files
        .iter()
        .map(|(name, text)| {
            refinery::Migration::unapplied(name.trim_end_matches(".sql"), text).unwrap()
        })
        .collect();
    let mut client = Client::connect(url, NoTls).unwrap();
    refinery::Runner::new(&migrations).run(&mut client).unwrap();
}
