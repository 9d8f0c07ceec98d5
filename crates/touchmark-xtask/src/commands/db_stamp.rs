//! `db-stamp`: records migrations as applied that are not run.

mod check;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use touchmark::{MigrationId, StampPlan, Step, Target};
use touchmark_engine::{Database, url};

use super::db_migrate::{millis, took};
use crate::adopt::{self, Adoption, Mapping, Tool};
use crate::confirm::{Answers, Question, confirm};
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::{Files, Project};
use crate::screen::Screen;
use crate::watcher::Watcher;
use crate::{database, exit_code, json, scratch, target};
use check::{Checked, check};

/// Record migrations as applied without running them
///
/// For a database that was made by hand or by another tool. Everything up to TARGET that is not
/// recorded is recorded, all or nothing; repeatable files are left to the next db-migrate. Before
/// that the same files are applied to a scratch database, and what they make there must be in yours.
/// Shows the plan and asks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-stamp V3               versions up to 3 are in this database already
  cargo xtask db-stamp head             all of them are
  cargo xtask db-stamp --adopt          what sqlx, diesel, Alembic or refinery has recorded as applied
  cargo xtask db-stamp --adopt alembic --map ae1027a6acf=V3
  cargo xtask db-stamp V3 --dry-run     what would be recorded, and whether it is true; records nothing")]
pub(crate) struct Args {
    /// How far: head, a version such as 3 or V3 or the beginning of one, a name, or +1
    #[arg(required_unless_present_any = ["through", "adopt"], allow_hyphen_values = true)]
    target: Option<String>,
    /// The same as TARGET
    #[arg(long, value_name = "TARGET", conflicts_with = "target")]
    through: Option<String>,
    /// Take over what another tool has recorded; without TOOL, the one whose table is there
    #[arg(long, value_name = "TOOL", num_args = 0..=1, conflicts_with_all = ["target", "through"])]
    adopt: Option<Option<Tool>>,
    /// For --adopt alembic: which version a revision is; may be given several times
    #[arg(long, value_name = "REVISION=VERSION", requires = "adopt")]
    map: Vec<Mapping>,
    /// Don't look whether what the migrations make is there
    #[arg(long)]
    unchecked: bool,
    /// Don't ask; enough for a local database that is not marked
    #[arg(long)]
    yes: bool,
    /// The name of the database, typed out
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Only show what would be recorded
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for another run that holds the lock, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the ledger names as having recorded it.
const BUILD: &str = concat!(
    "cargo xtask db-stamp (touchmark ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let begun = Instant::now();
    let files = project.read(screen)?;
    // Before anything is started: what is mistyped stops the command either way.
    let typed = args.target.as_ref().or(args.through.as_ref());
    let typed = typed.map(|text| wanted(text, &files)).transpose()?;
    let request = adopt::Request {
        tool: args.adopt.flatten(),
        map: mapped(&args.map, &files)?,
        unchecked: args.unchecked,
    };
    let interrupts = Interrupts::listen()?;
    let database = match args.dry_run {
        true => database::running(project, screen)?,
        false => database::up(&project.settings()?, screen)?,
    };
    let migrator = files
        .migrator_of(BUILD)
        .wait(Duration::from_secs(args.wait))
        .canceller(&interrupts.canceller);
    let adoption = match typed {
        Some(_) => None,
        None => {
            let status = migrator.status(database.url.as_str())?;
            let mut client = database::connect(&database.url, None)?;
            let history = &project.home.history;
            Some(adopt::adopt(
                &request,
                &files,
                &status,
                history,
                &mut client,
            )?)
        }
    };
    let through = adoption.as_ref().and_then(|adoption| adoption.through);
    // Where all that another tool has applied is recorded, the database may be further already.
    let target = typed.or(through.map(Target::Version));
    let plan = migrator.stamp_plan(database.url.as_str(), target.unwrap_or(Target::Plus(0)))?;
    let mut job = Job {
        args,
        database: &database,
        adoption,
        plan: &plan,
        checked: None,
    };
    if plan.is_empty() {
        job.end(&plan.newest, begun.elapsed(), "nothing to record", screen);
        return Ok(exit_code::OK);
    }
    job.show(screen);
    if let Some(newest) = job.to_check() {
        scratch::permit(&job.command(), args.confirm.as_deref(), &database)?;
        let of = (project, &files);
        let checked = check(of, newest, &database, &interrupts, screen)?;
        let is_missing = !checked.missing.is_empty();
        checked.show(screen);
        job.checked = Some(checked);
        if is_missing {
            return job.refuse(begun.elapsed(), screen);
        }
    }
    if args.dry_run {
        let would = format!("dry run: {} would be recorded as applied", counted(&plan));
        job.end(&plan.newest, begun.elapsed(), &would, screen);
        return Ok(exit_code::OK);
    }
    job.ask()?;
    let watcher = Watcher::new(&files, &database, screen);
    let outcome = interrupts.during(|| {
        let watched = migrator.clone().on_event(|event| watcher.show(event));
        watched.stamp_as_planned(database.url.as_str(), &plan)
    });
    screen.still();
    let report = outcome?;
    let pending = migrator.plan(database.url.as_str())?.steps.len();
    let did = match pending {
        0 => format!("{} recorded as applied, nothing pending", counted(&plan)),
        _ => format!("{} recorded as applied, {pending} pending", counted(&plan)),
    };
    job.end(&report.newest, report.elapsed, &did, screen);
    Ok(exit_code::OK)
}

/// What one call of the command is about.
struct Job<'j> {
    args: &'j Args,
    database: &'j Database,
    adoption: Option<Adoption>,
    plan: &'j StampPlan,
    checked: Option<Checked>,
}

