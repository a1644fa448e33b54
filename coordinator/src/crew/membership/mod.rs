//! Who computes what, and since when: the crew of a run as a state machine without sockets, threads or clock. Events and the
//! time go in, actions come out; `crew::cluster` carries them out, and a simulation does the same with an invented network.
//!
//! An agent:
//!
//! ```text
//!            Joined                  its tiles are loaded                 told to leave, or wants to
//!   (none) ─────────> joining/spare ────────────────────> serving ──────────────────────────> draining ──> (none)
//!                          │                            │   ^   │                               │
//!                          │     several signs of life  v   │ heard again                       │
//!                          │               missing  suspected   │                               │
//!                          │                            │       │                               │
//!                          └── connection closed, or silent for dead_after ──> lost <───────────┘
//! ```
//!
//! The crew:
//!
//! ```text
//!              enough agents              all tiles held            all ports open         connected
//!   gathering ──────────────> loading ───────────────────> opening ──────────────> connecting ────────> serving
//!     ^   ^                      │                            │                        │                 │   │
//!     │   └──── a member lost ───┘                            v                        v                 v   │ members
//!     │                                                       └───────────> settling <──────────────────┘   │ change
//!     └───────────── everybody has ended the generation, or is lost ────────────┘          opening <────────┘
//! ```
//!
//! What it guarantees, whatever the network does:
//!
//! - A pass is committed only by the generation that serves, and only once: answers of others are out of date.
//! - In a generation every tile has exactly one owner, and that owner has said that it holds the tile.
//! - After a loss a generation begins only when all agents of the one before have ended it or are lost.
//! - A loss costs the pass in flight and nothing else: survivors keep their tiles, and only those are read again that nobody holds.
//! - While a generation serves, tiles for the next one (with a late joiner, without a leaver, or better balanced) are read
//!   beside it; it begins between two passes.

mod agent;
mod change;
mod event;
mod loss;
mod rules;
mod stages;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tile_set::TileSet;

use super::balance::Balance;
use agent::{Agent, Wanted};
pub use event::{Action, AgentId, Event, Failure, Generation, Newcomer, Order, Report};
pub use rules::Rules;

/// A pause between two events that is none, however short a heartbeat is: the rim looks at the clock no more often.
const TURN: Duration = Duration::from_millis(50);

/// Which agent owns which tiles.
type Deal = BTreeMap<AgentId, TileSet>;

/// The state of a crew.
#[derive(Debug)]
pub struct Membership {
    rules: Rules,
    /// Tiles of the dataset.
    tiles: u64,
    /// The time of the last event.
    clock: Duration,
    /// The time that was lived: of a pause between two events only so much counts as anybody could have been heard in.
    now: Duration,
    agents: BTreeMap<AgentId, Agent>,
    stage: Stage,
    /// The last generation that was opened; 0 before the first.
    generation: u64,
    /// Who owns what, in this generation or in the one that is being brought up.
    deal: Deal,
    /// Who shall own what in the next one, while this one serves.
    next: Option<Deal>,
    /// The pass that the fit wants and has not got.
    wanted: Option<u64>,
    /// Whether every tile was held once: the data are good.
    complete: bool,
    refusals: Vec<DataError>,
    /// When generations broke up.
    losses: VecDeque<Duration>,
    /// Workers launched here that have not joined yet.
    launching: usize,
    /// When workers were launched in the place of others.
    launches: VecDeque<Duration>,
    /// Workers launched here that were let go because they wanted to.
    released: usize,
    /// Every process that ever joined.
    identities: BTreeSet<u128>,
    /// The last number of a request to an agent.
    requests: u64,
    story: Story,
    balance: Balance<AgentId>,
    pace: Pace,
    actions: Vec<Action>,
}

/// What the crew is doing.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// Too few agents.
    Gathering { deadline: Duration, enough_since: Option<Duration>, first: bool },
    /// Some agents read tiles that nobody holds.
    Loading,
    /// Agents open their data ports.
    Opening { ports: BTreeMap<AgentId, u16>, deadline: Duration },
    /// Everybody connects to everybody.
    Connecting,
    /// Passes are run.
    Serving { submitted: Option<u64> },
    /// A generation broke up; these have not said yet that it is over for them.
    Settling { generation: u64, waiting: BTreeSet<AgentId>, deadline: Duration },
    /// Nothing more will be done.
    Over,
}

/// What led to the generation that is being brought up.
#[derive(Clone, Debug, Default)]
struct Story {
    since: Option<Duration>,
    causes: Vec<String>,
    moved: u64,
}

/// How fast things go.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// Passes committed in the whole run.
    passes: u64,
    /// Seconds that the last change of members took, from the end of one generation to the begin of the next.
    change: f64,
    /// Seconds and tiles of all readings.
    reading: (f64, u64),
}

