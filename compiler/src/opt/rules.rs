//! Local rules: each is one law of algebra, read from left to right, whose right side is never worse.
//!
//! A rule looks at one node and what lies above it, and gives a replacement of the same type. Rules are applied in
//! rounds until none applies. Each has an example, which is its test.

mod affine;
mod borders;
mod broadcasts;
mod gathers;
mod pointwise;
mod products;
mod transposes;
mod views;

use super::{Fuel, Rewrite};
use crate::graph::{Graph, NodeId};

/// One law.
pub struct Rule {
    pub name: &'static str,
    /// The replacement for an old node, or none when the left side does not match.
    pub apply: fn(&mut Rewrite<'_>, NodeId) -> Option<NodeId>,
    /// Text of a graph, and of what this rule alone makes of it.
    pub example: [&'static str; 2],
}

/// In the order in which they are tried.
pub const RULES: &[&[Rule]] = &[
    views::RULES,
    pointwise::RULES,
    broadcasts::RULES,
    transposes::RULES,
    gathers::RULES,
    borders::RULES,
    products::RULES,
    affine::RULES,
];

/// Rounds after which the rest is left: a chain of views shortens by half in each.
const MAX_ROUNDS: usize = 64;

pub fn simplify(graph: Graph, fuel: &mut Fuel) -> Graph {
    let rules: Vec<&Rule> = RULES.iter().copied().flatten().collect();
    let mut current = graph;
    for _ in 0..MAX_ROUNDS {
        let (next, changed) = round(&current, &rules, fuel);
        current = next;
        if !changed {
            break;
        }
    }
    current
}

/// One walk over the graph; at most one rule applies to each node.
pub(super) fn round(graph: &Graph, rules: &[&Rule], fuel: &mut Fuel) -> (Graph, bool) {
    let mut changed = false;
    let next = Rewrite::of(graph).run(|rw, id| {
        let new = rules.iter().find_map(|rule| (rule.apply)(rw, id))?;
        if rw.new.ty(new) != rw.ty(id) || !fuel.take() {
            return None;
        }
        changed = true;
        Some(new)
    });
    (next, changed)
}
