//! Agents and others at the control port of [`super`], over real sockets.

use super::*;
use nlsq_worker::handshake::{RunId, dial};
use nlsq_worker::protocol::Introduction;
use nlsq_worker::protocol::codec::{PREFIX, encode, receive, send};
use nlsq_worker::secret::Secret;
use nlsq_worker::wire::{Mode, Wire};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};

struct Port {
    server: Server,
    events: Receiver<Event>,
    strangers: Arc<Strangers>,
    credentials: Credentials,
}

/// Tiles of the run.
const TILES: u64 = 10;
/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(30);

impl Port {
    fn open(wire: Mode) -> Self {
        let credentials = Credentials { secret: Secret::random().unwrap(), wire };
        let strangers: Arc<Strangers> = Arc::default();
        let rules = Rules { credentials: credentials.clone(), tiles: TILES, strangers: Arc::clone(&strangers) };
        let (sender, events) = channel();
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), rules, sender).unwrap();
        Self { server, events, strangers, credentials }
    }

    fn connect(&self) -> std::net::TcpStream {
        let socket = std::net::TcpStream::connect(self.server.address()).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket
    }

    /// A connection that both sides have proved.
    fn proved(&self) -> Wire {
        let mut socket = self.connect();
        let agreed = dial(&mut socket, &self.credentials, Purpose::Control).unwrap();
        Wire::new(socket, agreed.keys)
    }

    /// One that has joined, and the way to give it commands.
    fn joined(&self) -> (Wire, ConnectionId, mpsc::UnboundedSender<Command>) {
        let mut agent = self.proved();
        send(&mut agent, &joined()).unwrap();
        let Event::Connected { id, commands, .. } = self.event() else { panic!("an agent joins first") };
        assert!(matches!(self.event(), Event::Said { response: Response::Joined(_), .. }));
        (agent, id, commands)
    }

    fn event(&self) -> Event {
        self.events.recv_timeout(SOON).expect("something happens")
    }
}

fn joined() -> Response {
    Response::Joined(Box::new(Introduction {
        version: "1".to_string(),
        identity: 1,
        process: 7,
        device: "tape".to_string(),
        threads: 1,
        holds: None,
    }))
}

/// The server has closed this connection.
fn assert_closed(mut socket: impl Read) {
    let end = socket.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(!matches!(end, Err(ErrorKind::WouldBlock)), "still connected");
}

#[test]
fn messages_cross_on_either_wire() {
    for mode in [Mode::Plain, Mode::Encrypted] {
        let port = Port::open(mode);
        let (mut agent, _, commands) = port.joined();
        assert_eq!(agent.mode(), mode);
        send(&mut agent, &Response::Loading { points: 5 }).unwrap();
        assert!(matches!(port.event(), Event::Said { response: Response::Loading { points: 5 }, .. }));
        commands.send(Command::Prepare { generation: 3 }).unwrap();
        let command = receive::<Command>(&mut agent, JOINING).unwrap();
        assert!(matches!(command, Some(Command::Prepare { generation: 3 })));
        drop(agent);
        assert!(matches!(port.event(), Event::Closed { cause, .. } if cause == "connection closed"));
        assert!(port.strangers.news().is_empty());
    }
}

#[test]
fn an_agent_that_breaks_the_rules_is_lost_once_with_the_cause() {
    let garbage = [9, 0, 0, 0, 200, 200, 200, 200, 200, 200, 200, 200, 200].to_vec();
    let long = (codec::response_limit(10) as u32 + 1).to_le_bytes().to_vec();
    let mut trailing = encode(&Response::Loading { points: 1 }).unwrap();
    trailing[0] += 1;
    trailing.push(0);
    for (bytes, cause) in [(garbage, "could not be read"), (long, "longer than the limit"), (trailing, "too many")] {
        let port = Port::open(Mode::Plain);
        let (mut agent, lost, _commands) = port.joined();
        agent.write_all(&bytes).unwrap();
        let Event::Closed { id, cause: told } = port.event() else { panic!("it is lost") };
        assert!(id == lost && told.contains(cause), "{told}");
        assert_closed(agent);
        assert!(port.events.try_recv().is_err());
    }
}

#[test]
fn a_changed_record_loses_the_agent() {
    let port = Port::open(Mode::Encrypted);
    let (agent, lost, _commands) = port.joined();
    // Somebody on the way puts in bytes of his own.
    agent.socket().write_all(&[0, 20]).unwrap();
    agent.socket().write_all(&[1; 20]).unwrap();
    let Event::Closed { id, cause } = port.event() else { panic!("it is lost") };
    assert!(id == lost && cause.contains("not sealed by the peer"), "{cause}");
}

#[test]
fn who_does_not_join_as_a_worker_does_is_never_heard_of() {
    let port = Port::open(Mode::Plain);
    let first = [
        encode(&Response::Loading { points: 1 }).unwrap(),
        (codec::response_limit(TILES) as u32 + 1).to_le_bytes().to_vec(),
        [&4u32.to_le_bytes()[..], &[255; 4]].concat(),
    ];
    for bytes in first {
        assert!(bytes.len() >= PREFIX);
        let mut unruly = port.proved();
        unruly.write_all(&bytes).unwrap();
        assert_closed(unruly);
    }
    let other = Credentials { secret: Secret::random().unwrap(), wire: Mode::Plain };
    dial(&mut port.connect(), &other, Purpose::Control).unwrap_err();
    let data = Purpose::Data { run: RunId([0; 16]), generation: 1, from: 1, to: 0 };
    dial(&mut port.connect(), &port.credentials, data).unwrap_err();
    let mut foreign = port.connect();
    foreign.write_all(&[0; HELLO]).unwrap();
    assert_closed(foreign);
    let _agent = port.joined();
    assert!(port.events.try_recv().is_err());
    let news = port.strangers.news();
    assert_eq!(news.len(), 4, "{news:?}");
    assert_eq!(port.strangers.totals().len(), 1, "three were unruly");
}

#[test]
fn a_thousand_silent_connections_hold_off_nobody() {
    let port = Port::open(Mode::Plain);
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.extend((0..250).map(|_| port.connect()));
        // While they come, and after: a worker gets in at once and not when they have timed out.
        let began = std::time::Instant::now();
        let (agent, _, _commands) = port.joined();
        assert!(began.elapsed() < HANDSHAKE_LIMIT, "{:?}", began.elapsed());
        // Its end is told too, before the next.
        drop(agent);
        assert!(matches!(port.event(), Event::Closed { .. }));
    }
    drop(silent);
    let news = port.strangers.news();
    assert_eq!(news.iter().filter(|text| text.contains("make room")).count(), 1, "{news:?}");
}
