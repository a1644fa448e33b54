//! Who keeps what it holds: the most tiles that can stay where they are.
//!
//! A tile may be held by several agents, of whom one keeps it, and nobody keeps more than suits it. That is a flow from tiles to
//! agents. Tiles with the same holders are alike and flow together, so there are few kinds, and where nothing is held
//! twice there is one kind for each agent and nothing to search.
//!
//! Why the number kept is the greatest possible: it is first made as great as it can be with everybody at its fewest.
//! Beyond that an agent may keep more as long as what the others still lack is left for them, and by how much the flow can grow does not
//! depend on where it grows first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use nlsq_engine::data::TileSet;

use super::scrambled;
use super::target::Band;
use crate::config::Placement;

/// Steps from the fewest tiles of a band to the most: surplus tiles stay with all agents alike.
const STEPS: u64 = 8;

/// Of the tiles that each agent holds, those that it keeps: disjoint, none above its band, and such that every band can
/// still be met.
pub(super) fn keep(tiles: u64, held: &[TileSet], bands: &[Band], style: Placement) -> Vec<TileSet> {
    let kinds = kinds(held);
    let mut held_by: Vec<Vec<usize>> = vec![Vec::new(); held.len()];
    for (kind, holders) in kinds.iter().map(|kind| kind.kept.keys()).enumerate() {
        holders.for_each(|&holder| held_by[holder].push(kind));
    }
    let mut flow = Flow { kinds, held_by, kept: vec![0; held.len()] };
    let level =
        |step| -> Vec<u64> { bands.iter().map(|band| band.low + (band.high - band.low) * step / STEPS).collect() };
    let lowest = level(0);
    flow.grow(&lowest, tiles);
    let mut spare = tiles - lowest.iter().sum::<u64>();
    for step in 1..=STEPS {
        spare -= flow.grow(&level(step), spare);
    }
    flow.choose(style)
}

/// Tiles that the same agents hold.
#[derive(Debug)]
struct Kind {
    tiles: TileSet,
    /// How many each of its holders keeps.
    kept: BTreeMap<usize, u64>,
    /// How many nobody keeps.
    idle: u64,
}

/// Sorts the held tiles by their holders: one sweep over where anyone's runs begin and end.
fn kinds(held: &[TileSet]) -> Vec<Kind> {
    let mut edges: Vec<(u64, usize)> = Vec::new();
    for (agent, set) in held.iter().enumerate() {
        edges.extend(set.runs().iter().flat_map(|run| [(run.start, agent), (run.end, agent)]));
    }
    edges.sort_unstable();
    let mut runs: BTreeMap<Vec<usize>, Vec<Range<u64>>> = BTreeMap::new();
    let mut holders = BTreeSet::new();
    let mut from = 0;
    for (at, agent) in edges {
        if from < at && !holders.is_empty() {
            runs.entry(holders.iter().copied().collect()).or_default().push(from..at);
        }
        from = at;
        if !holders.remove(&agent) {
            holders.insert(agent);
        }
    }
    let kind = |(holders, runs): (Vec<usize>, Vec<Range<u64>>)| {
        let tiles: TileSet = runs.into_iter().collect();
        Kind { idle: tiles.len(), tiles, kept: holders.into_iter().map(|holder| (holder, 0)).collect() }
    };
    runs.into_iter().map(kind).collect()
}

/// Who keeps how many of which kind.
#[derive(Debug)]
struct Flow {
    kinds: Vec<Kind>,
    /// The kinds that each agent holds.
    held_by: Vec<Vec<usize>>,
    /// How many each agent keeps.
    kept: Vec<u64>,
}

impl Flow {
    /// Lets agents keep more, each at most `limits`, by as many tiles as possible but at most `spare`; returns how many.
    fn grow(&mut self, limits: &[u64], spare: u64) -> u64 {
        let mut grown = 0;
        // nearly all of it: an agent keeps more of its own, and nobody else is concerned
        for agent in 0..self.kept.len() {
            for k in 0..self.held_by[agent].len() {
                grown += self.push(&[(self.held_by[agent][k], agent)], limits, spare - grown);
            }
        }
        while grown < spare {
            let Some(path) = self.path(limits) else { break };
            grown += self.push(&path, limits, spare - grown);
        }
        grown
    }

