//! Kernels: a tape evaluated over a tile.
