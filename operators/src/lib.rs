//! The dataflow of a pass, as timely operators.
//!
//! ```text
//!   driver                                                                              driver
//!     |                                                                                   ^
//!     v  (pass, Request)                                                    (pass, Partial)
//!   Theta ──> Spread ──────────────> Evaluate ──────────────> Reduce ──────────────> Deliver
//!   worker 0  worker 0 to all        every worker: its tiles   worker 0: the tile     worker 0
//!                                    on its own threads        tree, to the root
//! ```
//!
//! The timestamp is the number of the pass. What travels back is never points: a worker sends on the maximal nodes of the
//! tile tree that it can fold alone. A pass is complete when the root of the tree exists, which is a fact about data; the
//! frontier is never asked, because during a failure it proves nothing.
//!
//! The same graph runs in one process and across hosts. It knows nothing of sockets, threads or devices: compute comes in as
//! [`Compute`], the driver as [`Driver`].

mod assemble;
mod deliver;
mod evaluate;
mod pass;
mod reduce;
mod spread;
mod theta;

pub use assemble::{Driver, Passes, assemble, driver};
pub use evaluate::{Compute, Reply};
pub use pass::{Aborted, Fault, Partial};
