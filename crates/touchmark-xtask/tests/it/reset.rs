//! `db-reset`.

use crate::{Project, USERS, screen};

fn with_a_row() -> Project {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    project.ok(&["db-migrate"]);
    project
        .client()
        .batch_execute("INSERT INTO users VALUES (1)")
        .unwrap();
    project
}

fn rows(project: &Project) -> i64 {
    project
        .client()
        .query_one("SELECT count(*) FROM users", &[])
        .unwrap()
        .get(0)
}

fn name(project: &Project) -> String {
    project.url.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn b54_without_a_yes_nothing_happens() {
    let project = with_a_row();
    screen!(project.run(&["db-reset"]), @r#"
    error: all data of test_n at 127.0.0.1:[port] would be lost, and there is nobody to ask
    help: nothing was changed; answer with `--yes`
    ---
    exit 14
    "#);
    screen!(project.run(&["db-reset", "--yes", "--confirm", "other"]), @r#"
    error: the database is called test_n, not other
    help: nothing was changed; look at DATABASE_URL, and type the name of the database that you mean
    ---
    exit 14
    "#);
    assert_eq!(rows(&project), 1);
}

#[test]
fn b54_a_marked_database_wants_its_name() {
    let project = with_a_row();
    let mark = format!(
        "ALTER DATABASE {} SET touchmark.environment = 'production'",
        name(&project)
    );
    project.client().batch_execute(&mark).unwrap();
    screen!(project.run(&["db-reset", "--yes"]), @r#"
    error: test_n at 127.0.0.1:[port] is marked as production
    help: nothing was changed; if you mean it, type its name: `cargo xtask db-reset --confirm test_n`
    ---
    exit 14
    "#);
    assert_eq!(rows(&project), 1);
    project.ok(&["db-reset", "--confirm", &name(&project)]);
    assert_eq!(rows(&project), 0);
    // The mark outlives the reset.
    assert_eq!(project.run(&["db-reset", "--yes"]).code, 14);
}

#[test]
fn yes_is_enough_for_a_local_one() {
    let project = with_a_row();
    let mut busy = project.client();
    screen!(project.run(&["db-reset", "--yes"]), @r#"
           Reset test_n at 127.0.0.1:[port]
       Migrating test_n at 127.0.0.1:[port]
         Applied V1__users [time]
        Finished 1 applied, nothing pending, head V1 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    assert_eq!(rows(&project), 0);
    assert!(
        busy.batch_execute("SELECT 1").is_err(),
        "its session was ended"
    );
}

#[test]
fn a_broken_file_is_found_while_there_is_a_database() {
    let project = with_a_row();
    project.write("V2__broken.sql", "CREATE TABEL x");
    assert_eq!(project.run(&["db-reset", "--yes"]).code, 10);
    assert_eq!(rows(&project), 1);
}

#[test]
fn what_was_set_for_the_database_stays() {
    let project = with_a_row();
    let name = name(&project);
    let sql = format!(
        "CREATE ROLE \"a \"\"b\"; ALTER DATABASE {name} OWNER TO \"a \"\"b\"; \
         ALTER DATABASE {name} SET search_path TO app, \"$user\", public; ALTER DATABASE {name} SET work_mem = '7MB'; \
         ALTER ROLE \"a \"\"b\" IN DATABASE {name} SET app.note = 'it''s'; \
         REVOKE CONNECT ON DATABASE {name} FROM PUBLIC; GRANT TEMP ON DATABASE {name} TO \"a \"\"b\""
    );
    let mut client = project.client();
    for statement in sql.split("; ") {
        client.batch_execute(statement).unwrap();
    }
    let look = || -> Vec<String> {
        let sql = "SELECT pg_get_userbyid(datdba)::text || datcollate || datctype FROM pg_database \
                   WHERE datname = current_database() UNION ALL \
                   SELECT acl::text FROM pg_database, unnest(datacl) AS acl WHERE datname = current_database() UNION ALL \
                   SELECT setrole::text || setconfig::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase \
                   WHERE datname = current_database() ORDER BY 1";
        project
            .client()
            .query(sql, &[])
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    };
    let before = look();
    drop(client);
    project.ok(&["db-reset", "--yes"]);
    assert_eq!(look(), before);
}
