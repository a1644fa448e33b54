//! What an agent does and when, without sockets, threads or clock: events in, actions out. [`crate::agent`] carries the
//! actions out; a simulation does the same with an invented network.
//!
//! ```text
//!            Prepare                   Start                     the dataflow is over
//!   idle ──────────────> prepared ─────────────────> serving ──────────────────────────> idle
//!     ^                      │                          │
//!     │     Abort, Prepare   │                          │ Abort, Prepare, connection broken: it is brought down,
//!     └──────────────────────┘                          └ and is over a moment later
//! ```
//!
//! Tiles are kept whatever happens to generations and connections, until a coordinator names another run or tells the agent
//! which to keep. What is still being read when a generation starts is neither answered nor kept: the coordinator has forgotten
//! that it asked. An [`Command::Abort`] is always answered by [`Response::Ended`], also where there was nothing to end: the
//! coordinator waits for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use nlsq_engine::data::tile_set::TileSet;

use crate::protocol::{Command, Response, RunId, TileContent, Welcome};

/// What happens to an agent.
#[derive(Clone, Debug)]
pub enum Event {
    /// The coordinator says something.
    Said(Command),
    /// A reading is over.
    Read {
        /// Which, of [`Action::Read`].
        reading: u64,
        /// How it ended.
        outcome: Reading,
    },
    /// A data port is open, or could not be opened.
    Port {
        /// For this generation.
        generation: u64,
        /// The port.
        port: Result<u16, String>,
    },
    /// The agent's part of a generation is over: all its threads and sockets are gone.
    Over {
        /// The generation.
        generation: u64,
        /// Why, unless it completed.
        cause: Option<String>,
    },
    /// The control connection is gone.
    Broken,
    /// Somebody on its own machine wants it to end.
    Asked,
}

/// How the reading of tiles ended.
#[derive(Clone, Debug)]
pub enum Reading {
    /// They are in memory.
    Done(Vec<TileContent>),
    /// They do not fit.
    NoRoom {
        /// Tiles that would fit in all.
        room: u64,
        /// Why.
        message: String,
    },
    /// They were refused.
    Refused {
        /// The sentence for a person.
        message: String,
        /// The global row at fault, if it is one.
        row: Option<u64>,
    },
    /// A bug of ours.
    Failed {
        /// What is known of it.
        message: String,
    },
}

/// What an agent does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Say something to the coordinator.
    Say(Response),
    /// Work on this run from now on; drop the tiles of another.
    Adopt(Box<Welcome>),
    /// Read tiles, after those that are being read already.
    Read {
        /// Names the reading.
        reading: u64,
        /// What is to be read.
        tiles: TileSet,
    },
    /// Let go of all tiles but these.
    Keep(TileSet),
    /// Open a data port.
    Open {
        /// For this generation.
        generation: u64,
    },
    /// Close the data port that was opened last.
    ClosePort,
    /// Connect to the members of a generation and step its dataflow.
    Begin {
        /// The generation.
        generation: u64,
        /// The agent's index in it.
        index: u64,
        /// The data ports of all members.
        addresses: Vec<SocketAddr>,
        /// What it evaluates.
        tiles: TileSet,
    },
    /// Bring a generation down.
    Abort {
        /// The generation.
        generation: u64,
        /// Why.
        cause: String,
    },
    /// Look for the coordinator again.
    Redial,
    /// The run needs this agent no more.
    Leave(Option<String>),
}

/// The state of an agent.
#[derive(Clone, Debug, Default)]
pub struct Session {
    run: Option<RunId>,
    held: TileSet,
    prepared: Option<u64>,
    serving: Option<u64>,
    /// What is in the tiles that are held.
    contents: BTreeMap<u64, TileContent>,
    /// Readings under way.
    readings: BTreeMap<u64, Wanted>,
    /// The last reading's number.
    last_reading: u64,
    /// It was asked to end.
    leaving: bool,
}

/// A reading under way.
#[derive(Clone, Debug)]
struct Wanted {
    run: Option<RunId>,
    tiles: TileSet,
    /// The request that waits for it, and what that is about.
    request: Option<(u64, TileSet)>,
    /// Whether a generation has started meanwhile, so that it is not wanted any more.
    void: bool,
}

