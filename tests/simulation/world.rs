//! The simulated world: a clock that jumps from happening to happening, and hosts that may be stopped or gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nlsq_coordinator::crew::membership::Failure;

use super::agent::{Doing, Process};
use super::control::{Connection, Frame};
use super::coordinator::{Coordinator, Mail};
use super::data::{Mesh, Word};
use super::law::Law;
use super::plan::{CALM, Fault, Moment, Plan, Watched};
use super::random::Random;

/// A host: 0 is the coordinator's, every agent has its own.
pub(super) type Host = usize;

/// The coordinator's host.
pub(super) const COORDINATOR: Host = 0;

/// How often the coordinator looks at the clock when nothing happens.
const POLL: Duration = Duration::from_millis(20);

/// From the last fault on, a run takes no longer than this and what its passes and readings take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Happenings of one run: more are a livelock.
const MOST_HAPPENINGS: u64 = 2_000_000;

/// Something that will happen at its time.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// The coordinator looks at the clock.
    Poll,
    /// It gives signs of life.
    Beat,
    /// Something reaches the thread of the fit of this incarnation.
    Mail(u64, Mail),
    /// The fit has thought.
    Thought(u64),
    /// Something arrives at one end of a control connection.
    Arrives {
        connection: usize,
        at_agent: bool,
        frame: Frame,
    },
    /// At an agent's process.
    At(Host, Doing),
    /// At a member of a generation.
    Data {
        generation: u64,
        member: usize,
        word: Word,
    },
    /// A process begins.
    Begins {
        child: bool,
    },
    /// A fault strikes, and is over.
    Strikes(Fault),
    Over(Undo),
    /// There are no faults any more.
    Calm,
}

/// What undoes a fault.
#[derive(Clone, Debug)]
pub(super) enum Undo {
    Continue(Host),
    Heal(Vec<(Host, Host)>),
    GoodDisk(Host),
    Quick(Host),
    Resume,
    Wake,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ending {
    Finished,
    Failed(Failure),
}

/// Everything there is.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now: Duration,
    pub(super) random: Random,
    queue: BTreeMap<(Duration, u64), Happening>,
    queued: u64,
    pub(super) coordinator: Coordinator,
    pub(super) processes: BTreeMap<Host, Process>,
    pub(super) connections: Vec<Connection>,
    pub(super) meshes: BTreeMap<u64, Mesh>,
    /// Directions in which nothing passes, and how many faults say so.
    pub(super) blocked: BTreeMap<(Host, Host), u32>,
    /// What happens at hosts whose process is stopped, in order.
    frozen: BTreeMap<Host, Vec<Happening>>,
    /// Faults that wait for the coordinator to do something.
    waiting: Vec<Fault>,
    seen: BTreeMap<Watched, u32>,
    pub(super) launch_failures: u32,
    pub(super) law: Law,
    pub(super) ending: Option<Ending>,
    /// Faults are over.
    pub(super) calm: bool,
    tracing: bool,
    pub(super) log: Vec<String>,
}

/// Writes a line into the trace, if there is one.
macro_rules! note {
    ($world:expr, $($text:tt)+) => {
        if $world.is_tracing() {
            let text = format!($($text)+);
            $world.write(text);
        }
    };
}
pub(super) use note;

