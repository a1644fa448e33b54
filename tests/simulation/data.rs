//! The data plane: the members of a generation connect to each other, evaluate their tiles, and send nodes of the tile tree to
//! the coordinator, where the real [`TreeFold`] makes them a root. The sum of a tile in a pass is a hash, so that a tile
//! that is missing or counts twice shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nlsq_engine::data::tile_set::TileSet;
use nlsq_engine::data::tree::{TreeFold, TreeNode};
use nlsq_worker::agent::MESH_LIMIT;
use nlsq_worker::session::Event;

use super::agent::Doing;
use super::coordinator::Mail;
use super::random::scrambled;
use super::world::{COORDINATOR, Happening, Host, World, note};

/// What a tile amounts to in a pass.
pub(super) fn sum_of(tile: u64, pass: u64) -> u64 {
    scrambled(tile.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ scrambled(pass))
}

/// A generation.
pub(super) struct Mesh {
    /// Where its members are, by index.
    pub(super) hosts: Vec<Host>,
    pub(super) owned: BTreeMap<usize, TileSet>,
    parts: Vec<Part>,
    /// What does not get through for the time being: from, to, what.
    stalled: Vec<(usize, usize, Word)>,
    /// When the last report of the coordinator's part reaches the thread of the fit.
    reported: Duration,
}

/// A member's part.
#[derive(Default)]
struct Part {
    state: State,
    links: BTreeSet<usize>,
    /// Passes that came before it was up.
    early: Vec<u64>,
    /// When the last word to another member arrives.
    last: BTreeMap<usize, Duration>,
    folds: BTreeMap<u64, Fold>,
}

struct Fold {
    tree: TreeFold<u64>,
    busy: Vec<(u64, f64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Absent,
    Connecting,
    Up,
    /// Told to end; its threads are still there.
    Ending,
    Over,
}

/// What happens to a member of a generation.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// The others should be connected by now.
    Deadline,
    /// The link with this member stands.
    Linked(usize),
    /// This member is gone.
    Gone(usize),
    /// A pass is to be run.
    Theta(u64),
    /// The tiles are evaluated; how long it took.
    Evaluated(u64, Duration),
    /// Nodes of a pass, from this member.
    Nodes { pass: u64, from: usize, busy: f64, node: TreeNode, value: u64 },
    /// All threads are gone.
    Ended(Option<String>),
}

impl World {
    /// A member is told to start.
    pub(super) fn add_member(&mut self, generation: u64, hosts: Vec<Host>, index: usize, tiles: &TileSet) {
        let mesh = self.meshes.entry(generation).or_insert_with(|| Mesh {
            parts: hosts.iter().map(|_| Part::default()).collect(),
            hosts,
            owned: BTreeMap::new(),
            stalled: Vec::new(),
            reported: Duration::ZERO,
        });
        let before = mesh.owned.insert(index, tiles.clone());
        assert!(before.is_none(), "member {index} of generation {generation} is told to start twice");
    }

    /// Whether threads of this host's part of a generation are still there.
    pub(super) fn takes_part(&self, generation: u64, host: Host) -> bool {
        let Some(mesh) = self.meshes.get(&generation) else { return false };
        let member = mesh.hosts.iter().position(|&other| other == host);
        member.is_some_and(|member| !matches!(mesh.parts[member].state, State::Absent | State::Over))
    }

    fn mesh(&mut self, generation: u64) -> &mut Mesh {
        self.meshes.get_mut(&generation).expect("a generation whose members were told to start")
    }

    /// A member begins to connect.
    pub(super) fn join_mesh(&mut self, generation: u64, member: usize) {
        let part = &mut self.mesh(generation).parts[member];
        if part.state != State::Absent {
            return;
        }
        part.state = State::Connecting;
        self.after(MESH_LIMIT, Happening::Data { generation, member, word: Word::Deadline });
        self.link_all(generation, member);
    }

    fn link_all(&mut self, generation: u64, member: usize) {
        for other in 0..self.mesh(generation).parts.len() {
            if other != member {
                self.link(generation, member, other);
            }
        }
    }