impl Membership {
    /// A crew for a dataset of `tiles` tiles that nobody has joined yet. `launching` workers were started here.
    pub fn new(rules: Rules, tiles: u64, launching: usize, last_generation: u64) -> Self {
        let deadline = rules.join_limit;
        Self {
            rules,
            tiles,
            clock: Duration::ZERO,
            now: Duration::ZERO,
            agents: BTreeMap::new(),
            stage: Stage::Gathering { deadline, enough_since: None, first: true },
            generation: last_generation,
            deal: Deal::new(),
            next: None,
            wanted: None,
            complete: false,
            refusals: Vec::new(),
            losses: VecDeque::new(),
            launching,
            launches: VecDeque::new(),
            released: 0,
            identities: BTreeSet::new(),
            requests: 0,
            story: Story::default(),
            balance: Balance::default(),
            pace: Pace::default(),
            actions: Vec::new(),
        }
    }

    /// Takes an event at a time and says what is to be done. Times must not go back, and [`Event::Tick`] should come several
    /// times in a heartbeat when nothing else does: who does not ask hears nobody, so of a longer pause no more than a
    /// heartbeat counts as silence or towards a limit.
    pub fn step(&mut self, clock: Duration, event: Event) -> Vec<Action> {
        debug_assert!(clock >= self.clock, "time goes on");
        self.now += (clock - self.clock).min(self.rules.endurance.heartbeat.max(TURN));
        self.clock = clock;
        if self.stage != Stage::Over {
            self.hear(&event);
            self.take(event);
            self.watch();
            self.release_idle();
            self.relaunch();
            self.advance();
        }
        std::mem::take(&mut self.actions)
    }

    /// The run is over: nothing is done from now on.
    pub fn finish(&mut self) {
        self.stage = Stage::Over;
    }

    /// Whether every tile was held by an agent once.
    pub fn is_loaded(&self) -> bool {
        self.complete
    }

    /// Whether passes can be run at this moment.
    pub fn is_serving(&self) -> bool {
        matches!(self.stage, Stage::Serving { .. })
    }

    /// Whether the first agents are still being waited for.
    pub fn is_gathering_first(&self) -> bool {
        matches!(self.stage, Stage::Gathering { first: true, .. })
    }

    /// The last generation that was opened.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Those who share the tiles.
    pub fn members(&self) -> impl Iterator<Item = AgentId> {
        self.deal.keys().copied()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Joined(agent, newcomer) => self.join(agent, newcomer),
            Event::Alive(_) | Event::Tick => {}
            Event::Leaving(agent) => {
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.draining = true;
                }
                self.relaunch();
            }
            Event::Loaded(agent, request) => self.loaded(agent, request),
            Event::NoRoom { agent, request, room, message } => self.no_room(agent, request, room, message),
            Event::Refused(agent, request, error) => self.refused(agent, request, error),
            Event::Failed(agent, request, cause) => self.failed(agent, request, cause),
            Event::Listening { agent, generation, port } => {
                if let Stage::Opening { ports, .. } = &mut self.stage
                    && generation == self.generation
                    && self.deal.contains_key(&agent)
                {
                    ports.insert(agent, port);
                }
            }
            Event::Ended { agent, generation, cause } => self.ended(agent, generation, cause),
            Event::Closed(agent, cause) => self.lose(agent, cause),
            Event::NeverJoined(cause) => self.never_joined(cause),
            Event::Up(generation) => {
                if self.stage == Stage::Connecting && generation == self.generation {
                    self.serve();
                }
            }
            Event::Down(generation, cause) => {
                let current = matches!(self.stage, Stage::Connecting | Stage::Serving { .. });
                if current && generation == self.generation {
                    self.break_up(cause.unwrap_or_else(|| "the dataflow ended early".to_string()));
                }
            }
            Event::Root { generation, pass, busy } => self.root(generation, pass, &busy),
            Event::Ask(pass) => {
                self.wanted = Some(pass);
                self.consider_change();
            }
        }
    }

    fn join(&mut self, agent: AgentId, newcomer: Newcomer) {
        let before = self.agents.iter().find(|(_, other)| other.identity == newcomer.identity).map(|(id, _)| *id);
        if let Some(before) = before {
            let cause = "connected again".to_string();
            self.act(Action::Dismiss(before, cause.clone()));
            self.lose(before, cause);
        }
        if self.identities.insert(newcomer.identity) {
            self.launching = self.launching.saturating_sub(1);
        }
        // What it says it holds it is asked for like anything else: the answer says what is in it.
        let holds = newcomer.holds.clone();
        let mut agent_known = Agent::new(newcomer, self.now);
        if !holds.is_empty() {
            self.requests += 1;
            agent_known.loading.insert(self.requests, Wanted { tiles: holds.clone(), since: None });
            self.tell(agent, Order::Hold { request: self.requests, tiles: holds });
        }
        self.agents.insert(agent, agent_known);
    }

    fn root(&mut self, generation: u64, pass: u64, busy: &[(u64, f64)]) {
        let Stage::Serving { submitted } = &mut self.stage else { return };
        if generation != self.generation || *submitted != Some(pass) {
            return;
        }
        *submitted = None;
        self.wanted = None;
        self.note_pace(busy);
        self.act(Action::Commit { generation, pass });
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn tell(&mut self, agent: AgentId, order: Order) {
        self.act(Action::Tell(agent, order));
    }
}