impl World {
    pub(super) fn new(seed: u64, tracing: bool) -> Self {
        let plan = Plan::of(seed);
        let mut world = Self {
            coordinator: Coordinator::new(&plan, 0),
            law: Law::new(&plan),
            now: Duration::ZERO,
            random: Random::new(seed ^ 0x00de_fec7),
            queue: BTreeMap::new(),
            queued: 0,
            processes: BTreeMap::new(),
            connections: Vec::new(),
            meshes: BTreeMap::new(),
            blocked: BTreeMap::new(),
            frozen: BTreeMap::new(),
            waiting: Vec::new(),
            seen: BTreeMap::new(),
            launch_failures: 0,
            ending: None,
            calm: false,
            tracing,
            log: Vec::new(),
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        note!(self, "{:#?}", self.plan);
        self.after(Duration::ZERO, Happening::Poll);
        self.after(Duration::ZERO, Happening::Beat);
        for _ in 0..self.plan.agents {
            let after = self.random.millis(0, 800);
            self.after(after, Happening::Begins { child: self.plan.rules.launched });
        }
        for fault in self.plan.faults.clone() {
            match fault.moment {
                Moment::At(time) => self.after(time, Happening::Strikes(fault)),
                Moment::After(..) => self.waiting.push(fault),
            }
        }
        self.after(CALM, Happening::Calm);
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) -> Ending {
        let work = Duration::from_millis(
            self.plan.tiles * (self.plan.reading * 20 + self.plan.compute * self.plan.passes * 10),
        );
        let limit = CALM + PATIENCE + self.plan.rules.endurance.rejoin_wait * 3 + work;
        for _ in 0..MOST_HAPPENINGS {
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            let ((time, _), happening) = self.queue.pop_first().expect("the coordinator looks at the clock for ever");
            assert!(time < limit, "no end in sight at {:.1} s: {}", time.as_secs_f64(), self.standing());
            self.now = self.now.max(time);
            self.happen(happening);
        }
        panic!("{MOST_HAPPENINGS} happenings and no end: {}", self.standing());
    }

    fn standing(&self) -> String {
        format!("{:?}", self.coordinator.machine)
    }

    pub(super) fn is_tracing(&self) -> bool {
        self.tracing
    }

    pub(super) fn write(&mut self, text: String) {
        self.log.push(format!("{:10.4} {text}", self.now.as_secs_f64()));
    }

    pub(super) fn after(&mut self, delay: Duration, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    pub(super) fn at(&mut self, time: Duration, happening: Happening) {
        self.queued += 1;
        self.queue.insert((time, self.queued), happening);
    }

    /// How long a message travels.
    pub(super) fn delay(&mut self) -> Duration {
        let (low, high) = self.plan.delay;
        self.random.millis(low, high) + Duration::from_micros(50)
    }

    pub(super) fn is_blocked(&self, from: Host, to: Host) -> bool {
        self.blocked.contains_key(&(from, to))
    }

    pub(super) fn is_stopped(&self, host: Host) -> bool {
        self.frozen.contains_key(&host)
    }

    pub(super) fn is_there(&self, host: Host) -> bool {
        if host == COORDINATOR { self.coordinator.up } else { self.processes.get(&host).is_some_and(|it| it.alive) }
    }

    /// The host whose process has to run for this to happen.
    fn host_of(&self, happening: &Happening) -> Option<Host> {
        match happening {
            Happening::Poll | Happening::Beat | Happening::Mail(..) | Happening::Thought(_) => Some(COORDINATOR),
            Happening::Arrives { connection, at_agent: true, .. } => Some(self.connections[*connection].host),
            Happening::Arrives { .. } => Some(COORDINATOR),
            Happening::At(host, _) => Some(*host),
            Happening::Data { generation, member, .. } => self.meshes.get(generation)?.hosts.get(*member).copied(),
            _ => None,
        }
    }

    fn happen(&mut self, happening: Happening) {
        if let Some(frozen) = self.host_of(&happening).and_then(|host| self.frozen.get_mut(&host)) {
            frozen.push(happening);
            return;
        }
        match happening {
            Happening::Poll => {
                self.after(POLL, Happening::Poll);
                self.look();
            }
            Happening::Beat => {
                self.after(self.plan.rules.endurance.heartbeat, Happening::Beat);
                self.beat();
            }
            Happening::Mail(incarnation, mail) => self.receive(incarnation, mail),
            Happening::Thought(incarnation) => self.thought(incarnation),
            Happening::Arrives { connection, at_agent, frame } => self.arrive(connection, at_agent, frame),
            Happening::At(host, doing) => self.doing(host, doing),
            Happening::Data { generation, member, word } => self.data(generation, member, word),
            Happening::Begins { child } => self.begin_process(child),
            Happening::Strikes(fault) if !self.calm => self.strike(fault),
            Happening::Strikes(_) => {}
            Happening::Over(undo) => self.undo(undo),
            Happening::Calm => self.calm_down(),
        }
    }

    /// The process of a host does nothing from now on.
    pub(super) fn stop(&mut self, host: Host) {
        self.frozen.entry(host).or_default();
    }

    /// It goes on, with everything late.
    pub(super) fn go_on(&mut self, host: Host) {
        for happening in self.frozen.remove(&host).unwrap_or_default() {
            self.at(self.now, happening);
        }
        self.retry_links();
    }

    /// What a stopped process would have done is never done.
    pub(super) fn forget_frozen(&mut self, host: Host) {
        self.frozen.remove(&host);
    }

    pub(super) fn stopped_hosts(&self) -> BTreeSet<Host> {
        self.frozen.keys().copied().collect()
    }

    /// The coordinator did something that faults may wait for.
    pub(super) fn watch(&mut self, what: Watched) {
        let count = self.seen.entry(what).or_default();
        *count += 1;
        let count = *count;
        let struck =
            |fault: &Fault| matches!(fault.moment, Moment::After(of, number, _) if of == what && number == count);
        let (now, later): (Vec<Fault>, Vec<Fault>) = self.waiting.iter().partition(|fault| struck(fault));
        self.waiting = later;
        for fault in now {
            if let Moment::After(_, _, delay) = fault.moment {
                self.after(delay, Happening::Strikes(fault));
            }
        }
    }
}
