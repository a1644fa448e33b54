//! Nodes of the tile tree to its root.

use std::collections::BTreeMap;

use nlsq_engine::data::tree::{TreeFold, TreeNode};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator;

use crate::pass::Partial;

/// Folds the tile tree on worker 0.
pub(crate) trait Reduce<'scope> {
    /// The root of each pass, as soon as all its tiles are in: same bits whoever sent which node, and when.
    fn reduce(self, tiles: u64) -> StreamVec<'scope, u64, Partial>;
}

impl<'scope> Reduce<'scope> for StreamVec<'scope, u64, (TreeNode, Partial)> {
    fn reduce(self, tiles: u64) -> StreamVec<'scope, u64, Partial> {
        self.unary(Exchange::new(|_| 0), "Reduce", move |_, _| {
            let mut waiting: BTreeMap<u64, TreeFold<Partial>> = BTreeMap::new();
            move |input, output| {
                input.for_each(|time, nodes| {
                    let pass = *time.time();
                    let fold = waiting.entry(pass).or_insert_with(|| TreeFold::new(tiles));
                    for (node, partial) in nodes.drain(..) {
                        fold.add(node, partial, Partial::merge);
                    }
                    if let Some(root) = fold.root() {
                        output.session(&time).give(root.clone());
                        waiting.remove(&pass);
                    }
                });
            }
        })
    }
}
