//! Alembic's table, which has the revision that the database is at.

use std::fs;
use std::process::Command;

use super::{adopt, follow, rows};
use crate::{Project, clean, run, screen};

const REVISIONS: [(&str, &str, &str, &str); 3] = [
    (
        "1975ea83b712",
        "None",
        "op.create_table('users', sa.Column('id', sa.BigInteger(), primary_key=True))",
        "op.drop_table('users')",
    ),
    (
        "ae1027a6acf",
        "'1975ea83b712'",
        "op.add_column('users', sa.Column('email', sa.Text(), server_default=':x;'))",
        "op.drop_column('users', 'email')",
    ),
    (
        "27c6a30d7c24",
        "'ae1027a6acf'",
        "op.create_index('users_email', 'users', ['email'])",
        "op.drop_index('users_email')",
    ),
];

/// A project of Alembic; none where the machine has no Alembic.
fn alembic() -> Option<Project> {
    if !test_needs::has("alembic") {
        return None;
    }
    let project = Project::new(&[]);
    run_alembic(&project, &["init", "alembic"]);
    let ini = fs::read_to_string(project.path("alembic.ini")).unwrap();
    let url = "sqlalchemy.url = driver://user:pass@localhost/dbname";
    assert!(ini.contains(url));
    let (_, place) = project.url.split_once("://").unwrap();
    let ini = ini.replace(
        url,
        &format!("sqlalchemy.url = postgresql+psycopg://{place}"),
    );
    fs::write(project.path("alembic.ini"), ini).unwrap();
    for (revision, before, up, down) in REVISIONS {
        revise(&project, revision, before, up, down);
    }
    Some(project)
}

fn revise(project: &Project, revision: &str, before: &str, up: &str, down: &str) {
    let text = format!(
        "from alembic import op\nimport sqlalchemy as sa\nrevision = '{revision}'\ndown_revision = {before}\n\
         def upgrade():\n    {up}\ndef downgrade():\n    {down}\n"
    );
    let file = format!("alembic/versions/{revision}_.py");
    fs::write(project.path(&file), text).unwrap();
}

#[track_caller]
fn run_alembic(project: &Project, arguments: &[&str]) -> String {
    let mut command = Command::new("alembic");
    clean(&mut command, project.folder.path());
    let run = run({
        command.args(arguments);
        command
    });
    assert_eq!(run.code, 0, "{}", run.screen());
    run.stdout
}

