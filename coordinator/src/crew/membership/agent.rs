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
    /// Requests that it has not answered.
    pub(super) loading: BTreeMap<u64, TileSet>,
    /// When it was heard last.
    pub(super) heard: Duration,
    pub(super) suspected: bool,
    /// It wants to leave.
    pub(super) draining: bool,
    /// Generation, passes and seconds of its last sign of life.
    pub(super) progress: (u64, u64, f64),
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
            progress: (0, 0, 0.0),
        }
    }

    /// What it holds or is reading.
    pub(super) fn coming(&self) -> TileSet {
        self.loading.values().fold(self.held.clone(), |all, tiles| all.union(tiles))
    }

    pub(super) fn has_loaded(&mut self, request: u64) {
        if let Some(tiles) = self.loading.remove(&request) {
            self.held = self.held.union(&tiles);
        }
    }
}
