//! Points: where they come from, and how they are cut into tiles.
//!
//! A [`spec::DatasetSpec`] says which files and columns; [`dataset::Dataset`] reads them as one table of points, whatever
//! their formats; [`shard::load_tiles`] cuts runs of them into [`tile::Tile`]s, which merge in the [`tree`] over tile
//! indices. A [`manifest::Manifest`] lets another process open the same dataset. [`synthetic`] makes points up, [`mod@write`]
//! writes files.

pub mod columns;
pub mod dataset;
pub mod describe;
pub mod fingerprint;
pub mod guard;
pub mod manifest;
pub mod memory;
pub mod numbers;
pub mod shard;
pub mod source;
pub mod spec;
pub mod statistics;
pub mod synthetic;
pub mod table;
pub mod tile;
pub mod tile_set;
pub mod tree;
pub mod write;

mod arrays;
mod arrow;
mod csv;
mod csv_index;
pub(crate) mod derived;
#[cfg(feature = "hdf5")]
mod hdf5;
#[cfg(feature = "hdf5")]
mod hdf5_records;
mod npy;
mod npy_header;
mod npz;
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
pub use tile_set::TileSet;
