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
    /// Tiles that it has said to hold and was not told to let go of.
    pub(super) held: TileSet,
    /// Requests that it has not answered, and since when.
    pub(super) loading: BTreeMap<u64, (TileSet, Duration)>,
    /// When it was heard last.
    pub(super) heard: Duration,
    pub(super) suspected: bool,
    /// It wants to leave.
    pub(super) draining: bool,
}

impl Agent {
    pub(super) fn new(newcomer: Newcomer, now: Duration) -> Self {
        let Newcomer { identity, speed, holds } = newcomer;
        Self {
            identity,
            speed,
            capacity: u64::MAX,
            held: holds,
            loading: BTreeMap::new(),
            heard: now,
            suspected: false,
            draining: false,
        }
    }

    /// What it holds or is reading.
    pub(super) fn coming(&self) -> TileSet {
        self.loading.values().fold(self.held.clone(), |all, (tiles, _)| all.union(tiles))
    }

    /// Notes that a request is answered; how many tiles it was for, and how long it took.
    pub(super) fn has_loaded(&mut self, request: u64, now: Duration) -> Option<(u64, Duration)> {
        let (tiles, since) = self.loading.remove(&request)?;
        self.held = self.held.union(&tiles);
        Some((tiles.len(), now - since))
    }
}
