//! Leaves, values that pass unchanged, variables, and control flow: that of TensorFlow 1 where the predicate is known,
//! and functional branches and loops with the lists and arrays that they work on.

pub(super) mod array;
mod branch;
mod defined;
pub(super) mod list;
pub(super) mod cell_gradient;
pub(super) mod recurrent;
mod region;
mod repeat;
pub(super) mod sequence_gradient;
pub(super) mod sum;
mod uneven;

pub use list::{List, Lists};

use super::{
    Import, Outputs, Stop, TfOp, Value,
    build::one,
    import::Handle,
    life::{NOT_PRINTED, NUMBERS_UNCHECKED},
    narrow,
    state::is_initialised,
};
use crate::{
    base::Diagnostic,
    graph::NodeId,
    saved::{data_type, decode_tensor},
    tensor::DType,
};

pub(super) const OPS: &[TfOp] = &[
    TfOp { name: "Const", import: constant },
    TfOp { name: "Placeholder", import: placeholder },
    TfOp { name: "PlaceholderV2", import: placeholder },
    TfOp { name: "PlaceholderWithDefault", import: pass },
    TfOp { name: "NoOp", import: |_| Ok(vec![]) },
    TfOp { name: "Assert", import: assertion },
    TfOp { name: "Identity", import: pass },
    TfOp { name: "RefIdentity", import: pass },
    TfOp { name: "IdentityN", import: |cx| (0..cx.count()).map(|n| cx.value(n)).collect() },
    TfOp { name: "Snapshot", import: pass },
    TfOp { name: "DeepCopy", import: pass },
    TfOp { name: "GuaranteeConst", import: pass },
    TfOp { name: "StopGradient", import: held },
    TfOp { name: "PreventGradient", import: pass },
    TfOp { name: "Print", import: print },
    TfOp { name: "CheckNumerics", import: check_numerics },
    TfOp { name: "CheckNumericsV2", import: check_numerics },
    TfOp { name: "EnsureShape", import: ensure_shape },
    TfOp { name: "VarHandleOp", import: |cx| Ok(vec![Value::Variable(own(cx))]) },
    TfOp { name: "ReadVariableOp", import: read_variable },
    TfOp { name: "VariableV2", import: ref_variable },
    TfOp { name: "Variable", import: ref_variable },
    TfOp { name: "VarIsInitializedOp", import: is_initialised },
    TfOp { name: "Switch", import: switch },
    TfOp { name: "RefSwitch", import: switch },
    TfOp { name: "Merge", import: merge },
    TfOp { name: "RefMerge", import: merge },
    TfOp { name: "If", import: branch::branch },
    TfOp { name: "StatelessIf", import: branch::branch },
    TfOp { name: "Case", import: branch::branch },
    TfOp { name: "StatelessCase", import: branch::branch },
    TfOp { name: "While", import: repeat::repeat },
    TfOp { name: "StatelessWhile", import: repeat::repeat },
];

fn constant(cx: &mut Import) -> Outputs {
    let proto = cx.node.attr_tensor("value")?;
    let value = decode_tensor(proto)?;
    Ok(vec![narrow::value(cx.constant(value)?, data_type(proto.dtype))])
}

/// An input that the signature does not feed. Keras' learning phase is false outside of training.
fn placeholder(cx: &mut Import) -> Outputs {
    let name = cx.node.name.as_str();
    if name.rsplit('/').next().is_some_and(|last| last.starts_with("keras_learning_phase")) {
        return one(cx.scalar(DType::Bool, 0.0)?);
    }
    let problem =
        Diagnostic::error(format!("the model needs a value for `{name}`, which is not an input of the signature"));
    Err(problem.help("choose a signature that feeds it").into())
}

fn pass(cx: &mut Import) -> Outputs {
    Ok(vec![cx.value(0)?])
}

/// What is passed on without a gradient.
fn held(cx: &mut Import) -> Outputs {
    match cx.value(0)? {
        Value::Tensor(x) => Ok(vec![cx.held(x)?.into()]),
        other => Ok(vec![other]),
    }
}

/// An assertion on the path of data is one that another node waits for; it has no outputs.
fn assertion(_: &mut Import) -> Outputs {
    Ok(vec![])
}

fn print(cx: &mut Import) -> Outputs {
    cx.notes.push(Diagnostic::note(NOT_PRINTED).at_node(&cx.node.name));
    pass(cx)
}

fn check_numerics(cx: &mut Import) -> Outputs {
    cx.notes.push(Diagnostic::note(NUMBERS_UNCHECKED).at_node(&cx.node.name));
    pass(cx)
}

/// The extents that the attribute fixes are the operand's.
fn ensure_shape(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    if let Some(wanted) = cx.node.attr_shape("shape")?.0 {
        if wanted.len() != shape.len() {
            return Err(format!("expected rank {}, got {}", wanted.len(), shape.len()).into());
        }
        for (have, want) in shape.iter().zip(wanted) {
            if let Some(want) = want {
                cx.require_equal(have, &(want as usize).into(), "the extent and the one that is asserted")?;
            }
        }
    }
    one(x)
}

fn read_variable(cx: &mut Import) -> Outputs {
    Ok(vec![stored(cx, 0)?])
}

/// The value of the variable whose handle operand `n` is.
fn stored(cx: &mut Import, n: usize) -> Result<Value, Stop> {
    match cx.value(n)? {
        Value::Variable(handle) => cx.variable_value(handle),
        _ => Err(cx.no_handle(n)),
    }
}

/// The value of the variable whose handle operand `n` is, which has to be of a type that primitives compute with.
pub(super) fn variable(cx: &mut Import, n: usize) -> Result<NodeId, Stop> {
    cx.operands[n] = stored(cx, n)?;
    cx.arg(n)
}

/// The variable that the current node makes.
fn own(cx: &Import) -> Handle {
    Handle { depth: cx.around.len() - 1, node: cx.id }
}

/// A reference where the variable is state: what it holds is asked where it is used.
fn ref_variable(cx: &mut Import) -> Outputs {
    let handle = own(cx);
    Ok(vec![if cx.is_state(handle) { Value::Variable(handle) } else { cx.variable_value(handle)? }])
}

fn switch(cx: &mut Import) -> Outputs {
    let data = cx.value(0)?;
    match cx.node.inputs.get(1).and_then(|&predicate| cx.known_bool(predicate)) {
        Some(false) => Ok(vec![data, Value::Dead]),
        Some(true) => Ok(vec![Value::Dead, data]),
        None => Err(cx.open_branch(*cx.node.inputs.get(1).ok_or("Switch lacks its predicate")?).into()),
    }
}

/// The one operand that is computed, and its position.
fn merge(cx: &mut Import) -> Outputs {
    let alive: Vec<usize> = (0..cx.count()).filter(|&n| cx.operands[n] != Value::Dead).collect();
    match alive[..] {
        [] => Ok(vec![Value::Dead]),
        [n] => {
            let index = cx.scalar(DType::I32, n as f64)?;
            Ok(vec![cx.value(n)?, index.into()])
        }
        _ => {
            let problem = "several operands of this Merge are computed in every call, and TensorFlow takes whichever comes \
                           first: no answer is the right one";
            let help = "export a graph that reads the wanted operand itself, or that joins the two sides of one branch \
                        (`tf.cond`)";
            Err(Diagnostic::error(problem).help(help).into())
        }
    }
}
