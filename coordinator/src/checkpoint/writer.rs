//! The thread that writes checkpoints: always the newest state, never in the way of a pass.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nlsq_engine::saved::to_bytes;
use rkyv::util::AlignedVec;

use super::files::Files;
use super::store::Store;
use crate::outcome::PassRecord;

/// The archives of one state.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) pass: u64,
    pub(super) record: AlignedVec,
    pub(super) fit: Arc<AlignedVec>,
    pub(super) profiles: Option<AlignedVec>,
}

/// What came of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// It is on the disk.
    Written { pass: u64, bytes: u64, took: Duration },
    /// It is not; those before still are.
    Failed { pass: u64, why: String },
}

/// What does not change from one checkpoint to the next.
pub(super) struct Plan<F> {
    pub(super) store: Store<F>,
    /// The archive of the identity.
    pub(super) identity: AlignedVec,
    pub(super) keep: usize,
    /// Of a run that begins: its job as text and where that goes, which is written before the first checkpoint. Then what is there of
    /// another run is removed.
    pub(super) begins: Option<Beginning>,
    /// One record for each pass so far.
    pub(super) rows: Vec<PassRecord>,
}

/// What a run that begins does first.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) job: Option<(std::path::PathBuf, String)>,
}

#[derive(Default)]
struct Desk {
    waiting: Option<Snapshot>,
    rows: Vec<PassRecord>,
    busy: bool,
    closed: bool,
    events: Vec<Event>,
}

#[derive(Default)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, desk: MutexGuard<'a, Desk>) -> MutexGuard<'a, Desk> {
        self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes checkpoints.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it.
    pub(super) fn start<F: Files + 'static>(plan: Plan<F>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("checkpoints".to_string()).spawn(move || serve(&own, plan))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hands over a state, with the records of the passes since the one before; in place of one that is still waiting.
    pub(super) fn offer(&self, snapshot: Snapshot, rows: Vec<PassRecord>) {
        let mut desk = self.shared.desk();
        desk.waiting = Some(snapshot);
        desk.rows.extend(rows);
        self.shared.changed.notify_all();
    }

    /// Returns when all that was handed over is written, or has failed.
    pub(super) fn flush(&self) {
        let mut desk = self.shared.desk();
        while desk.busy || desk.waiting.is_some() {
            desk = self.shared.wait(desk);
        }
    }

    /// Forgets what is still waiting.
    pub(super) fn cancel(&self) {
        self.shared.desk().waiting = None;
    }

    /// What happened since the last call.
    pub(super) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.shared.desk().events)
    }
}

impl Drop for Writer {
    /// What was handed over is written first.
    fn drop(&mut self) {
        self.shared.desk().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // it ends without a panic, and if it does not there is nobody to tell
            let _ = thread.join();
        }
    }
}

fn serve<F: Files>(shared: &Shared, mut plan: Plan<F>) {
    let mut desk = shared.desk();
    loop {
        let Some(snapshot) = desk.waiting.take() else {
            if desk.closed {
                return;
            }
            desk = shared.wait(desk);
            continue;
        };
        plan.rows.append(&mut desk.rows);
        desk.busy = true;
        drop(desk);
        let event = plan.write(&snapshot);
        desk = shared.desk();
        desk.events.push(event);
        desk.busy = false;
        shared.changed.notify_all();
    }
}

impl<F: Files> Plan<F> {
    fn write(&mut self, snapshot: &Snapshot) -> Event {
        let began = Instant::now();
        match self.try_write(snapshot) {
            Ok(bytes) => Event::Written { pass: snapshot.pass, bytes, took: began.elapsed() },
            Err(why) => Event::Failed { pass: snapshot.pass, why },
        }
    }

    fn try_write(&mut self, snapshot: &Snapshot) -> Result<u64, String> {
        if let Some(beginning) = &self.begins {
            self.begin(beginning).map_err(|error| error.to_string())?;
            self.begins = None;
        }
        let rows = to_bytes(&self.rows).map_err(|error| error.to_string())?;
        let profiles = snapshot.profiles.as_deref().unwrap_or_default();
        let sections = [self.identity.as_slice(), &snapshot.record, &snapshot.fit, profiles, &rows];
        self.store.save(snapshot.pass, sections, self.keep).map_err(|error| error.to_string())
    }

    /// What another run has left goes, since its checkpoints may bear higher numbers; ended half way, this leaves a run that can still be
    /// gone on with. Then the job, without which no checkpoint could be.
    fn begin(&self, beginning: &Beginning) -> std::io::Result<()> {
        self.store.clear()?;
        match &beginning.job {
            Some((path, text)) => self.store.replace(path, &[text.as_bytes()]),
            None => Ok(()),
        }
    }
}
