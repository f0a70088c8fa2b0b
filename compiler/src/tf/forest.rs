//! Decision forests of Yggdrasil: the ways of rows down all trees, and what becomes of the leaves they reach.
//!
//! What nodes look at is one matrix. A number that is missing is NaN, of which a comparison says no; where a node says yes of a
//! missing number, it looks at the same number with infinity in place of NaN. Values of categories are one more than
//! Yggdrasil's, so that 0 stands for a missing one and is in a set where the node says yes of it.

mod tables;

use self::tables::Tables;
use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{
    base::Dim,
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
    op::{Gather, Reduce},
    saved::forest::{Feature, Forest, Kind, Link, Task},
    tensor::{DType, Scalar, Tensor},
};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "SimpleMLInferenceOp", import: predict },
    TfOp { name: "SimpleMLInferenceOpWithHandle", import: predict },
    TfOp { name: "SimpleMLInferenceLeafIndexOpWithHandle", import: leaves },
];

/// Columns of the matrix that nodes look at: those of all features of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Columns {
    /// Numbers and booleans as they are.
    Numbers,
    Booleans,
    /// The same with infinity for what is missing.
    HighNumbers,
    HighBooleans,
    /// Values of categories, counted from 1.
    Values,
    /// 1 where the feature is missing, else 0.
    AbsentNumbers,
    AbsentBooleans,
    AbsentValues,
}

/// The forest of the current node.
fn forest<'a>(cx: &Import<'a>) -> Result<&'a Forest> {
    match cx.tf.forests.get(&cx.id) {
        Some(Ok(forest)) => Ok(forest),
        Some(Err(problem)) => Err(problem.clone().into()),
        None => Err(format!("the forest of {} is not known", cx.node.op).into()),
    }
}

/// The mean, or sum, of leaves, and what it stands for. The names of the columns, which are the other result, are strings.
fn predict(cx: &mut Import) -> Outputs {
    let forest = forest(cx)?;
    let groups = match &forest.kind {
        Kind::Boosted { initial, .. } => initial.len(),
        _ => 1,
    };
    let tables = Tables::of(forest, groups)?;
    let declared = cx.node.attr_int("dense_output_dim")?;
    if declared != outputs(forest) as i64 {
        return Err(format!("the forest has {} outputs, and not {declared}", outputs(forest)).into());
    }
    let reached = walk(cx, forest, &tables)?;
    let rows = cx.shape(reached)[0].clone();
    let values = cx.constant(Tensor::from_f32([tables.values.len() / tables.width, tables.width], &tables.values))?;
    let values = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[values, reached])?;
    let shape = [rows.clone(), groups.into(), (tables.roots.len() / groups).into(), tables.width.into()];
    let values = cx.reshape(values, &shape)?;
    let sum = cx.add(Reduce { f: BinaryFn::Add, axes: vec![2] }, &[values])?;
    let sum = cx.reshape(sum, &[rows, (groups * tables.width).into()])?;
    let answer = answer(cx, forest, sum)?;
    cx.require_equal(&cx.shape(answer)[1].clone(), &declared.into(), "the outputs of the forest")?;
    one(answer)
}

/// The number of the leaf that each tree leads to, among the leaves of the tree.
fn leaves(cx: &mut Import) -> Outputs {
    let forest = forest(cx)?;
    let tables = Tables::of(forest, 1)?;
    let reached = walk(cx, forest, &tables)?;
    let numbers = tables.leaves.iter().map(|&n| Scalar::Int(n.into()));
    let numbers = cx.constant(Tensor::from_scalars(DType::I32, [tables.leaves.len()], numbers))?;
    let numbers = cx.add(Gather { axis: 0, batch: 0, checked: false }, &[numbers, reached])?;
    one(cx.slice_axis(numbers, 1, Dim::zero(), forest.trees.len().into())?)
}

/// The columns of the result.
fn outputs(forest: &Forest) -> usize {
    match (forest.task, forest.probabilities) {
        (Task::Classes, false) if forest.classes.len() == 2 => 1,
        (Task::Classes, _) => forest.classes.len(),
        _ => 1,
    }
}

