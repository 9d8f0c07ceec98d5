//! `db-inspect`: what a program carries, and whether a release may go back to the one before.

mod verdict;

use std::path::{Path, PathBuf};

use touchmark_core::{Kind, Migration};

use crate::cli::Global;
use crate::error::Error;
use crate::inspect::{self, Carried, Options};
use crate::screen::Screen;
use crate::{exit_code, json};

use verdict::{Added, Break, Comparison, Undo, Verdict, compare};

/// Say which migrations a program carries
///
/// Reads the program without running it: ELF, Mach-O or PE, stripped or not, or a container image
/// from `docker save`. Needs no database and no project. With a second program, which is the
/// newer release: what it adds, and whether the older one may run on its schema. The exit code is
/// the answer for a deployment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-inspect target/release/app
  cargo xtask db-inspect image.tar --path /usr/local/bin/app
  cargo xtask db-inspect app-1.4 app-1.5      may 1.4 run on the schema of 1.5?")]
pub(crate) struct Args {
    /// The program; with a second one, the older release
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    /// The newer release
    #[arg(value_name = "NEWER")]
    newer: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, global: &Global, screen: &Screen) -> Result<u8, Error> {
    let here = global.change_dir.clone().unwrap_or_default();
    let read = |path: &Path| inspect::read(&here.join(path), &args.options);
    let old = read(&args.program)?;
    let Some(newer) = &args.newer else {
        match screen.is_json() {
            true => json::print(&inspected(&args.program, &old)),
            false => show(&old, screen),
        }
        return Ok(exit_code::OK);
    };
    let new = read(newer)?;
    let comparison = compare(&old.set, &new.set, old.home == new.home);
    match screen.is_json() {
        true => json::print(&json::Compared {
            old: inspected(&args.program, &old),
            new: inspected(newer, &new),
            added: comparison.added.iter().map(added).collect(),
            undo: names(&comparison.to_undo()),
            problems: comparison.breaks.iter().map(describe).collect(),
            verdict: comparison.verdict.name(),
        }),
        false => {
            let name = |path: &Path| format!("`{}`", path.display());
            screen.done(
                "Older",
                format_args!("{} is {}", name(&args.program), old.stamp),
            );
            screen.done("Newer", format_args!("{} is {}", name(newer), new.stamp));
            show_verdict(&comparison, &name(&args.program), &name(newer), screen);
        }
    }
    Ok(comparison.verdict.exit_code())
}

fn show(carried: &Carried, screen: &Screen) {
    let stamp = &carried.stamp;
    let commit = stamp.commit.as_deref().unwrap_or("not known");
    let mut facts = vec![
        (
            "Build",
            format!("{stamp}, with touchmark {}", stamp.touchmark),
        ),
        ("Commit", format!("{commit} ({})", stamp.state.name())),
        ("Head", carried.set.head().to_hex()),
        ("History", carried.home.history.to_string()),
    ];
    if let Some(schema) = &carried.home.schema {
        facts.push(("Schema", schema.clone()));
    }
    let declared = carried.set.placeholders.iter();
    let declared: Vec<_> = declared
        .map(|placeholder| match &placeholder.default {
            Some(default) => format!("{} (else {default})", placeholder.name),
            None => placeholder.name.clone(),
        })
        .collect();
    if !declared.is_empty() {
        facts.push(("Values", declared.join(", ")));
    }
    if let Some(file) = &carried.file {
        facts.insert(0, ("Program", file.clone()));
    }
    for (name, value) in facts {
        screen.print(format_args!("{name:<8} {value}"));
    }
    let migrations = &carried.set.migrations;
    let lines: Vec<_> = migrations
        .iter()
        .map(|m| (m.to_string(), flags(m)))
        .collect();
    screen.print("");
    print_lines(&lines, screen);
    let count = match migrations.len() {
        1 => "1 migration".to_owned(),
        count => format!("{count} migrations"),
    };
    screen.done("Inspected", count);
}

/// What is to be known of a migration beside its name.
fn flags(migration: &Migration) -> String {
    let directives = &migration.up.directives;
    let mut out = Vec::new();
    match (&directives.irreversible, &migration.down) {
        (Some(why), _) => out.push(format!("irreversible: {why}")),
        (None, Some(_)) => out.push("down".to_owned()),
        (None, None) if migration.kind == Kind::Repeatable => {}
        (None, None) => out.push("no down file".to_owned()),
    }
    for (is_set, name) in [
        (directives.no_transaction, "no transaction"),
        (
            directives.compatible_with_previous,
            "compatible with previous",
        ),
    ] {
        if is_set {
            out.push(name.to_owned());
        }
    }
    out.join(", ")
}

