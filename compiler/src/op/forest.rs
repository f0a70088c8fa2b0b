//! Ways down decision trees.

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    loops::{BinaryFn, CompareFn, LocalId, UnaryFn},
    tensor::{DType, Scalar},
};

/// Operand 0 is f32 `[rows, columns]`, what nodes look at. The others are tables:
///
/// 1. i32 `[nodes, 4]`: the column a node looks at, the bits of its threshold, where its children lie, and what else it has;
/// 2. i32 `[trees]`, the roots; their number is a multiple of [`Forest::TOGETHER`];
/// 3. i32 `[trees / TOGETHER]`: how many steps at most lead from those roots to leaves;
/// 4. i32 `[n]`, sets, if nodes have `sets`; else one of any length;
/// 5. i32 `[n, 3]`, sums, if nodes have `sums`; else one of any length.
///
/// The result is i32 `[rows, trees]`: the leaf to which each tree leads each row. A node's positive child lies behind its
/// negative one; the answer of a node that is NaN is no. A leaf is its own negative child, and has the threshold NaN.
///
/// What else a node has is 0 where it asks whether the column is at least the threshold. A positive number is 1 more than the
/// place of a set: the first number there is how many bits the set has, the last of which is 0; bits follow, the least of a word
/// first. The column holds a whole number then, at least 0: the node asks for its bit, or for the last one where it has none. A
/// negative number is a sum: in the row `-1 - n` are the number of terms, and the answer where a value is missing; in each row
/// that follows a column, the bits of a weight, and those of what stands for a missing value, or of NaN. The node asks whether the
/// sum, in f32 and in order, is at least the threshold.
///
/// The maker promises that all places lie in their tables and that sums name columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    pub sets: bool,
    pub sums: bool,
}

impl Forest {
    /// The trees that a row goes down side by side: steps of one wait for memory, those of others need not.
    pub const TOGETHER: usize = 8;
}

/// Numbers of a node.
const WIDTH: i64 = 4;
/// Numbers of a term.
const TERM: i64 = 3;

impl Primitive for Forest {
    const NAME: &'static str = "forest";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [values, nodes, roots, steps, sets, sums] = operands(inputs)?;
        let tables = [nodes, roots, steps, sets, sums];
        let ([rows, _], DType::F32) = (&values.shape[..], values.dtype) else {
            return Err(format!("{values} is no f32 matrix of what nodes look at"));
        };
        if tables.iter().any(|table| table.dtype != DType::I32) {
            return Err("the tables of a forest are of i32".into());
        }
        let ([_, four], [trees], [blocks], [_], [_, three]) =
            (&nodes.shape[..], &roots.shape[..], &steps.shape[..], &sets.shape[..], &sums.shape[..])
        else {
            return Err("the tables of a forest do not have their ranks".into());
        };
        if !four.is(WIDTH) || !three.is(TERM) || trees != &(blocks * Forest::TOGETHER as i64) {
            return Err(format!("{nodes}, {roots}, {steps} and {sums} are no forest"));
        }
        Ok(TensorType::new(DType::I32, [rows.clone(), trees.clone()]))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let (values, columns) = (inputs[0], inputs[0].shape[1]);
        let int = |table: usize, n: usize| inputs[table].get(n).as_i64().expect("tables are of integers");
        let float = |table: usize, n: usize| f32::from_bits(int(table, n) as u32);
        let mut leaves = vec![];
        for row in 0..out[0] {
            let value = |column: usize| match values.get(row * columns + column) {
                Scalar::F32(x) => x,
                other => unreachable!("{other:?} is no f32"),
            };
            for tree in 0..out[1] {
                let mut node = int(2, tree) as usize;
                for _ in 0..int(3, tree / Forest::TOGETHER) {
                    let field = |n: usize| int(1, node * WIDTH as usize + n) as usize;
                    let threshold = float(1, node * WIDTH as usize + 1);
                    let more = int(1, node * WIDTH as usize + 3);
                    let yes = match more {
                        0 => value(field(0)) >= threshold,
                        1.. => {
                            let at = more as usize - 1;
                            let bit = (value(field(0)) as usize).min(int(4, at) as usize - 1);
                            (int(4, at + 1 + bit / 32) as u32 >> (bit % 32)) & 1 == 1
                        }
                        _ => {
                            let at = (-1 - more) as usize * TERM as usize;
                            let (mut sum, mut is_missing) = (0.0f32, false);
                            for term in 1..=int(5, at) as usize {
                                let at = at + term * TERM as usize;
                                let x = value(int(5, at) as usize);
                                let x = if x.is_nan() { float(5, at + 2) } else { x };
                                is_missing |= x.is_nan();
                                sum += x * float(5, at + 1);
                            }
                            if is_missing { int(5, at + 1) == 1 } else { sum >= threshold }
                        }
                    };
                    node = field(2) + usize::from(yes);
                }
                leaves.push(Scalar::from_i64(DType::I32, node as i64));
            }
        }
        Ok(Tensor::from_scalars(DType::I32, out, leaves))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("the ways of a forest are written as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let together = Dim::from(Forest::TOGETHER);
        let nodes = at.w.local(DType::I64, [Forest::TOGETHER]);
        at.each(&shape[0], LoopKind::Seq, |at, row| {
            let blocks = at.shape(3)[0].clone();
            at.each(&blocks, LoopKind::Seq, |at, block| {
                at.each(&together, LoopKind::Unroll, |at, n| {
                    let root = at.read(2, &[block * &together + n]);
                    let root = at.w.cast(DType::I64, root);
                    at.w.assign(nodes, std::slice::from_ref(n), root);
                });
                let steps = at.read(3, std::slice::from_ref(block));
                let steps = at.w.cast(DType::I64, steps);
                let steps = at.w.set_index(steps, None);
                at.each(&steps, LoopKind::Seq, |at, _| {
                    at.each(&together, LoopKind::Unroll, |at, n| self.step(at, row, nodes, n));
                });
                at.each(&together, LoopKind::Unroll, |at, n| {
                    let leaf = at.w.read(nodes, std::slice::from_ref(n));
                    let leaf = at.w.cast(DType::I32, leaf);
                    at.w.store(out, shape, &[row.clone(), block * &together + n], leaf);
                });
            });
        });
    }
}

