//! Checkpoints of a small fit: damaged in every way, written on disks that fail, gone on from.

mod damage;
mod disk;
mod resume;
mod store;

use std::path::Path;
use std::sync::Arc;

use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::params::Parameter;

use super::{Checkpoints, FOLDER, Keeping, Store};
use crate::fit::{Problem, fit_kept};
use crate::outcome::{Kept, Level, Observer, Outcome, PassRecord, Resumed, RunError};

/// Stops after some passes, and remembers what it was told.
#[derive(Default)]
pub(super) struct Watcher {
    limit: Option<usize>,
    rows: Vec<PassRecord>,
    here: usize,
    kept: Vec<Kept>,
    notes: Vec<(Level, String)>,
}

impl Watcher {
    fn stopping_after(passes: usize) -> Self {
        Self { limit: Some(passes), ..Self::default() }
    }
}

impl Observer for Watcher {
    fn resumed(&mut self, resumed: &Resumed) {
        self.rows.clone_from(&resumed.rows);
    }
    fn kept(&mut self, kept: &Kept) {
        self.kept.push(kept.clone());
    }
    fn iteration(&mut self, record: &PassRecord) {
        self.here += 1;
        self.rows.push(record.clone());
    }
    fn note(&mut self, level: Level, text: &str) {
        self.notes.push((level, text.to_string()));
    }
    fn stop(&mut self) -> Option<String> {
        self.limit.filter(|&limit| self.here >= limit).map(|_| "patience is over".to_string())
    }
}

/// 40 points on a decay, with some noise.
pub(super) fn points() -> Arc<Memory> {
    let t: Vec<f64> = (0..40).map(|k| f64::from(k) / 20.0).collect();
    let y = t.iter().enumerate().map(|(k, t)| 5.0 * (-1.5 * t).exp() + 0.01 * ((k * 7 % 11) as f64 - 5.0)).collect();
    let layout = Layout { variables: vec!["t".into()], y: "y".into(), weighting: Weighting::None, mask: None };
    Arc::new(Memory::new(layout, vec![t, y]).unwrap())
}

pub(super) fn problem() -> Problem {
    let free = |(name, start): (&str, f64)| {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        Parameter { name: name.into(), start, min, max, fixed: false }
    };
    Problem::new("a*exp(-b*t)", &["t"], [("a", 1.0), ("b", 0.3)].map(free).into()).unwrap()
}

pub(super) fn run(problem: Problem, keeping: &Keeping, watcher: &mut Watcher) -> Result<Outcome, RunError> {
    fit_kept(problem, points(), 1, keeping, watcher)
}

/// The bytes of the checkpoint after so many passes.
pub(super) fn sample(passes: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let keeping = Keeping::Fresh(Checkpoints::new(folder.path()));
    run(problem(), &keeping, &mut Watcher::stopping_after(passes as usize)).unwrap();
    std::fs::read(store(folder.path()).path(passes)).unwrap()
}

pub(super) fn store(run_dir: &Path) -> Store {
    Store::new(run_dir.join(FOLDER))
}