#[test]
fn from_alembic() {
    let Some(project) = alembic() else { return };
    run_alembic(&project, &["upgrade", "ae1027a6acf"]);
    follow("Alembic", &project);
    screen!(adopt(&project, &[]), @r#"
        Adopting 2 migrations that Alembic has applied, as public.alembic_version says
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__1975ea83b712
                 stamp V2__ae1027a6acf
         Checked 8 objects are there
         Stamped V1__1975ea83b712
         Stamped V2__ae1027a6acf
        Finished 2 migrations recorded as applied, 1 pending, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
         Applied V3__27c6a30d7c24 [time]
        Finished 1 applied, nothing pending, head V3 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(adopt(&project, &[]), @r#"
        Finished nothing to record, head V3 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    project.ok(&["db-verify"]);
    project.ok(&["db-rollback", "base", "--yes"]);
    assert_eq!(rows(&project, "alembic_version"), "(ae1027a6acf)");
}

/// A merge of two branches has no SQL: its comment stands at the end of the file before.
#[test]
fn merged_branches() {
    let Some(project) = alembic() else { return };
    let up = "op.create_table('orders', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('kind', sa.Enum('a', name='kind')))";
    let down = "op.drop_table('orders'); op.execute('DROP TYPE kind')";
    revise(&project, "b1", "'1975ea83b712'", up, down);
    revise(&project, "m1", "('27c6a30d7c24', 'b1')", "pass", "pass");
    run_alembic(&project, &["upgrade", "head"]);
    follow("Alembic", &project);
    let json = adopt(&project, &["--json"]).json();
    assert_eq!(json["stamped"].as_array().unwrap().len(), 4, "{json}");
    assert_eq!(json["adopt"], "alembic");
    project.ok(&["db-rollback", "base", "--yes"]);
    project.ok(&["db-migrate"]);
}

#[test]
fn what_no_file_says_is_mapped() {
    let Some(project) = alembic() else { return };
    run_alembic(&project, &["upgrade", "ae1027a6acf"]);
    let script = run_alembic(&project, &["upgrade", "head", "--sql"]);
    let sql = |script: &str| {
        let lines = script.lines().filter(|line| {
            !["BEGIN;", "COMMIT;"].contains(line) && !line.contains(" alembic_version ")
        });
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    // Everything in one file: the database is in the middle of it.
    let (_, all) = script.split_once("-- Running upgrade").unwrap();
    project.write("V1__all.sql", &sql(&format!("-- Running upgrade{all}")));
    screen!(adopt(&project, &[]), @r#"
    error: the database is at revision ae1027a6acf of Alembic, which ends in the middle of V1__all: 27c6a30d7c24 follows there
    help: begin another file at `-- Running upgrade ae1027a6acf -> 27c6a30d7c24`
    ---
    exit 22
    "#);
    // Without the comments nothing tells.
    let plain = script.replace("-- Running upgrade", "-- Was");
    let parts: Vec<_> = plain.split("-- Was").skip(1).collect();
    for (version, part) in parts.iter().enumerate() {
        let name = ["all", "email", "index"][version];
        project.write(
            &format!("V{}__{name}.sql", version + 1),
            &sql(&format!("-- Was{part}")),
        );
    }
    screen!(adopt(&project, &[]), @r#"
    error: no file has the revision ae1027a6acf of Alembic
    help: keep the line `-- Running upgrade … -> ae1027a6acf` that `alembic upgrade head --sql` writes, above its SQL, or where it has none, at the end of the file before; or say which version it is: `--map ae1027a6acf=VERSION`
    ---
    exit 22
    "#);
    screen!(adopt(&project, &["alembic", "--map", "ae1027a6acf=+1"]), @r#"
    error: `+1` is no version
    help: give the version of a file, such as V3
    ---
    exit 2
    "#);
    // Not true: the index is not there yet.
    screen!(adopt(&project, &["--map", "ae1027a6acf=V3"]), @r#"
        Adopting 3 migrations that Alembic has applied, as public.alembic_version says
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__all
                 stamp V2__email
                 stamp V3__index
    error: index public.users_email is not there
    error: nothing was recorded: 1 object that these migrations make is not there
    help: stamp the version up to which they are there, and `cargo xtask db-migrate` makes the rest; or make and name them as the files do; or give `--unchecked`
    ---
    exit 33
    "#);
    screen!(adopt(&project, &["--map", "ae1027a6acf=email"]), @r#"
        Adopting 2 migrations that Alembic has applied, as public.alembic_version says
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__all
                 stamp V2__email
         Checked 8 objects are there
         Stamped V1__all
         Stamped V2__email
        Finished 2 migrations recorded as applied, 1 pending, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
}

/// Two branches that were not merged: what one of them has not, is not applied.
#[test]
fn several_heads() {
    let Some(project) = alembic() else { return };
    let branch = "alembic/versions/27c6a30d7c24_.py";
    let text = fs::read_to_string(project.path(branch)).unwrap();
    let text = text.replace("'ae1027a6acf'", "'1975ea83b712'");
    let text = text.replace("['email']", "['id']");
    fs::write(project.path(branch), text).unwrap();
    run_alembic(&project, &["upgrade", "ae1027a6acf"]);
    for (version, (revision, before, ..)) in REVISIONS.iter().enumerate() {
        let before = match version {
            2 => "1975ea83b712",
            _ => before.trim_matches('\'').trim_start_matches("None"),
        };
        let sql = [
            "CREATE TABLE users (id bigserial NOT NULL, PRIMARY KEY (id));",
            "CREATE INDEX users_email ON users (id);",
            "ALTER TABLE users ADD COLUMN email text DEFAULT ':x;';",
        ][[0, 2, 1][version]];
        // The other branch comes first.
        let file = format!("V{}__{revision}.sql", [1, 3, 2][version]);
        project.write(
            &file,
            &format!("-- Running upgrade {before} -> {revision}\n\n{sql}\n"),
        );
    }
    screen!(adopt(&project, &[]), @r#"
    error: Alembic has not applied V2__27c6a30d7c24, and has applied the newer 3
    help: apply it with Alembic first, or give it a version above 3
    ---
    exit 23
    "#);
    // What is mapped must be where the database is, and says nothing of what comes after it.
    screen!(adopt(&project, &["--map", "27c6a30d7c24=V2"]), @r#"
    error: this database is not at revision 27c6a30d7c24 of Alembic, which `--map` has
    help: it is at ae1027a6acf; map that, or leave this away
    ---
    exit 2
    "#);
    let lost = "INSERT INTO alembic_version VALUES ('lost')";
    project.client().batch_execute(lost).unwrap();
    screen!(adopt(&project, &["--map", "lost=V1", "--unchecked"]), @r#"
    error: Alembic has not applied V2__27c6a30d7c24, and has applied the newer 3
    help: apply it with Alembic first, or give it a version above 3
    ---
    exit 23
    "#);
    let found = "DELETE FROM alembic_version WHERE version_num = 'lost'";
    project.client().batch_execute(found).unwrap();
    run_alembic(&project, &["upgrade", "27c6a30d7c24"]);
    screen!(adopt(&project, &[]), @r#"
        Adopting 3 migrations that Alembic has applied, as public.alembic_version says
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__1975ea83b712
                 stamp V2__27c6a30d7c24
                 stamp V3__ae1027a6acf
         Checked 9 objects are there
         Stamped V1__1975ea83b712
         Stamped V2__27c6a30d7c24
         Stamped V3__ae1027a6acf
        Finished 3 migrations recorded as applied, nothing pending, head V3 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
}