/// A number of a table as an index below a limit, where there is one.
fn place(at: &mut Emit<'_>, table: usize, ix: &[Dim], below: Option<Dim>) -> Dim {
    let number = at.read(table, ix);
    let number = at.w.cast(DType::I64, number);
    at.w.set_index(number, below)
}

/// A float of a table.
fn float(at: &mut Emit<'_>, table: usize, ix: &[Dim]) -> ExprId {
    let bits = at.read(table, ix);
    at.w.bits(DType::F32, bits)
}

impl Forest {
    /// Goes from a node to one of its children.
    fn step(&self, at: &mut Emit<'_>, row: &Dim, nodes: LocalId, n: &Dim) {
        let count = at.shape(1)[0].clone();
        let node = at.w.read(nodes, std::slice::from_ref(n));
        let node = at.w.set_index(node, Some(count));
        let field = |n: i64| [node.clone(), n.into()];
        let columns = at.shape(0)[1].clone();
        let column = place(at, 1, &field(0), Some(columns));
        let value = at.read(0, &[row.clone(), column]);
        let value = at.w.set(value);
        let threshold = float(at, 1, &field(1));
        let threshold = at.w.set(threshold);
        let mut yes = at.w.compare(CompareFn::Ge, value, threshold);
        if self.sets || self.sums {
            let more = place(at, 1, &field(3), None);
            if self.sets {
                let has = self.has(at, &more, value);
                yes = choose(at, CompareFn::Gt, &more, has, yes);
            }
            if self.sums {
                let adds = self.adds(at, row, &more, threshold);
                yes = choose(at, CompareFn::Lt, &more, adds, yes);
            }
        }
        let yes = at.w.cast(DType::I64, yes);
        let child = at.read(1, &field(2));
        let child = at.w.cast(DType::I64, child);
        let child = at.w.binary(BinaryFn::Add, child, yes);
        at.w.assign(nodes, std::slice::from_ref(n), child);
    }

