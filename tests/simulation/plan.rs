//! What a seed stands for: a crew's rules, machines, a network, and what goes wrong when.

use std::time::Duration;

use nlsq_coordinator::config::{Endurance, Placement};
use nlsq_coordinator::crew::balance::LateJoiners;
use nlsq_coordinator::crew::membership::Rules;

use super::random::Random;

/// When the last fault is over, whatever the seed: from then on the run must get on.
pub(super) const CALM: Duration = Duration::from_secs(25);

/// A run to be simulated.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) weather: Weather,
    pub(super) rules: Rules,
    pub(super) tiles: u64,
    pub(super) passes: u64,
    /// Agents that are there from the start; in a crew that is launched here, as many as are launched.
    pub(super) agents: usize,
    /// Least and most milliseconds that a message travels.
    pub(super) delay: (u64, u64),
    /// Milliseconds that an agent takes to evaluate a tile, and to read one.
    pub(super) compute: u64,
    pub(super) reading: u64,
    /// Milliseconds that the fit thinks between passes.
    pub(super) thinking: u64,
    /// Whether agents differ in what they hold and how fast they are.
    pub(super) narrow: bool,
    pub(super) uneven: bool,
    /// How long an agent looks for the coordinator.
    pub(super) patience: Duration,
    /// Members change all the time.
    pub(super) moves: bool,
    pub(super) faults: Vec<Fault>,
}

/// How bad it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// Nothing goes wrong.
    Calm,
    /// Nothing happens that the rules call a loss: nobody may be lost.
    Mild,
    /// Anything.
    Wild,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) moment: Moment,
    /// After so long it is over.
    pub(super) lasts: Duration,
    /// Decides who is hit.
    pub(super) die: u64,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    At(Duration),
    /// So long after the coordinator did something for so many times.
    After(Watched, u32, Duration),
}

/// What the coordinator does, as far as faults wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watched {
    Hold,
    Prepare,
    Start,
    Submit,
    Commit,
    TearDown,
    Launch,
}

const WATCHED: [Watched; 7] = [
    Watched::Hold,
    Watched::Prepare,
    Watched::Start,
    Watched::Submit,
    Watched::Commit,
    Watched::TearDown,
    Watched::Launch,
];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An agent's process is killed; its system closes its connections.
    Kill,
    /// An agent's host loses power: nobody is told.
    Vanish,
    /// An agent's process does nothing for a while.
    Stop,
    /// A control connection breaks.
    Reset,
    /// Nothing passes between coordinator and an agent, or in one direction only.
    CutOff,
    CutFrom,
    CutTo,
    /// Nothing passes between two agents.
    Split,
    /// An operator panics.
    Panic,
    /// An agent's readings are refused for a while.
    BadDisk,
    SlowDisk,
    SlowCompute,
    /// An agent wants to leave.
    Leave,
    /// Somebody comes.
    Join,
    /// The coordinator's process does nothing for a while.
    CoordinatorStop,
    /// The fit thinks for a while; signs of life go on.
    CoordinatorThink,
    /// The coordinator is killed, and resumed after a while.
    CoordinatorRestart,
    /// The next worker that is launched ends before it joins.
    LaunchFails,
}

const MILD: [Kind; 8] = [
    Kind::Stop,
    Kind::SlowDisk,
    Kind::SlowCompute,
    Kind::Leave,
    Kind::Join,
    Kind::CoordinatorStop,
    Kind::CoordinatorThink,
    Kind::CoordinatorThink,
];

const WILD: [Kind; 21] = [
    Kind::Kill,
    Kind::Kill,
    Kind::Kill,
    Kind::Vanish,
    Kind::Stop,
    Kind::Stop,
    Kind::Reset,
    Kind::Reset,
    Kind::CutOff,
    Kind::CutFrom,
    Kind::CutTo,
    Kind::Split,
    Kind::Panic,
    Kind::BadDisk,
    Kind::SlowDisk,
    Kind::SlowCompute,
    Kind::Leave,
    Kind::Join,
    Kind::CoordinatorStop,
    Kind::CoordinatorThink,
    Kind::CoordinatorRestart,
];

