//! Times many starts at once: on an empty database, at head, and while a migration takes its time.
//!
//! ```text
//! cargo bench -p migrations --bench crowd            # 1,000 starts, 400 that wait
//! cargo bench -p migrations --bench crowd -- 200 50
//! ```
//!
//! Each start is a thread with a connection of its own, as a replica has one. `slowest` is how long
//! the last one took; `told` is how many events its log would have in all.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A benchmark that can't run has failed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use touchmark::{Migrator, Set};
use touchmark_core::encoded::{Home, encode};
use touchmark_core::{ResolveOptions, resolve};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let starts = numbers.first().copied().unwrap_or(1000);
    let waiting = numbers.get(1).copied().unwrap_or(400);
    println!(
        "{:<46}{:>10}{:>10}{:>8}{:>8}",
        "", "slowest s", "middle s", "told", "failed"
    );
    for connections in [100, starts + 100] {
        let server = server(connections);
        let url = server.create_database().unwrap().url;
        let what = format!("{starts} starts, max_connections = {connections}");
        report(
            &format!("{what}, empty"),
            at_once(starts, &url, &set("SELECT 1;")),
        );
        report(
            &format!("{what}, at head"),
            at_once(starts, &url, &set("SELECT 1;")),
        );
    }
    let server = server(waiting + 100);
    let work = set("SELECT count(*) FROM generate_series(1, 20000000) AS g (n) WHERE n % 7 = 0;");
    for others in [0, waiting] {
        let url = server.create_database().unwrap().url;
        let what = format!("a migration of some seconds, {others} waiting");
        report(&what, at_once(others + 1, &url, &work));
    }
}

fn server(connections: usize) -> TestServer {
    let connections = connections.to_string();
    let settings = [("max_connections", &*connections)];
    TestServer::start(&Installation::local().unwrap(), &settings).unwrap()
}

fn set(sql: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("V1__a.sql"), sql).unwrap();
    let resolved = resolve(directory.path(), &ResolveOptions::new("migrations"));
    encode(
        &resolved.unwrap_or_else(|_| panic!("{sql}")).set,
        &Home::default(),
    )
}

struct Outcome {
    times: Vec<Duration>,
    told: usize,
    failed: Vec<String>,
}

fn at_once(starts: usize, url: &str, set: &[u8]) -> Outcome {
    let told = AtomicUsize::new(0);
    let one = || {
        let begun = Instant::now();
        let outcome = Migrator::new(&Set::from_bytes(set))
            .on_event(|_| {
                told.fetch_add(1, Ordering::Relaxed);
            })
            .run(url);
        (begun.elapsed(), outcome)
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..starts).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let (times, outcomes): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
    Outcome {
        times,
        told: told.into_inner(),
        failed: outcomes
            .into_iter()
            .filter_map(|o| Some(o.err()?.to_string()))
            .collect(),
    }
}

fn report(what: &str, mut outcome: Outcome) {
    outcome.times.sort();
    let slowest = outcome.times.last().unwrap().as_secs_f64();
    let middle = outcome.times[outcome.times.len() / 2].as_secs_f64();
    let failed = outcome.failed.len();
    println!(
        "{what:<46}{slowest:>10.1}{middle:>10.1}{:>8}{failed:>8}",
        outcome.told
    );
    if let Some(error) = outcome.failed.first() {
        println!("  {error}");
    }
}
