//! Keeps a fit: takes its state after passes, and finds the one to go on from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nlsq_engine::saved::to_bytes;
use nlsq_worker::handshake::RunId;
use rkyv::util::AlignedVec;

use super::error::CheckpointError;
use super::format::Checkpoint;
use super::identity::Identity;
use super::state::{Record, nanoseconds};
use super::store::Store;
use super::writer::{Beginning, Event, Plan, Snapshot, Writer};
use super::{Checkpoints, Keeping};
use crate::outcome::{Kept, Level, Observer, PassRecord};
use crate::run_dir::JOB;

/// A pass that took less is sooner repeated than a disk is waited for.
const MOMENT: Duration = Duration::from_secs(1);

/// The archives of the procedures.
pub(crate) struct Sections {
    pub(crate) fit: Arc<AlignedVec>,
    pub(crate) profiles: Option<AlignedVec>,
}

/// A fit that is about to begin or to go on: what it goes on from, and who keeps it.
pub(crate) struct Start {
    pub(crate) keeper: Keeper,
    /// Where it goes on, and the file that says so.
    pub(crate) saved: Option<(PathBuf, Checkpoint)>,
    /// Newer checkpoints that are damaged.
    pub(crate) warnings: Vec<String>,
    /// The name of the run, if it is kept.
    pub(crate) run: Option<RunId>,
}

impl Start {
    /// Nothing is kept.
    pub(crate) fn unkept() -> Self {
        Self { keeper: Keeper::default(), saved: None, warnings: Vec::new(), run: None }
    }

    /// Finds what to go on from, if that is wanted, and refuses what is not the same fit.
    pub(crate) fn new(keeping: &Keeping, now: Identity) -> Result<Self, CheckpointError> {
        match keeping {
            Keeping::Nothing => Ok(Self::unkept()),
            Keeping::Fresh(checkpoints) => {
                let job = checkpoints.job.as_ref().map(|text| (checkpoints.run_dir.join(JOB), text.clone()));
                let run = Some(now.run);
                let keeper = Keeper::new(checkpoints, now, Some(Beginning { job }), Vec::new());
                Ok(Self { keeper, saved: None, warnings: Vec::new(), run })
            }
            Keeping::Resume { checkpoints, moved } => Self::resume(checkpoints, &now, *moved),
        }
    }

    fn resume(checkpoints: &Checkpoints, now: &Identity, moved: bool) -> Result<Self, CheckpointError> {
        let folder = checkpoints.folder();
        let nothing = |damaged| CheckpointError::Nothing { folder: folder.clone(), damaged };
        let found = Store::new(folder.clone()).newest().map_err(|error| nothing(vec![error.to_string()]))?;
        let mut warnings: Vec<String> =
            found.skipped.iter().map(|(path, why)| format!("{} is damaged: {why}", path.display())).collect();
        let Some((path, checkpoint)) = found.newest else { return Err(nothing(warnings)) };
        let then = &checkpoint.identity;
        let differences = then.differences(now);
        if !differences.other.is_empty() || !(differences.moved.is_empty() || moved) {
            let only_moved = differences.other.is_empty();
            let differences = differences.other.into_iter().chain(differences.moved).collect();
            return Err(CheckpointError::Differs { path, differences, only_moved });
        }
        if !differences.moved.is_empty() {
            warnings.push(format!("--force: {}", differences.moved.join("; ")));
        }
        if then.program != now.program {
            warnings.push(format!(
                "{} was written by version {} of this program, this is {}: last digits may differ",
                path.display(),
                then.program,
                now.program
            ));
        }
        // the run keeps its name, whoever goes on with it
        let run = Some(then.run);
        let identity = Identity { run: then.run, ..now.clone() };
        let keeper = Keeper::new(checkpoints, identity, None, checkpoint.rows.clone());
        Ok(Self { keeper, saved: Some((path, checkpoint)), warnings, run })
    }
}

/// Takes the state of a fit after passes. One that keeps nothing does nothing.
#[derive(Default)]
pub(crate) struct Keeper {
    active: Option<Active>,
}

struct Active {
    checkpoints: Checkpoints,
    /// What the writer will need, until it is started.
    plan: Option<Plan<super::Disk>>,
    writer: Option<Writer>,
    /// Records of the passes since the last state that was handed over.
    fresh: Vec<PassRecord>,
    /// The pass of that state.
    offered: u64,
    /// The newest on the disk.
    written: Option<u64>,
    /// The last one could not be written.
    failing: bool,
    /// What all this held up the fit.
    blocked: Duration,
}

