//! Theta enters the dataflow at worker 0, whenever the driver sends one.

use std::sync::mpsc::{Receiver, TryRecvError};

use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::{Scope, StreamVec};
use timely::scheduling::SyncActivator;

use nlsq_engine::kernel::Request;

/// Where requests come from; on every worker but the first there is none.
pub(crate) struct Requests {
    /// Pass numbers ascend.
    pub(crate) receiver: Receiver<(u64, Request)>,
    /// Told, once, how to wake the operator.
    pub(crate) ready: Box<dyn FnOnce(SyncActivator)>,
}

/// A source that emits each request at the time of its pass, and ends when the driver hangs up.
pub(crate) fn theta<'scope>(scope: Scope<'scope, u64>, requests: Option<Requests>) -> StreamVec<'scope, u64, Request> {
    source(scope, "Theta", |capability, info| {
        let mut input = requests.map(|Requests { receiver, ready }| {
            ready(scope.worker().sync_activator_for(info.address.to_vec()));
            (capability, receiver)
        });
        move |output| {
            while let Some((capability, receiver)) = &mut input {
                match receiver.try_recv() {
                    Ok((pass, request)) => {
                        capability.downgrade(&pass);
                        output.session(capability).give(request);
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => input = None,
                }
            }
        }
    })
}
