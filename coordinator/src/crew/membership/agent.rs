//! An agent as the crew knows it.

use std::collections::BTreeMap;
use std::time::Duration;

use nlsq_engine::data::tile_set::TileSet;

use super::event::Newcomer;

/// An agent with a control connection.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) identity: u128,
    /// Tiles a second, relative to the others.
    pub(super) speed: f64,
    /// Most tiles that it can hold.
    pub(super) capacity: u64,
    /// It had no room for what it was dealt last: it is to let go of everything else.
    pub(super) cramped: bool,
    /// Tiles that it has said to hold and was not told to let go of.
    pub(super) held: TileSet,
    /// Requests that it has not answered.
    pub(super) loading: BTreeMap<u64, Wanted>,
    /// When it was heard last.
    pub(super) heard: Duration,
    pub(super) suspected: bool,
    /// It wants to leave.
    pub(super) draining: bool,
}

/// What an agent is asked to hold.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) tiles: TileSet,
    /// Since when it reads them; none if it has said that it holds them and is only asked what is in them.
    pub(super) since: Option<Duration>,
}

impl Agent {
    pub(super) fn new(newcomer: Newcomer, now: Duration) -> Self {
        let Newcomer { identity, speed, .. } = newcomer;
        Self {
            identity,
            speed,
            capacity: u64::MAX,
            cramped: false,
            held: TileSet::new(),
            loading: BTreeMap::new(),
            heard: now,
            suspected: false,
            draining: false,
        }
    }

    /// What it holds or is reading.
    pub(super) fn coming(&self) -> TileSet {
        self.loading.values().fold(self.held.clone(), |all, wanted| all.union(&wanted.tiles))
    }

    /// Notes that a request is answered; how many tiles were read for it, and since when.
    pub(super) fn has_loaded(&mut self, request: u64) -> Option<(u64, Duration)> {
        let Wanted { tiles, since } = self.loading.remove(&request)?;
        self.held = self.held.union(&tiles);
        Some((tiles.len(), since?))
    }

    /// It lets go of all tiles but these.
    pub(super) fn keeps(&mut self, tiles: &TileSet) {
        self.cramped = false;
        self.held = self.held.intersection(tiles);
        for wanted in self.loading.values_mut() {
            wanted.tiles = wanted.tiles.intersection(tiles);
        }
    }

    /// It begins to serve these tiles: it lets go of all others, and what it has not answered by now it does not answer.
    pub(super) fn starts(&mut self, tiles: &TileSet) {
        self.held = tiles.clone();
        self.loading.clear();
    }

    /// Whether these tiles fit beside others that it must not let go of.
    pub(super) fn has_room(&self, tiles: &TileSet, beside: &TileSet) -> bool {
        tiles.union(beside).len() <= self.capacity
    }
}
