//! What a node's input stands for: the tensor behind a name, wherever functions pass it in or hand it out.

use std::collections::BTreeMap;

use smc_proto::{AttrValue, NodeDef};

use super::{Builder, Frame, MAIN, MAX_NODES, MAX_STEPS, full_name};
use crate::{
    base::Diagnostic,
    saved::graph::{
        NodeOutput, Reference,
        library::{Attrs, data_inputs},
    },
    saved::op_defs::op_def,
};

impl<'m> Builder<'_, 'm> {
    /// Which of the function's arguments a name is: its first position and how many tensors it stands for.
    pub(super) fn arg_position(&self, frame: usize, name: &str) -> Option<(usize, usize)> {
        let Frame { scope, attrs, .. } = &self.frames[frame];
        let mut position = 0usize;
        for arg in &scope.function?.signature.as_ref()?.input_arg {
            let count = frame_attrs(attrs).arg_count(arg)?;
            if arg.name == name {
                return Some((position, count));
            }
            position = position.checked_add(count)?;
        }
        None
    }

    /// The tensors an input of a node stands for: one, except for a list that a function's node refers to as a whole.
    pub(super) fn resolve(&mut self, frame: usize, text: &str) -> Result<Vec<NodeOutput>, Diagnostic> {
        let malformed = || Diagnostic::error(format!("`{text}` is not a tensor's name"));
        let reference = Reference::parse(text).filter(|r| !r.control).ok_or_else(malformed)?;
        if let Some((first, count)) = self.arg_position(frame, reference.name) {
            let (first, count) = part(first, count, reference.index).ok_or_else(malformed)?;
            return (first..first + count).map(|p| self.argument(frame, p)).collect();
        }
        let scope = self.frames[frame].scope;
        let missing = || Diagnostic::error(format!("there is no node `{}`", reference.name));
        let at = scope.find(reference.name).ok_or_else(missing)?;
        let (first, count) = self.output_position(frame, at, reference)?;
        let output = |p| u32::try_from(p).map_err(|_| malformed());
        (first..first + count).map(|p| self.follow(frame, at, output(p)?)).collect()
    }

    /// The first of a node's outputs that a reference means, and how many.
    fn output_position(&self, frame: usize, at: usize, reference: Reference) -> Result<(usize, usize), Diagnostic> {
        let Frame { scope, attrs, .. } = &self.frames[frame];
        let def = &scope.nodes[at];
        let Some(output) = reference.output else { return Ok((reference.index.unwrap_or(0) as usize, 1)) };
        // The operator itself is reported; its outputs are not told apart.
        let Some(outputs) = self.outputs_of(def, attrs)? else {
            return Ok((reference.index.unwrap_or(0) as usize, 1));
        };
        let mut first = 0usize;
        for (name, count) in outputs {
            if name == output {
                let missing = || no_output(def, &format!("output {} of `{output}`", reference.index.unwrap_or(0)));
                return part(first, count, reference.index).ok_or_else(missing);
            }
            first = first.saturating_add(count);
        }
        Err(no_output(def, &format!("output `{output}`")))
    }

    /// The names and counts of a node's output arguments; `None` for an operator that nobody defines.
    #[allow(clippy::type_complexity)]
    fn outputs_of<'a>(
        &'a self,
        def: &'a NodeDef,
        outer: &'a BTreeMap<String, AttrValue>,
    ) -> Result<Option<Vec<(&'a str, usize)>>, Diagnostic> {
        let attrs = Attrs { own: &def.attr, outer: Some(outer), op: &def.op };
        let Some(outputs) = self.library.outputs_of(&def.op, &attrs) else { return Ok(None) };
        let counted = |(name, count): (&'a str, Option<usize>)| {
            let missing = || format!("`{}` ({}) lacks the attribute that counts its `{name}`", def.name, def.op);
            count.map(|count| (name, count)).ok_or_else(|| Diagnostic::error(missing()))
        };
        outputs.into_iter().map(counted).collect::<Result<_, _>>().map(Some)
    }

    /// Refuses an output that the node does not have. Those of operators that nobody defines are not known.
    pub(super) fn check_output(&self, frame: usize, at: usize, index: u32) -> Result<(), Diagnostic> {
        let Frame { scope, attrs, .. } = &self.frames[frame];
        let def = &scope.nodes[at];
        let Some(outputs) = self.outputs_of(def, attrs)? else { return Ok(()) };
        let count = outputs.iter().fold(0usize, |n, (_, count)| n.saturating_add(*count));
        if (index as usize) < count { Ok(()) } else { Err(no_output(def, &format!("output {index}"))) }
    }

    /// Argument `position` of a frame, seen from the frame of its call.
    fn argument(&mut self, frame: usize, position: usize) -> Result<NodeOutput, Diagnostic> {
        self.trace(Step::Argument { frame, position })
    }

    fn follow(&mut self, frame: usize, at: usize, index: u32) -> Result<NodeOutput, Diagnostic> {
        self.trace(Step::Output { frame, at, index })
    }

    /// Passes through calls and arguments until a node is found.
    fn trace(&mut self, mut step: Step) -> Result<NodeOutput, Diagnostic> {
        for _ in 0..MAX_STEPS {
            self.charge(8)?;
            let (frame, reference) = match step {
                Step::Argument { frame, position } => match self.frames[frame].call {
                    None => {
                        let missing = || Diagnostic::error(format!("a function lacks its argument {position}"));
                        return self.frames[frame].args.get(position).copied().ok_or_else(missing);
                    }
                    Some((outer, at)) => {
                        let def = &self.frames[outer].scope.nodes[at];
                        let missing = || {
                            Diagnostic::error(format!("the call has no argument {position}"))
                                .at_node(full_name(&self.frames[outer].prefix, &def.name))
                        };
                        let operand = self.operand(outer, def, position + self.frames[frame].first)?;
                        (outer, operand.ok_or_else(missing)?)
                    }
                },
                Step::Output { frame, at, index } => {
                    if frame == MAIN
                        && let Some(&source) = self.feeds.get(&(at, index))
                    {
                        return Ok(source);
                    }
                    let Some(callee) = self.callee(frame, at) else {
                        self.check_output(frame, at, index)?;
                        return Ok(NodeOutput { node: self.demand(frame, at)?, index });
                    };
                    let body = self.enter(frame, at, callee)?;
                    let returned = self.returned(body, index as usize)?;
                    let malformed = || Diagnostic::error(format!("`{returned}` is not a tensor's name"));
                    (body, Reference::parse(returned).filter(|r| !r.control).ok_or_else(malformed)?)
                }
            };
            step = self.one_step(frame, reference)?;
        }
        Err(Diagnostic::error("a tensor passes through functions without end"))
    }

    /// What output `index` of a function's call is inside the function.
    fn returned(&self, frame: usize, index: usize) -> Result<&'m str, Diagnostic> {
        let Frame { scope, attrs, .. } = &self.frames[frame];
        let missing = || Diagnostic::error(format!("function `{}` has no result {index}", scope.name()));
        let function = scope.function.ok_or_else(missing)?;
        let mut position = 0usize;
        for arg in function.signature.iter().flat_map(|s| &s.output_arg) {
            let count = frame_attrs(attrs).arg_count(arg).ok_or_else(missing)?;
            if index < position.saturating_add(count) && count == 1 {
                return function.ret.get(&arg.name).map(String::as_str).ok_or_else(missing);
            }
            if index < position.saturating_add(count) {
                return Err(Diagnostic::error(format!(
                    "function `{}` returns a list, which is not supported",
                    scope.name()
                )));
            }
            position += count;
        }
        Err(missing())
    }

    /// Operand `position` of a call. In a function, one input may stand for a list of operands.
    fn operand(&self, frame: usize, def: &'m NodeDef, position: usize) -> Result<Option<Reference<'m>>, Diagnostic> {
        let scope = self.frames[frame].scope;
        let mut first = 0usize;
        for text in data_inputs(def) {
            let malformed = || Diagnostic::error(format!("`{text}` is not a tensor's name"));
            let reference = Reference::parse(text).filter(|r| !r.control).ok_or_else(malformed)?;
            let one = scope.function.is_none() || reference.index.is_some();
            let count = match reference.output {
                _ if one => 1,
                None if !scope.takes_lists => 1,
                None => self.arg_position(frame, reference.name).map_or(1, |(_, count)| count),
                Some(_) => {
                    let missing = || Diagnostic::error(format!("there is no node `{}`", reference.name));
                    self.output_position(frame, scope.find(reference.name).ok_or_else(missing)?, reference)?.1
                }
            };
            let end = first.saturating_add(count);
            if position < end {
                let index = if count == 1 { reference.index } else { Some((position - first) as u32) };
                return Ok(Some(Reference { index, ..reference }));
            }
            first = end;
        }
        Ok(None)
    }

    /// Where a name that stands for a single tensor leads.
    fn one_step(&self, frame: usize, reference: Reference) -> Result<Step, Diagnostic> {
        let malformed = || Diagnostic::error(format!("`{}` stands for several tensors", reference.name));
        if let Some((first, count)) = self.arg_position(frame, reference.name) {
            let (position, _) = part(first, count, reference.index).filter(|p| p.1 == 1).ok_or_else(malformed)?;
            return Ok(Step::Argument { frame, position });
        }
        let missing = || Diagnostic::error(format!("there is no node `{}`", reference.name));
        let at = self.frames[frame].scope.find(reference.name).ok_or_else(missing)?;
        match self.output_position(frame, at, reference)? {
            (first, 1) => Ok(Step::Output { frame, at, index: u32::try_from(first).map_err(|_| malformed())? }),
            _ => Err(malformed()),
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Argument { frame: usize, position: usize },
    Output { frame: usize, at: usize, index: u32 },
}

/// The attributes a function is instantiated by, as those of its arguments.
fn frame_attrs(own: &BTreeMap<String, AttrValue>) -> Attrs<'_> {
    Attrs { own, outer: None, op: "" }
}

/// What is said of an output that a node does not have.
fn no_output(def: &NodeDef, output: &str) -> Diagnostic {
    let what = format!("node `{}` ({}) has no {output}", def.name, def.op);
    Diagnostic::error(what).help(match op_def(&def.op) {
        Some(_) => "the file contradicts itself: it is damaged or was edited; export the model again",
        None => "a custom operator's outputs are declared under the names that the model has for them",
    })
}

/// Element `index` of an argument that stands for `count` tensors, or all of them.
fn part(first: usize, count: usize, index: Option<u32>) -> Option<(usize, usize)> {
    match index.map(|i| i as usize) {
        None => first.checked_add(count).filter(|_| count <= MAX_NODES).map(|_| (first, count)),
        Some(i) => (i < count).then(|| first.checked_add(i).map(|p| (p, 1))).flatten(),
    }
}