    /// The shortest chain by which one agent could keep more: (kind, agent) pairs, where the first kind has idle tiles, each agent
    /// may keep one more of its kind if it gives up one of the next kind, and the last agent is below its limit.
    fn path(&self, limits: &[u64]) -> Option<Vec<(usize, usize)>> {
        let mut kind_of: Vec<Option<usize>> = vec![None; self.kept.len()];
        let mut agent_of: Vec<Option<usize>> = vec![None; self.kinds.len()];
        let mut queue: VecDeque<usize> = (0..self.kinds.len()).filter(|&kind| self.kinds[kind].idle > 0).collect();
        let mut seen: Vec<bool> = self.kinds.iter().map(|kind| kind.idle > 0).collect();
        while let Some(kind) = queue.pop_front() {
            for &agent in self.kinds[kind].kept.keys() {
                if kind_of[agent].is_some() {
                    continue;
                }
                kind_of[agent] = Some(kind);
                if self.kept[agent] < limits[agent] {
                    return Some(chain(agent, &kind_of, &agent_of));
                }
                for &other in &self.held_by[agent] {
                    if !seen[other] && self.kinds[other].kept[&agent] > 0 {
                        seen[other] = true;
                        agent_of[other] = Some(agent);
                        queue.push_back(other);
                    }
                }
            }
        }
        None
    }

    /// Sends as many tiles along a path as it carries, at most `spare`.
    fn push(&mut self, path: &[(usize, usize)], limits: &[u64], spare: u64) -> u64 {
        let (first, last) = (path[0].0, path[path.len() - 1].1);
        let given_up = path.windows(2).map(|pair| self.kinds[pair[1].0].kept[&pair[0].1]);
        let room = [spare, self.kinds[first].idle, limits[last] - self.kept[last]];
        let count = given_up.chain(room).min().expect("a list of at least three");
        self.kinds[first].idle -= count;
        for pair in path.windows(2) {
            *self.kinds[pair[1].0].kept.entry(pair[0].1).or_default() -= count;
        }
        for &(kind, agent) in path {
            *self.kinds[kind].kept.entry(agent).or_default() += count;
        }
        self.kept[last] += count;
        count
    }

    /// Picks the tiles.
    fn choose(self, style: Placement) -> Vec<TileSet> {
        let mut chosen: Vec<Vec<Range<u64>>> = vec![Vec::new(); self.kept.len()];
        for kind in self.kinds {
            let mut left = kind.tiles;
            for (agent, count) in kind.kept {
                let mine = match style {
                    Placement::Contiguous => longest(&left, count),
                    Placement::Scattered => anywhere(&left, count),
                };
                left = left.difference(&mine);
                chosen[agent].extend_from_slice(mine.runs());
            }
        }
        chosen.into_iter().map(TileSet::from).collect()
    }
}

/// The chain that ends at this agent, from its beginning.
fn chain(end: usize, kind_of: &[Option<usize>], agent_of: &[Option<usize>]) -> Vec<(usize, usize)> {
    let mut path = Vec::new();
    let mut agent = Some(end);
    while let Some(here) = agent {
        let kind = kind_of[here].expect("an agent was reached by a kind");
        path.push((kind, here));
        agent = agent_of[kind];
    }
    path.reverse();
    path
}

/// The longest runs of a set, the last of them cut to make the count; of its two ends the one stays that makes the rounder cut.
fn longest(set: &TileSet, count: u64) -> TileSet {
    let mut runs = set.runs().to_vec();
    runs.sort_by_key(|run| std::cmp::Reverse(run.end - run.start));
    let mut left = count;
    let mut chosen = Vec::new();
    for run in runs {
        if left == 0 {
            break;
        }
        let (taken, _) = super::spread::cut(run, left);
        left -= taken.end - taken.start;
        chosen.push(taken);
    }
    chosen.into()
}

/// So many tiles of a set, from everywhere in it.
fn anywhere(set: &TileSet, count: u64) -> TileSet {
    let mut tiles: Vec<u64> = set.tiles().collect();
    tiles.sort_unstable_by_key(|&tile| scrambled(tile));
    tiles.into_iter().take(count as usize).map(|tile| tile..tile + 1).collect()
}
