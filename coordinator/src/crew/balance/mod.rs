//! Whether moving tiles pays: from a slow agent to fast ones, or to one that came late. Asked between passes; it decides,
//! [`place`] moves.
//!
//! A change costs a new generation and the reading of the moved tiles. It saves some seconds on every pass to come. How
//! many will come nobody knows; the best guess is as many as there were so far. A change pays if what it saves
//! on that many passes exceeds its cost: so a fit of few passes never stops to tidy up, and a long one loses little by
//! having waited.

use std::collections::BTreeMap;

use nlsq_engine::data::TileSet;

use super::placement::{Share, place};
use crate::config::Placement;

/// Passes of a generation that must have been seen before anything is said about who is slow.
const MIN_PASSES: usize = 5;

/// Newest passes that count. The median over them is not moved by a hiccup of up to four passes.
const WINDOW: usize = 9;

/// The slowest agent may take this much longer than the mean before it is thought about.
const UNEVEN: f64 = 1.25;

/// A change must make passes shorter by at least this part.
const WORTHWHILE: f64 = 0.05;

/// Most tiles that move at once, as a part of all.
const MOST_MOVED: f64 = 0.25;

/// Passes from one change to the next, at first; doubled by every change that did not help.
const FIRST_WAIT: u64 = 8;

/// A change helped if it made the pass more even by at least this part of what was expected of it.
const HELPED: f64 = 0.5;

/// Whether an agent that comes when the fit is under way is taken in at the next pass boundary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LateJoiners {
    /// If it pays.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// Only when members were lost.
    Never,
}

/// What a change of owners costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangeCost {
    /// Seconds to end a generation and begin the next.
    pub restart: f64,
    /// Seconds for each tile that its new owner must read.
    pub per_tile: f64,
}

impl ChangeCost {
    fn of(&self, moved: u64) -> f64 {
        self.restart + self.per_tile * moved as f64
    }
}

/// Who serves what now, and who could.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a, K> {
    /// The tiles that each agent of the generation serves.
    pub serving: &'a BTreeMap<K, TileSet>,
    /// The tiles that each agent holds, served by it or not.
    pub held: &'a BTreeMap<K, TileSet>,
    /// The agents of the next generation, with the speeds by which tiles were last placed.
    pub shares: &'a BTreeMap<K, Share>,
}

/// What is known of how fast agents are.
#[derive(Clone, Debug)]
pub struct Balance<K> {
    /// Seconds that each agent took for a tile, by pass.
    history: BTreeMap<u64, BTreeMap<K, f64>>,
    /// The first pass that counts.
    since: u64,
    last: Option<Change>,
    wait: u64,
}

/// A change that was proposed.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// The pass before which it was.
    pass: u64,
    /// Slowest to mean before.
    before: f64,
    /// Slowest to mean as expected.
    promised: f64,
    judged: bool,
}

/// A placement that might be.
struct Plan {
    moved: u64,
    counts: Vec<u64>,
    times: Times,
}

/// Seconds of a pass.
#[derive(Clone, Copy, Debug)]
struct Times {
    slowest: f64,
    mean: f64,
}

impl Times {
    fn of(seconds: impl Iterator<Item = f64> + Clone) -> Self {
        let count = seconds.clone().count().max(1);
        Self { slowest: seconds.clone().fold(0.0, f64::max), mean: seconds.sum::<f64>() / count as f64 }
    }

    fn uneven(&self) -> f64 {
        self.slowest / self.mean
    }
}

impl<K: Ord + Copy> Default for Balance<K> {
    fn default() -> Self {
        Self { history: BTreeMap::new(), since: 0, last: None, wait: FIRST_WAIT }
    }
}

impl<K: Ord + Copy> Balance<K> {
    /// A generation begins with this pass: what was seen before tells nothing about it.
    pub fn start_generation(&mut self, now_pass: u64) {
        self.history.clear();
        self.since = now_pass;
    }

