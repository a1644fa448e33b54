//! The canonical binary tree over tile indices.
//!
//! Node (level, index) covers the tiles `index 2^level .. (index + 1) 2^level`. A node is the merge of its two children,
//! left + right; a node whose right child covers no tile is its left child. So the root is one fixed expression of the
//! tiles, whoever owns them and in whatever order they arrive, and a pass is complete exactly when the root exists.
//! An owner of a run of tiles folds what it has and passes on at most 2 log2(tiles) nodes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A node of the tile tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TreeNode {
    /// 0 for a tile.
    pub level: u32,
    /// Position among the nodes of its level.
    pub index: u64,
}

impl TreeNode {
    /// The leaf of a tile.
    pub fn tile(index: u64) -> Self {
        Self { level: 0, index }
    }
}

/// Folds nodes of the tile tree as they come, keeping only those that still wait for a sibling.
#[derive(Clone, Debug)]
pub struct TreeFold<T> {
    tiles: u64,
    waiting: BTreeMap<TreeNode, T>,
}

impl<T> TreeFold<T> {
    /// For a dataset of this many tiles.
    pub fn new(tiles: u64) -> Self {
        assert!(tiles > 0, "a dataset has at least one tile");
        Self { tiles, waiting: BTreeMap::new() }
    }

    /// Takes a node and merges upward as far as the siblings are there. `merge(left, right)`.
    ///
    /// A node that is already there is a bug of the caller: a tile would count twice.
    pub fn add(&mut self, node: TreeNode, value: T, merge: impl Fn(T, T) -> T) {
        let TreeNode { mut level, mut index } = node;
        assert!(level < 64 && (index << level) < self.tiles, "{node:?} lies outside a tree of {} tiles", self.tiles);
        let mut value = value;
        while (1u64 << level) < self.tiles {
            let sibling = TreeNode { level, index: index ^ 1 };
            if index & 1 == 0 && (sibling.index << level) >= self.tiles {
                // no right sibling: passes through unchanged, without adding a zero
            } else if let Some(other) = self.waiting.remove(&sibling) {
                value = if index & 1 == 0 { merge(value, other) } else { merge(other, value) };
            } else {
                break;
            }
            level += 1;
            index >>= 1;
        }
        let previous = self.waiting.insert(TreeNode { level, index }, value);
        assert!(previous.is_none(), "node {level}/{index} of the tile tree came twice");
    }

    /// The root, once every tile is in.
    pub fn root(&self) -> Option<&T> {
        let top = TreeNode { level: self.tiles.next_power_of_two().trailing_zeros(), index: 0 };
        self.waiting.get(&top)
    }

    /// The maximal nodes so far, in order of level and index.
    pub fn into_nodes(self) -> impl Iterator<Item = (TreeNode, T)> {
        self.waiting.into_iter()
    }
}
