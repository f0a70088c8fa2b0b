//! The same graph in double precision: what a model computes when rounding to f32, f16 and bf16 is taken away.

use std::collections::HashMap;

use super::*;
use crate::{
    op::{Bitcast, Cast, Control, ControlResult, Iota},
    tensor::{DType, Scalar, Tensor},
};

/// The graph with f64 in place of every float type, inputs and outputs included. In a graph that looks at the bits of an f16
/// or bf16, these round as before. `None` for one that looks at the bits of an f32.
pub fn widened(graph: &Graph) -> Option<Graph> {
    widened_from(graph, &[DType::F16, DType::BF16, DType::F32]).or_else(|| widened_from(graph, &[DType::F32]))
}

/// The graph with f64 in place of these types; `None` where it looks at their bits.
fn widened_from(graph: &Graph, narrow: &[DType]) -> Option<Graph> {
    let wider = |dtype: DType| if narrow.contains(&dtype) { DType::F64 } else { dtype };
    let mut wide = Graph::with_facts(graph.facts().clone());
    let mut ids: Vec<NodeId> = vec![];
    let mut regions: Vec<(ControlResult, Arc<dyn Control>)> = vec![];
    let mut narrowed: HashMap<NodeId, NodeId> = HashMap::new();
    for (id, node) in graph.iter() {
        wide.set_origin(graph.origin(id).cloned());
        let inputs: Vec<NodeId> = node.inputs.iter().map(|i| ids[i.index()]).collect();
        let op = match node.op.clone() {
            Op::Input => {
                let ty = TensorType::new(wider(node.ty.dtype), node.ty.shape.clone());
                // Ports are in the order of the signature, which need not be that of the nodes.
                ids.push(wide.push(Op::Input, vec![], ty));
                continue;
            }
            Op::Bitcast(Bitcast { to }) if to == graph.ty(node.inputs[0]).dtype => {
                ids.push(inputs[0]);
                continue;
            }
            Op::Bitcast(Bitcast { to }) if [to, graph.ty(node.inputs[0]).dtype].iter().any(|t| narrow.contains(t)) => {
                return None;
            }
            Op::Const(value) => Op::Const(widen(&value, wider(value.dtype))),
            Op::Cast(Cast { to }) => Op::Cast(Cast { to: wider(to) }),
            Op::Iota(iota) => Op::Iota(Iota { dtype: wider(iota.dtype), ..iota }),
            Op::Control(of) if matches!(Regions::of(&*of.control), Regions::Call(_)) => {
                // What a function takes and gives has its own types.
                let mut own = vec![];
                for (&from, &to) in node.inputs.iter().zip(&inputs) {
                    let dtype = graph.ty(from).dtype;
                    own.push(match narrowed.get(&to) {
                        _ if wide.ty(to).dtype == dtype => to,
                        Some(&known) => known,
                        None => wide.add(Cast { to: dtype }, &[to]).ok()?,
                    });
                    narrowed.insert(to, own[own.len() - 1]);
                }
                let given = wide.add(Op::Control(of), &own).ok()?;
                let to = wider(node.ty.dtype);
                ids.push(if to == node.ty.dtype { given } else { wide.add(Cast { to }, &[given]).ok()? });
                continue;
            }
            Op::Control(of) => match regions.iter().find(|(narrow, _)| narrow.is_beside(&of)) {
                Some((_, wide)) => Op::Control(ControlResult { control: wide.clone(), result: of.result }),
                None => {
                    let inside = Regions::of(&*of.control);
                    let graphs = inside.graphs().into_iter().map(|graph| widened_from(graph, narrow));
                    let control = inside.with(graphs.collect::<Option<_>>()?);
                    regions.push((of.clone(), control.clone()));
                    Op::Control(ControlResult { control, result: of.result })
                }
            },
            other => other,
        };
        ids.push(wide.add(op, &inputs).ok()?);
    }
    let port = |port: &Port| Port { name: port.name.clone(), node: ids[port.node.index()] };
    wide.inputs = graph.inputs.iter().map(port).collect();
    wide.outputs = graph.outputs.iter().map(port).collect();
    Some(wide)
}

/// The tensor in a type that it was widened to: f64 for a float, or its own.
pub fn widen(value: &Tensor, to: DType) -> Tensor {
    if value.dtype == to {
        return value.clone();
    }
    let wide = value.scalars().map(|s| Scalar::F64(s.as_f64().unwrap_or(f64::NAN)));
    Tensor::from_scalars(to, value.shape.clone(), wide)
}

#[test]
fn the_wide_graph_does_not_round() {
    let mut graph = Graph::default();
    let x = graph.input("x", "f32[2]".parse().unwrap());
    let one = graph.constant(Tensor::from_f32([2], &[1.0, 1.0]));
    let sum = graph.add(crate::op::Binary { f: crate::loops::BinaryFn::Add }, &[x, one]).unwrap();
    let back = graph.add(crate::op::Binary { f: crate::loops::BinaryFn::Sub }, &[sum, one]).unwrap();
    graph.output("y", back);
    let small = Tensor::from_f32([2], &[1e-9, 2.0]);
    let bind = crate::base::Bindings::new();
    assert_eq!(evaluate(&graph, std::slice::from_ref(&small), &bind).unwrap()[0].get(0), Scalar::F32(0.0));
    let wide = widened(&graph).unwrap();
    wide.verify().unwrap();
    let y = &evaluate(&wide, &[widen(&small, DType::F64)], &bind).unwrap()[0];
    assert!(y.get(0).as_f64().is_some_and(|y| (y / 1e-9 - 1.0).abs() < 1e-6), "{y:?}");
    let half = graph.add(Cast { to: DType::F16 }, &[x]).unwrap();
    graph.output("half", half);
    assert_eq!(widened(&graph).map(|wide| wide.ty(wide.outputs[1].node).dtype), Some(DType::F64));
    let bits = graph.add(Bitcast { to: DType::I16 }, &[half]).unwrap();
    graph.output("half bits", bits);
    assert_eq!(widened(&graph).map(|wide| wide.ty(wide.outputs[1].node).dtype), Some(DType::F16));
    let bits = graph.add(Bitcast { to: DType::I32 }, &[x]).unwrap();
    graph.output("bits", bits);
    assert!(widened(&graph).is_none());
}
