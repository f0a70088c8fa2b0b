//! The last dense layer of a signature: the product with a kernel that everything else before the output only adds a bias
//! to and maps element by element.

use std::collections::BTreeSet;

use super::activation::Activation;
use crate::{
    base::{Diagnostic, Id},
    saved::{
        TfGraph, Variable,
        graph::{Node, NodeOutput},
        restore::handed_on,
    },
};

/// The layer in the flat graph, and what is behind it.
pub struct Layer {
    pub kernel: Id<Node>,
    pub bias: Option<Id<Node>>,
    pub inputs: usize,
    pub units: usize,
    pub activation: Old,
    /// What the kernel is multiplied with.
    pub features: NodeOutput,
    /// The node of the activation, where it is one.
    pub map: Option<Id<Node>>,
    /// What the layer is called in diagnostics.
    pub name: String,
}

/// The activation that the model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    None,
    /// One node of an operator.
    One(&'static str),
    /// Several nodes.
    Several,
}

/// Operators that hand a value on, in other bits at most.
pub fn hands_on(op: &str) -> bool {
    matches!(
        op,
        "Identity" | "RefIdentity" | "StopGradient" | "Snapshot" | "PreventGradient" | "CheckNumerics" | "Cast"
    )
}

/// Operators that map element by element, of one operand.
pub fn is_map(op: &str) -> bool {
    const MORE: &[&str] = &[
        "Abs",
        "Neg",
        "Square",
        "Sqrt",
        "Rsqrt",
        "Log",
        "Log1p",
        "Expm1",
        "Erf",
        "Erfc",
        "Reciprocal",
        "Inv",
        "Sign",
        "Sin",
        "Cos",
        "Floor",
        "Round",
        "Sinh",
        "Cosh",
        "Atan",
    ];
    Activation::one(op).is_some() || MORE.contains(&op)
}

/// Operators that map element by element, of two operands.
pub fn is_pair(op: &str) -> bool {
    const PAIRS: &[&str] =
        &["Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "DivNoNan", "Maximum", "Minimum", "Pow", "SquaredDifference"];
    PAIRS.contains(&op)
}

/// The layer that outputs come from. Others may come from elsewhere, such as numbers of classes.
pub fn last(graph: &TfGraph) -> Result<Layer, Diagnostic> {
    let mut found: Option<(Layer, &str)> = None;
    let mut fault = None;
    for output in &graph.outputs {
        match (behind(graph, output.source), &found) {
            (Ok(layer), None) => found = Some((layer, &output.key)),
            (Ok(layer), Some((first, key))) if layer.kernel != first.kernel => {
                let what = format!(
                    "outputs `{key}` and `{}` come from two last layers, `{}` and `{}`",
                    output.key, first.name, layer.name
                );
                return Err(Diagnostic::error(what).help("name one of them: `--output NAME`"));
            }
            (Ok(_), Some(_)) => {}
            (Err(problem), _) => fault = fault.or(Some(problem)),
        }
    }
    let none = || fault.unwrap_or_else(|| Diagnostic::error("the signature has no outputs"));
    found.map(|(layer, _)| layer).ok_or_else(none)
}

fn behind(graph: &TfGraph, output: NodeOutput) -> Result<Layer, Diagnostic> {
    let mut search = Search { graph, seen: BTreeSet::new(), maps: vec![], sums: vec![], products: vec![] };
    search.go(output)?;
    let at = |id: Id<Node>| &graph.nodes[id];
    let product = match search.products[..] {
        [product] => product,
        [] => return Err(at(output.node).fault("the output comes from no dense layer").help(HELP)),
        [one, other, ..] => {
            let what = format!("the output comes from two dense layers, `{}` and `{}`", at(one).name, at(other).name);
            return Err(at(output.node).fault(what).help(HELP));
        }
    };
    let node = at(product);
    if node.attr_bool("transpose_a")? || node.attr_bool("transpose_b")? {
        return Err(node.fault("the layer's kernel or input is transposed, which a new head is not made for"));
    }
    let kernel = variable(graph, node.inputs[1]).expect("products are of variables");
    let stored = stored(graph, kernel)?;
    let &[inputs, units] = &stored.ty.shape.fixed().unwrap_or_default()[..] else {
        return Err(node.fault(format!("the layer's kernel is {}, no matrix", stored.ty)));
    };
    let bias = match search.sums[..] {
        [] => None,
        [bias] => Some(bias),
        _ => return Err(node.fault("two variables are added to the layer's product")),
    };
    if let Some(bias) = bias {
        let bias = self::stored(graph, bias)?;
        if bias.ty.shape.fixed() != Some(vec![units]) {
            return Err(
                node.fault(format!("the layer's bias is {}, not one number for each of {units} units", bias.ty))
            );
        }
    }
    let activation = match search.maps[..] {
        [] => Old::None,
        [one] => Activation::one(&at(one).op).map_or(Old::Several, Old::One),
        _ => Old::Several,
    };
    let map = match (activation, &search.maps[..]) {
        (Old::One(_), [one]) => Some(*one),
        _ => None,
    };
    let name = node.layer().unwrap_or_else(|| node.name.clone());
    Ok(Layer { kernel, bias, inputs, units, activation, features: node.inputs[0], map, name })
}

const HELP: &str =
    "a new head replaces a product with a variable, MatMul, to which a bias and an activation may be added";

/// A variable whose value is what the checkpoint alone says.
fn stored(graph: &TfGraph, id: Id<Node>) -> Result<&Variable, Diagnostic> {
    let variable = &graph.variables[&id];
    let node = &graph.nodes[id];
    if variable.part.is_some() {
        return Err(node.fault(format!("variable `{}` of the last layer is stored in parts", variable.name)));
    }
    if variable.initial.is_some() || variable.begins.is_some() || variable.unset {
        return Err(node.fault(format!("variable `{}` of the last layer is not in the checkpoint", variable.name)));
    }
    Ok(variable)
}

/// The variable that a value is read from.
fn variable(graph: &TfGraph, mut value: NodeOutput) -> Option<Id<Node>> {
    for _ in 0..100 {
        let at = handed_on(graph, value);
        if graph.variables.contains_key(&at.node) {
            return Some(at.node);
        }
        let node = &graph.nodes[at.node];
        match node.op.as_str() {
            "ReadVariableOp" | "Cast" => value = *node.inputs.first()?,
            _ => return None,
        }
    }
    None
}

struct Search<'g> {
    graph: &'g TfGraph,
    seen: BTreeSet<Id<Node>>,
    maps: Vec<Id<Node>>,
    /// Variables that are added.
    sums: Vec<Id<Node>>,
    products: Vec<Id<Node>>,
}

