//! Agents as the coordinator's sockets know them: who is who, and what is said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tile_set::TileSet;
use nlsq_worker::mesh::{self, Seat};
use nlsq_worker::protocol::{Command, Introduction, Response};
use tokio::sync::mpsc::UnboundedSender;

use super::part::Part;
use super::words::how_it_ended;
use super::{Cluster, Happening, LEAVE_LIMIT, POLL};
use crate::crew::membership::{AgentId, Event, Newcomer, Order};
use crate::crew::server::{self, ConnectionId};
use crate::outcome::{Level, Observer};

/// The program's version; workers of another may sum in another order.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// After a worker of ours was lost, how long to wait for its exit status.
const POST_MORTEM: Duration = Duration::from_millis(200);

/// An agent as the coordinator knows it.
pub(super) struct Agent {
    connection: ConnectionId,
    /// Its own address, and ours as it reaches us.
    pub(super) address: SocketAddr,
    local: IpAddr,
    commands: UnboundedSender<Command>,
    pub(super) process: u32,
    pub(super) device: String,
    /// Points that it has read.
    pub(super) points: u64,
}

impl Agent {
    fn tell(&self, command: Command) {
        // If the connection is gone, an event says so.
        let _ = self.commands.send(command);
    }
}

/// Who has knocked and proved itself, and who has joined.
#[derive(Default)]
pub(super) struct Visitors {
    waiting: BTreeMap<ConnectionId, (SocketAddr, IpAddr, UnboundedSender<Command>)>,
    joined: BTreeMap<ConnectionId, AgentId>,
    last: u64,
    /// Processes that joined at some time.
    processes: BTreeSet<u32>,
}

impl Visitors {
    /// Whether this process ever joined.
    pub(super) fn knew(&self, process: u32) -> bool {
        self.processes.contains(&process)
    }
}

fn send_home(commands: &UnboundedSender<Command>, text: String, observer: &mut dyn Observer) -> Option<Event> {
    observer.note(Level::Warn, &text);
    // If it is gone, it needs no word.
    let _ = commands.send(Command::Leave { reason: Some(text) });
    None
}

impl Cluster {
    /// What an event at the control port means to the crew, if it means anything.
    pub(super) fn meet(&mut self, event: server::Event, observer: &mut dyn Observer) -> Option<Event> {
        match event {
            server::Event::Connected { id, address, local, commands } => {
                self.visitors.waiting.insert(id, (address, local, commands));
                None
            }
            server::Event::Said { id, response: Response::Joined(introduction) } => {
                self.introduce(id, *introduction, observer)
            }
            server::Event::Said { id, response } => {
                let agent = *self.visitors.joined.get(&id)?;
                self.said(agent, response)
            }
            server::Event::Closed { id, cause } => {
                self.visitors.waiting.remove(&id);
                let agent = self.visitors.joined.remove(&id)?;
                let cause = self.obituary(agent, &cause);
                self.forget(agent);
                Some(Event::Closed(agent, cause))
            }
        }
    }

    fn introduce(&mut self, id: ConnectionId, who: Introduction, observer: &mut dyn Observer) -> Option<Event> {
        let (address, local, commands) = self.visitors.waiting.remove(&id)?;
        if who.version != VERSION {
            let text = format!("a worker of version {} at {address} was sent home: this is {VERSION}", who.version);
            return send_home(&commands, text, observer);
        }
        let of_this_run = who.holds.filter(|(run, _)| *run == self.welcome.run);
        let holds = of_this_run.map_or_else(TileSet::new, |(_, tiles)| tiles.intersection(&TileSet::full(self.tiles)));
        self.visitors.last += 1;
        let name = AgentId(self.visitors.last);
        let Introduction { identity, process, device, threads, .. } = who;
        let agent = Agent { connection: id, address, local, commands, process, device, points: 0 };
        agent.tell(Command::Welcome(Box::new(self.welcome.clone())));
        self.beat.add(name, agent.commands.clone());
        self.visitors.joined.insert(id, name);
        self.visitors.processes.insert(process);
        self.agents.insert(name, agent);
        let threads = if threads > 0 { threads } else { self.welcome.work.threads.max(1) };
        Some(Event::Joined(name, Newcomer { identity, speed: threads as f64, holds }))
    }

    fn said(&mut self, agent: AgentId, response: Response) -> Option<Event> {
        Some(match response {
            Response::Joined(_) => return None,
            Response::Alive => Event::Alive(agent),
            Response::Leaving => Event::Leaving(agent),
            Response::Loading { points } => {
                self.agents.get_mut(&agent)?.points = points;
                return None;
            }
            Response::Loaded { request, tiles } => match self.note_contents(tiles) {
                Ok(()) => Event::Loaded(agent, request),
                Err(error) => Event::Refused(agent, request, error),
            },
            Response::NoRoom { request, room, message } => Event::NoRoom { agent, request, room, message },
            Response::Refused { request, message, row } => Event::Refused(agent, request, DataError { message, row }),
            Response::Failed { request, message } => Event::Failed(agent, request, message),
            Response::Listening { generation, port } => Event::Listening { agent, generation, port },
            Response::Ended { generation, cause } => Event::Ended { agent, generation, cause },
        })
    }

