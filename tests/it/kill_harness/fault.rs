//! What is done to a message, and the proof that it was done.

use std::fmt;
use std::time::Duration;

/// In which direction a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// How much of the message has been passed on when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Before,
    Half,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Closes both sides; nothing more is passed on.
    Cut,
    /// `pg_terminate_backend`, and waits until the backend has ended.
    Terminate,
    /// SIGKILL to the client's process.
    KillClient,
    /// Passes nothing on until it is released.
    Hold,
    /// Waits, and goes on.
    Delay(Duration),
}

/// What is done, and at which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub way: Way,
    pub at: At,
    pub moment: Moment,
    pub what: What,
}

/// A message, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Counts the messages of all connections of one runner, from 1.
    Number(usize),
    /// Each one with this in its text.
    Each(&'static str),
}

impl At {
    pub fn is(self, message: &Message) -> bool {
        match self {
            At::Number(number) => message.number == number,
            At::Each(text) => message.text.contains(text),
        }
    }
}

/// A message that the proxy has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The connection, from 1.
    pub connection: usize,
    pub way: Way,
    pub number: usize,
    /// Its type, and [`UNTYPED`](super::wire::UNTYPED) for those that have none.
    pub tag: char,
    pub text: String,
}

/// A fault that was carried out, with the message that it met.
#[derive(Clone, Debug)]
pub struct Landed {
    pub fault: Fault,
    pub message: Message,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault {
            way,
            at,
            moment,
            what,
        } = self;
        let moment = match moment {
            Moment::Before => "before",
            Moment::Half => "in the middle of",
            Moment::After => "after",
        };
        let way = match way {
            Way::ToServer => "to the server",
            Way::ToClient => "to the client",
        };
        let at = match at {
            At::Number(number) => format!("message {number}"),
            At::Each(text) => format!("each message with `{text}`"),
        };
        write!(f, "{what:?} {moment} {at} {way}")
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.way {
            Way::ToServer => "->",
            Way::ToClient => "<-",
        };
        let start: String = self.text.chars().take(100).collect();
        write!(
            f,
            "connection {} {arrow} {} {} {start}",
            self.connection, self.number, self.tag
        )
    }
}

impl fmt::Display for Landed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.message)
    }
}
