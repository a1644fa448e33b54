//! What asks for passes: reverse communication.
//!
//! A procedure never sees a point. It says what it wants to know next; whoever holds the points answers: a loop over a
//! slice ([`run`]), a cluster, a script in a test. Its whole state is a small value that a checkpoint can hold.

use crate::kernel::{Answer, Request};
use crate::summary::Iteration;

/// A procedure that asks for passes. In its requests a theta holds the free parameters, in the order of
/// [`crate::params::Parameters::free`].
pub trait Procedure {
    /// The pass that it waits for; `None` when it is over. Asked twice it says the same.
    fn demand(&self) -> Option<Request>;

    /// Takes the answer to the demand that stands.
    ///
    /// # Panics
    /// If the answer is not one to that demand, by kind or by shape: a bug of the caller.
    fn take(&mut self, answer: Answer);

    /// The record of the pass answered last.
    fn iteration(&self) -> Option<&Iteration>;
}

/// Runs a procedure to its end.
pub fn run<P: Procedure + ?Sized, E>(
    procedure: &mut P,
    mut pass: impl FnMut(&Request) -> Result<Answer, E>,
) -> Result<(), E> {
    while let Some(request) = procedure.demand() {
        procedure.take(pass(&request)?);
    }
    Ok(())
}
