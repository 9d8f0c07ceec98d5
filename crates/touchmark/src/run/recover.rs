//! Connecting again after the connection was lost in the middle of a migration.

use std::time::{Duration, Instant};

use tokio_postgres::Config;

use super::Context;
use super::start::connect_until;
use crate::Error;
use crate::backoff::Backoff;
use crate::event::Event;
use crate::session::Session;

/// Connects again after the connection was lost in the middle of a migration. Whether that was
/// committed is found out under the lock, which the lost session keeps for as long as it lives.
pub(crate) fn recover<'a>(
    context: &Context<'a>,
    config: &Config,
    reconnects: &mut u32,
    cause: String,
) -> Result<Session<'a>, Error> {
    if *reconnects >= MAX_RECONNECTS {
        return Err(Error::ConnectionLost { cause });
    }
    *reconnects += 1;
    context.events.emit(Event::Reconnecting {
        cause: cause.clone(),
    });
    let deadline = Instant::now() + RECONNECT.min(context.options.wait);
    let mut backoff = Backoff::new();
    loop {
        match connect_until(deadline, context.options, config, context.events) {
            Ok(session) => return Ok(session),
            Err(Error::Connect { .. }) if Instant::now() < deadline => {
                std::thread::sleep(backoff.next());
            }
            Err(Error::Connect { .. }) => return Err(Error::ConnectionLost { cause }),
            Err(error) => return Err(error),
        }
    }
}

/// A migration that kills its server each time must not be tried for ever.
const MAX_RECONNECTS: u32 = 3;

/// How long a server may be away in the middle of a run.
const RECONNECT: Duration = Duration::from_secs(30);
