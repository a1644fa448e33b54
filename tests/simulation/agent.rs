//! An agent's process around the real [`Session`]: what sockets, threads and the store of tiles would do.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use nlsq_engine::data::YStatistics;
use nlsq_engine::data::tile_set::TileSet;
use nlsq_engine::normal::Counts;
use nlsq_worker::protocol::{Command, Introduction, Response, TileContent};
use nlsq_worker::session::{Action, Event, Reading, Session};

use super::control::Frame;
use super::coordinator::Mail;
use super::world::{COORDINATOR, Happening, Host, World, note};

/// How often the coordinator is dialled until it answers.
const REACH_AGAIN: Duration = Duration::from_millis(100);
/// Silence that is borne until the coordinator has said how much is.
const FIRST_SILENCE: Duration = Duration::from_secs(30);

/// A process.
pub(super) struct Process {
    pub(super) alive: bool,
    /// Started by the coordinator.
    pub(super) child: bool,
    identity: u128,
    pub(super) session: Session,
    pub(super) connection: Option<usize>,
    /// While it looks for the coordinator: until when, and what waits meanwhile.
    dialling: Option<(Duration, VecDeque<Event>)>,
    heard: Duration,
    silence: Duration,
    /// Tiles in memory.
    pub(super) store: TileSet,
    /// Most tiles that fit.
    pub(super) capacity: u64,
    /// How many times slower than others.
    pub(super) slow: u64,
    pub(super) slow_now: u64,
    pub(super) slow_disk: u64,
    pub(super) bad_disk: bool,
    reading: VecDeque<(u64, TileSet)>,
    pub(super) port: Option<u64>,
    /// Generations whose threads are not gone.
    pub(super) parts: BTreeSet<u64>,
    pub(super) leaving: bool,
}

/// What happens at a process.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    /// It dials.
    Dial,
    /// It gives a sign of life on this connection.
    Alive(usize),
    /// It asks itself whether the coordinator is silent.
    Listen(usize),
    /// It hears a command.
    Heard(usize, Command),
    /// The connection is gone.
    Broken(usize),
    /// The thread that reads has read: the first in its queue.
    HasRead,
    /// What its threads tell the one that decides.
    Session(Event),
}

/// What is in a tile, whoever reads it.
pub(super) fn content(tile: u64) -> TileContent {
    let counts = Counts { used: tile + 1, masked: 0, nonfinite: 0 };
    TileContent { tile, counts, statistics: YStatistics::default() }
}

impl World {
    pub(super) fn begin_process(&mut self, child: bool) {
        let host = self.law.next_host();
        let least = self.plan.tiles.div_ceil(self.plan.rules.min as u64);
        let capacity = if self.plan.narrow { self.random.between(least, least + 2) } else { u64::MAX };
        let slow = if self.plan.uneven { self.random.between(1, 4) } else { 1 };
        let identity = (u128::from(self.random.number()) << 64) | host as u128;
        note!(self, "process {host} begins, child={child} capacity={capacity} slow={slow}");
        self.processes.insert(
            host,
            Process {
                alive: true,
                child,
                identity,
                session: Session::default(),
                connection: None,
                dialling: Some((self.now + self.plan.patience, VecDeque::new())),
                heard: self.now,
                silence: FIRST_SILENCE,
                store: TileSet::new(),
                capacity,
                slow,
                slow_now: 1,
                slow_disk: 1,
                bad_disk: false,
                reading: VecDeque::new(),
                port: None,
                parts: BTreeSet::new(),
                leaving: false,
            },
        );
        self.after(Duration::ZERO, Happening::At(host, Doing::Dial));
    }

    pub(super) fn process(&mut self, host: Host) -> &mut Process {
        self.processes.get_mut(&host).expect("a process that happens to something")
    }