impl Job<'_> {
    /// As it was typed, as far as it matters.
    fn command(&self) -> String {
        let unchecked = if self.args.unchecked {
            " --unchecked"
        } else {
            ""
        };
        match &self.adoption {
            Some(adoption) => format!("db-stamp --adopt {}{unchecked}", adoption.tool.option()),
            None => format!("db-stamp {}{unchecked}", self.plan.target),
        }
    }

    /// The version that a scratch database is migrated to; none where somebody knows better, or
    /// the other tool has kept checksums.
    fn to_check(&self) -> Option<i64> {
        let is_proven = self.adoption.as_ref().is_some_and(|a| a.is_proven);
        let newest = self.plan.newest.as_ref();
        newest
            .filter(|_| !self.args.unchecked && !is_proven)
            .map(|newest| newest.version)
    }

    /// Shows the plan before somebody is asked.
    fn show(&self, screen: &Screen) {
        if let Some(adoption) = &self.adoption {
            screen.done("Adopting", &adoption.source);
        }
        screen.done("Plan", database::place(&self.database.url));
        let adopt = self.plan.adopt.iter();
        let adopt = adopt.map(|step| format!("adopt {}, which refinery has applied", step.id));
        let steps = self.plan.steps.iter();
        let steps = steps.map(|step| format!("stamp {}", step.id));
        for line in adopt.chain(steps) {
            match self.args.dry_run && !screen.is_json() {
                true => screen.print(line),
                false => screen.aside(format_args!("{:13}{line}\n", "")),
            }
        }
    }

    fn ask(&self) -> Result<(), Error> {
        let place = database::place(&self.database.url);
        let count = counted(self.plan);
        let question = Question {
            command: self.command(),
            will: format!("{count} will be recorded as applied, and not run"),
            would: format!("{count} would be recorded as applied on {place}, and not run"),
            ask: format!(
                "{count} will be recorded as applied on {place}, and not run. Type yes to go on: "
            ),
            yes: &["yes"],
        };
        let answers = Answers {
            yes: self.args.yes,
            name: self.args.confirm.as_deref(),
        };
        let environment = database::environment(&self.database.url)?;
        confirm(&question, &answers, self.database, environment.as_deref())
    }

    /// Something is missing: what it is was shown.
    fn refuse(&self, elapsed: Duration, screen: &Screen) -> Result<u8, Error> {
        let missing = self.checked.as_ref().map_or(0, |c| c.missing.len());
        let message = match missing {
            1 => "1 object that these migrations make is not there".into(),
            _ => format!("{missing} objects that these migrations make are not there"),
        };
        if screen.is_json() {
            self.print(&None, false, elapsed);
            return Ok(exit_code::ABSENT);
        }
        Err(Error::Found {
            message: format!("nothing was recorded: {message}"),
            help: "stamp the version up to which they are there, and `cargo xtask db-migrate` makes the rest; or make and name them \
                   as the files do; or give `--unchecked`".into(),
            code: exit_code::ABSENT,
        })
    }

    /// The last that is said.
    fn end(&self, newest: &Option<MigrationId>, elapsed: Duration, did: &str, screen: &Screen) {
        if screen.is_json() {
            return self.print(newest, true, elapsed);
        }
        let head = newest
            .as_ref()
            .map_or_else(String::new, |id| format!(", head {}", id.short()));
        screen.done("Finished", format_args!("{did}{head} ({})", took(elapsed)));
        if !self.args.dry_run {
            screen.print(url::redact(&self.database.url));
        }
    }

    fn print(&self, newest: &Option<MigrationId>, is_done: bool, elapsed: Duration) {
        let ids = |steps: &[Step]| {
            let steps = steps.iter().filter(|_| is_done);
            steps.map(|step| step.id.to_string()).collect()
        };
        let checked = self.checked.as_ref();
        json::print(&json::Stamped {
            database: json::Database::of(self.database),
            adopt: self.adoption.as_ref().map(|a| a.tool.option()),
            stamped: ids(&self.plan.steps),
            adopted: ids(&self.plan.adopt),
            head: newest.as_ref().map(MigrationId::short),
            checked: checked.is_some(),
            missing: checked.map_or_else(Vec::new, |c| c.missing.clone()),
            different: checked.map_or_else(Vec::new, |c| c.different.clone()),
            not_compared: checked.map_or_else(Vec::new, |c| c.unknown.iter().cloned().collect()),
            dry_run: self.args.dry_run,
            elapsed_ms: millis(elapsed),
        });
    }
}

fn wanted(text: &str, files: &Files) -> Result<Target, Error> {
    match text {
        "base" => Err(Error::Configuration {
            message: "a stamp records what is applied, and at `base` nothing is".into(),
            help: "`cargo xtask db-rollback base` undoes everything".into(),
        }),
        text => target::up(text, files),
    }
}

fn mapped(map: &[Mapping], files: &Files) -> Result<BTreeMap<String, i64>, Error> {
    map.iter()
        .map(|mapping| match target::up(&mapping.version, files)? {
            Target::Version(version) => Ok((mapping.revision.clone(), version)),
            _ => Err(Error::Configuration {
                message: format!("`{}` is no version", mapping.version),
                help: "give the version of a file, such as V3".into(),
            }),
        })
        .collect()
}

/// `1 migration`, `2 migrations`.
fn counted(plan: &StampPlan) -> String {
    match plan.steps.len() + plan.adopt.len() {
        1 => "1 migration".into(),
        count => format!("{count} migrations"),
    }
}
