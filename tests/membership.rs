//! The crew's rules, each as a story: `golden/membership/NAME.txt` says what happens when, and below each line what the crew does
//! about it. `UPDATE_EXPECT=1` writes what it does now.
//!
//! `rules` begins a crew. Every other line has a time in seconds and an event. `answers` stands for what agents (all, or those
//! that are named) and the coordinator's own part of a generation say next to what they were told last; `waits` for
//! nothing but ticks up to this time, and signs of life of the agents that are named.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use expect_test::expect_file;
use nlsq_coordinator::config::{Endurance, Placement};
use nlsq_coordinator::crew::balance::LateJoiners;
use nlsq_coordinator::crew::membership::{
    Action, AgentId, Event, Generation, Membership, Newcomer, Order, Report, Rules,
};
use nlsq_engine::data::source::DataError;
use nlsq_engine::data::tile_set::TileSet;

/// A line's words, and its `key=value` pairs among them.
#[derive(Clone, Copy)]
struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    fn words(self) -> impl Iterator<Item = &'a str> {
        self.0.split_whitespace()
    }

    fn value(self, key: &str) -> Option<&'a str> {
        self.words().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number<T: std::str::FromStr>(self, key: &str, default: T) -> T {
        match self.value(key) {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{key}={text} in \"{}\"", self.0)),
            None => default,
        }
    }

    fn seconds(self, key: &str, default: f64) -> Duration {
        Duration::from_secs_f64(self.number(key, default))
    }

    fn has(self, word: &str) -> bool {
        self.words().any(|other| other == word)
    }

    /// What is left behind the first words.
    fn behind(self, words: usize) -> String {
        self.words().skip(words).filter(|word| !word.contains('=')).collect::<Vec<_>>().join(" ")
    }
}

fn tile_set(text: &str) -> TileSet {
    let run = |run: &str| {
        let (start, end) = run.split_once("..").expect("a run of tiles is start..end");
        start.parse().expect("a tile")..end.parse().expect("a tile")
    };
    text.split(',').map(run).collect()
}

/// How often a crew that waits looks at the clock.
const TURN: Duration = Duration::from_millis(100);

fn numbers(line: Line<'_>) -> Vec<u64> {
    line.words().skip(2).map(|word| word.parse().expect("an agent's number")).collect()
}

/// A crew, and what it waits for.
struct Story {
    crew: Membership,
    now: Duration,
    waiting: VecDeque<Event>,
    text: String,
}

impl Story {
    fn begin(line: Line<'_>) -> Self {
        let launched = line.has("launched");
        let rules = Rules {
            min: line.number("min", 1),
            max: line.number("max", 2),
            launched,
            join_limit: line.seconds("join_limit", 30.0),
            last_call: line.seconds("last_call", 2.0),
            endurance: Endurance {
                heartbeat: line.seconds("heartbeat", 1.0),
                dead_after: line.seconds("dead_after", 5.0),
                rejoin_wait: line.seconds("rejoin_wait", 20.0),
                max_restarts: line.number("max_restarts", 10),
                restart_window: line.seconds("window", 60.0),
                late_joiners: match line.value("late") {
                    Some("always") => LateJoiners::Always,
                    Some("never") => LateJoiners::Never,
                    _ => LateJoiners::Auto,
                },
                balance: line.has("balance"),
            },
            placement: Placement::Contiguous,
        };
        let launching = if launched { rules.max } else { 0 };
        let crew = Membership::new(rules, line.number("tiles", 8), launching, 0);
        Self { crew, now: Duration::ZERO, waiting: VecDeque::new(), text: String::new() }
    }

    fn line(&mut self, line: Line<'_>) {
        writeln!(self.text, "{}", line.0).expect("a string takes all");
        let time = line.words().next().expect("a line begins with its time");
        let now = Duration::from_secs_f64(time.parse().unwrap_or_else(|_| panic!("no time: \"{}\"", line.0)));
        match line.words().nth(1) {
            Some("answers") => self.answers(now, line),
            Some("waits") => self.waits(now, line),
            _ => {
                let event = event(line);
                self.happen(now, event);
            }
        }
        self.now = now;
    }

    fn waits(&mut self, until: Duration, line: Line<'_>) {
        for turn in 1u32.. {
            let now = (self.now + TURN * turn).min(until);
            self.happen(now, Event::Tick);
            for agent in numbers(line) {
                self.happen(now, Event::Alive(AgentId(agent)));
            }
            if now == until {
                return;
            }
        }
    }

