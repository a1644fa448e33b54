//! Recovery in an invented world: the coordinator's real [`Membership`](nlsq_coordinator::crew::membership::Membership) and
//! agents' real [`Session`](nlsq_worker::session::Session)s, with a network, hosts, disks and a clock that a seed makes up.
//!
//! A seed chooses rules, machines, delays and faults (`plan`), `faults` lets them strike, and `law` checks at every step what
//! must hold. The same seed does the same again: `NLSQ_SEED=17 cargo test --release --workspace --test main
//! simulation::a_seed_replayed -- --nocapture` tells the story of seed 17. `NLSQ_SEEDS=100000` runs more of them.

mod agent;
mod control;
mod coordinator;
mod data;
mod faults;
mod law;
mod plan;
mod random;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use nlsq_coordinator::crew::membership::Failure;

use plan::Kind;
use world::{Ending, World};

/// Seeds that are run unless more are asked for.
const SEEDS: u64 = 10_000;

/// What came of many seeds.
#[derive(Debug, Default)]
struct Tally {
    endings: BTreeMap<&'static str, u64>,
    struck: BTreeMap<Kind, u64>,
    passes: u64,
    generations: u64,
    breaks: u64,
    changes: u64,
    /// Agents told to start while they were reading something else.
    forgotten: u64,
}

impl Tally {
    fn add(&mut self, world: &World, ending: &Ending) {
        *self.endings.entry(name(ending)).or_default() += 1;
        for (kind, count) in &world.law.struck {
            *self.struck.entry(*kind).or_default() += count;
        }
        self.passes += world.law.passes;
        self.generations += world.law.generations;
        self.breaks += world.law.breaks;
        self.changes += world.law.changes;
        self.forgotten += world.law.forgotten;
    }
}

fn name(ending: &Ending) -> &'static str {
    match ending {
        Ending::Finished => "finished",
        Ending::Failed(Failure::TooFew { .. }) => "too few",
        Ending::Failed(Failure::NeverEnough { .. }) => "never enough",
        Ending::Failed(Failure::TooManyLosses { .. }) => "too many losses",
        Ending::Failed(Failure::NoRoom { .. }) => "no room",
        Ending::Failed(Failure::Data(_)) => "data refused",
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn ten_thousand_seeds_keep_the_law() {
    let (seeds, next) = (number("NLSQ_SEEDS").unwrap_or(SEEDS), AtomicU64::new(0));
    let (tally, failed) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds || failed.lock().unwrap().len() >= 10 {
            return;
        }
        let run = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(seed, false);
            let ending = world.run();
            (world, ending)
        }));
        match run {
            Ok((world, ending)) => tally.lock().unwrap().add(&world, &ending),
            Err(_) => failed.lock().unwrap().push(seed),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (tally, failed) = (tally.into_inner().unwrap(), failed.into_inner().unwrap());
    println!("{tally:#?}");
    if let Some(seed) = failed.iter().min() {
        println!("{}", story(*seed));
        panic!(
            "seeds {failed:?} break the law; the story of {seed} is above, and again by NLSQ_SEED={seed} \
             cargo test --release --workspace --test main simulation::a_seed_replayed -- --nocapture"
        );
    }
    tally.is_worth_its_name(seeds);
}

impl Tally {
    /// A simulation in which nothing happens would pass, too.
    fn is_worth_its_name(&self, seeds: u64) {
        let finished = self.endings.get("finished").copied().unwrap_or(0);
        assert!(finished * 10 >= seeds * 8, "most runs reach their end: {finished} of {seeds}");
        assert!(self.breaks >= seeds && self.changes * 5 >= seeds, "generations break up and change");
        assert_eq!(self.struck.len(), 18, "every kind of fault strikes");
    }
}

/// What happens in a run, to its end or to what is wrong.
fn story(seed: u64) -> String {
    let mut world = World::new(seed, true);
    let run = catch_unwind(AssertUnwindSafe(|| world.run()));
    let mut lines = std::mem::take(&mut world.log);
    lines.push(match run {
        Ok(ending) => format!("{ending:?}"),
        Err(panic) => match panic.downcast_ref::<String>() {
            Some(text) => format!("WRONG: {text}"),
            None => "WRONG".to_string(),
        },
    });
    lines.join("\n")
}

#[test]
fn a_seed_replayed() {
    let seed = number("NLSQ_SEED").unwrap_or(0);
    let (once, again) = (story(seed), story(seed));
    assert_eq!(once, again, "a seed does the same again");
    println!("{once}");
    assert!(!once.contains("WRONG"), "seed {seed} breaks the law");
}