impl Search<'_> {
    fn go(&mut self, output: NodeOutput) -> Result<(), Diagnostic> {
        let mut todo = vec![output];
        while let Some(value) = todo.pop() {
            let at = handed_on(self.graph, value);
            if !self.seen.insert(at.node) {
                continue;
            }
            let node = &self.graph.nodes[at.node];
            let operand = |n: usize| node.inputs.get(n).copied().and_then(|operand| variable(self.graph, operand));
            match node.op.as_str() {
                "MatMul" if operand(1).is_some() => self.products.push(at.node),
                "BiasAdd" | "Add" | "AddV2"
                    if node.inputs.len() == 2 && (operand(0).is_some() != operand(1).is_some()) =>
                {
                    let (bias, rest) =
                        if let Some(bias) = operand(1) { (bias, 0) } else { (operand(0).expect("one is"), 1) };
                    self.sums.push(bias);
                    todo.push(node.inputs[rest]);
                }
                op if hands_on(op) => todo.extend(node.inputs.first()),
                op if is_map(op) => {
                    self.maps.push(at.node);
                    todo.extend(node.inputs.first());
                }
                op if is_pair(op) => {
                    self.maps.push(at.node);
                    todo.extend(&node.inputs);
                }
                "Const" => {}
                op => {
                    let what = match op {
                        "Conv2D" => "the model ends in a convolution, which a new head does not replace".to_string(),
                        "Reshape" | "Squeeze" | "ExpandDims" | "Transpose" => {
                            format!("{op} stands between the last dense layer and the output")
                        }
                        "BatchMatMulV2" | "Einsum" => {
                            format!("the output comes from {op}, not from a MatMul with a kernel")
                        }
                        _ => format!("the output comes from {op}, which is no dense layer"),
                    };
                    return Err(node.fault(what).help(HELP));
                }
            }
        }
        Ok(())
    }
}
