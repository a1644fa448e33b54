//! Out of the dataflow, to the driver.

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::pass::Partial;

/// Where the driver takes answers: pass and sums.
pub(crate) type Sink = Box<dyn Fn(u64, Partial) + Send>;

/// Hands the result of each pass to the driver.
pub(crate) trait Deliver {
    /// On workers without a driver nothing arrives, and `answers` is `None`.
    fn deliver(self, answers: Option<Sink>);
}

impl Deliver for StreamVec<'_, u64, Partial> {
    fn deliver(self, answers: Option<Sink>) {
        self.sink(Pipeline, "Deliver", move |(input, _)| {
            input.for_each(|time, roots| {
                for root in roots.drain(..) {
                    let answers = answers.as_ref().expect("roots arise on worker 0, where the driver is");
                    answers(*time.time(), root);
                }
            });
        });
    }
}
