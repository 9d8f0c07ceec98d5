//! Trying again what others stood in the way of.

use std::time::Instant;

use super::Stop;
use crate::backoff::Backoff;
use crate::event::Event;
use crate::rows::MigrationId;
use crate::run::Context;
use crate::session::Session;

/// Tries something again, with growing pauses, while others stand in its way.
pub(crate) fn with_retries(
    session: &mut Session,
    context: &Context,
    id: &MigrationId,
    mut attempt: impl FnMut(&mut Session) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut retries = Retries::new();
    loop {
        match attempt(session) {
            Err(stop) => retries.pause(session, context, id, stop)?,
            Ok(()) => return Ok(()),
        }
    }
}

/// The attempts of one migration.
pub(crate) struct Retries {
    begun: Instant,
    backoff: Backoff,
}

impl Retries {
    pub(crate) fn new() -> Retries {
        Retries {
            begun: Instant::now(),
            backoff: Backoff::new(),
        }
    }

    /// Waits before the next attempt. What stopped the last one comes back where it is no reason
    /// for another.
    pub(crate) fn pause(
        &mut self,
        session: &Session,
        context: &Context,
        id: &MigrationId,
        stop: Stop,
    ) -> Result<(), Stop> {
        let Stop::Again {
            cause,
            blocked_by,
            error,
        } = stop
        else {
            return Err(stop);
        };
        if self.begun.elapsed() >= context.options.retry {
            return Err(Stop::Failed(*error));
        }
        let after = self.backoff.next();
        context.events.emit(Event::Retrying {
            migration: id.clone(),
            cause,
            blocked_by,
            after,
        });
        Ok(session.pause(after)?)
    }
}
