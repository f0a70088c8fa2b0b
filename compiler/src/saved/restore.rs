//! What the restore subgraph says about variables: the graph that TensorFlow runs to load a checkpoint, followed from
//! each assignment back to the stored tensor's name and forward to the variable. In models of TensorFlow 2 it is a
//! function; once inlined, it looks as in those of TensorFlow 1.

use std::{borrow::Cow, collections::BTreeMap};

use smc_proto::{DataType, MetaGraphDef, NodeDef, attr_value::Value};

use super::{
    bundle::Slice,
    graph::{Builder, Library, Node, NodeOutput, Origin, TfGraph},
    tensor_proto,
    types::{TfShape, TfType},
};
use crate::{
    base::{Diagnostic, Id, Problems},
    tensor::{DType, Tensor},
};

/// A stored tensor, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub key: String,
    pub part: Option<Slice>,
}

/// The answers of the restore subgraph.
#[derive(Clone, Debug, Default)]
pub(super) struct Restored {
    /// By the variable's node in the main graph.
    pub of_node: BTreeMap<String, Stored>,
    /// By the name under which TensorFlow shares the variable among nodes.
    pub of_resource: BTreeMap<String, Stored>,
}

impl Restored {
    /// Nothing is known for models that restore nothing.
    pub fn read(meta: &MetaGraphDef, library: &Library) -> Result<Restored, Problems> {
        let mut restored = Restored::default();
        let Some(saver) = meta.saver_def.as_ref().filter(|s| !s.restore_op_name.is_empty()) else {
            return Ok(restored);
        };
        let graph = restore_graph(library, &saver.filename_tensor_name, &saver.restore_op_name)?;
        let mut problems = Problems::default();
        for (_, node) in graph.nodes.iter().filter(|(_, n)| matches!(&n.op[..], "Assign" | "AssignVariableOp")) {
            let [target, value] = node.inputs[..] else { continue };
            let Some(variable) = variable_behind(&graph, target) else { continue };
            match stored_behind(&graph, value) {
                Ok(Some(stored)) => restored.insert(&graph.nodes[variable], stored),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        problems.or(restored)
    }

    fn insert(&mut self, variable: &Node, stored: Stored) {
        if let Some(name) = resource_name(variable) {
            self.of_resource.insert(name, stored.clone());
        }
        if let Origin::Defined { function, node } = &variable.origin
            && function.is_empty()
        {
            self.of_node.insert(node.clone(), stored);
        }
    }
}

fn restore_graph(library: &Library, filename: &str, operation: &str) -> Result<TfGraph, Problems> {
    let mut builder = Builder::new(library);
    let mut inputs = Vec::new();
    if !filename.is_empty() {
        let ty = TfType { dtype: DataType::DtString, shape: TfShape::UNKNOWN };
        inputs.push(builder.feed("filename", filename, ty)?);
    }
    builder.run(operation)?;
    builder.finish(inputs, vec![])
}

/// The shared name of variables that share nothing.
pub(super) const ANONYMOUS: &str = "cd2c89b7-88b7-44c8-ad83-06c2a9158347";

/// The name by which TensorFlow identifies a variable at run time; anonymous ones have none.
pub(super) fn resource_name(variable: &Node) -> Option<String> {
    let shared = variable.attr_str("shared_name").unwrap_or_default();
    let Origin::Defined { function, node } = &variable.origin else { return None };
    let known = function.is_empty() || !shared.is_empty();
    known.then(|| named(variable.attr_str("container").unwrap_or_default(), shared, node)).flatten()
}

/// The same of a node of the main graph as the file has it.
pub(super) fn resource_name_in_file(node: &NodeDef) -> Option<String> {
    let text = |name: &str| match node.attr.get(name).and_then(|attr| attr.value.as_ref()) {
        Some(Value::S(text)) => String::from_utf8_lossy(text),
        _ => Cow::default(),
    };
    named(&text("container"), &text("shared_name"), &node.name)
}

fn named(container: &str, shared: &str, node: &str) -> Option<String> {
    (shared != ANONYMOUS).then(|| format!("{container}/{}", if shared.is_empty() { node } else { shared }))
}

/// Whether the operator makes the handle of a variable, or is one of the old kind.
pub(super) fn is_variable(op: &str) -> bool {
    matches!(op, "VarHandleOp" | "VariableV2" | "Variable")
}

/// The variable a handle or reference belongs to.
pub(super) fn variable_behind(graph: &TfGraph, handle: NodeOutput) -> Option<Id<Node>> {
    let source = handed_on(graph, handle);
    is_variable(&graph.nodes[source.node].op).then_some(source.node)
}

/// How many nodes may hand a value on; real graphs need a dozen, and loops would go on for ever.
const MAX_STEPS: usize = 1000;

/// Follows a value backwards through nodes that hand it on.
pub fn handed_on(graph: &TfGraph, mut value: NodeOutput) -> NodeOutput {
    for _ in 0..MAX_STEPS {
        let node = &graph.nodes[value.node];
        let from = match &node.op[..] {
            "Identity" | "RefIdentity" | "Enter" | "RefEnter" | "Exit" | "RefExit" | "Switch" | "RefSwitch"
            | "Merge" | "RefMerge" | "NextIteration" | "RefNextIteration" | "StopGradient" => 0,
            "IdentityN" => value.index as usize,
            // The results of a loop are its operands after some turns; handles do not change.
            "While" | "StatelessWhile" => value.index as usize,
            _ => return value,
        };
        match node.inputs.get(from) {
            Some(&source) => value = source,
            None => return value,
        }
    }
    value
}

/// The stored tensor that a restored value comes from; `None` when it comes from somewhere else.
fn stored_behind(graph: &TfGraph, value: NodeOutput) -> Result<Option<Stored>, Diagnostic> {
    let source = handed_on(graph, value);
    let node = &graph.nodes[source.node];
    let element = |input: usize, n: usize| -> Result<String, Diagnostic> {
        let missing = || node.fault("the names of the restored tensors are not constant");
        let operand = node.inputs.get(input).ok_or_else(missing)?;
        let names = constant(graph, *operand).ok_or_else(missing)?;
        if names.dtype != DType::Str {
            return Err(missing());
        }
        let name = names.strings().get(n).ok_or_else(missing)?;
        String::from_utf8(name.clone()).map_err(|_| missing())
    };
    let (key, part) = match &node.op[..] {
        "RestoreV2" => (element(1, source.index as usize)?, element(2, source.index as usize)?),
        "Restore" => (element(1, 0)?, String::new()),
        "RestoreSlice" => (element(1, 0)?, element(2, 0)?),
        _ => return Ok(None),
    };
    let malformed = || node.fault(format!("`{part}` is not a part of a tensor"));
    let part = if part.is_empty() { None } else { Some(Slice::parse(&part).ok_or_else(malformed)?.1) };
    Ok(Some(Stored { key, part }))
}

fn constant(graph: &TfGraph, value: NodeOutput) -> Option<Tensor> {
    let node = &graph.nodes[handed_on(graph, value).node];
    (node.op == "Const").then(|| tensor_proto::decode(node.attr_tensor("value").ok()?).ok()).flatten()
}