impl Keeper {
    fn new(checkpoints: &Checkpoints, identity: Identity, begins: Option<Beginning>, rows: Vec<PassRecord>) -> Self {
        let offered = rows.len() as u64;
        let archive = to_bytes(&identity).expect("texts and numbers written to memory make an archive");
        let plan = Plan {
            store: Store::new(checkpoints.folder()),
            identity: archive,
            keep: checkpoints.keep.max(1),
            begins,
            rows,
        };
        let active = Active {
            checkpoints: checkpoints.clone(),
            plan: Some(plan),
            writer: None,
            fresh: Vec::new(),
            offered,
            written: (offered > 0).then_some(offered),
            failing: false,
            blocked: Duration::ZERO,
        };
        Self { active: (checkpoints.every_passes > 0).then_some(active) }
    }

    /// After a pass: takes its record, and the state if it is time.
    pub(crate) fn pass(
        &mut self,
        row: &PassRecord,
        record: &Record,
        sections: impl FnOnce() -> Sections,
        observer: &mut dyn Observer,
    ) {
        let Some(active) = &mut self.active else { return };
        active.fresh.push(row.clone());
        if record.passes.is_multiple_of(active.checkpoints.every_passes) {
            active.offer(record, sections);
        }
        active.tell(observer);
    }

    /// After the pass that ends a procedure: the result follows, or the next procedure. Only a long pass is worth a state of its own.
    pub(crate) fn last_pass(
        &mut self,
        row: &PassRecord,
        record: &Record,
        sections: impl FnOnce() -> Sections,
        observer: &mut dyn Observer,
    ) {
        let Some(active) = &mut self.active else { return };
        active.fresh.push(row.clone());
        if row.seconds >= MOMENT.as_secs_f64() {
            active.offer(record, sections);
        } else if let Some(writer) = &active.writer {
            writer.cancel();
        }
        active.tell(observer);
    }

    /// A procedure was stopped: its last state is on the disk on return, or has failed.
    pub(crate) fn stopped(
        &mut self,
        record: &Record,
        sections: impl FnOnce() -> Sections,
        observer: &mut dyn Observer,
    ) {
        let Some(active) = &mut self.active else { return };
        if record.passes > active.offered {
            active.offer(record, sections);
        }
        active.flush();
        active.tell(observer);
    }

    /// The fit is over, and its result is about to be written. What is being written is on the disk on return, or has failed. What all
    /// of it held up the fit.
    pub(crate) fn close(&mut self, observer: &mut dyn Observer) -> u64 {
        let Some(active) = &mut self.active else { return 0 };
        active.flush();
        active.tell(observer);
        nanoseconds(active.blocked)
    }

    /// What this process has spent so far.
    pub(crate) fn blocked(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| nanoseconds(active.blocked))
    }
}

impl Active {
    fn offer(&mut self, record: &Record, sections: impl FnOnce() -> Sections) {
        let began = Instant::now();
        let Sections { fit, profiles } = sections();
        let archive = to_bytes(record).expect("texts and numbers written to memory make an archive");
        let snapshot = Snapshot { pass: record.passes, record: archive, fit, profiles };
        self.offered = record.passes;
        if let Some(plan) = self.plan.take() {
            self.writer = Writer::start(plan).ok();
        }
        if let Some(writer) = &self.writer {
            writer.offer(snapshot, std::mem::take(&mut self.fresh));
        }
        self.blocked += began.elapsed();
    }

    fn flush(&mut self) {
        let began = Instant::now();
        if let Some(writer) = &self.writer {
            writer.flush();
        }
        self.blocked += began.elapsed();
    }

    /// Passes on what happened to checkpoints. Of failures in a row the first is worth a line.
    fn tell(&mut self, observer: &mut dyn Observer) {
        if self.plan.is_none() && self.writer.is_none() && !self.failing {
            self.failing = true;
            observer.note(Level::Warn, "no checkpoints: the system gives no thread to write them");
        }
        let events = self.writer.as_ref().map(Writer::events).unwrap_or_default();
        for event in events {
            match event {
                Event::Written { pass, bytes, took } => {
                    if std::mem::take(&mut self.failing) {
                        observer.note(Level::Info, &format!("checkpoints are written again, from pass {pass} on"));
                    }
                    self.written = Some(pass);
                    let path = Store::new(self.checkpoints.folder()).path(pass);
                    observer.kept(&Kept { pass, path, bytes, seconds: took.as_secs_f64() });
                }
                Event::Failed { pass, why } if !std::mem::replace(&mut self.failing, true) => {
                    let stands = match self.written {
                        Some(written) => format!("the one of pass {written} stands"),
                        None => "there is none yet".to_string(),
                    };
                    let text =
                        format!("cannot write the checkpoint of pass {pass}: {why}; {stands}, and the fit goes on");
                    observer.note(Level::Warn, &text);
                }
                Event::Failed { .. } => {}
            }
        }
    }
}