    /// What was asked is answered, and what the answers lead to, until nobody waits for anything.
    fn answers(&mut self, now: Duration, line: Line<'_>) {
        let named = numbers(line);
        let speaks = |event: &Event| match event {
            Event::Up(_) => true,
            _ => named.is_empty() || speaker(event).is_some_and(|AgentId(agent)| named.contains(&agent)),
        };
        while let Some(place) = self.waiting.iter().position(speaks) {
            let event = self.waiting.remove(place).expect("it was found there");
            writeln!(self.text, "  {}", said(&event)).expect("a string takes all");
            self.happen(now, event);
        }
    }

    fn happen(&mut self, now: Duration, event: Event) {
        match &event {
            Event::Closed(agent, _) => self.forget(*agent),
            Event::NoRoom { agent, request, .. }
            | Event::Refused(agent, request, _)
            | Event::Failed(agent, request, _)
            | Event::Loaded(agent, request) => {
                let answered =
                    |other: &Event| matches!(other, Event::Loaded(who, what) if (who, what) == (agent, request));
                self.waiting.retain(|other| !answered(other));
            }
            Event::Listening { agent, generation, .. } | Event::Ended { agent, generation, .. } => {
                let named = (agent, generation);
                let listens = |other: &Event| matches!(other, Event::Listening { agent, generation, .. } if (agent, generation) == named);
                self.waiting.retain(|other| !listens(other));
            }
            _ => {}
        }
        for action in self.crew.step(now, event) {
            writeln!(self.text, "    {}", done(&action)).expect("a string takes all");
            match action {
                Action::Tell(agent, order) => self.waiting.extend(answer(agent, order)),
                Action::Dismiss(agent, _) | Action::Release(agent, _) => self.forget(agent),
                Action::Connect { generation, .. } => self.waiting.push_back(Event::Up(generation)),
                _ => {}
            }
        }
    }

    fn forget(&mut self, agent: AgentId) {
        self.waiting.retain(|event| speaker(event) != Some(agent));
    }
}

fn speaker(event: &Event) -> Option<AgentId> {
    match event {
        Event::Loaded(agent, _) | Event::Listening { agent, .. } | Event::Ended { agent, .. } => Some(*agent),
        _ => None,
    }
}

fn answer(agent: AgentId, order: Order) -> Option<Event> {
    match order {
        Order::Hold { request, .. } => Some(Event::Loaded(agent, request)),
        Order::Prepare { generation } => Some(Event::Listening { agent, generation, port: 1000 }),
        Order::Abort { generation, .. } => Some(Event::Ended { agent, generation, cause: None }),
        Order::Keep { .. } | Order::Start { .. } => None,
    }
}

fn event(line: Line<'_>) -> Event {
    let agent = AgentId(line.words().nth(2).and_then(|word| word.parse().ok()).unwrap_or(0));
    let (request, generation) = (line.number("request", 0), line.number("generation", 0));
    match line.words().nth(1).expect("a line names an event") {
        "joined" => {
            let holds = line.value("holds").map_or_else(TileSet::new, tile_set);
            let speed = line.number("threads", 1.0);
            Event::Joined(agent, Newcomer { identity: line.number("process", u128::from(agent.0)), speed, holds })
        }
        "alive" => Event::Alive(agent),
        "leaving" => Event::Leaving(agent),
        "loaded" => Event::Loaded(agent, request),
        "no_room" => Event::NoRoom { agent, request, room: line.number("room", 0), message: "has no room".to_string() },
        "refused" => {
            let row = line.number("row", 0);
            Event::Refused(agent, request, DataError { message: format!("row {row} is bad"), row: Some(row) })
        }
        "failed" => Event::Failed(agent, request, "was ended by a bug".to_string()),
        "listening" => Event::Listening { agent, generation, port: 1000 },
        "ended" => Event::Ended { agent, generation, cause: Some(line.behind(3)).filter(|text| !text.is_empty()) },
        "closed" => Event::Closed(agent, line.behind(3)),
        "never_joined" => Event::NeverJoined(line.behind(2)),
        "up" => Event::Up(generation),
        "down" => Event::Down(generation, Some(line.behind(2)).filter(|text| !text.is_empty())),
        "root" => {
            let busy = line.value("busy").into_iter().flat_map(|text| text.split(','));
            let busy = (1..).zip(busy.map(|seconds| seconds.parse().expect("seconds"))).collect();
            Event::Root { generation, pass: line.number("pass", 0), busy }
        }
        "ask" => Event::Ask(agent.0),
        "tick" => Event::Tick,
        other => panic!("no event: {other}"),
    }
}