impl Session {
    /// What it holds, for an introduction.
    pub fn holds(&self) -> Option<(RunId, TileSet)> {
        self.run.filter(|_| !self.held.is_empty()).map(|run| (run, self.held.clone()))
    }

    /// The generation that it serves.
    pub fn serving(&self) -> Option<u64> {
        self.serving
    }

    /// Takes an event and says what is to be done.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Said(command) => self.obey(command),
            Event::Read { reading, outcome } => self.has_read(reading, outcome),
            Event::Port { generation, port } if self.prepared == Some(generation) => match port {
                Ok(port) => vec![Action::Say(Response::Listening { generation, port })],
                Err(cause) => {
                    self.prepared = None;
                    vec![ended(generation, Some(cause))]
                }
            },
            Event::Port { .. } => Vec::new(),
            Event::Over { generation, cause } => {
                if self.serving == Some(generation) {
                    self.serving = None;
                }
                vec![ended(generation, cause)]
            }
            Event::Broken => {
                for wanted in self.readings.values_mut() {
                    wanted.request = None;
                }
                let mut actions = self.put_down("the coordinator is gone");
                actions.push(if self.leaving { Action::Leave(None) } else { Action::Redial });
                actions
            }
            // It goes on serving until its tiles are held by others.
            Event::Asked => {
                self.leaving = true;
                vec![Action::Say(Response::Leaving)]
            }
        }
    }

    fn obey(&mut self, command: Command) -> Vec<Action> {
        match command {
            Command::Welcome(welcome) => {
                if self.run.replace(welcome.run) != Some(welcome.run) {
                    self.held = TileSet::new();
                    self.contents.clear();
                }
                vec![Action::Adopt(welcome)]
            }
            Command::Beat => Vec::new(),
            Command::Hold { request, tiles } => self.hold(request, tiles),
            Command::Keep { tiles } => {
                for wanted in self.readings.values_mut() {
                    wanted.request = wanted.request.take().map(|(request, all)| (request, all.intersection(&tiles)));
                }
                vec![self.keep(&tiles)]
            }
            Command::Prepare { generation } => {
                let mut actions = self.put_down("another generation begins");
                self.prepared = Some(generation);
                actions.push(Action::Open { generation });
                actions
            }
            Command::Start { generation, index, addresses, tiles } => self.start(generation, index, addresses, tiles),
            Command::Abort { generation, cause } => {
                if self.serving == Some(generation) {
                    return vec![Action::Abort { generation, cause }];
                }
                let mut actions = Vec::new();
                if self.prepared == Some(generation) {
                    self.prepared = None;
                    actions.push(Action::ClosePort);
                }
                actions.push(ended(generation, None));
                actions
            }
            Command::Leave { reason } => {
                let mut actions = self.put_down("the run is over");
                actions.push(Action::Leave(reason));
                actions
            }
        }
    }

    /// Ends what stands of a generation.
    fn put_down(&mut self, cause: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.prepared.take().is_some() {
            actions.push(Action::ClosePort);
        }
        if let Some(generation) = self.serving {
            actions.push(Action::Abort { generation, cause: cause.to_string() });
        }
        actions
    }

    /// Lets go of all tiles but these and those that are being read: they may be in memory already.
    fn keep(&mut self, tiles: &TileSet) -> Action {
        self.held = self.held.intersection(tiles);
        self.contents.retain(|tile, _| self.held.contains(*tile));
        let coming = self.readings.values().filter(|wanted| wanted.run == self.run && !wanted.void);
        Action::Keep(coming.fold(self.held.clone(), |all, wanted| all.union(&wanted.tiles)))
    }

    /// What is in tiles that are held.
    fn contents_of(&self, tiles: &TileSet) -> Vec<TileContent> {
        let of_run = |run: &std::ops::Range<u64>| self.contents.range(run.clone()).map(|(_, content)| *content);
        tiles.runs().iter().flat_map(of_run).collect()
    }

    fn hold(&mut self, request: u64, tiles: TileSet) -> Vec<Action> {
        let missing = tiles.difference(&self.held);
        if missing.is_empty() {
            return vec![Action::Say(Response::Loaded { request, tiles: self.contents_of(&tiles) })];
        }
        self.last_reading += 1;
        let wanted = Wanted { run: self.run, tiles: missing.clone(), request: Some((request, tiles)), void: false };
        self.readings.insert(self.last_reading, wanted);
        vec![Action::Read { reading: self.last_reading, tiles: missing }]
    }

    fn has_read(&mut self, reading: u64, outcome: Reading) -> Vec<Action> {
        let Some(Wanted { run, tiles, request, void }) = self.readings.remove(&reading) else { return Vec::new() };
        if run != self.run {
            return Vec::new();
        }
        if void {
            return vec![self.keep(&self.held.clone())];
        }
        if let Reading::Done(contents) = &outcome {
            self.held = self.held.union(&tiles);
            self.contents.extend(contents.iter().map(|content| (content.tile, *content)));
        }
        // A request of a connection that is gone waits for nothing.
        let Some((request, tiles)) = request else { return Vec::new() };
        vec![Action::Say(match outcome {
            Reading::Done(_) => Response::Loaded { request, tiles: self.contents_of(&tiles) },
            Reading::NoRoom { room, message } => Response::NoRoom { request, room, message },
            Reading::Refused { message, row } => Response::Refused { request, message, row },
            Reading::Failed { message } => Response::Failed { request, message },
        })]
    }

    fn start(&mut self, generation: u64, index: u64, addresses: Vec<SocketAddr>, tiles: TileSet) -> Vec<Action> {
        if self.prepared != Some(generation) {
            return Vec::new();
        }
        self.prepared = None;
        if !tiles.difference(&self.held).is_empty() {
            let cause = "told to evaluate tiles that it does not hold".to_string();
            return vec![Action::ClosePort, ended(generation, Some(cause))];
        }
        self.serving = Some(generation);
        for wanted in self.readings.values_mut() {
            wanted.void = true;
        }
        vec![self.keep(&tiles), Action::Begin { generation, index, addresses, tiles }]
    }
}

