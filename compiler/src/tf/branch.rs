//! Which function an `If` or `Case` calls, where that does not depend on the values of the inputs; what is said of a
//! `Switch` where it does.
//!
//! The loader inlines a branch that is known, which may make more predicates known; so whoever wants a signature's graph
//! asks [`known_branches`] until it has no more to say. The predicates stay in the graph as decisions, and the import
//! looks again: under what it assumes of the extents each must still be what it was taken to be.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Import, Options, Stop, Value,
    import::{Done, Variables, Walks},
    stretch::Stretch,
};
use crate::{
    base::Diagnostic,
    saved::{
        AttrValue, DataType, Node, NodeOutput, TfGraph, data_type, decode_tensor,
        graph::{Branches, Decision},
    },
    tensor::{DType, Scalar},
};

/// The branches that `tf` still leaves open although their predicates are known. What cannot be imported is not known;
/// the import of the whole graph will say why.
pub fn known_branches(tf: &TfGraph, variables: &Variables<'_>, options: &Options) -> Branches {
    let find = |import: &mut Import<'_>| {
        let mut found = Branches::new();
        for (&id, site) in &tf.sites {
            let node = &tf.nodes[id];
            let Some((&predicate, branches)) = node.inputs.first().zip(branch_count(node)) else { continue };
            if let Some(taken) = import.branch(predicate, &node.op, branches)? {
                found.insert(site.clone(), taken);
            }
        }
        Ok(found)
    };
    // What is known whichever extents are broadcast comes first.
    let mut walks = Walks::new(tf, variables, options);
    let both = [Stretch::Either, Stretch::Never].into_iter();
    let mut found = both.map(|stretch| walks.substituting(stretch, find).0.unwrap_or_default());
    found.find(|found| !found.is_empty()).unwrap_or_default()
}

/// The number of functions between which an `If` or a `Case` chooses.
fn branch_count(node: &Node) -> Option<usize> {
    if node.op.ends_with("If") { Some(2) } else { node.attr_funcs("branches").ok().map(<[_]>::len) }
}

impl<'a> Import<'a> {
    /// The number of the function that is called, if that is known.
    pub(super) fn branch(&mut self, predicate: NodeOutput, op: &str, branches: usize) -> Result<Option<usize>, Stop> {
        if let Some(truth) = self.text_truth(predicate) {
            return Ok(Some(truth as usize).filter(|_| op.ends_with("If")));
        }
        self.demand(predicate.node)?;
        let Some(Done::Values(values)) = &self.done[predicate.node.index()] else { return Ok(None) };
        let Some(&Value::Tensor(id)) = values.get(predicate.index as usize) else { return Ok(None) };
        let (shape, dtype) = (self.graph.shape(id), self.graph.ty(id).dtype);
        if op.ends_with("If") && !shape.is_empty() {
            // Of a tensor that is no scalar, TensorFlow asks whether it has elements.
            let extents: Vec<Option<i64>> = shape.iter().map(|d| d.as_int()).collect();
            let empty = extents.contains(&Some(0));
            return Ok((empty || !extents.contains(&None)).then_some(!empty as usize));
        }
        let scalar = match self.graph.dims(id) {
            Some([dim]) => dim.as_int().map(Scalar::Int),
            _ => self.graph.as_const(id).filter(|t| t.count() == 1).map(|t| t.get(0)),
        };
        Ok(scalar.and_then(|value| if op.ends_with("If") { truth(value, dtype) } else { nth(value, branches) }))
    }

    /// Whether a constant text is not empty; the graph of primitives has no texts.
    fn text_truth(&self, predicate: NodeOutput) -> Option<bool> {
        let node = &self.tf.nodes[predicate.node];
        let is_text = || matches!(node.attr("dtype"), Some(AttrValue::Type(t)) if data_type(*t) == DataType::DtString);
        if node.op != "Const" || !is_text() {
            return None;
        }
        let text = decode_tensor(node.attr_tensor("value").ok()?).ok()?;
        Some(if text.rank() == 0 { !text.strings()[0].is_empty() } else { text.count() > 0 })
    }

    /// Sees to it that the predicates of the branches that were taken are what they were taken to be.
    pub(super) fn confirm_decisions(&mut self) -> Result<(), Stop> {
        for Decision { node, op, predicate, branches, taken } in &self.tf.decisions {
            let found = self.branch(*predicate, op, *branches)?;
            let failed = matches!(self.done[predicate.node.index()], Some(Done::Failed));
            if found != Some(*taken) && !failed {
                let problem = "which branch is taken here depends on what is assumed of the extents";
                return Err(Diagnostic::error(problem).at_node(node).into());
            }
        }
        Ok(())
    }

    /// Why a branch cannot be compiled whose predicate is not known: it names the inputs that decide.
    pub(super) fn open_branch(&self, predicate: NodeOutput) -> Diagnostic {
        let (mut seen, mut todo) = (BTreeSet::from([predicate.node]), vec![predicate.node]);
        while let Some(id) = todo.pop() {
            todo.extend(self.tf.nodes[id].inputs.iter().map(|i| i.node).filter(|&i| seen.insert(i)));
        }
        let deciding: Vec<_> = self.tf.inputs.iter().filter(|p| seen.contains(&p.source.node)).collect();
        let names: BTreeMap<&str, ()> = deciding.iter().map(|p| (p.key.as_str(), ())).collect();
        let names = names.into_keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let flag = deciding.iter().find(|p| p.ty.dtype == DataType::DtBool || p.ty.shape.rank() == Some(0));
        let help = match flag {
            Some(port) => {
                let value = if port.ty.dtype == DataType::DtBool { "False" } else { "1" };
                format!(
                    "export a function that fixes `{}`, as by {value}: a branch is taken where its predicate is known when \
                     the model is compiled",
                    port.key
                )
            }
            None => "a branch is compiled where one Merge joins its two sides, as `tf.cond` writes it; or compute both sides and \
                     choose with `tf.where`"
                .into(),
        };
        let what = match deciding.len() {
            0 => "the branch depends on a value that is not known when the model is compiled, and no Merge joins its two sides"
                .to_string(),
            1 => format!("the branch depends on the values of input {names}, and no Merge joins its two sides"),
            _ => format!("the branch depends on the values of inputs {names}, and no Merge joins its two sides"),
        };
        Diagnostic::error(what).help(help)
    }
}

/// What TensorFlow takes a number for, as the number of an `If`'s branch; NaN is true. Of other types it takes none.
fn truth(value: Scalar, dtype: DType) -> Option<usize> {
    let truth = value.as_f64()? != 0.0;
    is_predicate(dtype).then_some(truth as usize)
}

/// The types of scalars that TensorFlow takes as a predicate, beside texts.
pub(super) fn is_predicate(dtype: DType) -> bool {
    use DType::*;
    matches!(dtype, Bool | F32 | F64 | I8 | I16 | I32 | I64 | U8)
}

/// The branch of a `Case`: the last one for a number that names none.
fn nth(value: Scalar, branches: usize) -> Option<usize> {
    let last = branches.checked_sub(1)?;
    Some(usize::try_from(value.as_i64()?).map_or(last, |n| n.min(last)))
}
