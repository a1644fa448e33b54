//! Wires the dataflow: the only place that does.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::deliver::{Deliver, Sink};

use nlsq_engine::kernel::Request;
use timely::scheduling::SyncActivator;
use timely::worker::Worker;

use crate::evaluate::{Compute, Evaluate};
use crate::pass::{Aborted, Partial};
use crate::reduce::Reduce;
use crate::spread::Spread;
use crate::theta::{Requests, theta};

/// The dataflow's end of the driver: goes to worker 0.
pub struct Driver {
    requests: Receiver<(u64, Request)>,
    answers: Sink,
    ready: Sender<SyncActivator>,
}

/// The driver's own end: sends passes into the dataflow.
pub struct Passes {
    requests: Sender<(u64, Request)>,
    ready: Receiver<SyncActivator>,
    activator: Option<SyncActivator>,
}

/// A driver in two halves. Dropping [`Passes`] ends the dataflow on all workers. `answer` is called with each pass and its sums,
/// on the timely thread; when the dataflow has ended, however that came about, it is dropped.
pub fn driver(answer: impl Fn(u64, Partial) + Send + 'static) -> (Passes, Driver) {
    let (requests, requests_end) = channel();
    let (ready_end, ready) = channel();
    let passes = Passes { requests, ready, activator: None };
    (passes, Driver { requests: requests_end, answers: Box::new(answer), ready: ready_end })
}

impl Passes {
    /// Begins a pass over all tiles. Numbers must ascend within a generation. An error if the dataflow has ended.
    pub fn send(&mut self, pass: u64, request: Request) -> Result<(), Aborted> {
        if self.activator.is_none() {
            self.activator = Some(self.ready.recv().map_err(|_| Aborted)?);
        }
        self.requests.send((pass, request)).map_err(|_| Aborted)?;
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        if let Some(activator) = &self.activator {
            // Fails only when the worker has ended; the channel then says so.
            let _ = activator.activate();
        }
    }
}

impl Drop for Passes {
    fn drop(&mut self) {
        // Hang up first, then wake the source, so that it sees the end of its input.
        let (closed, _) = channel();
        self.requests = closed;
        if self.activator.is_none() {
            // No pass was ever run. If the source is not built yet, it will find its input closed by itself.
            self.activator = self.ready.try_recv().ok();
        }
        self.wake();
    }
}

/// Builds the dataflow on one timely worker. All workers of a generation must call it with the same `tiles`; the first one,
/// and no other, gets the [`Driver`].
pub fn assemble(worker: &mut Worker, tiles: u64, compute: Arc<dyn Compute>, driver: Option<Driver>) {
    assert_eq!(worker.index() == 0, driver.is_some(), "the driver sits at worker 0");
    let (requests, answers) = match driver {
        Some(Driver { requests, answers, ready }) => {
            // If the driver is gone already, the closed request channel ends the dataflow.
            let ready = Box::new(move |activator| drop(ready.send(activator)));
            (Some(Requests { receiver: requests, ready }), Some(answers))
        }
        None => (None, None),
    };
    worker.dataflow::<u64, _, _>(|scope| {
        theta(scope, requests).spread().evaluate(compute).reduce(tiles).deliver(answers);
    });
}
