//! Who keeps what it holds: the most tiles that can stay where they are.
//!
//! A tile may be held by several agents, of whom one keeps it, and nobody keeps more than it has room for. That is a flow from
//! tiles to agents, made as great as possible by augmenting paths. Tiles with the same holders are alike and flow
//! together, so there are few kinds, and where nothing is held twice there is one kind for each agent and nothing to search.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use nlsq_engine::data::TileSet;

use super::scrambled;
use super::target::Room;
use crate::config::Placement;

/// Of the tiles that each agent holds, those that it keeps: disjoint, and none more than it has room for.
pub(super) fn keep(held: &[TileSet], rooms: &[Room], style: Placement) -> Vec<TileSet> {
    let kinds = kinds(held);
    let mut held_by: Vec<Vec<usize>> = vec![Vec::new(); held.len()];
    for (kind, holders) in kinds.iter().map(|kind| kind.kept.keys()).enumerate() {
        holders.for_each(|&holder| held_by[holder].push(kind));
    }
    let mut flow = Flow { kinds, held_by, room: rooms.iter().map(|room| room.most).collect() };
    flow.grow();
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
    /// How many more each agent can keep.
    room: Vec<u64>,
}

impl Flow {
    /// Lets agents keep as many tiles as possible.
    fn grow(&mut self) {
        // nearly all of it: an agent keeps of its own what it can, and nobody else is concerned
        for agent in 0..self.room.len() {
            for k in 0..self.held_by[agent].len() {
                self.push(&[(self.held_by[agent][k], agent)]);
            }
        }
        while let Some(path) = self.path() {
            self.push(&path);
        }
    }

    /// The shortest chain by which one agent could keep more: (kind, agent) pairs, where the first kind has idle tiles, each agent
    /// may keep one more of its kind if it gives up one of the next kind, and the last agent has room.
    fn path(&self) -> Option<Vec<(usize, usize)>> {
        let mut kind_of: Vec<Option<usize>> = vec![None; self.room.len()];
        let mut agent_of: Vec<Option<usize>> = vec![None; self.kinds.len()];
        let mut queue: VecDeque<usize> = (0..self.kinds.len()).filter(|&kind| self.kinds[kind].idle > 0).collect();
        let mut seen: Vec<bool> = self.kinds.iter().map(|kind| kind.idle > 0).collect();
        while let Some(kind) = queue.pop_front() {
            for &agent in self.kinds[kind].kept.keys() {
                if kind_of[agent].is_some() {
                    continue;
                }
                kind_of[agent] = Some(kind);
                if self.room[agent] > 0 {
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

    /// Sends as many tiles along a path as it carries.
    fn push(&mut self, path: &[(usize, usize)]) {
        let (first, last) = (path[0].0, path[path.len() - 1].1);
        let given_up = path.windows(2).map(|pair| self.kinds[pair[1].0].kept[&pair[0].1]);
        let count = given_up.chain([self.kinds[first].idle, self.room[last]]).min().expect("two at least");
        self.kinds[first].idle -= count;
        for pair in path.windows(2) {
            *self.kinds[pair[1].0].kept.entry(pair[0].1).or_default() -= count;
        }
        for &(kind, agent) in path {
            *self.kinds[kind].kept.entry(agent).or_default() += count;
        }
        self.room[last] -= count;
    }

    /// Picks the tiles.
    fn choose(self, style: Placement) -> Vec<TileSet> {
        let mut chosen: Vec<Vec<Range<u64>>> = vec![Vec::new(); self.room.len()];
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