fn ended(generation: u64, cause: Option<String>) -> Action {
    Action::Say(Response::Ended { generation, cause })
}

#[cfg(test)]
mod tests {
    use nlsq_engine::data::YStatistics;
    use nlsq_engine::normal::Counts;

    use super::*;

    fn tiles(count: u64) -> TileSet {
        TileSet::full(count)
    }

    fn contents(tiles: std::ops::Range<u64>) -> Vec<TileContent> {
        let content = |tile| TileContent { tile, counts: Counts::default(), statistics: YStatistics::default() };
        tiles.map(content).collect()
    }

    fn said(session: &mut Session, command: Command) -> Vec<Action> {
        session.step(Event::Said(command))
    }

    fn served(session: &mut Session, generation: u64, count: u64) {
        said(session, Command::Prepare { generation });
        let begun = said(session, Command::Start { generation, index: 1, addresses: Vec::new(), tiles: tiles(count) });
        assert!(matches!(begun[..], [Action::Keep(_), Action::Begin { .. }]), "{begun:?}");
    }

    fn holding(count: u64) -> Session {
        let mut session = Session { run: Some(RunId([1; 16])), ..Session::default() };
        let read = said(&mut session, Command::Hold { request: 7, tiles: tiles(count) });
        assert_eq!(read, [Action::Read { reading: 1, tiles: tiles(count) }]);
        let done = session.step(Event::Read { reading: 1, outcome: Reading::Done(contents(0..count)) });
        assert_eq!(done, [Action::Say(Response::Loaded { request: 7, tiles: contents(0..count) })]);
        session
    }

    #[test]
    fn an_abort_is_answered_whatever_there_was_to_abort() {
        let mut session = holding(4);
        let abort = |generation| Command::Abort { generation, cause: "test".to_string() };
        assert_eq!(said(&mut session, abort(1)), [ended(1, None)]);
        said(&mut session, Command::Prepare { generation: 2 });
        assert_eq!(said(&mut session, abort(2)), [Action::ClosePort, ended(2, None)]);
        served(&mut session, 3, 4);
        assert!(matches!(said(&mut session, abort(3))[..], [Action::Abort { generation: 3, .. }]));
        let over = session.step(Event::Over { generation: 3, cause: Some("test".to_string()) });
        assert_eq!(over, [ended(3, Some("test".to_string()))]);
    }