    pub(super) fn doing(&mut self, host: Host, doing: Doing) {
        if !self.process(host).alive {
            return;
        }
        match doing {
            Doing::Dial => self.dial(host),
            Doing::Alive(connection) => self.sign_of_life(host, connection),
            Doing::Listen(connection) => self.listen(host, connection),
            Doing::Heard(connection, command) => {
                let now = self.now;
                let process = self.process(host);
                if process.connection == Some(connection) {
                    process.heard = now;
                    self.session(host, Event::Said(command));
                }
            }
            Doing::Broken(connection) => {
                if self.process(host).connection == Some(connection) {
                    self.session(host, Event::Broken);
                }
            }
            Doing::HasRead => self.has_read(host),
            Doing::Session(event) => self.session(host, event),
        }
    }

    /// The deciding thread takes an event.
    fn session(&mut self, host: Host, event: Event) {
        if let Some((_, waiting)) = &mut self.process(host).dialling {
            waiting.push_back(event);
            return;
        }
        if let Event::Over { generation, .. } = &event {
            self.process(host).parts.remove(generation);
        }
        note!(self, "  process {host} <- {event:?}");
        self.law.told_to_agent(&self.processes[&host].session, host, &event);
        for action in self.process(host).session.step(event) {
            note!(self, "  process {host} -> {action:?}");
            self.obey(host, action);
        }
    }

    fn obey(&mut self, host: Host, action: Action) {
        match action {
            Action::Say(response) => self.say(host, response),
            Action::Adopt(welcome) => {
                let connection = self.process(host).connection.expect("a welcome came by a connection");
                self.process(host).silence = welcome.dead_after;
                self.after(Duration::ZERO, Happening::At(host, Doing::Alive(connection)));
                self.after(welcome.dead_after, Happening::At(host, Doing::Listen(connection)));
                if self.process(host).leaving {
                    self.say(host, Response::Leaving);
                }
            }
            Action::Read { reading, tiles } => {
                self.process(host).reading.push_back((reading, tiles));
                if self.process(host).reading.len() == 1 {
                    self.read_next(host);
                }
            }
            Action::Keep(tiles) => {
                let process = self.process(host);
                process.store = process.store.intersection(&tiles);
            }
            Action::Open { generation } => {
                self.process(host).port = Some(generation);
                let event = Event::Port { generation, port: Ok(1000 + host as u16) };
                self.after(Duration::from_micros(20), Happening::At(host, Doing::Session(event)));
            }
            Action::ClosePort => self.close_port(host),
            Action::Begin { generation, index, tiles, .. } => self.begin_part(host, generation, index, &tiles),
            Action::Abort { generation, cause } => {
                if self.process(host).parts.contains(&generation) {
                    self.abort_host(generation, host, &cause);
                }
            }
            Action::Redial => {
                let until = self.now + self.plan.patience;
                let process = self.process(host);
                process.dialling = Some((until, VecDeque::new()));
                if let Some(connection) = process.connection.take() {
                    self.close(connection, true);
                }
                self.after(Duration::from_micros(100), Happening::At(host, Doing::Dial));
            }
            Action::Leave(_) => self.end_process(host, true),
        }
    }

    fn begin_part(&mut self, host: Host, generation: u64, index: u64, tiles: &TileSet) {
        if self.process(host).port.take_if(|port| *port == generation).is_none() {
            return;
        }
        self.process(host).parts.insert(generation);
        self.law.began(&self.processes[&host], host, generation, tiles);
        self.join_mesh(generation, index as usize);
    }

    fn close_port(&mut self, host: Host) {
        if let Some(generation) = self.process(host).port.take() {
            self.port_closed(generation, host);
        }
    }

    pub(super) fn say(&mut self, host: Host, response: Response) {
        if let Some(connection) = self.process(host).connection {
            self.law.answered(connection, &response);
            self.send(connection, false, Frame::Says(response));
        }
    }