    /// Whether a set has a value; anything where the node has no set.
    fn has(&self, at: &mut Emit<'_>, more: &Dim, value: ExprId) -> ExprId {
        let more = at.w.index(more - 1);
        let (zero, one, five) = (at.w.int(DType::I64, 0), at.w.int(DType::I64, 1), at.w.int(DType::I64, 5));
        let set = at.w.binary(BinaryFn::Max, more, zero);
        let set = at.w.set_index(set, None);
        let bits = at.read(4, std::slice::from_ref(&set));
        let bits = at.w.cast(DType::I64, bits);
        let last = at.w.binary(BinaryFn::Sub, bits, one);
        let bit = at.w.cast(DType::I64, value);
        let bit = at.w.binary(BinaryFn::Min, bit, last);
        let bit = at.w.binary(BinaryFn::Max, bit, zero);
        let bit = at.w.set(bit);
        let word = at.w.binary(BinaryFn::Shr, bit, five);
        let word = at.w.set_index(word, None);
        let word = at.read(4, &[&set + &word + 1]);
        let word = at.w.cast(DType::I64, word);
        let low = at.w.int(DType::I64, 31);
        let amount = at.w.binary(BinaryFn::And, bit, low);
        let word = at.w.binary(BinaryFn::Shr, word, amount);
        let word = at.w.binary(BinaryFn::And, word, one);
        let has = at.w.compare(CompareFn::Ne, word, zero);
        at.w.set(has)
    }

    /// Whether a sum is at least the threshold; anything where the node has no sum.
    fn adds(&self, at: &mut Emit<'_>, row: &Dim, more: &Dim, threshold: ExprId) -> ExprId {
        let none = at.w.int(DType::I64, 0);
        let first = at.w.index(-more.clone() - 1);
        let first = at.w.binary(BinaryFn::Max, first, none);
        let first = at.w.set_index(first, None);
        let is_sum = at.w.index(more.clone());
        let is_sum = at.w.compare(CompareFn::Lt, is_sum, none);
        let terms = at.read(5, &[first.clone(), 0.into()]);
        let terms = at.w.cast(DType::I64, terms);
        let terms = at.w.select(is_sum, terms, none);
        let terms = at.w.set_index(terms, None);
        let (sum, missing) = (at.w.local(DType::F32, []), at.w.local(DType::Bool, []));
        let (zero, no) = (at.w.float(DType::F32, 0.0), at.w.constant(DType::Bool, Scalar::Bool(false)));
        at.w.assign(sum, &[], zero);
        at.w.assign(missing, &[], no);
        let columns = at.shape(0)[1].clone();
        at.each(&terms, LoopKind::Seq, |at, term| {
            let field = |n: i64| [&first + term + 1, n.into()];
            let column = place(at, 5, &field(0), Some(columns));
            let x = at.read(0, &[row.clone(), column]);
            let x = at.w.set(x);
            let instead = float(at, 5, &field(2));
            let is_nan = at.w.compare(CompareFn::Ne, x, x);
            let x = at.w.select(is_nan, instead, x);
            let x = at.w.set(x);
            let is_nan = at.w.compare(CompareFn::Ne, x, x);
            let before = at.w.read(missing, &[]);
            let either = at.w.binary(BinaryFn::Or, before, is_nan);
            at.w.assign(missing, &[], either);
            let weight = float(at, 5, &field(1));
            let product = at.w.binary(BinaryFn::Mul, x, weight);
            let before = at.w.read(sum, &[]);
            let after = at.w.binary(BinaryFn::Add, before, product);
            at.w.assign(sum, &[], after);
        });
        let sum = at.w.read(sum, &[]);
        let enough = at.w.compare(CompareFn::Ge, sum, threshold);
        let answer = at.read(5, &[first, 1.into()]);
        let zero = at.w.int(DType::I32, 0);
        let answer = at.w.compare(CompareFn::Ne, answer, zero);
        let is_missing = at.w.read(missing, &[]);
        let not_missing = at.w.unary(UnaryFn::Not, is_missing);
        let answer = at.w.binary(BinaryFn::And, answer, is_missing);
        let enough = at.w.binary(BinaryFn::And, enough, not_missing);
        let yes = at.w.binary(BinaryFn::Or, answer, enough);
        at.w.set(yes)
    }
}

/// One of two answers, by a number and 0.
fn choose(at: &mut Emit<'_>, by: CompareFn, number: &Dim, then: ExprId, otherwise: ExprId) -> ExprId {
    let (number, zero) = (at.w.index(number.clone()), at.w.int(DType::I64, 0));
    let holds = at.w.compare(by, number, zero);
    let not = at.w.unary(UnaryFn::Not, holds);
    let (then, otherwise) = (at.w.binary(BinaryFn::And, holds, then), at.w.binary(BinaryFn::And, not, otherwise));
    let either = at.w.binary(BinaryFn::Or, then, otherwise);
    at.w.set(either)
}
