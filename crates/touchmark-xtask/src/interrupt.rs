//! Ctrl-C and SIGTERM. The first asks the run to stop and waits for the rollback; the second
//! cancels what would be half done otherwise; the third leaves at once.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use touchmark::Canceller;

use crate::error::Error;
use crate::exit_code;

/// What listens to the signals, from when it is made.
pub(crate) struct Interrupts {
    pub(crate) canceller: Canceller,
    running: Arc<AtomicBool>,
}

impl Interrupts {
    pub(crate) fn listen() -> Result<Interrupts, Error> {
        let interrupts = Interrupts {
            canceller: Canceller::new(),
            running: Arc::default(),
        };
        let canceller = interrupts.canceller.clone();
        let running = Arc::clone(&interrupts.running);
        let count = AtomicUsize::new(0);
        ctrlc::set_handler(move || {
            // Outside of a run there is nothing that would be half done.
            if !running.load(Ordering::SeqCst) {
                std::process::exit(i32::from(exit_code::INTERRUPTED));
            }
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => {
                    say("stopping: what runs in a transaction is rolled back; once more also cancels what runs without one");
                    canceller.cancel();
                }
                1 => {
                    say("cancelling what runs; once more leaves at once, while the server may still be at work");
                    canceller.cancel();
                }
                _ => {
                    say("left at once: the server may go on with its last statement, and commit it; look with `cargo xtask db-status`");
                    std::process::exit(i32::from(exit_code::INTERRUPTED));
                }
            }
        })
        .map_err(|error| Error::Process {
            doing: "listen to signals".into(),
            source: std::io::Error::other(error),
        })?;
        Ok(interrupts)
    }

    /// Does the work; meanwhile a signal cancels instead of ending the process. May be nested.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.running.swap(true, Ordering::SeqCst);
        let out = work();
        self.running.store(before, Ordering::SeqCst);
        out
    }
}

fn say(text: &str) {
    // The terminal may be gone already, and the work must be stopped all the same.
    let _ = writeln!(anstream::stderr(), "\n Interrupted {text}");
}
