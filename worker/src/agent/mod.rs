//! The agent: carries out what its [`Session`] decides. It owns the sockets, the threads and the tiles.
//!
//! One thread decides ([`serve`]). Beside it: a thread that hears the coordinator and one that gives signs of life, as long
//! as a control connection lives ([`control`]); one that reads tiles (`store`); and for each generation one that connects,
//! steps the dataflow and waits for its end (`part`). All of them send events to the first.

pub mod control;
mod part;
mod store;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nlsq_engine::kernel::Backend as _;
use nlsq_engine::kernel::blocks::Blocks;
use tracing::{debug, info, warn};

use crate::fault::Fault;
use crate::generation::Generation;
use crate::handshake::{Credentials, HandshakeError};
use crate::mesh::{self, Seat};
use crate::protocol::codec::FrameError;
use crate::protocol::{Introduction, Response, RunId, Welcome};
use crate::rendezvous::RendezvousError;
use crate::secret::Secret;
use crate::session::{Action, Event, Session};
use crate::strangers::Strangers;
use crate::wire::Mode;
use control::Connection;
use part::Part;
use store::Store;

/// How long the members of a generation may take to connect.
pub const MESH_LIMIT: Duration = Duration::from_secs(30);

/// Where the coordinator is, and what must be known to be accepted there.
#[derive(Clone, Debug)]
pub enum Coordinator {
    /// At the first of these addresses that answers.
    At {
        /// Where it listens.
        addresses: Vec<SocketAddr>,
        /// The cluster's secret.
        secret: Secret,
    },
    /// Where this file says, which is read before every attempt.
    Rendezvous(PathBuf),
}

/// How an agent is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whom to serve.
    pub coordinator: Coordinator,
    /// How bytes are to travel at least; what the coordinator asks for is the other bound.
    pub wire: Mode,
    /// Compute threads; `None` leaves it to the coordinator.
    pub threads: Option<usize>,
    /// Bytes for tiles; `None` leaves it to the coordinator.
    pub memory: Option<u64>,
    /// How long to look for the coordinator, at first and whenever the connection broke.
    pub patience: Duration,
    /// What is to go wrong, in tests.
    pub fault: Option<Fault>,
}