    /// Why an agent is gone, with what its parent knows of it if that is us.
    fn obituary(&mut self, agent: AgentId, cause: &str) -> String {
        let Some(Agent { process, address, .. }) = self.agents.get(&agent) else { return cause.to_string() };
        let (process, name) = (*process, format!("(process {process} at {})", address.ip()));
        // A killed process closes its socket a moment before its parent can learn how it ended.
        let deadline = Instant::now() + POST_MORTEM;
        while self.children.has(process) && Instant::now() < deadline {
            if let Some(status) = self.children.status(process) {
                return format!("{name} {}", how_it_ended(status));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        format!("{name}: {cause}")
    }

    fn forget(&mut self, agent: AgentId) {
        self.beat.remove(agent);
        if let Some(agent) = self.agents.remove(&agent) {
            self.visitors.joined.remove(&agent.connection);
        }
    }

    pub(super) fn tell(&mut self, agent: AgentId, order: Order) -> Option<Event> {
        let command = match order {
            Order::Hold { request, tiles } => Command::Hold { request, tiles },
            Order::Keep { tiles } => Command::Keep { tiles },
            Order::Prepare { generation } => Command::Prepare { generation },
            Order::Abort { generation, cause } => Command::Abort { generation, cause },
            Order::Start { generation, index, members, tiles } => {
                let port = match self.own_port(generation) {
                    Ok(port) => port,
                    Err(error) => {
                        return Some(Event::Down(generation, Some(format!("cannot open a data port: {error}"))));
                    }
                };
                let ours = SocketAddr::new(self.agents.get(&agent)?.local, port);
                let addresses = std::iter::once(ours).chain(self.addresses(&members)).collect();
                Command::Start { generation, index: index as u64, addresses, tiles }
            }
        };
        self.agents.get(&agent)?.tell(command);
        None
    }

    /// The coordinator's data port of a generation; opened when it is first asked for.
    fn own_port(&mut self, generation: u64) -> std::io::Result<u16> {
        if self.part.as_ref().is_none_or(|part| part.number() != generation) {
            let listener = mesh::listen(self.server.address().ip())?;
            self.part = Some(Part::new(self.welcome.mesh, generation, listener));
        }
        let listener = self.part.as_ref().and_then(|part| part.listener.as_ref());
        listener
            .ok_or_else(|| std::io::Error::other("it is closed already"))?
            .local_addr()
            .map(|address| address.port())
    }

    fn addresses(&self, members: &[(AgentId, u16)]) -> Vec<SocketAddr> {
        let unknown = IpAddr::from([0, 0, 0, 0]);
        let ip = |agent: &AgentId| self.agents.get(agent).map_or(unknown, |agent| agent.address.ip());
        members.iter().map(|(agent, port)| SocketAddr::new(ip(agent), *port)).collect()
    }

    pub(super) fn connect(&mut self, generation: u64, members: &[(AgentId, u16)]) -> Option<Event> {
        let all = std::iter::once(self.server.address()).chain(self.addresses(members)).collect();
        let (credentials, strangers) = (self.credentials.clone(), Arc::clone(&self.strangers));
        let (tiles, sender) = (self.tiles, self.sender.clone());
        let part = self.part.as_mut().filter(|part| part.number() == generation)?;
        let seat = Seat { generation: part.generation(), credentials, index: 0, strangers };
        let connecting = part.connect(seat, all, tiles, sender);
        connecting.err().map(|error| Event::Down(generation, Some(format!("no thread for the generation: {error}"))))
    }

    /// Drops an agent's connection. If it is alive it may come again.
    pub(super) fn dismiss(&mut self, agent: AgentId, cause: &str) {
        tracing::debug!(%agent, cause, "dismissed");
        // With the last sender of commands the connection closes.
        self.forget(agent);
    }

    /// Sends an agent home.
    pub(super) fn release(&mut self, agent: AgentId, reason: String) {
        if let Some(known) = self.agents.get(&agent) {
            known.tell(Command::Leave { reason: Some(reason) });
        }
        self.forget(agent);
    }

    /// Sends everybody home and waits a little until they have gone: a word that is not delivered is not said.
    pub(super) fn send_home(&mut self) {
        for (_, _, commands) in std::mem::take(&mut self.visitors.waiting).into_values() {
            let _ = commands.send(Command::Leave { reason: None });
        }
        let mut leaving: BTreeSet<ConnectionId> = BTreeSet::new();
        for agent in std::mem::take(&mut self.agents).into_values() {
            agent.tell(Command::Leave { reason: None });
            leaving.insert(agent.connection);
        }
        let deadline = Instant::now() + LEAVE_LIMIT;
        while !leaving.is_empty() && Instant::now() < deadline {
            if let Ok(Happening::Server(server::Event::Closed { id, .. })) = self.happenings.recv_timeout(POLL) {
                leaving.remove(&id);
            }
        }
        if leaving.is_empty() {
            self.children.wait();
        } // else some do not hear us: they are killed when the children are dropped
    }
}
