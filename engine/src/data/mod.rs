//! Points: where they come from, and how they are cut into tiles.

pub mod source;
pub mod tile;
pub mod tree;