    #[test]
    fn tiles_outlive_generations_and_connections_but_not_the_run() {
        let mut session = holding(4);
        served(&mut session, 1, 3);
        assert_eq!(session.holds(), Some((RunId([1; 16]), tiles(3))));
        let broken = session.step(Event::Broken);
        assert!(matches!(broken[..], [Action::Abort { generation: 1, .. }, Action::Redial]), "{broken:?}");
        assert_eq!(session.holds(), Some((RunId([1; 16]), tiles(3))));
        let known = said(&mut session, Command::Hold { request: 1, tiles: tiles(2) });
        assert_eq!(known, [Action::Say(Response::Loaded { request: 1, tiles: contents(0..2) })]);
        session.run = Some(RunId([2; 16]));
        session.held = TileSet::new();
        assert_eq!(session.holds(), None);
    }

    #[test]
    fn one_that_was_asked_to_end_serves_on_and_does_not_dial_again() {
        let mut session = holding(4);
        served(&mut session, 1, 4);
        assert_eq!(session.step(Event::Asked), [Action::Say(Response::Leaving)]);
        assert_eq!(session.serving(), Some(1));
        assert_eq!(session.step(Event::Broken).last(), Some(&Action::Leave(None)));
    }

    #[test]
    fn a_reading_for_a_connection_that_is_gone_is_kept_and_not_answered() {
        let mut session = Session { run: Some(RunId([1; 16])), ..Session::default() };
        said(&mut session, Command::Hold { request: 1, tiles: tiles(2) });
        session.step(Event::Broken);
        assert_eq!(session.step(Event::Read { reading: 1, outcome: Reading::Done(contents(0..2)) }), []);
        assert_eq!(session.holds(), Some((RunId([1; 16]), tiles(2))));
        let known = said(&mut session, Command::Hold { request: 9, tiles: tiles(2) });
        assert_eq!(known, [Action::Say(Response::Loaded { request: 9, tiles: contents(0..2) })]);
    }

    #[test]
    fn what_is_still_being_read_when_a_generation_starts_is_let_go_of() {
        let mut session = holding(4);
        said(&mut session, Command::Hold { request: 8, tiles: (2..6).into() });
        said(&mut session, Command::Prepare { generation: 1 });
        let start = Command::Start { generation: 1, index: 1, addresses: Vec::new(), tiles: tiles(3) };
        assert_eq!(said(&mut session, start)[0], Action::Keep(tiles(3)));
        let again = said(&mut session, Command::Hold { request: 9, tiles: (2..5).into() });
        assert_eq!(again, [Action::Read { reading: 3, tiles: (3..5).into() }]);
        // What is wanted now may be in memory already, though nobody has heard so.
        let read = session.step(Event::Read { reading: 2, outcome: Reading::Done(contents(4..6)) });
        assert_eq!(read, [Action::Keep(tiles(5))]);
        assert_eq!(session.holds(), Some((RunId([1; 16]), tiles(3))));
        let read = session.step(Event::Read { reading: 3, outcome: Reading::Done(contents(3..5)) });
        assert_eq!(read, [Action::Say(Response::Loaded { request: 9, tiles: contents(2..5) })]);
    }

    #[test]
    fn an_agent_lets_go_of_what_it_is_told() {
        let mut session = holding(4);
        said(&mut session, Command::Hold { request: 8, tiles: (3..6).into() });
        let kept = said(&mut session, Command::Keep { tiles: (1..3).into() });
        assert_eq!(kept, [Action::Keep([1..3, 4..6].into_iter().collect())]);
        let read = session.step(Event::Read { reading: 2, outcome: Reading::Done(contents(4..6)) });
        assert_eq!(read, [Action::Say(Response::Loaded { request: 8, tiles: Vec::new() })]);
        assert_eq!(session.holds(), Some((RunId([1; 16]), [1..3, 4..6].into_iter().collect())));
    }

    #[test]
    fn a_start_that_was_not_prepared_or_names_other_tiles_begins_nothing() {
        let mut session = holding(2);
        let start =
            |generation, count| Command::Start { generation, index: 1, addresses: Vec::new(), tiles: tiles(count) };
        assert_eq!(said(&mut session, start(5, 2)), []);
        said(&mut session, Command::Prepare { generation: 6 });
        let refused = said(&mut session, start(6, 3));
        assert!(matches!(&refused[..], [Action::ClosePort, Action::Say(Response::Ended { cause: Some(_), .. })]));
        assert_eq!(session.serving(), None);
    }
}
