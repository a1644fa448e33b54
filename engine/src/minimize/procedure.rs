//! The minimizer among the other procedures: its demand as a request, its answer unpacked.

use super::{Demand, Minimizer};
use crate::kernel::{Answer, Request};
use crate::procedure::Procedure;
use crate::summary::Iteration;

impl Procedure for Minimizer {
    fn demand(&self) -> Option<Request> {
        match self.start() {
            Demand::Linearize(theta) => Some(Request::linearize(theta, self.costing)),
            Demand::Cost(candidates) => Some(Request::costs(candidates, self.costing)),
            Demand::Finished(_) => None,
        }
    }

    fn take(&mut self, answer: Answer) {
        let answer = match answer {
            Answer::Costs(costs) => super::Answer::Costs(costs),
            other => super::Answer::Linearized(other.into_normal()),
        };
        self.advance(answer);
    }

    fn iteration(&self) -> Option<&Iteration> {
        Minimizer::iteration(self)
    }
}
