//! The minimizer as a state machine: it asks for a pass, takes the answer, asks again.
