//! Theta meets the tiles, on threads that timely knows nothing of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use nlsq_engine::data::tree::TreeNode;
use nlsq_engine::kernel::Request;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::scheduling::SyncActivator;

use crate::pass::Partial;

/// Evaluates the tiles of this worker, on threads or a device of its own.
pub trait Compute: Send + Sync {
    /// Starts on a request and returns at once; the reply is sent from whatever thread finishes.
    fn evaluate(&self, request: Request, reply: Reply);
}

/// Takes the answer to one request back into the dataflow.
pub struct Reply {
    pass: u64,
    sender: Sender<(u64, Option<Nodes>)>,
    activator: SyncActivator,
    sent: bool,
}

/// Nodes of the tile tree.
type Nodes = Vec<(TreeNode, Partial)>;

impl Reply {
    /// The pass it belongs to.
    pub fn pass(&self) -> u64 {
        self.pass
    }

    /// Sends the nodes of this worker's tiles, folded as far as they go. If the dataflow is gone they are dropped with it.
    pub fn send(mut self, nodes: Vec<(TreeNode, Partial)>) {
        self.answer(Some(nodes));
    }

    fn answer(&mut self, nodes: Option<Nodes>) {
        self.sent = true;
        if self.sender.send((self.pass, nodes)).is_ok() {
            // The worker may have ended between the two calls; then nobody waits.
            let _ = self.activator.activate();
        }
    }
}

impl Drop for Reply {
    /// A reply dropped unsent means that the compute thread panicked; the dataflow must not wait for it for ever.
    fn drop(&mut self) {
        if !self.sent {
            self.answer(None);
        }
    }
}

/// Turns requests into partial sums.
pub(crate) trait Evaluate<'scope> {
    /// Nodes of the tile tree of this worker's tiles, for each request.
    fn evaluate(self, compute: Arc<dyn Compute>) -> StreamVec<'scope, u64, (TreeNode, Partial)>;
}

impl<'scope> Evaluate<'scope> for StreamVec<'scope, u64, Request> {
    fn evaluate(self, compute: Arc<dyn Compute>) -> StreamVec<'scope, u64, (TreeNode, Partial)> {
        let scope = self.scope();
        self.unary(Pipeline, "Evaluate", |_, info| {
            let (sender, done) = channel();
            let activator = scope.worker().sync_activator_for(info.address.to_vec());
            let mut running: BTreeMap<u64, Capability<u64>> = BTreeMap::new();
            move |input, output| {
                input.for_each(|time, requests| {
                    for request in requests.drain(..) {
                        let pass = *time.time();
                        running.insert(pass, time.retain(output.output_index()));
                        let (sender, activator) = (sender.clone(), activator.clone());
                        compute.evaluate(request, Reply { pass, sender, activator, sent: false });
                    }
                });
                for (pass, nodes) in done.try_iter() {
                    let nodes = nodes.expect("compute threads do not panic");
                    let capability = running.remove(&pass).expect("an answer comes once for each request");
                    output.session(&capability).give_iterator(nodes.into_iter());
                }
            }
        })
    }
}
