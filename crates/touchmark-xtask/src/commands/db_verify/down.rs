//! `db-verify --down`: every down file undoes its migration, tried in a scratch database.

mod finding;
mod prove;
mod show;
mod work;

use std::collections::BTreeSet;
use std::time::Instant;

use touchmark::{Kind, Target};
use touchmark_core::Migration;

use crate::commands::db_verify::database::file_name;
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::{Files, Project};
use crate::screen::Screen;
use crate::{database, exit_code, json, scratch, target};

use finding::Finding;

/// What was tried, and how it went. It is shown as it becomes known: a proof takes its time, and may be
/// interrupted.
struct Proof<'s> {
    screen: &'s Screen,
    /// `V3__x`, in the order of the versions.
    proven: Vec<String>,
    /// What has no way back, and why.
    left_out: Vec<json::LeftOut>,
    findings: Vec<Finding>,
    /// What the catalog has and nothing is known of.
    unknown: BTreeSet<String>,
    /// How many versions are done with.
    tried: usize,
    /// Where something ended the proof, what it did not come to.
    not_tried: Vec<String>,
}

impl Proof<'_> {
    fn proven(&mut self, migration: &Migration) {
        self.screen.detail("Proven", migration);
        self.proven.push(migration.to_string());
    }

    fn left_out(&mut self, migration: &Migration, why: String) {
        show::left_out(migration, &why, self.screen);
        let migration = migration.to_string();
        self.left_out.push(json::LeftOut { migration, why });
    }

    fn found(&mut self, finding: Finding) {
        show::finding(&finding, self.screen);
        self.findings.push(finding);
    }

    /// Whether nothing is known yet.
    fn is_empty(&self) -> bool {
        self.proven.is_empty() && self.findings.is_empty() && self.left_out.is_empty()
    }

    /// What to end with, where nothing has ended it.
    fn exit_code(&self) -> u8 {
        match self.findings.iter().any(Finding::is_up) {
            _ if self.findings.is_empty() => exit_code::OK,
            true => exit_code::MIGRATION,
            false => exit_code::DOWN,
        }
    }
}

/// `which` is a target such as `V3`: only that one. `name` is the database's, typed out.
pub(super) fn run(
    which: Option<&str>,
    name: Option<&str>,
    project: &Project,
    screen: &Screen,
) -> Result<u8, Error> {
    let begun = Instant::now();
    let files = project.read(screen)?;
    let which = which.map(|which| only(which, &files)).transpose()?;
    if name.is_none() {
        keep_to_the_database(&files, which)?;
    }
    let interrupts = Interrupts::listen()?;
    let database = database::up(&project.settings()?, screen)?;
    scratch::permit("db-verify --down", name, &database)?;
    let work = work::Work {
        files: &files,
        home: &project.home,
        which,
        database: &database,
        interrupts: &interrupts,
        screen,
    };
    let mut proof = Proof {
        screen,
        proven: Vec::new(),
        left_out: Vec::new(),
        findings: Vec::new(),
        unknown: BTreeSet::new(),
        tried: 0,
        not_tried: Vec::new(),
    };
    let ended = prove::prove(&work, &mut proof).err();
    let ended = match ended {
        Some(error) if proof.is_empty() => return Err(error),
        ended => ended,
    };
    let took = begun.elapsed();
    if screen.is_json() {
        show::json(&proof, &database, took, ended.as_ref());
        return Ok(ended.map_or_else(|| proof.exit_code(), |error| error.exit_code()));
    }
    show::end(&proof, &files, took);
    match ended {
        Some(error) => Err(error),
        None => Ok(proof.exit_code()),
    }
}

fn keep_to_the_database(files: &Files, which: Option<usize>) -> Result<(), Error> {
    let until = which.map_or(files.set.migrations.len(), |which| which + 1);
    let migrations = files.set.migrations.iter().take(until);
    let scripts = migrations.flat_map(|migration| {
        let file = format!("{}/{}", files.set.directory, file_name(migration));
        let down = migration.down.as_ref();
        let down = down.map(|down| (file.replace(".sql", ".down.sql"), down));
        [Some((file, &migration.up)), down].into_iter().flatten()
    });
    scratch::keep_to_the_database(
        scripts,
        "nothing was tried; on a server where that may happen, such as one of its own, type the name of \
         the database: `cargo xtask db-verify --down --confirm NAME`",
    )
}

/// Where the migration stands that is meant.
fn only(which: &str, files: &Files) -> Result<usize, Error> {
    let refuse = |message, help: &str| {
        let help = help.into();
        Err(Error::Configuration { message, help })
    };
    let Target::Version(version) = target::up(which, files)? else {
        return refuse(
            format!("`{which}` is not one migration"),
            "give its version or its name; without one, all of them are tried",
        );
    };
    let is_it = |m: &Migration| m.kind != Kind::Repeatable && m.version == version;
    let migrations = &files.set.migrations;
    let Some(at) = migrations.iter().position(is_it) else {
        return refuse(
            format!("there is no migration with version {version}"),
            "`cargo xtask db-status` lists them",
        );
    };
    match work::no_way_back(&migrations[at]) {
        None => Ok(at),
        Some(why) => refuse(
            format!("{} has nothing to be proven: {why}", migrations[at]),
            "its down file is what `--down` tries",
        ),
    }
}