/// Why an agent ended otherwise than by being told to leave.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AgentError {
    #[error("cannot reach the coordinator at {address} within {} s", limit.as_secs_f64())]
    Unreachable { address: SocketAddr, limit: Duration, source: io::Error },
    #[error("found no coordinator within {} s", limit.as_secs_f64())]
    NoRendezvous { limit: Duration, source: RendezvousError },
    #[error(transparent)]
    Rendezvous(RendezvousError),
    #[error(
        "the coordinator at {address} closes the connection before it has proved itself: expected the same secret \
         and version on both sides"
    )]
    Closed { address: SocketAddr },
    #[error("the coordinator was not accepted")]
    Handshake(#[source] HandshakeError),
    #[error("the connection to the coordinator failed")]
    Control(#[from] FrameError),
    #[error("not needed: {reason}")]
    NotNeeded { reason: String },
    #[error("the system has no more threads")]
    Threads(#[source] io::Error),
}

/// What reaches the deciding thread. What a connection says carries the connection's number: an older one is not believed.
pub(crate) enum Happening {
    Session(Event),
    /// Points held while tiles are read.
    Progress(u64),
    Heard {
        connection: u64,
        event: Event,
    },
}

/// Joins a coordinator and serves it until it says to leave. When the connection breaks, tiles are kept and the coordinator
/// is looked for again. A message on `asked` is the wish that it ends: it leaves as soon as its tiles are held by others.
pub fn serve(options: &Options, asked: Receiver<()>) -> Result<(), AgentError> {
    let (sender, happenings) = channel();
    let wishes = sender.clone();
    let forward = move || asked.iter().all(|()| wishes.send(Happening::Session(Event::Asked)).is_ok());
    std::thread::Builder::new().name("wishes".to_string()).spawn(forward).map_err(AgentError::Threads)?;
    let store = Store::start(options, sender.clone()).map_err(AgentError::Threads)?;
    let agent = Agent {
        options,
        credentials: None,
        strangers: Arc::default(),
        session: Session::default(),
        identity: identity().map_err(|error| AgentError::Control(FrameError::Io(error)))?,
        connection: None,
        connections: 0,
        sender,
        store,
        welcome: None,
        port: None,
        parts: HashMap::new(),
    };
    agent.run(&happenings)
}

fn identity() -> io::Result<u128> {
    Ok(u128::from_le_bytes(RunId::random()?.0))
}

struct Agent<'a> {
    options: &'a Options,
    /// What the last connection was proved with.
    credentials: Option<Credentials>,
    strangers: Arc<Strangers>,
    session: Session,
    identity: u128,
    connection: Option<Connection>,
    connections: u64,
    sender: Sender<Happening>,
    store: Store,
    welcome: Option<Box<Welcome>>,
    /// The data port that was opened last, and for which generation.
    port: Option<(u64, TcpListener)>,
    /// Generations whose threads are not known to be gone.
    parts: HashMap<u64, Arc<Generation>>,
}

impl Agent<'_> {
    fn run(mut self, happenings: &Receiver<Happening>) -> Result<(), AgentError> {
        self.dial()?;
        loop {
            let event = match happenings.recv().expect("the agent holds a sender itself") {
                Happening::Session(event) => event,
                Happening::Heard { connection, event } if connection == self.connections => event,
                Happening::Heard { .. } => continue,
                Happening::Progress(points) => {
                    self.say(&Response::Loading { points });
                    continue;
                }
            };
            if let Event::Over { generation, .. } = &event {
                self.parts.remove(generation);
            }
            for action in self.session.step(event) {
                match action {
                    Action::Redial => self.dial()?,
                    Action::Leave(None) => return Ok(()),
                    Action::Leave(Some(reason)) => return Err(AgentError::NotNeeded { reason }),
                    action => self.act(action),
                }
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Say(response) => self.say(&response),
            Action::Adopt(welcome) => self.adopt(welcome),
            Action::Read { reading, tiles } => self.store.read(reading, tiles),
            Action::Keep(tiles) => self.store.keep(&tiles),
            Action::Open { generation } => self.open(generation),
            Action::ClosePort => self.port = None,
            Action::Begin { generation, index, addresses, tiles } => {
                let Some((_, listener)) = self.port.take().filter(|(number, _)| *number == generation) else { return };
                let handle = Arc::new(Generation::new(self.mesh(), generation));
                self.parts.insert(generation, Arc::clone(&handle));
                let credentials = self.credentials.clone().expect("only a proved coordinator says to begin");
                let strangers = Arc::clone(&self.strangers);
                let seat = Seat { generation: handle, credentials, index: index as usize, strangers };
                let part = Part { seat, listener, addresses, fault: self.options.fault.clone() };
                let pool = self.store.pool(&tiles, index, self.options.fault.clone());
                part.start(pool, self.sender.clone());
            }
            Action::Abort { generation, cause } => match self.parts.get(&generation) {
                Some(part) => part.abort(cause),
                None => debug!(generation, "told to abort a generation that is not here"),
            },
            Action::Redial | Action::Leave(_) => unreachable!("these end or renew the loop"),
        }
    }

    fn say(&self, response: &Response) {
        if let Some(connection) = &self.connection {
            connection.say(response);
        }
    }

    fn adopt(&mut self, welcome: Box<Welcome>) {
        if let Some(connection) = &self.connection {
            connection.keep_alive(welcome.heartbeat, welcome.dead_after);
        }
        if self.welcome.as_ref().map(|known| known.run) != Some(welcome.run) {
            self.store.adopt(&welcome.work);
        }
        self.welcome = Some(welcome);
    }

    /// Which coordinator's generations these are.
    fn mesh(&self) -> RunId {
        self.welcome.as_ref().expect("a coordinator says welcome before it says to begin").mesh
    }

    fn open(&mut self, generation: u64) {
        let opened = self.address().and_then(mesh::listen).and_then(|listener| {
            let port = listener.local_addr()?.port();
            self.port = Some((generation, listener));
            Ok(port)
        });
        let port = opened.map_err(|error| format!("cannot open a data port: {error}"));
        // Fails only when the agent has ended.
        let _ = self.sender.send(Happening::Session(Event::Port { generation, port }));
    }

    /// Where this host is reached by those who reach the coordinator.
    fn address(&self) -> io::Result<IpAddr> {
        match &self.connection {
            Some(connection) => connection.local(),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "the coordinator is gone")),
        }
    }

    /// Connects to the coordinator and introduces itself.
    fn dial(&mut self) -> Result<(), AgentError> {
        // An older connection is closed before a new one is made: the coordinator must not hear two.
        self.connection = None;
        self.connections += 1;
        let (connection, credentials) = control::connect(self.options, self.connections, self.sender.clone())?;
        self.credentials = Some(credentials);
        let introduction = Introduction {
            version: env!("CARGO_PKG_VERSION").to_string(),
            identity: self.identity,
            process: std::process::id(),
            device: Blocks::new().name(),
            threads: self.options.threads.unwrap_or(0) as u64,
            holds: self.session.holds(),
        };
        match &introduction.holds {
            Some((_, tiles)) => info!(tiles = tiles.len(), "joining, with tiles"),
            None => info!("joining"),
        }
        connection.say(&Response::Joined(Box::new(introduction)));
        self.connection = Some(connection);
        Ok(())
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        for part in self.parts.values() {
            part.abort("the agent ends");
        }
    }
}

/// What a panic said, for the coordinator; its own message went to standard error.
fn panicked(what: &str) -> String {
    warn!("{what} stopped by a panic");
    format!("{what} stopped by a bug in nlsq-worker {}", env!("CARGO_PKG_VERSION"))
}
