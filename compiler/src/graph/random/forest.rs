//! Random decision trees.

use super::grow::Grower;
use crate::{
    graph::NodeId,
    op::Forest,
    tensor::{DType, Scalar, Tensor},
};

/// The tables of a forest.
#[derive(Default)]
struct Tables {
    nodes: Vec<[i32; 4]>,
    roots: Vec<i32>,
    steps: Vec<i32>,
    sets: Vec<i32>,
    sums: Vec<[i32; 3]>,
}

const LEAF: [i32; 4] = [0, f32::NAN.to_bits() as i32, 0, 0];

impl Grower {
    /// Trees over a fresh matrix, whose numbers have places in sets, or none, or are missing.
    pub(super) fn forest(&mut self) -> Option<NodeId> {
        let columns = self.rng.range(1, 4);
        let rows = self.dim();
        let numbers = [-1.0, 0.0, 1.0, 2.5, 3.0, 31.0, 40.0, f32::NAN];
        let values = self.leaf_of(DType::F32, vec![rows, columns.into()], |g, _| Scalar::F32(g.rng.pick(&numbers)));
        let mut op = Forest { sets: self.rng.once_in(2), sums: self.rng.once_in(2) };
        let mut tables = Tables::default();
        for _ in 0..self.rng.range(1, 2) {
            let mut steps = 0;
            for _ in 0..Forest::TOGETHER {
                tables.roots.push(tables.nodes.len() as i32);
                tables.nodes.push(LEAF);
                steps = steps.max(self.grow_tree(&mut tables, &op, columns, 3));
            }
            tables.steps.push(steps);
        }
        // Nodes have what there is.
        op.sets &= !tables.sets.is_empty();
        op.sums &= !tables.sums.is_empty();
        let table = |shape: &[usize], all: Vec<i32>| {
            Tensor::from_scalars(DType::I32, shape, all.into_iter().map(|n| Scalar::Int(n.into())))
        };
        let tables = [
            table(&[tables.nodes.len(), 4], tables.nodes.concat()),
            table(&[tables.roots.len()], tables.roots),
            table(&[tables.steps.len()], tables.steps),
            table(&[tables.sets.len()], tables.sets),
            table(&[tables.sums.len(), 3], tables.sums.concat()),
        ];
        let mut operands = vec![values];
        operands.extend(tables.map(|table| self.known(table)));
        self.add(op, &operands)
    }

    /// Makes a tree of the last node, of so many steps at most, and tells how many it has.
    fn grow_tree(&mut self, tables: &mut Tables, op: &Forest, columns: i64, most: i32) -> i32 {
        let at = tables.nodes.len() - 1;
        let mut todo = vec![(at, most)];
        let mut steps = 0;
        while let Some((at, rest)) = todo.pop() {
            if rest == 0 || self.rng.once_in(4) {
                tables.nodes[at] = [0, LEAF[1], at as i32, 0];
                continue;
            }
            steps = steps.max(most - rest + 1);
            let children = tables.nodes.len();
            tables.nodes.extend([LEAF; 2]);
            todo.extend([(children, rest - 1), (children + 1, rest - 1)]);
            let column = |g: &mut Self| g.rng.below(columns as usize) as i32;
            let float = |g: &mut Self| g.rng.pick(&[-1.0f32, 0.5, 2.5, 3.0]).to_bits() as i32;
            let more = if op.sets && self.rng.once_in(3) {
                let words = self.rng.range(1, 2) as i32;
                let place = tables.sets.len() as i32 + 1;
                tables.sets.push(32 * words - 1);
                tables.sets.extend(
                    (0..words).map(|n| self.rng.bits() as i32 & if n + 1 == words { i32::MAX >> 1 } else { -1 }),
                );
                place
            } else if op.sums && self.rng.once_in(2) {
                let place = -1 - tables.sums.len() as i32;
                let terms = self.rng.range(1, 3) as i32;
                tables.sums.push([terms, self.rng.below(2) as i32, 0]);
                for _ in 0..terms {
                    let instead = if self.rng.once_in(2) { f32::NAN.to_bits() as i32 } else { float(self) };
                    let term = [column(self), float(self), instead];
                    tables.sums.push(term);
                }
                place
            } else {
                0
            };
            tables.nodes[at] = [column(self), float(self), children as i32, more];
        }
        steps
    }
}