    fn dial(&mut self, host: Host) {
        let Some((until, _)) = self.process(host).dialling else { return };
        let reached = self.is_there(COORDINATOR)
            && !self.is_stopped(COORDINATOR)
            && !self.is_blocked(host, COORDINATOR)
            && !self.is_blocked(COORDINATOR, host);
        if !reached {
            if self.now >= until {
                note!(self, "process {host} ends: it cannot reach the coordinator");
                return self.end_process(host, true);
            }
            let wait = REACH_AGAIN + self.random.millis(0, 300);
            return self.after(wait, Happening::At(host, Doing::Dial));
        }
        let connection = self.connect_control(host);
        let now = self.now;
        let process = self.process(host);
        process.connection = Some(connection);
        process.heard = now;
        process.silence = FIRST_SILENCE;
        let introduction = Introduction {
            version: String::new(),
            identity: process.identity,
            process: host as u32,
            device: String::new(),
            threads: 4 / process.slow,
            holds: process.session.holds(),
        };
        let (_, waiting) = process.dialling.take().expect("it dials");
        note!(self, "  process {host} connects with {:?}", introduction.holds.as_ref().map(|(_, tiles)| tiles));
        self.send(connection, false, Frame::Connected);
        self.say(host, Response::Joined(Box::new(introduction)));
        self.after(FIRST_SILENCE, Happening::At(host, Doing::Listen(connection)));
        for event in waiting {
            // What waited may break the connection again; then the rest waits on.
            if self.process(host).alive {
                self.session(host, event);
            }
        }
    }

    fn sign_of_life(&mut self, host: Host, connection: usize) {
        if self.process(host).connection == Some(connection) && self.connections[connection].at_agent {
            self.say(host, Response::Alive);
            self.after(self.plan.rules.endurance.heartbeat, Happening::At(host, Doing::Alive(connection)));
        }
    }

    fn listen(&mut self, host: Host, connection: usize) {
        let (now, process) = (self.now, self.process(host));
        if process.connection != Some(connection) {
            return;
        }
        let until = process.heard + process.silence;
        if now >= until {
            note!(self, "process {host} hears nothing any more");
            return self.session(host, Event::Broken);
        }
        self.at(until, Happening::At(host, Doing::Listen(connection)));
    }

    fn read_next(&mut self, host: Host) {
        let (per_tile, slow) = (self.plan.reading, self.process(host).slow_disk);
        let Some((_, tiles)) = self.process(host).reading.front() else { return };
        let time = Duration::from_millis(per_tile * slow * tiles.len() + 1);
        self.after(time, Happening::At(host, Doing::HasRead));
    }

    /// The thread that reads puts tiles in memory a moment before the one that decides hears of it.
    fn has_read(&mut self, host: Host) {
        let process = self.process(host);
        let Some((reading, wanted)) = process.reading.pop_front() else { return };
        let room = process.capacity.saturating_sub(process.store.len());
        let outcome = if process.bad_disk && reading.is_multiple_of(2) {
            Reading::Failed { message: "stopped by a bug".to_string() }
        } else if process.bad_disk {
            Reading::Refused { message: "the disk is bad".to_string(), row: Some(0) }
        } else if wanted.difference(&process.store).len() > room {
            Reading::NoRoom { room: process.store.len() + room, message: "has no room".to_string() }
        } else {
            process.store = process.store.union(&wanted);
            Reading::Done(wanted.tiles().map(content).collect())
        };
        self.read_next(host);
        let told = self.random.millis(0, 2);
        self.after(told, Happening::At(host, Doing::Session(Event::Read { reading, outcome })));
    }

    /// A process ends: killed or by itself (its system closes its connections), or with its host (nobody is told).
    pub(super) fn end_process(&mut self, host: Host, is_told: bool) {
        note!(self, "process {host} is gone, told={is_told}");
        let process = self.process(host);
        process.alive = false;
        let (child, connection) = (process.child, process.connection.take());
        let parts = std::mem::take(&mut process.parts);
        if let Some(connection) = connection {
            if is_told { self.close(connection, true) } else { self.sever(connection) }
        }
        for generation in parts {
            self.leave_mesh(generation, host, is_told);
        }
        if is_told {
            self.close_port(host);
        }
        self.forget_frozen(host);
        if child {
            let after = self.random.millis(1, 30);
            let mail = Happening::Mail(self.coordinator.incarnation, Mail::ChildEnded(host));
            self.after(after, mail);
        }
    }

    /// How long this host takes for so many tiles.
    pub(super) fn evaluation(&self, host: Host, tiles: u64) -> Duration {
        let Some(process) = self.processes.get(&host) else { return Duration::ZERO };
        Duration::from_millis(self.plan.compute * process.slow * process.slow_now * tiles)
    }
}