fn said(event: &Event) -> String {
    match event {
        Event::Loaded(agent, request) => format!("{agent} has loaded, request {request}"),
        Event::Listening { agent, .. } => format!("{agent} listens"),
        Event::Ended { agent, generation, .. } => format!("{agent} has ended generation {generation}"),
        Event::Up(generation) => format!("generation {generation} is up"),
        other => panic!("nobody waits for {other:?}"),
    }
}

fn done(action: &Action) -> String {
    let names = |all: &[(AgentId, u16)]| all.iter().map(|(id, _)| id.0.to_string()).collect::<Vec<_>>().join(" ");
    match action {
        Action::Tell(agent, order) => format!("{agent}: {}", told(order)),
        Action::Dismiss(agent, cause) => format!("dismiss {agent}: {cause}"),
        Action::Release(agent, reason) => format!("release {agent}: {reason}"),
        Action::Connect { generation, members } => format!("connect generation {generation}: {}", names(members)),
        Action::TearDown(generation, cause) => format!("tear down generation {generation}: {cause}"),
        Action::Submit { generation, pass } => format!("submit pass {pass} to generation {generation}"),
        Action::Commit { generation, pass } => format!("commit pass {pass} of generation {generation}"),
        Action::Launch(count) => format!("launch {count}"),
        Action::Say(report) => format!("say: {}", reported(report)),
        Action::Fail(failure) => format!("fail: {failure}"),
    }
}

fn told(order: &Order) -> String {
    match order {
        Order::Hold { request, tiles } => format!("hold {tiles:?}, request {request}"),
        Order::Keep { tiles } => format!("keep {tiles:?}"),
        Order::Prepare { generation } => format!("prepare generation {generation}"),
        Order::Start { generation, index, members, tiles } => {
            format!("start generation {generation} as {index} of {} with {tiles:?}", members.len())
        }
        Order::Abort { generation, cause } => format!("abort generation {generation}: {cause}"),
    }
}

fn reported(report: &Report) -> String {
    match report {
        Report::Suspected(agent, silence) => format!("{agent} is silent for {silence:?}"),
        Report::Heard(agent, silence) => format!("{agent} is heard again after {silence:?}"),
        Report::SentHome(agent, cause) => format!("{agent} is sent home: {cause}"),
        Report::Waiting { cause, there, needed, limit } => {
            format!("{there} of {needed} are left ({cause}), waiting {limit:?}")
        }
        Report::Generation(Generation { number, causes, members, moved, pass, after }) => {
            let members: Vec<String> = members.iter().map(|id| id.0.to_string()).collect();
            let (members, causes) = (members.join(" "), causes.join("; "));
            format!(
                "generation {number} of {members}, {moved} tiles read, at pass {pass:?} after {after:?}, because: {causes}"
            )
        }
    }
}

/// Tells the story of a file, and compares.
fn check(name: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/membership").join(name).with_extension("txt");
    let text = std::fs::read_to_string(&path).expect("the story is there");
    let (mut story, mut told) = (None::<Story>, String::new());
    for line in text.lines() {
        if line.starts_with(' ') {
            continue; // what was done, to be compared
        }
        match &mut story {
            _ if line.is_empty() || line.starts_with('#') || line.starts_with("rules") => {
                told.push_str(&story.as_mut().map(|story| std::mem::take(&mut story.text)).unwrap_or_default());
                told.push_str(line);
                told.push('\n');
                if line.starts_with("rules") {
                    story = Some(Story::begin(Line(line)));
                }
            }
            Some(story) => story.line(Line(line)),
            None => panic!("{name}: rules come first"),
        }
    }
    told.push_str(&story.expect("rules come first").text);
    expect_file![path].assert_eq(&told);
}

macro_rules! stories {
    ($($name:ident)+) => { $(#[test] fn $name() { check(stringify!($name)); })+ };
}

stories! {
    last_call never_enough never_joined launches_end
    lost_while_loading no_room refused ports
    late_answer rejoin_with_tiles replacement too_few too_many
    suspected stalled leaver leaver_needed straggler late_always late_never
}