/// What strikes a crew whose members change all the time.
const MOVING: [Kind; 9] = [
    Kind::Join,
    Kind::Join,
    Kind::Leave,
    Kind::Leave,
    Kind::Panic,
    Kind::Panic,
    Kind::Reset,
    Kind::Kill,
    Kind::SlowDisk,
];

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let weather = match random.between(0, 9) {
            0 => Weather::Calm,
            1 | 2 => Weather::Mild,
            _ => Weather::Wild,
        };
        let rules = rules(random);
        let launched = rules.launched;
        let agents = if launched { rules.max } else { random.between(rules.min as u64, rules.max as u64 + 1) as usize };
        let slowest = (rules.endurance.dead_after.as_millis() / 8) as u64;
        let fast = (0, random.pick(&[1, 5, 30]));
        let plan = Self {
            weather,
            tiles: random.pick(&[1, 2, 3, 7, 16, 33, 64, 100]),
            passes: random.between(3, 80),
            agents,
            delay: if random.chance(0.2) { (1, slowest.max(2)) } else { fast },
            compute: random.pick(&[1, 5, 20]),
            reading: random.pick(&[1, 10, 60]),
            thinking: random.pick(&[1, 50, 300]),
            narrow: random.chance(0.3),
            uneven: random.chance(0.5),
            patience: Duration::from_secs(random.pick(&[3, 60, 60, 60])),
            moves: false,
            faults: Vec::new(),
            rules,
        };
        let plan = if weather == Weather::Wild && random.chance(0.25) { plan.moving(random) } else { plan };
        Self { faults: faults(random, &plan), ..plan }
    }

    /// The same with members that change all the time, and disks so slow that most is lost while tiles are read beside a generation.
    fn moving(mut self, random: &mut Random) -> Self {
        self.moves = true;
        self.rules.endurance.late_joiners = LateJoiners::Always;
        self.rules.endurance.balance = true;
        self.rules.endurance.max_restarts = 1000;
        self.reading = random.pick(&[30, 100]);
        self.tiles = random.pick(&[16, 33]);
        self.passes = random.between(40, 120);
        self
    }
}

impl Plan {
    /// About how many milliseconds the run takes when nothing goes wrong.
    fn length(&self) -> u64 {
        let share = self.tiles.div_ceil(self.agents as u64);
        1000 + share * self.reading + self.passes * (self.thinking / 2 + share * self.compute + 2 * self.delay.1)
    }
}

fn rules(random: &mut Random) -> Rules {
    let heartbeat = random.millis(100, 500);
    let max = random.between(1, 6) as usize;
    Rules {
        min: random.between(1, max as u64) as usize,
        max,
        launched: random.chance(0.4),
        join_limit: Duration::from_secs(30),
        last_call: Duration::from_secs(2),
        endurance: Endurance {
            heartbeat,
            dead_after: heartbeat * random.between(4, 8) as u32,
            rejoin_wait: random.millis(5_000, 20_000),
            max_restarts: random.pick(&[3, 10, 1000, 1000, 1000]),
            restart_window: Duration::from_secs(random.pick(&[5, 60, 600])),
            late_joiners: random.pick(&[LateJoiners::Auto, LateJoiners::Always, LateJoiners::Never]),
            balance: random.chance(0.5),
        },
        placement: random.pick(&[Placement::Contiguous, Placement::Scattered]),
    }
}

fn faults(random: &mut Random, plan: &Plan) -> Vec<Fault> {
    let (weather, rules) = (plan.weather, &plan.rules);
    let (count, kinds): (u64, &[Kind]) = match weather {
        Weather::Calm => (0, &[]),
        Weather::Mild => (random.between(1, 6), &MILD),
        Weather::Wild if plan.moves => (random.between(8, 30), &MOVING),
        Weather::Wild => (random.between(1, 16), &WILD),
    };
    let mut faults: Vec<Fault> = (0..count).map(|_| fault(random, plan, kinds)).collect();
    if weather == Weather::Wild && rules.launched && random.chance(0.3) {
        let kind = Kind::LaunchFails;
        faults.push(Fault { kind, moment: Moment::At(random.millis(2_500, 10_000)), lasts: Duration::ZERO, die: 0 });
    }
    faults
}

fn fault(random: &mut Random, plan: &Plan, kinds: &[Kind]) -> Fault {
    let kind = random.pick(kinds);
    let moment = if random.chance(0.5) {
        Moment::At(random.millis(0, plan.length().min(20_000)))
    } else {
        let span = random.pick(&[1, 20, 200]);
        Moment::After(random.pick(&WATCHED), random.between(1, 9) as u32, random.millis(0, span))
    };
    let dead = plan.rules.endurance.dead_after.as_millis() as u64;
    let lasts = match (plan.weather, kind) {
        // Shorter than anybody calls silence a death, with a sign of life under way.
        (Weather::Mild, Kind::Stop | Kind::CoordinatorStop) => random.millis(10, dead / 4),
        (_, Kind::CoordinatorThink) => random.millis(100, 3 * dead),
        (_, Kind::CoordinatorRestart) => random.millis(50, 3_000),
        _ => random.millis(50, 3 * dead),
    };
    Fault { kind, moment, lasts, die: random.number() }
}
