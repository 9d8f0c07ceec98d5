//! Looking at a session over a second connection: what it waits for, and whether the server still
//! works on its message.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::timeout;

use super::{Session, collect};
use crate::event::Activity;
use crate::lock;
use crate::tls::Notices;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub blockers: Vec<Activity>,
    pub state: State,
}

/// What the server does with the message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Working,
    /// The session waits for its next message or more data, or is gone.
    Over,
    /// The server says nothing about it: it takes no second connection, or a pooler is in between.
    Unknown,
    /// Nobody answers.
    #[default]
    Unreachable,
}

/// Looks once.
pub(super) async fn look(session: &Session<'_>) -> Seen {
    let unknown = Seen {
        state: State::Unknown,
        ..Seen::default()
    };
    let Some(pid) = session.backend.or(session.start_pid) else {
        return unknown;
    };
    let opening = (session.connector.open)(session.config.clone(), Notices::default());
    let (client, drive) = match timeout(session.answer, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) if error.as_db_error().is_some() => return unknown,
        Ok(Err(_)) | Err(_) => return Seen::default(),
    };
    let query = async {
        let mut done = Vec::new();
        collect(&client, &sql(pid), &mut done).await.ok()?;
        let row = done.first()?.first();
        let state = match row.map(|row| (row.get(0), row.get(1))) {
            // It waits for the data of a `COPY`.
            Some((Some("active"), Some("ClientRead"))) => State::Over,
            Some((Some("active"), _)) => State::Working,
            Some((Some(state), _)) if state.starts_with("idle") => State::Over,
            // Before the first answer, a pooler may have made the number up.
            None if session.backend.is_some() => State::Over,
            _ => State::Unknown,
        };
        let blockers = lock::activities(done.get(1)?);
        Some(Seen { blockers, state })
    };
    match timeout(session.answer, select(drive, pin!(query))).await {
        Ok(Either::Right((Some(seen), _))) => seen,
        // A pooler lets in more than it has room for.
        _ => unknown,
    }
}

fn sql(pid: i32) -> String {
    format!(
        "SELECT state, wait_event FROM pg_catalog.pg_stat_get_activity({pid}); {}",
        lock::blockers_sql(pid)
    )
}

/// How long the server has said nothing, in looks.
pub(super) struct Silence {
    is_due_at_once: bool,
    answer: Duration,
    last: State,
    pieces: usize,
    /// How many looks in a row saw the same, where that is not that the server works.
    count: u32,
}

impl Silence {
    pub(super) fn new(session: &Session, is_due_at_once: bool) -> Silence {
        Silence {
            is_due_at_once,
            answer: session.answer,
            last: State::Working,
            pieces: 0,
            count: 0,
        }
    }

    /// The pause before the next look. None where no answer will arrive any more. `pieces` of data
    /// were sent so far.
    pub(super) fn next_look(&mut self, state: State, pieces: usize) -> Option<Duration> {
        let state = match pieces == self.pieces {
            true => state,
            false => State::Working,
        };
        self.pieces = pieces;
        self.count = match state {
            State::Working => 0,
            state if state == self.last => self.count + 1,
            _ => 1,
        };
        self.last = state;
        let enough = match (state, self.is_due_at_once) {
            (State::Working, _) => return Some(self.answer),
            // A server that takes no second connection is there all the same, and may work.
            (State::Unknown, false) => return Some(self.answer),
            // The answer may have been on its way.
            (State::Over, _) | (State::Unreachable, true) => 2,
            (State::Unknown, true) => 4,
            // What runs for hours is not given up for a server that has no time for logins.
            (State::Unreachable, false) => 10,
        };
        let pause = match state {
            State::Over => self.answer / 3,
            _ => self.answer,
        };
        (self.count < enough).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(is_due_at_once: bool, states: &[State], expected: &[Option<u64>]) {
        let mut silence = Silence {
            is_due_at_once,
            answer: Duration::from_secs(30),
            last: State::Working,
            pieces: 0,
            count: 0,
        };
        let pauses = states.iter().map(|state| {
            let pause = silence.next_look(*state, 0);
            pause.map(|pause| pause.as_secs())
        });
        assert_eq!(pauses.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_ends_a_wait() {
        use State::{Over, Unknown, Unreachable, Working};
        let (long, short) = (Some(30), Some(10));
        check(false, &[Working; 9], &[long; 9]);
        check(true, &[Working; 9], &[long; 9]);
        check(false, &[Over, Over], &[short, None]);
        check(
            true,
            &[Over, Working, Over, Over],
            &[short, long, short, None],
        );
        check(false, &[Unknown; 9], &[long; 9]);
        check(true, &[Unknown; 4], &[long, long, long, None]);
        check(true, &[Unreachable; 2], &[long, None]);
        let nine = [&[long; 9][..], &[None]].concat();
        check(false, &[Unreachable; 10], &nine);
        check(
            false,
            &[Unreachable, Over, Unreachable],
            &[long, short, long],
        );
    }

    #[test]
    fn data_that_is_on_its_way_is_no_silence() {
        let mut silence = Silence {
            is_due_at_once: false,
            answer: Duration::from_secs(30),
            last: State::Working,
            pieces: 0,
            count: 0,
        };
        for pieces in [1, 2, 3] {
            assert!(silence.next_look(State::Over, pieces).is_some());
        }
        assert!(silence.next_look(State::Over, 3).is_some());
        assert_eq!(silence.next_look(State::Over, 3), None);
    }
}