    /// Connects two members if both are ready and the network carries it; who connects to one that has gone is refused.
    fn link(&mut self, generation: u64, one: usize, other: usize) {
        let mesh = &self.meshes[&generation];
        let (here, there) = (mesh.hosts[one], mesh.hosts[other]);
        if self.is_blocked(here, there) || self.is_blocked(there, here) {
            return;
        }
        let gone = match mesh.parts[other].state {
            State::Ending | State::Over => true,
            State::Absent => other != 0 && self.processes[&there].port != Some(generation),
            State::Connecting | State::Up => false,
        };
        if gone && !self.is_there(there) && self.law.vanished.contains(&there) {
            return;
        }
        let ready = [one, other]
            .iter()
            .all(|&member| mesh.parts[member].state == State::Connecting && !self.is_stopped(mesh.hosts[member]));
        if mesh.parts[one].links.contains(&other) || !(gone || ready) {
            return;
        }
        for (to, peer) in [(one, other), (other, one)] {
            let word = if gone { Word::Gone(peer) } else { Word::Linked(peer) };
            self.transmit(generation, peer, to, word);
        }
    }

    /// Tries again what was not possible.
    pub(super) fn retry_links(&mut self) {
        for generation in self.meshes.keys().copied().collect::<Vec<_>>() {
            for (from, to, word) in std::mem::take(&mut self.mesh(generation).stalled) {
                self.transmit(generation, from, to, word);
            }
            for member in 0..self.mesh(generation).parts.len() {
                if self.mesh(generation).parts[member].state == State::Connecting {
                    self.link_all(generation, member);
                }
            }
        }
    }

    fn transmit(&mut self, generation: u64, from: usize, to: usize, word: Word) {
        let mesh = &self.meshes[&generation];
        if self.is_blocked(mesh.hosts[from], mesh.hosts[to]) {
            return self.mesh(generation).stalled.push((from, to, word));
        }
        let delay = self.delay();
        let now = self.now;
        let last = self.mesh(generation).parts[from].last.entry(to).or_default();
        *last = (now + delay).max(*last);
        let time = *last;
        self.at(time, Happening::Data { generation, member: to, word });
    }

    pub(super) fn data(&mut self, generation: u64, member: usize, word: Word) {
        let part = &mut self.mesh(generation).parts[member];
        let state = part.state;
        if let Word::Ended(cause) = word {
            if state == State::Ending {
                part.state = State::Over;
                self.part_over(generation, member, cause);
            }
            return;
        }
        match (word, state) {
            (Word::Deadline, State::Connecting) => self.abort(generation, member, "some did not connect in time"),
            (Word::Gone(peer), State::Connecting | State::Up) => {
                self.abort(generation, member, &format!("lost peer {peer}"));
            }
            (Word::Linked(peer), State::Connecting) => {
                part.links.insert(peer);
                if part.links.len() + 1 == self.mesh(generation).parts.len() {
                    self.up(generation, member);
                }
            }
            (Word::Theta(pass), State::Connecting) => part.early.push(pass),
            (Word::Theta(pass), State::Up) => self.evaluate(generation, member, pass),
            (Word::Evaluated(pass, took), State::Up) => self.reduce(generation, member, pass, took),
            (Word::Nodes { pass, from, busy, node, value }, State::Up) => {
                self.fold(generation, pass, (from, busy), (node, value));
            }
            _ => {}
        }
    }

    fn up(&mut self, generation: u64, member: usize) {
        let part = &mut self.mesh(generation).parts[member];
        part.state = State::Up;
        let early = std::mem::take(&mut part.early);
        if member == 0 {
            self.report(generation, Mail::Up(generation));
        }
        for pass in early {
            self.evaluate(generation, member, pass);
        }
    }

    /// Sends a pass into a generation, if the coordinator's part stands.
    pub(super) fn submit(&mut self, generation: u64, pass: u64) -> bool {
        let tiles = self.plan.tiles;
        let part = &mut self.mesh(generation).parts[0];
        if part.state != State::Up {
            return false;
        }
        part.folds.insert(pass, Fold { tree: TreeFold::new(tiles), busy: Vec::new() });
        for member in 1..self.mesh(generation).parts.len() {
            self.transmit(generation, 0, member, Word::Theta(pass));
        }
        true
    }

    fn evaluate(&mut self, generation: u64, member: usize, pass: u64) {
        let mesh = &self.meshes[&generation];
        let took = self.evaluation(mesh.hosts[member], mesh.owned[&member].len());
        let jitter = self.random.millis(0, 2);
        self.after(took + jitter, Happening::Data { generation, member, word: Word::Evaluated(pass, took + jitter) });
    }

