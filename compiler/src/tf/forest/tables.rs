//! A forest as the tables of the primitive [`crate::op::Forest`], and what its leaves are worth.

use std::collections::{BTreeSet, HashMap};

use super::{Columns, Form, Result, columns_of};
use crate::{
    op,
    saved::forest::{Feature, Features, Forest, Leaf, Term, Test, Tree, TreeNode},
};

/// Numbers of a table, at most.
const MOST: usize = 1 << 28;

/// The tables, by the operands of the primitive.
#[derive(Default)]
pub struct Tables {
    /// The columns of the matrix, in order.
    pub columns: Vec<Columns>,
    pub nodes: Vec<[i32; 4]>,
    pub roots: Vec<i32>,
    pub steps: Vec<i32>,
    pub sets: Vec<i32>,
    pub sums: Vec<[i32; 3]>,
    /// So many numbers for each node, of which leaves alone have any.
    pub width: usize,
    pub values: Vec<f32>,
    /// The number of a leaf among the leaves of its tree, by node.
    pub leaves: Vec<i32>,
}

/// What is known while tables are made.
struct Maker<'f> {
    tables: Tables,
    /// Where columns begin.
    starts: HashMap<Columns, usize>,
    /// Where a set lies that was met before.
    known: HashMap<(&'f [u8], bool), i32>,
}

impl Tables {
    /// The trees of each group lie side by side: tree `n` belongs to group `n % groups`.
    pub fn of(forest: &Forest, groups: usize) -> Result<Tables> {
        let width = forest.trees.iter().flat_map(|tree| &tree.nodes).find_map(|node| match node {
            TreeNode::Leaf(Leaf::Values(values)) => Some(values.len()),
            TreeNode::Leaf(Leaf::Vote(_)) => Some(forest.classes.len()),
            TreeNode::Leaf(Leaf::Examples(_)) => Some(1),
            TreeNode::Split { .. } => None,
        });
        let width = width.filter(|&width| width > 0).ok_or("the leaves of the forest have no values")?;
        let nodes: usize = forest.trees.iter().map(|tree| tree.nodes.len()).sum();
        if nodes.saturating_mul(width.max(4)) > MOST {
            return Err(format!("a forest of {nodes} nodes is too large").into());
        }
        let columns = columns(forest)?;
        let mut starts = HashMap::new();
        let mut start = 0;
        for &columns in &columns {
            starts.insert(columns, start);
            start += count(columns, &forest.features);
        }
        let tables = Tables { columns, width, ..Tables::default() };
        let mut maker = Maker { tables, starts, known: HashMap::new() };
        for group in 0..groups {
            let trees: Vec<&Tree> = forest.trees.iter().skip(group).step_by(groups).collect();
            for trees in trees.chunks(op::Forest::TOGETHER) {
                let mut steps = 0;
                for tree in trees {
                    steps = steps.max(maker.tree(tree)?);
                }
                // What fills the block up is a leaf without a value.
                for _ in trees.len()..op::Forest::TOGETHER {
                    let root = maker.slot();
                    maker.tables.roots.push(root as i32);
                    maker.leaf(root);
                }
                maker.tables.steps.push(steps);
            }
        }
        Ok(maker.tables)
    }
}

impl<'f> Maker<'f> {
    /// A node that is nothing yet.
    fn slot(&mut self) -> usize {
        let tables = &mut self.tables;
        tables.nodes.push([0; 4]);
        tables.leaves.push(0);
        tables.values.resize(tables.nodes.len() * tables.width, 0.0);
        tables.nodes.len() - 1
    }

    fn leaf(&mut self, at: usize) {
        self.tables.nodes[at] = [0, f32::NAN.to_bits() as i32, at as i32, 0];
    }

    /// Adds a tree, and tells how many steps lead to its deepest leaf. Nodes that follow each other on the way to no lie side by
    /// side.
    fn tree(&mut self, tree: &'f Tree) -> Result<i32> {
        let root = self.slot();
        self.tables.roots.push(root as i32);
        let (mut todo, mut steps, mut leaves) = (vec![(0, root, 0)], 0, 0);
        while let Some((node, at, depth)) = todo.pop() {
            match tree.nodes.get(node).ok_or("a tree of the forest is cut")? {
                TreeNode::Leaf(leaf) => {
                    steps = steps.max(depth);
                    self.leaf(at);
                    self.tables.leaves[at] = leaves;
                    leaves += 1;
                    self.value(at, leaf, depth)?;
                }
                TreeNode::Split { test, missing, negative, positive } => {
                    let children = self.slot();
                    self.slot();
                    let [column, threshold, more] = self.test(test, *missing)?;
                    self.tables.nodes[at] = [column, threshold, children as i32, more];
                    todo.push((*positive, children + 1, depth + 1));
                    todo.push((*negative, children, depth + 1));
                }
            }
        }
        Ok(steps)
    }

    fn value(&mut self, at: usize, leaf: &Leaf, depth: i32) -> Result<()> {
        let width = self.tables.width;
        let values = &mut self.tables.values[at * width..][..width];
        match leaf {
            Leaf::Values(all) if all.len() == width => values.copy_from_slice(all),
            Leaf::Vote(class) => values[*class] = 1.0,
            Leaf::Examples(examples) => values[0] = depth as f32 + depth_of(*examples),
            Leaf::Values(all) => {
                return Err(format!("a leaf of the forest has {} values, not {width}", all.len()).into());
            }
        }
        Ok(())
    }

