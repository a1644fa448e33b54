//! The only integration binary: everything that needs the real programs.

mod bad_inputs;
mod program;
