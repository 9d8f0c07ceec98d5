//! The proxy: between one runner and a server, message by message.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use postgres::NoTls;

use super::fault::{Fault, Landed, Message, Moment, Way, What};
use super::wire::Frame;

/// A proxy for the connections of one runner. Dropping it cuts them.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The folder of the server's socket.
    server: PathBuf,
    faults: Vec<Fault>,
    landed: Vec<Landed>,
    trace: Vec<Message>,
    connections: Vec<Connection>,
    victim: Option<Child>,
    /// How many faults are being carried out.
    working: usize,
    released: bool,
    closed: bool,
}

struct Connection {
    client: TcpStream,
    server: UnixStream,
    /// The backend's process, once the server has told it.
    pid: Option<i32>,
}

/// How long a hold or the end of a process may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

impl Proxy {
    /// Listens for connections to the server with this folder.
    pub fn start(server: &Path, faults: Vec<Fault>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State {
            server: server.into(),
            faults,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.state().closed {
                    break;
                }
                accepting.connect(client);
            }
        });
        Proxy { address, shared }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@{}/{database}", self.address)
    }

    /// From now on, connections go to another server, as a name does after a failover.
    pub fn lead_to(&self, server: &Path) {
        self.shared.state().server = server.into();
    }

    /// The process that [`What::KillClient`] kills.
    pub fn victim(&self, child: Child) {
        self.shared.state().victim = Some(child);
        self.shared.changed.notify_all();
    }

    /// Waits until the process has ended, by itself or killed.
    pub fn wait_for_victim(&self) {
        let ended = |state: &mut State| {
            let victim = state.victim.as_mut();
            victim.is_none_or(|victim| victim.try_wait().unwrap().is_some())
        };
        while !ended(&mut self.shared.state()) {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until so many faults have been carried out.
    #[track_caller]
    pub fn wait_until_landed(&self, count: usize) {
        let state = self.shared.state();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.landed.len() < count);
        assert!(!waited.unwrap().1.timed_out(), "the fault has not landed");
    }

    /// Cuts all connections at once, whatever is said on them.
    pub fn cut(&self) {
        for connection in &self.shared.state().connections {
            connection.cut();
        }
    }

    /// Ends a [`What::Hold`].
    pub fn release(&self) {
        self.shared.state().released = true;
        self.shared.changed.notify_all();
    }

    /// What was carried out; a client may notice it before it is.
    pub fn landed(&self) -> Vec<Landed> {
        let state = self.shared.state();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.working > 0);
        waited.unwrap().0.landed.clone()
    }

    pub fn trace(&self) -> Vec<Message> {
        self.shared.state().trace.clone()
    }

    /// The process IDs of the backends, by connection.
    pub fn pids(&self) -> Vec<Option<i32>> {
        let state = self.shared.state();
        state.connections.iter().map(|c| c.pid).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.release();
        self.cut();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(&self.address));
    }
}

