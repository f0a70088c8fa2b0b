//! What is said of operators without a row: one message for each cause, with what the model's author can do.
//!
//! A recurrent layer or an augmentation is a dozen operators; it is told once, by the layers that need it.

use std::{borrow::Cow, collections::BTreeMap};

use super::Import;
use crate::{
    base::Diagnostic,
    saved::{Node, custom::skeleton, graph::has_effect, op_def},
};

/// Why an operator is refused. Each kind but [`Cause::Operator`] is one message for all of its operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause<'a> {
    Loop,
    Random,
    Python,
    Jax,
    Forest,
    State,
    /// One of another library.
    Custom,
    Operator(&'a str),
}

fn cause_of(op: &str) -> Cause<'_> {
    const RANDOM: [&str; 9] = [
        "Random",
        "Multinomial",
        "TruncatedNormal",
        "StatefulUniform",
        "StatefulStandardNormal",
        "NonDeterministicInts",
        "RngSkip",
        "RngReadAndSkip",
        "SampleDistortedBoundingBox",
    ];
    match op {
        "Enter" | "RefEnter" | "Exit" | "RefExit" | "NextIteration" | "RefNextIteration" | "LoopCond" => Cause::Loop,
        _ if ["TensorArrayGrad", "Stack"].iter().any(|part| op.starts_with(part)) => Cause::Loop,
        "PyFunc" | "PyFuncStateless" | "EagerPyFunc" | "NumpyFunction" => Cause::Python,
        "XlaCallModule" => Cause::Jax,
        _ if op.starts_with("SimpleML") => Cause::Forest,
        _ if op_def(op).is_some() && RANDOM.iter().any(|part| op.contains(part)) => Cause::Random,
        _ if changes_variable(op) => Cause::State,
        _ if op_def(op).is_none() => Cause::Custom,
        _ => Cause::Operator(op),
    }
}

fn changes_variable(op: &str) -> bool {
    has_effect(op) && op_def(op).is_some() && ["Assign", "Apply", "Scatter"].iter().any(|part| op.contains(part))
}

impl<'a> Import<'a> {
    /// Every problem with what cannot be imported at all.
    pub(super) fn refusals(&mut self) -> Vec<Diagnostic> {
        let mut by_cause: BTreeMap<Cause<'a>, Vec<Cow<'a, Node>>> = BTreeMap::new();
        let mut problems = vec![];
        for (op, nodes) in std::mem::take(&mut self.unsupported) {
            by_cause.entry(cause_of(op)).or_default().extend(nodes);
        }
        // A generator's seed, and the rest of a random layer, are part of its cause.
        let random = by_cause.get(&Cause::Random).map_or(vec![], |nodes| layers(nodes, false));
        let in_random = |node: &Node| {
            let within = |layer: &String| {
                random.iter().any(|r| r == layer || r.rsplit_once('/').is_some_and(|(o, _)| o == layer))
            };
            node.layer().as_ref().is_some_and(within)
        };
        for (cause, nodes) in &mut by_cause {
            if matches!(cause, Cause::State | Cause::Operator(_)) {
                nodes.retain(|n| !in_random(n));
            }
        }
        problems.extend(by_cause.iter().filter(|(_, nodes)| !nodes.is_empty()).map(|(cause, nodes)| match cause {
            Cause::Custom => refusal(*cause, nodes).help(self.how_to_declare(nodes)),
            cause => refusal(*cause, nodes),
        }));
        problems
    }
}

/// The heading of declarations to begin with.
const DECLARE: &str = "express what they do by TensorFlow's operators and export the model again; or link C functions that do it, and \
                       declare them in a file, `--custom FILE` (docs/custom-operators.md). It may begin with this, in which each `?` \
                       is to be filled in:";

