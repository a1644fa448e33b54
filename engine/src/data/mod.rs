//! Points: where they come from, and how they are cut into tiles.
//!
//! A [`spec::DatasetSpec`] says which files and columns; [`dataset::Dataset`] reads them as one table of points, whatever
//! their formats; [`shard::load_tiles`] cuts runs of them into [`tile::Tile`]s, which merge in the [`tree`] over tile
//! indices. A [`manifest::Manifest`] lets another process open the same dataset.

pub mod columns;
pub mod dataset;
pub mod describe;
pub mod manifest;
pub mod memory;
pub mod shard;
pub mod source;
pub mod spec;
pub mod statistics;
pub mod table;
pub mod tile;
pub mod tree;

mod arrays;
mod csv;
mod csv_index;
mod npy;
mod npy_header;
mod open;
mod parquet;
mod resolve;
mod scalar;

#[cfg(test)]
mod tests;

pub use dataset::Dataset;
pub use manifest::Manifest;
pub use spec::DatasetSpec;
pub use statistics::YStatistics;
pub use tile::NonFinite;