    fn column(&self, feature: Feature, form: Form) -> Result<i32> {
        let place = columns_of(feature, form).and_then(|(columns, n)| Some(self.starts.get(&columns)? + n));
        place.map(|place| place as i32).ok_or_else(|| format!("{feature:?} of a forest has no column").into())
    }

    /// The column and the threshold of a node, and what else it has.
    fn test(&mut self, test: &'f Test, missing: bool) -> Result<[i32; 3]> {
        let float = |x: f32| x.to_bits() as i32;
        if let Some((feature, form, threshold)) = compared(test, missing) {
            return Ok([self.column(feature, form)?, float(threshold), 0]);
        }
        match test {
            Test::Contains { feature, items } => {
                let column = self.column(*feature, Form::Plain)?;
                Ok([column, float(0.0), self.set(items, missing)? + 1])
            }
            Test::Sum { terms, threshold } => {
                let at = self.tables.sums.len();
                if at > MOST {
                    return Err("a forest of so many sums is too large".into());
                }
                self.tables.sums.push([terms.len() as i32, missing.into(), 0]);
                for Term { feature, weight, replacement } in terms {
                    let column = self.column(*feature, Form::Plain)?;
                    let instead = replacement.unwrap_or(f32::NAN);
                    self.tables.sums.push([column, float(*weight), float(instead)]);
                }
                Ok([0, float(*threshold), -1 - at as i32])
            }
            Test::AtLeast { .. } | Test::Never { .. } | Test::Missing { .. } => unreachable!("a comparison"),
        }
    }

    /// Where a set lies: its first bit is that of a missing value, and its last is for what has no bit.
    fn set(&mut self, items: &'f [u8], missing: bool) -> Result<i32> {
        if let Some(&at) = self.known.get(&(items, missing)) {
            return Ok(at);
        }
        let bits = 8 * items.len() + 2;
        let at = self.tables.sets.len();
        if at + bits.div_ceil(32) > MOST {
            return Err("a forest of so many sets is too large".into());
        }
        let mut words = vec![0u32; bits.div_ceil(32)];
        words[0] |= missing as u32;
        for (n, item) in items.iter().enumerate() {
            for bit in (0..8).filter(|bit| item >> bit & 1 == 1) {
                let place = 8 * n + bit + 1;
                words[place / 32] |= 1 << (place % 32);
            }
        }
        self.tables.sets.push(bits as i32);
        self.tables.sets.extend(words.into_iter().map(|word| word as i32));
        self.known.insert((items, missing), at as i32);
        Ok(at as i32)
    }
}

/// A test that compares one number: how the node looks at the feature, and its threshold.
fn compared(test: &Test, missing: bool) -> Option<(Feature, Form, f32)> {
    match *test {
        Test::AtLeast { feature, threshold } if !threshold.is_nan() => {
            Some((feature, if missing { Form::High } else { Form::Plain }, threshold))
        }
        Test::Missing { feature } => Some((feature, Form::Absent, 0.5)),
        Test::AtLeast { feature, .. } | Test::Never { feature } if missing => Some((feature, Form::Absent, 0.5)),
        Test::AtLeast { feature, .. } | Test::Never { feature } => Some((feature, Form::Plain, f32::NAN)),
        Test::Contains { .. } | Test::Sum { .. } => None,
    }
}

/// The columns that nodes look at. There is one at least where there are features.
fn columns(forest: &Forest) -> Result<Vec<Columns>> {
    let mut needed = BTreeSet::new();
    let mut need = |feature, form| needed.extend(columns_of(feature, form).map(|(columns, _)| columns));
    for node in forest.trees.iter().flat_map(|tree| &tree.nodes) {
        let TreeNode::Split { test, missing, .. } = node else { continue };
        match (test, compared(test, *missing)) {
            (_, Some((feature, form, _))) => need(feature, form),
            (Test::Sum { terms, .. }, _) => terms.iter().for_each(|term| need(term.feature, Form::Plain)),
            (Test::Contains { feature, .. }, _) => need(*feature, Form::Plain),
            _ => {}
        }
    }
    if needed.is_empty() {
        let all = [Columns::Numbers, Columns::Booleans, Columns::Values];
        needed.extend(all.into_iter().find(|&columns| count(columns, &forest.features) > 0));
    }
    Ok(needed.into_iter().collect())
}

/// How many columns there are of a kind.
fn count(columns: Columns, features: &Features) -> usize {
    match columns {
        Columns::Numbers | Columns::HighNumbers | Columns::AbsentNumbers => features.numerical,
        Columns::Booleans | Columns::HighBooleans | Columns::AbsentBooleans => features.boolean,
        Columns::Values | Columns::AbsentValues => features.categorical.len(),
    }
}

/// How deep on the average a leaf would lie in a tree of so many examples, each in a leaf of its own, in f32 as Yggdrasil
/// computes it (Liu, Ting and Zhou, Isolation Forest, 2008; Preiss's mean length of ways).
pub fn depth_of(examples: i64) -> f32 {
    const EULER: f32 = 0.577_215_7;
    let n = examples as f32;
    match examples {
        3.. => 2.0 * ((n - 1.0).ln() + EULER) - 2.0 * (n - 1.0) / n,
        2 => 1.0,
        _ => 0.0,
    }
}
