//! What stands between a client and its server: it passes everything on, until at one message it
//! does what networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What happens at one of the client's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before the message has reached the server.
    CutBefore,
    /// The connection ends before the answer has reached the client.
    CutAfter,
    /// The message is acknowledged and not passed on, and nothing after it.
    SilentBefore,
    /// The message is passed on, and nothing of the answer.
    SilentAfter,
    /// From the message on, every connection is taken and nothing passed on.
    Dead,
    /// From the message on, no connection is taken.
    Gone,
}

struct State {
    fault: Fault,
    /// At which message, from 1.
    at: usize,
    count: AtomicUsize,
    dead: AtomicBool,
    gone: AtomicBool,
    queries: Mutex<Vec<String>>,
}

/// A proxy on 127.0.0.1.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// Before a server on 127.0.0.1. Messages are counted over all connections.
    pub fn start(server: u16, fault: Fault, at: usize) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            fault,
            at,
            count: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            queries: Mutex::default(),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // Who comes when it is gone is told so at once.
                if shared.gone.load(Ordering::SeqCst) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || serve(client.unwrap(), server, &shared));
            }
        });
        Proxy { port, state }
    }

    /// The URL of a server on 127.0.0.1, through here.
    pub fn url(&self, url: &str, server: u16) -> String {
        let through = format!(":{}/", self.port);
        format!(
            "{}?sslmode=disable",
            url.replace(&format!(":{server}/"), &through)
        )
    }

    /// Whether there was such a message.
    pub fn has_happened(&self) -> bool {
        self.state.count.load(Ordering::SeqCst) >= self.state.at
    }

    /// What the client has sent, the beginning of each query and of each piece of data.
    pub fn queries(&self) -> Vec<String> {
        self.state.queries.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, server: u16, state: &State) {
    if state.dead.load(Ordering::SeqCst) {
        swallow(&client);
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
        return;
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let is_mute = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            answers(&server, &client, &is_mute);
            // Whoever is silent says nothing of an end either.
            if !is_mute.load(Ordering::SeqCst) {
                let _ = client.shutdown(Shutdown::Both);
            }
        });
        messages(&client, &server, state, &is_mute);
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Reads until the client gives up.
fn swallow(mut client: &TcpStream) {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

fn answers(mut server: &TcpStream, mut client: &TcpStream, is_mute: &AtomicBool) {
    let mut buffer = [0; 16384];
    while let Ok(read) = server.read(&mut buffer)
        && read > 0
    {
        if !is_mute.load(Ordering::SeqCst) && client.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

fn messages(client: &TcpStream, mut server: &TcpStream, state: &State, is_mute: &AtomicBool) {
    let mut is_started = false;
    while let Some(message) = message(client, is_started) {
        is_started = true;
        if matches!(message[0], b'Q' | b'd') && happens(&message, state) {
            let is_passed_on = matches!(state.fault, Fault::CutAfter | Fault::SilentAfter);
            is_mute.store(true, Ordering::SeqCst);
            if is_passed_on {
                server.write_all(&message).unwrap();
            }
            match state.fault {
                Fault::CutBefore | Fault::CutAfter => return,
                Fault::SilentBefore | Fault::SilentAfter => return swallow(client),
                Fault::Dead => {
                    state.dead.store(true, Ordering::SeqCst);
                    return swallow(client);
                }
                Fault::Gone => {
                    state.gone.store(true, Ordering::SeqCst);
                    // Wakes the one who listens, so that it ends.
                    let _ = TcpStream::connect(client.local_addr().unwrap());
                    return;
                }
            }
        }
        if server.write_all(&message).is_err() {
            return;
        }
    }
}

/// What stands for a piece of data.
pub const DATA: &str = "data of a COPY";

fn happens(message: &[u8], state: &State) -> bool {
    let text = match message[0] {
        b'd' => DATA.into(),
        _ => String::from_utf8_lossy(&message[5..]),
    };
    state
        .queries
        .lock()
        .unwrap()
        .push(text.chars().take(100).collect());
    state.count.fetch_add(1, Ordering::SeqCst) + 1 == state.at
}

/// One message of the client. The first one has no letter.
fn message(mut client: &TcpStream, is_started: bool) -> Option<Vec<u8>> {
    let letter = usize::from(is_started);
    let mut message = vec![0; letter + 4];
    client.read_exact(&mut message).ok()?;
    let length = u32::from_be_bytes(message[letter..].try_into().ok()?) as usize;
    message.resize(letter + length, 0);
    client.read_exact(&mut message[letter + 4..]).ok()?;
    Some(message)
}