impl Import<'_> {
    /// Declarations to begin with, of the operators of some nodes.
    fn how_to_declare(&self, nodes: &[Cow<'_, Node>]) -> String {
        let mut text = DECLARE.to_owned();
        let mut told: Vec<&str> = vec![];
        for node in nodes {
            if told.contains(&node.op.as_str()) {
                continue;
            }
            told.push(&node.op);
            let known = self.custom_operands.get(&node.name).map_or(&[][..], Vec::as_slice);
            let declaration = skeleton(self.operators(), node, known);
            text.push_str("\n\n");
            text.push_str(declaration.trim_end());
        }
        text
    }
}

/// One message for all nodes of a cause, with the layers that need it.
fn refusal(cause: Cause<'_>, nodes: &[Cow<'_, Node>]) -> Diagnostic {
    let mut ops: Vec<&str> = nodes.iter().map(|n| n.op.as_str()).collect();
    ops.sort();
    ops.dedup();
    let ops = ops.join(", ");
    let need = if nodes.len() > 1 { format!("; {} nodes need it", nodes.len()) } else { String::new() };
    let (message, help) = match cause {
        Cause::Loop => (
            format!(
                "these operators of loops in the form of TensorFlow 1, and of their gradients, are not supported: {ops}"
            ),
            "choose a signature that does not train; or write the gradient's loops in the form of TensorFlow 2: call \
             `tf.compat.v1.enable_control_flow_v2()` before the model is built, and export it again",
        ),
        Cause::Random => (
            format!("the signature draws random numbers ({ops}), which is not supported{need}"),
            "`predict` does not augment or drop, but an exported signature may: export a function that fixes \
             `training=False`, such as `archive.add_endpoint(\"serve\", lambda x: model(x, training=False), [spec])` of a \
             `keras.export.ExportArchive`",
        ),
        Cause::Python => (
            format!("the model calls a Python function ({ops}), which exists only in the program that saved it"),
            "write the function with TensorFlow's operators and export the model again; or make it a custom operator, whose function in \
             C or Rust is linked with the object (docs/custom-operators.md)",
        ),
        Cause::Jax => (
            format!("the model holds a program that JAX compiled ({ops}), not TensorFlow's operators"),
            "export it with `jax2tf.convert(f, native_serialization=False)`, or build the model with the TensorFlow backend \
             of Keras",
        ),
        Cause::Forest => (
            format!("the signature uses a decision forest in a way that is not supported ({ops})"),
            "a signature that predicts is compiled: by SimpleMLInferenceOp or SimpleMLInferenceOpWithHandle",
        ),
        Cause::State => (
            format!("the signature changes a variable by {ops}, which is not supported yet{need}"),
            "choose another signature, or write the change by `assign`, `assign_add` or `scatter_update`",
        ),
        Cause::Custom if ops.contains(", ") => {
            (format!("{ops} are no TensorFlow operators: another library defines them{need}"), "")
        }
        Cause::Custom => (format!("{ops} is no TensorFlow operator: another library defines it{need}"), ""),
        Cause::Operator(op) => (format!("operator {op} is not supported yet{need}"), ""),
    };
    let mut problem = Diagnostic::error(message).at_node(&nodes[0].name);
    if !help.is_empty() {
        problem = problem.help(help);
    }
    let layers = layers(nodes, true);
    match &layers[..] {
        [] => problem,
        [first, second, third, ..] if layers.len() > 3 => {
            problem.in_layer(format!("{first}, {second}, {third}, and {} more", layers.len() - 3))
        }
        all => problem.in_layer(all.join(", ")),
    }
}

/// The layers of some nodes, each once; those inside another one are left out for `outermost`.
fn layers(nodes: &[Cow<'_, Node>], outermost: bool) -> Vec<String> {
    let mut layers: Vec<String> = vec![];
    nodes.iter().filter_map(|n| n.layer()).for_each(|l| {
        if !layers.contains(&l) {
            layers.push(l)
        }
    });
    let inside = |l: &String, o: &String| l.strip_prefix(o.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let all = layers.clone();
    layers.retain(|l| !outermost || !all.iter().any(|o| inside(l, o)));
    layers
}
