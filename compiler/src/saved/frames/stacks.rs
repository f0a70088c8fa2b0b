//! Stacks, in which loops of TensorFlow 1 keep what their gradients need, as lists of tensors that nodes hand on.
//!
//! A stack is a resource: whoever pushes or pops has its handle, and edges say in which order they do. Behind this the
//! handle is a list, and each push or pop gives another one:
//!
//! ```text
//! StackV2 ─┬▶ While(.., handle)               EmptyTensorList ─▶ While(.., list) ─list▶ While(.., list)
//!          └▶ While(.., handle)                 body: TensorListPushBack(list, x)    body: TensorListPopBack(list)
//!   bodies: StackPushV2(handle, x), StackPopV2(handle)
//! ```
//!
//! A branch gives the list as one more result. A stack of which nobody reads what was pushed goes: the flow of an array is
//! pushed so that a gradient waits for it. What cannot be followed keeps its operators, which `tf` refuses.

use std::collections::BTreeMap;

use smc_proto::{AttrValue, DataType, attr_value::Value};

use super::{
    resources::{
        bodies, bodies_first, change_bodies, do_nothing, handed_on, has_any, operand, places, replace, runs_before,
    },
    scalar,
};
use crate::{
    base::{Diagnostic, Id, Problems},
    saved::{
        graph::{Node, NodeOutput, Port, TfGraph, is_branch, is_functional, sorted},
        types::{TfShape, TfType},
    },
};

/// The graph in which the stacks that it and its bodies make are lists.
pub fn functional(mut graph: TfGraph) -> Result<TfGraph, Problems> {
    if !has_any(&graph, makes_stack) {
        return Ok(graph);
    }
    bodies_first(&mut graph, makes_stack, functional);
    let made: Vec<Id<Node>> = graph.nodes.iter().filter(|(_, node)| makes_stack(node)).map(|(id, _)| id).collect();
    for id in made {
        let handles = [NodeOutput { node: id, index: 0 }];
        match is_read(&graph, &handles) {
            true => {
                become_list(&mut graph, id)?;
                hand_on(&mut graph, &handles)?;
            }
            false => {
                leave_out(&mut graph, &handles)?;
                // Loops may still have the handle.
                graph.nodes[id] = scalar(std::mem::take(&mut graph.nodes[id].name), 0);
            }
        }
    }
    sorted(graph)
}

fn makes_stack(node: &Node) -> bool {
    matches!(node.op.as_str(), "Stack" | "StackV2")
}

/// What a node does with a stack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    Push,
    Pop,
    Close,
    /// Its bodies use it: the place of the stack among the operands.
    Bodies(usize),
}

/// The nodes of a graph that use the stack of these handles, in the order in which they stand. Bodies are looked at.
fn uses(graph: &TfGraph, handles: &[NodeOutput]) -> Vec<(Id<Node>, Use)> {
    let mut found = vec![];
    for (id, node) in graph.nodes.iter() {
        let mut places = places(graph, node, handles);
        let Some(first) = places.next() else { continue };
        let one = match node.op.as_str() {
            "StackPush" | "StackPushV2" => Some(Use::Push),
            "StackPop" | "StackPopV2" => Some(Use::Pop),
            "StackClose" | "StackCloseV2" => Some(Use::Close),
            op if is_functional(op) => {
                let used = bodies(graph, id, handles).any(|(_, body, handles)| !uses(body, &handles).is_empty());
                used.then_some(Use::Bodies(first))
            }
            _ => None,
        };
        found.extend(one.map(|one| (id, one)));
    }
    found
}

/// Whether anybody reads what is popped.
fn is_read(graph: &TfGraph, handles: &[NodeOutput]) -> bool {
    uses(graph, handles).into_iter().any(|(id, one)| match one {
        Use::Pop => {
            let ports = graph.outputs.iter().map(|port| port.source);
            let decided = graph.decisions.iter().map(|decision| decision.predicate);
            graph
                .nodes
                .iter()
                .flat_map(|(_, node)| &node.inputs)
                .copied()
                .chain(ports)
                .chain(decided)
                .any(|e| e.node == id)
        }
        Use::Bodies(_) => bodies(graph, id, handles).any(|(_, body, handles)| is_read(body, &handles)),
        Use::Push | Use::Close => false,
    })
}

/// Takes away what uses a stack that nobody reads.
fn leave_out(graph: &mut TfGraph, handles: &[NodeOutput]) -> Result<(), Problems> {
    for (id, one) in uses(graph, handles) {
        match one {
            Use::Push => {
                if let Some(&element) = graph.nodes[id].inputs.get(1) {
                    replace(graph, NodeOutput { node: id, index: 0 }, element);
                }
                do_nothing(&mut graph.nodes[id]);
            }
            Use::Pop | Use::Close => do_nothing(&mut graph.nodes[id]),
            Use::Bodies(_) => change_bodies(graph, id, handles, |_, body, handles| leave_out(body, &handles))?,
        }
    }
    Ok(())
}