    /// An agent was busy for so many seconds with its tiles of a pass. Reports of one pass may come in any order; those of
    /// an earlier generation, and what is no time, are ignored.
    pub fn observe(&mut self, pass: u64, agent: K, tiles: u64, seconds: f64) {
        let time = seconds / tiles as f64;
        if pass < self.since || !time.is_finite() || time <= 0.0 {
            return;
        }
        self.history.entry(pass).or_default().insert(agent, time);
        while self.history.len() > WINDOW {
            self.history.pop_first();
        }
    }

    /// New speeds, by which to place all tiles anew before pass `now_pass`, if that pays; their mean is 1.
    ///
    /// Nobody is slow until it was so in most of the last passes, the slowest agent takes 25 % longer than the mean, and the
    /// change would shorten a pass by 5 % and pay for itself. No more than a quarter of all tiles moves at once:
    /// what is left to do is proposed later.
    pub fn proposal(&mut self, now_pass: u64, standing: Standing<'_, K>, cost: ChangeCost) -> Option<BTreeMap<K, f64>> {
        let paces = self.paces(standing.serving, MIN_PASSES)?;
        let now = times_now(standing.serving, &paces);
        self.judge(now.uneven());
        let too_early = self.last.is_some_and(|last| now_pass < last.pass.saturating_add(self.wait));
        if now.uneven() <= UNEVEN || too_early {
            return None;
        }
        let paces = everybodys(&paces, standing.shares);
        let mut speeds: BTreeMap<K, f64> = paces.iter().map(|(&agent, pace)| (agent, 1.0 / pace)).collect();
        let mut plan = plan(standing, &speeds, &paces)?;
        let most = MOST_MOVED * standing.serving.values().map(TileSet::len).sum::<u64>() as f64;
        if plan.moved as f64 > most {
            speeds = part_way(standing, &plan.counts, most);
            plan = self::plan(standing, &speeds, &paces)?;
        }
        let saving = now.slowest - plan.times.slowest;
        if saving < WORTHWHILE * now.slowest || saving * now_pass as f64 <= cost.of(plan.moved) {
            return None;
        }
        let (before, promised) = (now.uneven(), plan.times.uneven());
        self.last = Some(Change { pass: now_pass, before, promised, judged: false });
        self.start_generation(now_pass);
        let mean = speeds.values().sum::<f64>() / speeds.len() as f64;
        Some(speeds.into_iter().map(|(agent, speed)| (agent, speed / mean)).collect())
    }

    /// Whether to begin a generation with the agents of `standing.shares`, some of which do not serve yet, before pass
    /// `now_pass`. Under [`LateJoiners::Auto`] that needs one pass to judge by.
    pub fn joiner_pays(&self, policy: LateJoiners, now_pass: u64, standing: Standing<'_, K>, cost: ChangeCost) -> bool {
        match policy {
            LateJoiners::Always => true,
            LateJoiners::Never => false,
            LateJoiners::Auto => self
                .saving(standing)
                .is_some_and(|(saving, moved)| saving > 0.0 && saving * now_pass as f64 > cost.of(moved)),
        }
    }

    /// Seconds that a pass is shorter, and tiles that must be read, when all tiles are placed by the shares as they are.
    fn saving(&self, standing: Standing<'_, K>) -> Option<(f64, u64)> {
        let paces = self.paces(standing.serving, 1)?;
        let now = times_now(standing.serving, &paces);
        let speeds = standing.shares.iter().map(|(&agent, share)| (agent, share.known_speed())).collect();
        let plan = plan(standing, &speeds, &everybodys(&paces, standing.shares))?;
        Some((now.slowest - plan.times.slowest, plan.moved))
    }

    /// Looks back at the last change, once enough passes came after it.
    fn judge(&mut self, uneven: f64) {
        if let Some(change) = self.last.as_mut().filter(|change| !change.judged) {
            change.judged = true;
            if change.before - uneven < HELPED * (change.before - change.promised) {
                self.wait = self.wait.saturating_mul(2);
            }
        }
    }

