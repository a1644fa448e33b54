//! From worker 0 to all.

use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Broadcast;

use nlsq_engine::kernel::Request;

/// Sends every request to every worker.
pub(crate) trait Spread {
    /// The requests of worker 0, on all workers.
    fn spread(self) -> Self;
}

impl Spread for StreamVec<'_, u64, Request> {
    fn spread(self) -> Self {
        self.broadcast()
    }
}
