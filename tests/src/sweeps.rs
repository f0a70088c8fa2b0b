//! A sweep of recorded runs as one TF graph: what differs between its runs is an open extent, and sizes that a model
//! computes are computed in the graph.

use std::collections::BTreeMap;

use smc::{
    base::Id,
    saved::{Node, NodeOutput, Origin, Port, TfGraph, TfShape, TfType},
    tensor::{DType, Tensor},
};
use smc_proto::{AttrValue, DataType, attr_value::Value};

use crate::cases::{Operand, Run, Size, Sweep};

impl Run {
    /// The model's inputs: what is neither a constant of the node nor computed by the model.
    pub fn fed(&self) -> Vec<Tensor> {
        self.inputs.iter().filter(|i| !i.is_const && i.sizes.is_none()).map(Operand::tensor).collect()
    }
}

/// The graph of a sweep, with one output for each result. Panics when a constant differs between runs.
pub fn graph_of(op: &str, sweep: &Sweep) -> Result<TfGraph, String> {
    let mut b = Builder::default();
    let first = &sweep.runs[0].inputs;
    let mut places = BTreeMap::new();
    for (n, operand) in first.iter().enumerate().filter(|(_, i)| i.sizes.is_none()) {
        let place = if operand.is_const {
            let same = sweep.runs.iter().all(|run| run.inputs[n].tensor() == operand.tensor());
            assert!(same, "{op} / {}: constant {n} differs between runs", sweep.name);
            b.constant(operand)
        } else {
            b.input(n, operand, open_shape(sweep, n))
        };
        places.insert(n, place);
    }
    let operands: Vec<NodeOutput> = (0..first.len())
        .filter(|&n| !first[n].beside)
        .map(|n| first[n].sizes.as_ref().map_or_else(|| places[&n], |sizes| b.sizes(&first[n], sizes, &places)))
        .collect();
    let node = b.node(op, &operands);
    b.graph.nodes[node.node].attrs = sweep.attrs()?;
    let served = sweep.runs.iter().find(|run| run.error.is_none());
    let types: Vec<DataType> =
        served.map_or(vec![DataType::DtFloat], |r| r.outputs.iter().map(Operand::tf_type).collect());
    for (n, dtype) in types.into_iter().enumerate() {
        let ty = TfType { dtype, shape: TfShape::UNKNOWN };
        b.graph.outputs.push(Port { key: format!("y{n}"), source: NodeOutput { index: n as u32, ..node }, ty });
    }
    Ok(b.graph)
}

/// The shape of operand `n`: open where the runs differ.
fn open_shape(sweep: &Sweep, n: usize) -> TfShape {
    let shapes = || sweep.runs.iter().map(|run| &run.inputs[n].shape);
    let extent = |axis: usize, n: usize| shapes().all(|s| s[axis] == n).then_some(n as u64);
    TfShape(Some(sweep.runs[0].inputs[n].shape.iter().enumerate().map(|(axis, &n)| extent(axis, n)).collect()))
}

/// Adds nodes under names of their own.
#[derive(Default)]
struct Builder {
    graph: TfGraph,
}

impl Builder {
    fn node(&mut self, op: &str, inputs: &[NodeOutput]) -> NodeOutput {
        let node: Id<Node> = self.graph.nodes.push(Node {
            name: format!("{op}_{}", self.graph.nodes.len()),
            op: op.into(),
            inputs: inputs.to_vec(),
            controls: vec![],
            attrs: BTreeMap::new(),
            origin: Origin::Order,
        });
        NodeOutput { node, index: 0 }
    }
    fn attr(&mut self, at: NodeOutput, name: &str, value: Value) {
        self.graph.nodes[at.node].attrs.insert(name.into(), AttrValue { value: Some(value) });
    }
    fn constant(&mut self, value: &Operand) -> NodeOutput {
        let at = self.node("Const", &[]);
        self.graph.nodes[at.node].attrs.insert("value".into(), value.as_attr());
        at
    }
    fn ints(&mut self, dtype: DType, shape: &[usize], values: &[i64]) -> NodeOutput {
        self.constant(&Operand::ints(dtype, shape, values))
    }
    fn input(&mut self, n: usize, operand: &Operand, shape: TfShape) -> NodeOutput {
        let source = self.node("Placeholder", &[]);
        let ty = TfType { dtype: operand.tf_type(), shape };
        self.graph.inputs.push(Port { key: format!("x{n}"), source, ty });
        source
    }

    /// The operand that holds these sizes, of the recorded type and shape.
    fn sizes(&mut self, operand: &Operand, sizes: &[Size], places: &BTreeMap<usize, NodeOutput>) -> NodeOutput {
        let entries: Vec<NodeOutput> = sizes.iter().map(|size| self.size(operand, size, places)).collect();
        if operand.shape.is_empty() {
            return entries[0];
        }
        let vector = self.node("Pack", &entries);
        self.attr(vector, "N", Value::I(entries.len() as i64));
        if operand.shape.len() == 1 {
            return vector;
        }
        let extents: Vec<i64> = operand.shape.iter().map(|&n| n as i64).collect();
        let shape = self.ints(DType::I32, &[extents.len()], &extents);
        self.node("Reshape", &[vector, shape])
    }
    /// One number, as a scalar.
    fn size(&mut self, operand: &Operand, size: &Size, places: &BTreeMap<usize, NodeOutput>) -> NodeOutput {
        let (times, extents, plus) = size;
        let dtype = operand.dtype;
        let mut product = self.ints(dtype, &[], &[*times]);
        for &(of, axis) in extents {
            let shape = self.node("Shape", &[places[&of]]);
            self.attr(shape, "out_type", Value::Type(operand.tf_type() as i32));
            let [at, past, step] = [axis as i64, axis as i64 + 1, 1].map(|n| self.ints(DType::I32, &[1], &[n]));
            let extent = self.node("StridedSlice", &[shape, at, past, step]);
            self.attr(extent, "shrink_axis_mask", Value::I(1));
            product = self.node("Mul", &[product, extent]);
        }
        let plus = self.ints(dtype, &[], &[*plus]);
        self.node("AddV2", &[product, plus])
    }
}