/// `old` and `new` are the names of the files.
fn show_verdict(comparison: &Comparison, old: &str, new: &str, screen: &Screen) {
    let lines = comparison.added.iter().map(|added| {
        let compatible = match added.is_compatible {
            true => "compatible with previous, ",
            false => "",
        };
        let name = match added.is_changed {
            true => format!("{} (changed)", added.migration),
            false => added.migration.clone(),
        };
        (name, format!("{compatible}{}", undo(&added.undo)))
    });
    print_lines(&lines.collect::<Vec<_>>(), screen);
    match comparison.verdict {
        Verdict::Same => screen.done(
            "Same",
            format_args!("{old} and {new} carry the same migrations"),
        ),
        Verdict::Runs => {
            screen.done("Runs", format_args!("{old} runs on the schema of {new}"));
            screen.help(format_args!(
                "the migrations promise it for the release directly before {new}, and for no older one"
            ));
        }
        Verdict::UndoFirst => {
            screen.error(format_args!("{old} does not run on the schema of {new}"));
            screen.help(format_args!(
                "before {old} is started again, undo in this order: {}",
                names(&comparison.to_undo()).join(", ")
            ));
        }
        Verdict::Irreversible => {
            let undo = comparison.to_undo();
            let stuck = undo.into_iter().filter(|added| !added.can_be_undone());
            screen.error(format_args!(
                "there is no way back from {new} to {old}: nothing undoes {}",
                names(&stuck.collect::<Vec<_>>()).join(", ")
            ));
            screen.help(
                "mend forward, or restore a backup from before; where the older release does run after a migration, \
                 declare it in the file: `-- touchmark: compatible-with previous`",
            );
        }
        Verdict::NoSuccessor(_) => {
            for problem in &comparison.breaks {
                screen.error(format_args!(
                    "{new} can't follow {old}: {}",
                    describe(problem)
                ));
            }
            screen.help(
                "give the older release first; build the newer one from a commit that has all migrations of the \
                 older one as they are",
            );
        }
    }
}

fn print_lines(lines: &[(String, String)], screen: &Screen) {
    let names = lines.iter().map(|(name, _)| name.chars().count());
    let width = names.max().unwrap_or_default();
    for (name, text) in lines {
        screen.print(format!("{name:<width$}  {text}").trim_end());
    }
}

fn undo(undo: &Undo) -> String {
    match undo {
        Undo::Down => "has a down file".into(),
        Undo::Again => "undone by the older content of it".into(),
        Undo::Missing => "has no down file".into(),
        Undo::Irreversible(why) => format!("irreversible: {why}"),
    }
}

fn describe(problem: &Break) -> String {
    match problem {
        Break::Edited { old, new } if old == new => {
            format!("{old} has another content there")
        }
        Break::Edited { old, new } => format!("{old} is {new} there"),
        Break::Missing { migration } => format!("it does not have {migration}"),
        Break::OutOfOrder { migration } => {
            format!("it brings {migration} below versions that the older one has applied")
        }
        Break::History => {
            "they belong into different schemas, or keep their history in different tables".into()
        }
    }
}

fn names(list: &[&Added]) -> Vec<String> {
    list.iter().map(|added| added.migration.clone()).collect()
}

fn inspected(path: &Path, carried: &Carried) -> json::Inspected {
    let stamp = &carried.stamp;
    let migrations = carried.set.migrations.iter().map(|migration| {
        let directives = &migration.up.directives;
        json::CarriedMigration {
            migration: migration.to_string(),
            leaf: migration.leaf.to_hex(),
            down: migration.down.is_some(),
            irreversible: directives.irreversible.clone(),
            compatible: directives.compatible_with_previous,
            no_transaction: directives.no_transaction,
        }
    });
    let placeholders = carried.set.placeholders.iter();
    let placeholders = placeholders.map(|placeholder| json::CarriedPlaceholder {
        name: placeholder.name.clone(),
        becomes: placeholder.kind.to_string(),
        default: placeholder.default.clone(),
    });
    json::Inspected {
        file: path.display().to_string(),
        program: carried.file.clone(),
        build: stamp.to_string(),
        package: stamp.package.clone(),
        version: stamp.version.clone(),
        commit: stamp.commit.clone(),
        state: stamp.state.name(),
        touchmark: stamp.touchmark.clone(),
        head: carried.set.head().to_hex(),
        schema: carried.home.schema.clone(),
        history: carried.home.history.to_string(),
        placeholders: placeholders.collect(),
        migrations: migrations.collect(),
    }
}

fn added(added: &Added) -> json::AddedMigration {
    json::AddedMigration {
        migration: added.migration.clone(),
        changed: added.is_changed,
        compatible: added.is_compatible,
        undo: match added.undo {
            Undo::Down => "down",
            Undo::Again => "again",
            Undo::Missing => "missing",
            Undo::Irreversible(_) => "irreversible",
        },
    }
}