impl Connection {
    fn cut(&self) {
        // A side that has closed already can't be closed again.
        let _ = self.server.shutdown(Shutdown::Both);
        let _ = self.client.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn connect(self: &Arc<Shared>, client: TcpStream) {
        client.set_nodelay(true).unwrap();
        let folder = self.state().server.clone();
        // A server that is not there is for the client to notice.
        let Ok(server) = UnixStream::connect(folder.join(".s.PGSQL.5432")) else {
            return;
        };
        let (from_client, to_client) = (client.try_clone().unwrap(), client.try_clone().unwrap());
        let (from_server, to_server) = (server.try_clone().unwrap(), server.try_clone().unwrap());
        let connection = {
            let mut state = self.state();
            state.connections.push(Connection {
                client,
                server,
                pid: None,
            });
            state.connections.len()
        };
        let shared = self.clone();
        thread::spawn(move || shared.to_server(connection, from_client, to_server));
        let shared = self.clone();
        thread::spawn(move || shared.to_client(connection, from_server, to_client));
    }

    fn to_server(&self, connection: usize, mut from: TcpStream, mut to: UnixStream) {
        let mut typed = false;
        while let Ok(Some(frame)) = Frame::read(&mut from, typed) {
            if frame.asks_for_encryption() {
                // As a server without TLS.
                let _ = from.write_all(b"N");
                continue;
            }
            typed = true;
            // Where the server is gone, what the client still sends is read and dropped, so that
            // it can read what the server said at last.
            self.pass(connection, Way::ToServer, &frame, &mut to);
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    fn to_client(&self, connection: usize, mut from: UnixStream, mut to: TcpStream) {
        while let Ok(Some(frame)) = Frame::read(&mut from, true) {
            if let Some(pid) = frame.process_id() {
                self.state().connections[connection - 1].pid = Some(pid);
            }
            self.pass(connection, Way::ToClient, &frame, &mut to);
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Passes a message on, and carries out what is to be done at it.
    fn pass(&self, connection: usize, way: Way, frame: &Frame, to: &mut impl Write) {
        let (message, fault) = self.arrive(connection, way, frame);
        let Some(fault) = fault else {
            let _ = to.write_all(&frame.bytes);
            return;
        };
        let (first, rest) = frame.bytes.split_at(match fault.moment {
            Moment::Before => 0,
            Moment::Half => frame.bytes.len() / 2,
            Moment::After => frame.bytes.len(),
        });
        let _ = to.write_all(first);
        if let What::Hold = fault.what {
            // Whoever releases it waits until it has landed.
            self.land(Some(Landed { fault, message }));
            self.hold();
        } else {
            let done = self.carry_out(connection, fault.what);
            self.land(done.then_some(Landed { fault, message }));
        }
        if !matches!(fault.what, What::Cut | What::KillClient) {
            let _ = to.write_all(rest);
        }
    }

    /// Counts a message, and finds what is to be done at it.
    fn arrive(&self, connection: usize, way: Way, frame: &Frame) -> (Message, Option<Fault>) {
        let mut state = self.state();
        let number = state.trace.iter().filter(|m| m.way == way).count() + 1;
        let message = Message {
            connection,
            way,
            number,
            tag: frame.tag.into(),
            text: frame.text(),
        };
        state.trace.push(message.clone());
        let meant = |fault: &&Fault| fault.way == way && fault.at.is(&message);
        let fault = state.faults.iter().find(meant).copied();
        state.working += usize::from(fault.is_some());
        (message, fault)
    }

    fn land(&self, landed: Option<Landed>) {
        let mut state = self.state();
        state.working -= 1;
        state.landed.extend(landed);
        drop(state);
        self.changed.notify_all();
    }

    fn hold(&self) {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !state.released);
        assert!(!waited.unwrap().1.timed_out(), "nobody has released it");
    }

    /// Whether it could be done.
    fn carry_out(&self, connection: usize, what: What) -> bool {
        match what {
            What::Cut => {
                self.state().connections[connection - 1].cut();
                true
            }
            What::Terminate => {
                let state = self.state();
                let pid = state.connections[connection - 1].pid;
                let server = state.server.clone();
                drop(state);
                pid.is_some_and(|pid| terminate(&server, pid))
            }
            What::KillClient => self.kill_client(connection),
            What::Delay(time) => {
                thread::sleep(time);
                true
            }
            What::Hold => unreachable!("it has landed before it ends"),
        }
    }

    fn kill_client(&self, connection: usize) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.victim.is_none());
        let mut state = waited.unwrap().0;
        let Some(victim) = &mut state.victim else {
            return false;
        };
        victim.kill().unwrap();
        let killed = victim.wait().unwrap().signal() == Some(9);
        state.connections[connection - 1].cut();
        killed
    }
}

/// Ends a backend as an administrator does; whether there was one.
fn terminate(server: &Path, pid: i32) -> bool {
    let mut config = postgres::Config::new();
    let config = config.host_path(server).user("postgres").dbname("postgres");
    let mut client = config.connect(NoTls).unwrap();
    let ended = client.query_one("SELECT pg_terminate_backend($1)", &[&pid]);
    let ended: bool = ended.unwrap().get(0);
    let gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1";
    let begun = std::time::Instant::now();
    while !client.query_one(gone, &[&pid]).unwrap().get::<_, bool>(0) {
        assert!(begun.elapsed() < PATIENCE, "the backend does not end");
        thread::sleep(Duration::from_millis(2));
    }
    ended
}
