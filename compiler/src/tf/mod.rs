//! What TensorFlow's operators mean, as compositions of primitives: from a flat TF graph to [`crate::graph::Graph`].
//!
//! A TF operator is one row of one table: its name and the function that composes it. All that is TensorFlow's own
//! (data formats, SAME padding, `keep_dims`, shapes and axes given as tensors) ends here; explicit broadcasts,
//! conversions and paddings leave. A row refuses what it does not handle (an attribute, an element type, a shape that
//! depends on the values of the inputs); it never ignores it. Knows nothing of targets.

mod array;
mod branch;
mod build;
mod conv;
mod conv_filter;
mod convert;
mod count;
mod ctc;
mod ctc_loss;
mod custom;
mod diagonal;
mod dilate;
mod einsum;
mod fake_quant;
mod filter;
mod flow;
mod forest;
mod found;
mod gradient;
mod guard;
mod image;
mod import;
mod index;
mod inputs;
mod life;
mod loss;
mod made;
mod math;
mod matrix;
mod narrow;
mod nms;
mod nn;
mod norm;
mod norm_gradient;
mod origin;
mod partition;
mod pool;
mod pool_gradient;
mod ragged;
mod random;
mod raw;
mod regex;
mod record;
mod reduce;
mod refuse;
mod scatter;
mod segment;
mod segment_gradient;
mod shape;
mod slice;
mod space;
mod sparse;
mod sparse_parts;
mod sparse_sums;
mod split;
mod state;
mod stretch;
mod table;
mod text;
mod unicode;

pub use branch::known_branches;
pub use import::{Equal, Import, Imported, Options, Value, import};
pub use state::Kept;

use crate::base::{Diagnostic, Dim, Problems, Symbol};

/// One operator of TensorFlow.
pub struct TfOp {
    pub name: &'static str,
    /// Adds the primitives for the current node and gives its outputs in TensorFlow's order.
    pub import: fn(&mut Import) -> Outputs,
}

/// The outputs of a node, or why it has none.
pub type Outputs = Result<Vec<Value>, Stop>;

/// Why a row did not finish.
#[derive(Debug)]
pub enum Stop {
    /// A fault of the model or a limit of the compiler; the place is filled in by the caller.
    Fault(Problems),
    /// The symbol has to be this dim: the import starts again with it.
    Assume(Symbol, Dim),
}

impl Stop {
    /// What stops it, in words.
    fn told(self) -> String {
        match self {
            Stop::Fault(problems) => problems.0.into_iter().next().map_or_else(String::new, |problem| problem.message),
            Stop::Assume(symbol, dim) => format!("{symbol} has to be {dim}"),
        }
    }
    /// Says what to do about a fault of which nothing says it yet.
    fn with_help(self, help: &str) -> Stop {
        match self {
            Stop::Fault(problems) => Stop::Fault(problems.map(|p| if p.help.is_some() { p } else { p.help(help) })),
            assume => assume,
        }
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Stop {
        Stop::Fault(Diagnostic::error(message).into())
    }
}
impl From<&str> for Stop {
    fn from(message: &str) -> Stop {
        Stop::Fault(Diagnostic::error(message).into())
    }
}
impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Stop {
        Stop::Fault(diagnostic.into())
    }
}
impl From<Problems> for Stop {
    fn from(problems: Problems) -> Stop {
        Stop::Fault(problems)
    }
}

/// The tables, one per family.
const TABLES: &[&[TfOp]] = &[
    flow::OPS,
    flow::array::OPS,
    flow::list::OPS,
    flow::recurrent::OPS,
    flow::cell_gradient::OPS,
    flow::sequence_gradient::OPS,
    math::OPS,
    convert::OPS,
    nn::OPS,
    loss::OPS,
    gradient::OPS,
    fake_quant::OPS,
    norm::OPS,
    norm_gradient::OPS,
    conv::OPS,
    conv_filter::OPS,
    pool::OPS,
    pool_gradient::OPS,
    dilate::OPS,
    matrix::OPS,
    einsum::OPS,
    reduce::OPS,
    array::OPS,
    text::OPS,
    split::OPS,
    raw::OPS,
    regex::OPS,
    text::made::OPS,
    text::ngrams::OPS,
    unicode::OPS,
    table::OPS,
    record::OPS,
    shape::OPS,
    slice::OPS,
    index::OPS,
    space::OPS,
    image::OPS,
    image::cubic::OPS,
    image::crop::OPS,
    image::spans::OPS,
    diagonal::OPS,
    count::OPS,
    random::OPS,
    random::generator::OPS,
    random::sample::OPS,
    partition::OPS,
    ctc::OPS,
    ctc_loss::OPS,
    filter::OPS,
    nms::OPS,
    scatter::OPS,
    segment::OPS,
    segment_gradient::OPS,
    sparse::OPS,
    sparse_parts::OPS,
    sparse_sums::OPS,
    ragged::OPS,
    forest::OPS,
    state::OPS,
    state::optimise::OPS,
];

/// Every operator that can be imported.
pub fn ops() -> impl Iterator<Item = &'static TfOp> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The row of an operator.
pub fn find(name: &str) -> Option<&'static TfOp> {
    use std::{collections::HashMap, sync::OnceLock};
    static INDEX: OnceLock<HashMap<&str, &TfOp>> = OnceLock::new();
    INDEX.get_or_init(|| ops().map(|op| (op.name, op)).collect()).get(name).copied()
}

#[test]
fn every_operator_has_one_row() {
    let mut names: Vec<_> = ops().map(|op| op.name).collect();
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