    /// Seconds that each agent that serves takes for a tile: the median over the window.
    ///
    /// Passes differ (a cost alone, several candidates), so each is measured by its own mean over the agents.
    fn paces(&self, serving: &BTreeMap<K, TileSet>, at_least: usize) -> Option<BTreeMap<K, f64>> {
        let working = || serving.iter().filter(|(_, tiles)| !tiles.is_empty()).map(|(agent, _)| agent);
        let complete: Vec<&BTreeMap<K, f64>> =
            self.history.values().filter(|times| working().all(|agent| times.contains_key(agent))).collect();
        let count = working().count();
        if complete.len() < at_least || count == 0 {
            return None;
        }
        let means: Vec<f64> =
            complete.iter().map(|times| working().map(|agent| times[agent]).sum::<f64>() / count as f64).collect();
        let typical = median(means.clone());
        let pace = |agent: &K| {
            typical * median(complete.iter().zip(&means).map(|(times, mean)| times[agent] / mean).collect())
        };
        Some(working().map(|agent| (*agent, pace(agent))).collect())
    }
}

fn times_now<K: Ord>(serving: &BTreeMap<K, TileSet>, paces: &BTreeMap<K, f64>) -> Times {
    Times::of(paces.iter().map(|(agent, pace)| serving[agent].len() as f64 * pace))
}

/// Seconds that any agent takes for a tile. Of one that has not served yet only its speed relative to others is known.
fn everybodys<K: Ord + Copy>(paces: &BTreeMap<K, f64>, shares: &BTreeMap<K, Share>) -> BTreeMap<K, f64> {
    let seen = paces.iter().filter_map(|(agent, pace)| Some((1.0 / pace, shares.get(agent)?.known_speed())));
    let (measured, assumed) = seen.fold((0.0, 0.0), |sums, (speed, share)| (sums.0 + speed, sums.1 + share));
    let unit = if assumed > 0.0 { measured / assumed } else { 1.0 };
    let pace = |agent, share: &Share| paces.get(agent).copied().unwrap_or(1.0 / (unit * share.known_speed()));
    shares.iter().map(|(agent, share)| (*agent, pace(agent, share))).collect()
}

/// What comes of placing all tiles by these speeds.
fn plan<K: Ord + Copy>(standing: Standing<'_, K>, speeds: &BTreeMap<K, f64>, paces: &BTreeMap<K, f64>) -> Option<Plan> {
    let tiles = standing.serving.values().map(TileSet::len).sum();
    let shares =
        standing.shares.iter().map(|(&agent, share)| (agent, Share { speed: speeds[&agent], ..*share })).collect();
    // which tiles move depends on the style, how many does not
    let owned = place(tiles, standing.held, &shares, Placement::Contiguous).ok()?;
    let held = |agent| standing.held.get(agent).cloned().unwrap_or_default();
    let moved = owned.iter().map(|(agent, own)| own.difference(&held(agent)).len()).sum();
    let times = Times::of(owned.iter().map(|(agent, own)| own.len() as f64 * paces[agent]));
    Some(Plan { moved, counts: owned.values().map(TileSet::len).collect(), times })
}

/// Speeds that take everybody as far towards these numbers of tiles as a limit on moved tiles allows.
fn part_way<K: Ord + Copy>(standing: Standing<'_, K>, counts: &[u64], most: f64) -> BTreeMap<K, f64> {
    let now = |agent| standing.serving.get(agent).map_or(0, TileSet::len);
    let given: u64 = standing.shares.keys().zip(counts).map(|(agent, &count)| now(agent).saturating_sub(count)).sum();
    let part = (most / given as f64).min(1.0);
    let wanted = |agent, count: u64| now(agent) as f64 * (1.0 - part) + count as f64 * part;
    // an agent that gets nothing still needs a speed
    standing.shares.keys().zip(counts).map(|(agent, &count)| (*agent, wanted(agent, count).max(0.01))).collect()
}

/// The middle value, or the mean of the two middle ones.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests;
