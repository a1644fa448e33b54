//! Out of the dataflow, to the driver.

use std::sync::mpsc::Sender;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::pass::Partial;

/// Hands the result of each pass to the driver.
pub(crate) trait Deliver {
    /// On workers without a driver nothing arrives, and `answers` is `None`.
    fn deliver(self, answers: Option<Sender<(u64, Partial)>>);
}

impl Deliver for StreamVec<'_, u64, Partial> {
    fn deliver(self, answers: Option<Sender<(u64, Partial)>>) {
        self.sink(Pipeline, "Deliver", move |(input, _)| {
            input.for_each(|time, roots| {
                for root in roots.drain(..) {
                    let answers = answers.as_ref().expect("roots arise on worker 0, where the driver is");
                    // A driver that has hung up no longer wants the answer.
                    let _ = answers.send((*time.time(), root));
                }
            });
        });
    }
}