/// The leaf, by its place among all nodes, to which each tree leads each row.
fn walk(cx: &mut Import, forest: &Forest, tables: &Tables) -> Result<NodeId> {
    let matrix = matrix(cx, forest, tables)?;
    let ints = |all: &[i32], shape: &[usize]| {
        Tensor::from_scalars(DType::I32, shape, all.iter().map(|&n| Scalar::Int(n.into())))
    };
    let constants = [
        ints(&tables.nodes.concat(), &[tables.nodes.len(), 4]),
        ints(&tables.roots, &[tables.roots.len()]),
        ints(&tables.steps, &[tables.steps.len()]),
        ints(&tables.sets, &[tables.sets.len()]),
        ints(&tables.sums.concat(), &[tables.sums.len(), 3]),
    ];
    let mut operands = vec![matrix];
    for constant in constants {
        operands.push(cx.constant(constant)?);
    }
    let op = crate::op::Forest { sets: !tables.sets.is_empty(), sums: !tables.sums.is_empty() };
    cx.add(op, &operands)
}

/// What nodes look at, `f32[rows, columns]`.
fn matrix(cx: &mut Import, forest: &Forest, tables: &Tables) -> Result<NodeId> {
    let features = &forest.features;
    if !features.sets.is_empty() {
        return Err("features of a forest that are sets of values are not supported yet".into());
    }
    let counts = [features.numerical, features.boolean, features.categorical.len()];
    let mut rows: Option<Dim> = None;
    for (n, (count, what)) in counts.into_iter().zip(["numbers", "booleans", "categories"]).enumerate() {
        let x = cx.arg(n)?;
        let [extent, columns] = &cx.shape(x)[..] else {
            return Err(format!("the {what} of a forest have rank {}, and not 2", cx.rank(x)).into());
        };
        cx.require_equal(columns, &count.into(), &format!("the {what} among the features of a forest"))?;
        if count > 0 {
            match &rows {
                Some(rows) => cx.require_equal(extent, rows, "the rows of the features of a forest")?,
                None => rows = Some(extent.clone()),
            }
        }
    }
    let mut parts = vec![];
    for columns in &tables.columns {
        let x = cx.arg(match columns {
            Columns::Numbers | Columns::HighNumbers | Columns::AbsentNumbers => 0,
            Columns::Booleans | Columns::HighBooleans | Columns::AbsentBooleans => 1,
            Columns::Values | Columns::AbsentValues => 2,
        })?;
        parts.push(match columns {
            Columns::Numbers | Columns::Booleans => x,
            Columns::HighNumbers | Columns::HighBooleans => {
                let (missing, high) = (cx.compare(CompareFn::Ne, x, x)?, cx.full_like(x, f64::INFINITY)?);
                cx.select(missing, high, x)?
            }
            Columns::AbsentNumbers | Columns::AbsentBooleans => {
                let missing = cx.compare(CompareFn::Ne, x, x)?;
                cx.cast(missing, DType::F32)?
            }
            Columns::AbsentValues => {
                let missing = cx.full_like(x, -1.0)?;
                let missing = cx.compare(CompareFn::Eq, x, missing)?;
                cx.cast(missing, DType::F32)?
            }
            Columns::Values => values(cx, x, &features.categorical)?,
        });
    }
    match parts[..] {
        [] => Err("a forest without features is not supported".into()),
        [only] => Ok(only),
        _ => cx.concat(&parts, 1),
    }
}

/// Values of categories, counted from 1: what is not among them is not known, which is value 0, and -1 is missing.
fn values(cx: &mut Import, x: NodeId, counts: &[i64]) -> Result<NodeId> {
    let ends = counts.iter().map(|&n| Scalar::from_i64(DType::I32, n));
    let end = cx.constant(Tensor::from_scalars(DType::I32, [1, counts.len()], ends))?;
    let (low, zero, unit) = (cx.full_like(x, -1.0)?, cx.full_like(x, 0.0)?, cx.full_like(x, 1.0)?);
    let below = cx.compare(CompareFn::Lt, x, low)?;
    let above = cx.compare(CompareFn::Ge, x, end)?;
    let outside = cx.or(below, above)?;
    let known = cx.select(outside, zero, x)?;
    let from_one = cx.add_(known, unit)?;
    cx.cast(from_one, DType::F32)
}

