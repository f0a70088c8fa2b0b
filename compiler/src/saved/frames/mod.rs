//! Control flow as TensorFlow 1 writes it, in the edges of one graph, made functional: each loop a `While`, each branch
//! an `If`, with bodies of their own. Whoever reads the graph behind this knows one spelling only.
//!
//! ```text
//! Enter ─▶ Merge ─▶ Switch ─0─▶ Exit             While(Enter's operand, ..) ─▶ Identity
//!            ▲  │     ▲  └─1─▶ body ─▶ NextIteration       cond: from Merge to LoopCond
//!            │  └▶ cond ▶ LoopCond         │               body: from Switch to NextIteration
//!            └─────────────────────────────┘
//!
//! Switch(x, p) ─0─▶ no ──▶ Merge                 If(p, x) ─▶ Identity
//!              └1─▶ yes ─────┘                             else: no    then: yes
//! ```
//!
//! Loops come first, innermost first ([`loops`]), then the branches of each graph ([`branches`]). A branch whose predicate
//! is written as a constant stays as it is: `tf` follows it. So do those whose `Merge` cannot be paired with its
//! `Switch`es, which `tf` refuses where data decide them. The stacks that loops push to for their gradients become lists
//! ([`stacks`]), and the gradients of arrays are handed on ([`gradients`]).

mod branches;
mod gradients;
mod loops;
mod nest;
mod part;
mod paths;
mod resources;
mod shape;
mod stacks;
#[cfg(test)]
mod tests;

use smc_proto::{AttrValue, DataType, NameAttrList, TensorProto, attr_value::Value};

use super::graph::{Node, Origin, TfGraph};
use crate::base::Problems;

/// The graph in which loops and branches are functional.
pub(super) fn functional(graph: TfGraph) -> Result<TfGraph, Problems> {
    let graph = branches::functional(loops::functional(graph)?)?;
    gradients::functional(stacks::functional(graph)?)
}

/// A constant of int32 without axes.
fn scalar(name: String, value: i32) -> Node {
    constant(name, TensorProto { dtype: DataType::DtInt32 as i32, int_val: vec![value], ..Default::default() })
}

fn constant(name: String, value: TensorProto) -> Node {
    let attr = |value| AttrValue { value: Some(value) };
    let attrs = [("dtype".into(), attr(Value::Type(value.dtype))), ("value".into(), attr(Value::Tensor(value)))].into();
    Node { name, op: "Const".into(), inputs: vec![], controls: vec![], attrs, origin: Origin::Order }
}

/// A node that runs bodies of its own: its attributes name each by its role and what it computes, so that equal nodes
/// have equal bodies.
fn caller(name: String, op: &str, bodies: [(&str, &TfGraph); 2]) -> Node {
    let attr = |(role, body): (&str, &TfGraph)| {
        let digest: String = body.content()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let function = NameAttrList { name: format!("{name}/{role}.{digest}"), attr: Default::default() };
        (role.to_string(), AttrValue { value: Some(Value::Func(function)) })
    };
    let attrs = bodies.map(attr).into();
    Node { name, op: op.into(), inputs: vec![], controls: vec![], attrs, origin: Origin::Order }
}

/// What a node is called inside the body of a node called `outer`.
fn inner_name<'n>(outer: &str, name: &'n str) -> &'n str {
    name.strip_prefix(outer).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
}