/// Makes a stack an empty list.
fn become_list(graph: &mut TfGraph, id: Id<Node>) -> Result<(), Diagnostic> {
    let node = &graph.nodes[id];
    let dtype = node.attr_type("elem_type")?;
    let most = node.inputs.first().copied();
    let shape = any(graph, id, "element_shape");
    let most = most.unwrap_or_else(|| any(graph, id, "max_size"));
    become_of_list(&mut graph.nodes[id], "EmptyTensorList", vec![shape, most], dtype);
    Ok(())
}

/// Lets the list of a stack go through the nodes that use it, one behind the other; where it is behind the last one. The
/// first handle is where it begins.
fn hand_on(graph: &mut TfGraph, handles: &[NodeOutput]) -> Result<NodeOutput, Problems> {
    let (mut list, mut before) = (handles[0], None::<Id<Node>>);
    for (id, one) in uses(graph, handles) {
        if let Some(before) = before {
            check_order(graph, before, id)?;
        }
        before = Some(id);
        list = match one {
            Use::Push => {
                let node = &graph.nodes[id];
                let (dtype, element) = (node.attr_type("T")?, operand(node, 1)?);
                replace(graph, NodeOutput { node: id, index: 0 }, element);
                become_of_list(&mut graph.nodes[id], "TensorListPushBack", vec![list, element], dtype);
                NodeOutput { node: id, index: 0 }
            }
            Use::Pop => {
                let dtype = graph.nodes[id].attr_type("elem_type")?;
                let shape = any(graph, id, "element_shape");
                replace(graph, NodeOutput { node: id, index: 0 }, NodeOutput { node: id, index: 1 });
                become_of_list(&mut graph.nodes[id], "TensorListPopBack", vec![list, shape], dtype);
                NodeOutput { node: id, index: 0 }
            }
            Use::Close => {
                do_nothing(&mut graph.nodes[id]);
                list
            }
            Use::Bodies(place) => hand_through(graph, id, place, list, handles)?,
        };
    }
    Ok(list)
}

/// TensorFlow runs what no edges order in any order.
fn check_order(graph: &TfGraph, before: Id<Node>, id: Id<Node>) -> Result<(), Diagnostic> {
    let (node, other) = (&graph.nodes[id], &graph.nodes[before]);
    if other.op == "NoOp" {
        return Err(node.fault(format!("the stack that this node uses was closed by `{}`", other.name)));
    }
    if runs_before(graph, before, id) {
        return Ok(());
    }
    let what = format!("this node uses a stack, and nothing says whether it runs before `{}` or behind it", other.name);
    Err(node.fault(what).help("let one wait for the other: `tf.control_dependencies`"))
}

/// Lets a list go through the bodies of a node.
fn hand_through(
    graph: &mut TfGraph,
    id: Id<Node>,
    place: usize,
    list: NodeOutput,
    handles: &[NodeOutput],
) -> Result<NodeOutput, Problems> {
    let node = graph.nodes[id].clone();
    let is_loop = !is_branch(&node.op);
    let mut result = place;
    change_bodies(graph, id, handles, |which, inner, handles| {
        if is_loop && which == 0 {
            let what = "the condition of this loop uses a stack, which is not supported";
            return if uses(inner, &handles).is_empty() { Ok(()) } else { Err(node.fault(what).into()) };
        }
        if is_loop && inner.outputs.get(place).map(|port| handed_on(inner, port.source)) != handles.first().copied() {
            return Err(node.fault("the loop gives its next iteration another stack, which is not supported").into());
        }
        let source = hand_on(inner, &handles)?;
        match is_loop {
            true => inner.outputs[place].source = source,
            false => {
                result = inner.outputs.len();
                let ty = TfType { dtype: DataType::DtVariant, shape: TfShape::UNKNOWN };
                inner.outputs.push(Port { key: format!("result{result}"), source, ty });
            }
        }
        Ok(())
    })?;
    graph.nodes[id].inputs[place] = list;
    Ok(NodeOutput { node: id, index: result as u32 })
}

/// Makes a node one that works on a list.
fn become_of_list(node: &mut Node, op: &str, inputs: Vec<NodeOutput>, dtype: DataType) {
    let attr = |value| AttrValue { value: Some(value) };
    node.op = op.into();
    node.inputs = inputs;
    node.attrs = BTreeMap::from([("element_dtype".into(), attr(Value::Type(dtype as i32)))]);
    if op != "TensorListPushBack" {
        node.attrs.insert("shape_type".into(), attr(Value::Type(DataType::DtInt32 as i32)));
    }
}

/// A constant beside a node: -1, for any shape or any size.
fn any(graph: &mut TfGraph, beside: Id<Node>, what: &str) -> NodeOutput {
    let name = format!("{}/{what}", graph.nodes[beside].name);
    NodeOutput { node: graph.nodes.push(scalar(name, -1)), index: 0 }
}