/// The result, made of the sum of all leaves, `f32[rows, outputs]`.
fn answer(cx: &mut Import, forest: &Forest, sum: NodeId) -> Result<NodeId> {
    let (zero, unit) = (cx.scalar(DType::F32, 0.0)?, cx.scalar(DType::F32, 1.0)?);
    let trees = cx.scalar(DType::F32, forest.trees.len() as f64)?;
    match &forest.kind {
        Kind::Boosted { initial, link } => {
            let initial = cx.constant(Tensor::from_f32([1, initial.len()], initial))?;
            let sum = cx.add_(sum, initial)?;
            match link {
                Link::Sigmoid | Link::Softmax if !forest.probabilities => Ok(sum),
                Link::Identity => Ok(sum),
                Link::Sigmoid => {
                    let opposite = cx.unary(UnaryFn::Neg, sum)?;
                    let odds = cx.unary(UnaryFn::Exp, opposite)?;
                    let all = cx.add_(odds, unit)?;
                    let second = cx.div(unit, all)?;
                    let first = cx.sub(unit, second)?;
                    cx.concat(&[first, second], 1)
                }
                Link::Softmax => {
                    let greatest = cx.add(Reduce { f: BinaryFn::Max, axes: vec![1] }, &[sum])?;
                    let below = cx.sub(sum, greatest)?;
                    let powers = cx.unary(UnaryFn::Exp, below)?;
                    let all = cx.add(Reduce { f: BinaryFn::Add, axes: vec![1] }, &[powers])?;
                    cx.div(powers, all)
                }
                Link::Exp => {
                    let (low, high) = (cx.scalar(DType::F32, -19.0)?, cx.scalar(DType::F32, 19.0)?);
                    let within = cx.binary(BinaryFn::Max, sum, low)?;
                    let within = cx.binary(BinaryFn::Min, within, high)?;
                    cx.unary(UnaryFn::Exp, within)
                }
            }
        }
        Kind::Random if forest.task == Task::Classes => {
            if !forest.probabilities {
                return Err("a random forest without probabilities is not supported".into());
            }
            let share = cx.div(sum, trees)?;
            let share = cx.binary(BinaryFn::Max, share, zero)?;
            cx.binary(BinaryFn::Min, share, unit)
        }
        Kind::Random => cx.div(sum, trees),
        Kind::Isolation { examples } => {
            // The mean depth, by that of a tree of so many examples, as a power of 1/2.
            let usual = tables::depth_of(*examples);
            if usual == 0.0 {
                return cx.full_like(sum, 0.0);
            }
            let (usual, two) = (cx.scalar(DType::F32, usual.into())?, cx.scalar(DType::F32, 2.0)?);
            let depth = cx.div(sum, trees)?;
            let depth = cx.unary(UnaryFn::Neg, depth)?;
            let depth = cx.div(depth, usual)?;
            cx.binary(BinaryFn::Pow, two, depth)
        }
    }
}

/// Where a feature's columns lie among those of its kind, and the place among them.
fn columns_of(feature: Feature, form: Form) -> Option<(Columns, usize)> {
    Some(match (feature, form) {
        (Feature::Numerical(n), Form::Plain) => (Columns::Numbers, n),
        (Feature::Numerical(n), Form::High) => (Columns::HighNumbers, n),
        (Feature::Numerical(n), Form::Absent) => (Columns::AbsentNumbers, n),
        (Feature::Boolean(n), Form::Plain) => (Columns::Booleans, n),
        (Feature::Boolean(n), Form::High) => (Columns::HighBooleans, n),
        (Feature::Boolean(n), Form::Absent) => (Columns::AbsentBooleans, n),
        (Feature::Categorical(n), Form::Plain) => (Columns::Values, n),
        (Feature::Categorical(n), Form::Absent) => (Columns::AbsentValues, n),
        (Feature::Categorical(_), Form::High) | (Feature::Set(_), _) => return None,
    })
}

/// How a node looks at a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    /// With infinity for what is missing.
    High,
    /// Whether it is missing.
    Absent,
}