    /// A member folds what it can alone and sends the rest to the coordinator, in no particular order.
    fn reduce(&mut self, generation: u64, member: usize, pass: u64, took: Duration) {
        let mut fold = TreeFold::new(self.plan.tiles);
        for tile in self.meshes[&generation].owned[&member].tiles() {
            fold.add(TreeNode::tile(tile), sum_of(tile, pass), u64::wrapping_add);
        }
        let mut nodes: Vec<(TreeNode, u64)> = fold.into_nodes().collect();
        let turn = self.random.between(0, nodes.len().max(1) as u64 - 1) as usize;
        nodes.rotate_left(turn);
        for (node, value) in nodes {
            let busy = took.as_secs_f64();
            self.transmit(generation, member, 0, Word::Nodes { pass, from: member, busy, node, value });
        }
    }

    fn fold(&mut self, generation: u64, pass: u64, (from, busy): (usize, f64), (node, value): (TreeNode, u64)) {
        let Some(fold) = self.mesh(generation).parts[0].folds.get_mut(&pass) else { return };
        fold.tree.add(node, value, u64::wrapping_add);
        if fold.busy.iter().all(|(index, _)| *index != from as u64) {
            fold.busy.push((from as u64, busy));
        }
        if let Some(&sum) = fold.tree.root() {
            let busy = std::mem::take(&mut fold.busy);
            self.mesh(generation).parts[0].folds.remove(&pass);
            self.report(generation, Mail::Root { generation, pass, sum, busy });
        }
    }

    /// Threads of the coordinator's part tell the thread of the fit, in order, and now and then late.
    fn report(&mut self, generation: u64, mail: Mail) {
        let late = if self.random.chance(0.05) { 500 } else { 1 };
        let time = self.now + self.random.millis(0, late);
        let incarnation = self.coordinator.incarnation;
        let reported = &mut self.mesh(generation).reported;
        *reported = time.max(*reported);
        let time = *reported;
        self.at(time, Happening::Mail(incarnation, mail));
    }

    /// A process brings its part of a generation down.
    pub(super) fn abort_host(&mut self, generation: u64, host: Host, cause: &str) {
        let Some(mesh) = self.meshes.get(&generation) else { return };
        if let Some(member) = mesh.hosts.iter().position(|&other| other == host) {
            self.abort(generation, member, cause);
        }
    }

    fn abort(&mut self, generation: u64, member: usize, cause: &str) {
        let part = &mut self.mesh(generation).parts[member];
        match part.state {
            State::Absent => part.state = State::Over,
            State::Connecting | State::Up => {
                part.state = State::Ending;
                note!(self, "  member {member} of generation {generation} ends: {cause}");
                let after = self.random.millis(0, 40);
                let word = Word::Ended(Some(cause.to_string()));
                self.after(after, Happening::Data { generation, member, word });
            }
            State::Ending | State::Over => return,
        }
        self.tell_others(generation, member);
    }

    fn tell_others(&mut self, generation: u64, member: usize) {
        for other in 0..self.mesh(generation).parts.len() {
            if other != member {
                self.transmit(generation, member, other, Word::Gone(member));
            }
        }
    }

    fn part_over(&mut self, generation: u64, member: usize, cause: Option<String>) {
        let host = self.meshes[&generation].hosts[member];
        if host == COORDINATOR {
            self.report(generation, Mail::Down(generation, cause));
        } else {
            self.doing(host, Doing::Session(Event::Over { generation, cause }));
        }
    }

    /// A process is gone, and its part with it.
    pub(super) fn leave_mesh(&mut self, generation: u64, host: Host, others_are_told: bool) {
        let Some(mesh) = self.meshes.get_mut(&generation) else { return };
        let Some(member) = mesh.hosts.iter().position(|&other| other == host) else { return };
        mesh.parts[member].state = State::Over;
        if others_are_told {
            self.tell_others(generation, member);
        }
    }

    /// A data port is closed that nobody has begun to use.
    pub(super) fn port_closed(&mut self, generation: u64, host: Host) {
        let Some(mesh) = self.meshes.get_mut(&generation) else { return };
        let Some(member) = mesh.hosts.iter().position(|&other| other == host) else { return };
        if mesh.parts[member].state == State::Absent {
            mesh.parts[member].state = State::Over;
            self.tell_others(generation, member);
        }
    }
}
