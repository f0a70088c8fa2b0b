//! Runs a program with the interpreter of the loop IR: the oracle between the reference evaluator and machine code.
//!
//! Memory is as the compiled entry has it: one workspace at the planned offsets, filled with garbage, so that a kernel
//! that reads what nothing wrote, or a buffer that overlaps another, shows. A kernel that writes over an operand reads
//! what it has written.

use std::ops::Range;

use super::*;
use crate::{
    base::Bindings,
    graph::Call,
    loops::{
        Fault,
        interp::{self, Bytes, Stop},
    },
    tensor::{Scalar, Tensor, Text, concrete, for_each_index},
};

/// The outputs for these inputs. Panics when an input does not have its port's type or a symbol is unbound.
pub fn interpret(
    program: &Program,
    weights: &Weights,
    inputs: &[Tensor],
    bind: &Bindings,
) -> Result<Vec<Tensor>, Stop> {
    for guard in program.guards.iter().filter(|guard| program.last_found(guard.dims()).is_none()) {
        assert!(guard.holds(bind), "{guard:?} does not hold under {bind:?}");
    }
    for (port, tensor) in program.inputs.iter().zip(inputs) {
        assert_eq!((port.ty.dtype, port.ty.concrete(bind).as_ref()), (tensor.dtype, Some(&tensor.shape)));
    }
    let outputs = fresh(program, bind)?;
    let mut text = Text::default();
    let inputs: Vec<Tensor> = inputs.iter().map(|tensor| text.place(tensor)).collect();
    let outputs = interpret_in(program, weights, &inputs, bind, outputs, &mut [], &mut text)?;
    let read = |tensor: &Tensor| text.read(tensor).ok_or_else(|| Stop::Bug("an output leaves the text".into()));
    outputs.iter().map(read).collect()
}

/// Memory for the outputs.
fn fresh(program: &Program, bind: &Bindings) -> Result<Vec<Tensor>, Stop> {
    let output = |port: &IoPort| {
        let room = size(&program.most(&port.ty.count()), bind)?;
        let bytes = vec![GARBAGE; room * port.ty.dtype.size()];
        Ok(Tensor::from_bytes(port.ty.dtype, [room], bytes))
    };
    program.outputs.iter().map(output).collect()
}

/// The same where strings are spans of `text`, and the outputs' memory holds something already, and has room for the greatest sizes.
fn interpret_in(
    program: &Program,
    weights: &Weights,
    inputs: &[Tensor],
    bind: &Bindings,
    outputs: Vec<Tensor>,
    state: &mut [u8],
    text: &mut Text,
) -> Result<Vec<Tensor>, Stop> {
    let workspace = vec![GARBAGE; size(&program.workspace, bind)?];
    let outputs = outputs.into_iter().map(|t| t.bytes().to_vec()).collect();
    let mut run = Run { program, weights, inputs, bind: bind.clone(), workspace, state, slice: vec![], outputs, text };
    for unit in program.units() {
        match unit {
            Unit::Launch(n) => run.launch(n)?,
            Unit::Chain(n) => run.chain(&program.chains[n])?,
            Unit::Flow(n) => run.flow(&program.flows[n])?,
        }
    }
    let tensor = |(port, mut bytes): (&IoPort, Vec<u8>)| {
        let shape = port.ty.concrete(&run.bind).ok_or_else(|| Stop::Bug(format!("{} is negative", port.ty)))?;
        bytes.truncate(shape.iter().product::<usize>() * port.ty.dtype.size());
        Ok(Tensor::from_bytes(port.ty.dtype, shape, bytes))
    };
    program.outputs.iter().zip(run.outputs).map(tensor).collect()
}

/// A call under way.
struct Run<'a> {
    program: &'a Program,
    weights: &'a Weights,
    inputs: &'a [Tensor],
    /// Of all symbols that are known so far.
    bind: Bindings,
    workspace: Vec<u8>,
    /// What outlives calls.
    state: &'a mut [u8],
    /// Of the chain that runs.
    slice: Vec<u8>,
    outputs: Vec<Vec<u8>>,
    text: &'a mut Text,
}

/// The memory of a call, by the places that a plan gives buffers.
pub trait Memory {
    /// So many bytes from the place's start.
    fn read(&mut self, place: &Place, bytes: usize) -> Result<Vec<u8>, Stop>;
    /// What strings are spans of.
    fn text(&mut self) -> &mut Text;
    /// Bytes to the place's start; not to inputs and weights.
    fn write(&mut self, place: &Place, bytes: &[u8]) -> Result<(), Stop>;
}

fn size(dim: &Dim, bind: &Bindings) -> Result<usize, Stop> {
    let value = dim.eval(bind).ok_or_else(|| Stop::Bug(format!("{dim} has no value")))?;
    usize::try_from(value).map_err(|_| Stop::Bug(format!("{dim} is negative")))
}

impl Run<'_> {
    fn launch(&mut self, n: usize) -> Result<(), Stop> {
        let program = self.program;
        launch(program, n, &self.bind.clone(), None, self)?;
        let Some(symbol) = &program.launches[n].binds else { return Ok(()) };
        let number = program.found.iter().position(|found| found.symbol == *symbol);
        let number = number.ok_or_else(|| Stop::Bug(format!("`{symbol}` is not to be found")))?;
        let bytes = self.read(&program.storage[program.launches[n].result()].place, 8)?;
        let value = i64::from_le_bytes(bytes[..8].try_into().expect("an i64 has 8 bytes"));
        let most = size(&program.found[number].bound, &self.bind)?;
        if usize::try_from(value).map_or(true, |value| value > most) {
            return Err(Stop::Fault(Fault::SizeOutOfBounds));
        }
        self.bind.insert(symbol.clone(), value);
        let mut due = program.guards.iter().filter(|guard| program.last_found(guard.dims()) == Some(number));
        let formulas = program.formulas.iter().map(Dim::from);
        let mut formulas = formulas.filter(|formula| program.last_found([formula]) == Some(number));
        let fine =
            due.all(|guard| guard.holds(&self.bind)) && formulas.all(|formula| formula.eval(&self.bind).is_some());
        if fine { Ok(()) } else { Err(Stop::Fault(Fault::BrokenSize)) }
    }
    /// The slices of a chain. Nothing is left of what a turn leaves behind.
    fn chain(&mut self, chain: &Chain) -> Result<(), Stop> {
        let (program, bind) = (self.program, &self.bind.clone());
        for slice in 0..size(&chain.slices, bind)? as i64 {
            self.slice = vec![GARBAGE; chain.slice_bytes as usize];
            for (n, per) in chain.launches.clone().zip(&chain.per_slice) {
                launch(program, n, bind, Some(slice * per..(slice + 1) * per), self)?;
            }
        }
        Ok(())
    }
}

impl Run<'_> {
    /// What the buffers of a flow hold, as ports of its programs have them.
    fn tensors(&mut self, ids: &[StorageId], ports: &[IoPort]) -> Result<Vec<Tensor>, Stop> {
        let tensor = |(&id, port): (&StorageId, &IoPort)| {
            let shape = port.ty.concrete(&self.bind).ok_or_else(|| Stop::Bug(format!("{} is negative", port.ty)))?;
            let bytes = shape.iter().product::<usize>() * port.ty.dtype.size();
            Ok(Tensor::from_bytes(port.ty.dtype, shape, self.read(&self.program.storage[id].place, bytes)?))
        };
        ids.iter().zip(ports).map(tensor).collect()
    }
    fn flow(&mut self, flow: &Flow) -> Result<(), Stop> {
        let results = match &flow.kind {
            FlowKind::If { which, branches } => {
                let bytes = self.read(&self.program.storage[*which].place, 8)?;
                let which = i64::from_le_bytes(bytes.try_into().expect("an i64 has 8 bytes"));
                let branch = usize::try_from(which).ok().and_then(|n| branches.get(n));
                let branch = branch.or(branches.last()).expect("there is a branch");
                let inputs = self.tensors(&flow.operands, &branch.inputs)?;
                let outputs = fresh(branch, &self.bind)?;
                interpret_in(branch, self.weights, &inputs, &self.bind, outputs, &mut [], self.text)?
            }
            FlowKind::Loop(plan) => self.repeat(flow, plan)?,
            FlowKind::Call(call, _) => self.call(flow, call)?,
        };
        for (&id, value) in flow.results.iter().zip(results) {
            self.write(&self.program.storage[id].place.clone(), value.bytes())?;
        }
        Ok(())
    }
    fn call(&mut self, flow: &Flow, call: &Call) -> Result<Vec<Tensor>, Stop> {
        let port = |ty: &TensorType| IoPort { name: String::new(), ty: ty.clone() };
        let ports: Vec<IoPort> = call.operands.iter().map(port).collect();
        let inputs = self.tensors(&flow.operands, &ports)?;
        let read = |t: &Tensor| self.text.read(t).ok_or_else(|| Stop::Bug("an operand leaves the text".into()));
        let inputs = inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let results = call.run(&inputs.iter().collect::<Vec<_>>(), &self.bind).map_err(Stop::Fault)?;
        Ok(results.iter().map(|result| self.text.place(result)).collect())
    }
    fn repeat(&mut self, flow: &Flow, plan: &LoopPlan) -> Result<Vec<Tensor>, Stop> {
        let mut values = self.tensors(&flow.operands, &plan.body.inputs)?;
        let count =
            plan.count.as_ref().map(|count| size(count, &self.bind)).transpose()?.map_or(i64::MAX, |n| n as i64);
        let mut bind = self.bind.clone();
        for step in 0..count {
            bind.insert(plan.step.clone(), step);
            if let Some((condition, _)) = &plan.condition
                && {
                    let outputs = fresh(condition, &bind)?;
                    let holds = interpret_in(condition, self.weights, &values, &bind, outputs, &mut [], self.text)?;
                    holds[0].get(0) == Scalar::Int(0)
                }
            {
                break;
            }
            // What changes in place finds its value in the output's memory; what does not, nothing.
            let outputs = plan.carried.iter().zip(&values).map(|(carried, value)| match carried {
                Carried::InPlace => value.clone(),
                Carried::ByTurns(_) => {
                    Tensor::from_bytes(value.dtype, value.shape.clone(), vec![GARBAGE; value.bytes().len()])
                }
            });
            let next = interpret_in(&plan.body, self.weights, &values, &bind, outputs.collect(), &mut [], self.text)?;
            values.splice(..plan.carried.len(), next);
        }
        values.truncate(plan.carried.len());
        Ok(values)
    }
}

impl Memory for Run<'_> {
    fn read(&mut self, place: &Place, bytes: usize) -> Result<Vec<u8>, Stop> {
        let part = |memory: &[u8], at: usize| {
            let bytes = memory.get(at..at + bytes).map(<[u8]>::to_vec);
            bytes.ok_or_else(|| Stop::Bug("a buffer leaves its memory".into()))
        };
        match place {
            Place::Input(n) => Ok(self.inputs[*n].bytes().to_vec()),
            Place::Output(n) => Ok(self.outputs[*n].clone()),
            Place::State(at) => part(self.state, *at as usize),
            Place::Weights(id) => Ok(self.weights.all[*id].placed(self.text)),
            Place::Workspace(at) => part(&self.workspace, size(at, &self.bind)?),
            Place::Slice(at) => part(&self.slice, *at as usize),
        }
    }
    fn write(&mut self, place: &Place, bytes: &[u8]) -> Result<(), Stop> {
        match place {
            Place::Output(n) => self.outputs[*n][..bytes.len()].copy_from_slice(bytes),
            Place::State(at) => self.state[*at as usize..][..bytes.len()].copy_from_slice(bytes),
            Place::Workspace(at) => {
                let at = size(at, &self.bind)?;
                self.workspace[at..][..bytes.len()].copy_from_slice(bytes);
            }
            Place::Slice(at) => self.slice[*at as usize..][..bytes.len()].copy_from_slice(bytes),
            place => return Err(Stop::Bug(format!("a kernel writes to {place:?}"))),
        }
        Ok(())
    }
    fn text(&mut self) -> &mut Text {
        self.text
    }
}

/// Runs the n-th launch of a program, or a part of it: some iterations of its outermost loop.
pub fn launch(
    program: &Program,
    n: usize,
    bind: &Bindings,
    part: Option<Range<i64>>,
    memory: &mut dyn Memory,
) -> Result<(), Stop> {
    let launch = &program.launches[n];
    // What is written is apart while the kernel runs, so that nothing it reads can alias it. The first is the result.
    let mut results: Vec<Vec<u8>> = vec![];
    let mut reads: Vec<Option<Vec<u8>>> = vec![];
    let mut buffers = launch.kernel.buffers.iter().zip(&launch.args);
    let out = buffers.find(|((_, b), _)| b.written).map(|((id, _), arg)| (id.index(), *arg));
    let overwrites = |arg: StorageId| {
        let of = |id: StorageId| &program.storage[id];
        let same = |to: StorageId| (&of(to).place, &of(to).len) == (&of(arg).place, &of(arg).len);
        let may = |to: StorageId| matches!(of(to).place, Place::Workspace(_) | Place::Output(_) | Place::State(_));
        out.filter(|&(_, to)| to != arg && may(to) && same(to))
    };
    let uses = launch.args.iter().filter(|&&arg| out.is_some_and(|(_, to)| to == arg)).count();
    if launch.kernel.updates() && uses > 1 {
        return Err(Stop::Bug(format!("kernel `{}` reads what it updates", launch.kernel.name)));
    }
    for ((_, buffer), arg) in launch.kernel.buffers.iter().zip(&launch.args) {
        let storage = &program.storage[*arg];
        let bytes = memory.read(&storage.place, size(&storage.len, bind)? * storage.dtype.size())?;
        if buffer.written {
            results.push(bytes);
            reads.push(None);
        } else {
            reads.push(Some(bytes));
        }
    }
    let before = results.first().cloned().unwrap_or_default();
    let mut written = results.iter_mut();
    let mut buffers: Vec<Bytes<'_>> = vec![];
    for (read, arg) in reads.iter().zip(&launch.args) {
        buffers.push(match read {
            Some(bytes) if !bytes.is_empty() && overwrites(*arg).is_some() => {
                Bytes::Of(overwrites(*arg).map_or(0, |(n, _)| n))
            }
            Some(bytes) => Bytes::In(bytes),
            None => Bytes::Out(written.next().expect("there is one for each buffer that is written")),
        });
    }
    interp::run_part(&launch.kernel, &mut buffers, bind, part, memory.text())?;
    if let Some(part) = &launch.part {
        stays_within(launch, part, &before, &results[0], bind)?;
    }
    let written = launch.kernel.buffers.iter().zip(&launch.args).filter(|((_, b), _)| b.written);
    for (((_, buffer), arg), result) in written.zip(&results) {
        let storage = &program.storage[*arg];
        debug_assert_eq!(buffer.dtype, storage.dtype);
        memory.write(&storage.place, result)?;
    }
    Ok(())
}

/// Whether a kernel left everything outside its part as it was.
fn stays_within(launch: &Launch, part: &Part, before: &[u8], after: &[u8], bind: &Bindings) -> Result<(), Stop> {
    let sizes = |dims: &[Dim]| concrete(dims, bind).ok_or_else(|| Stop::Bug(format!("{part} has no size")));
    let (extents, at, of) = (sizes(&part.extents)?, sizes(&part.at)?, sizes(&part.of)?);
    let size = launch.kernel.buffers.iter().find(|(_, b)| b.written).map_or(1, |(_, b)| b.dtype.size());
    if of.iter().product::<usize>() * size != after.len() {
        // The tensor lies within another one.
        return Ok(());
    }
    let mut place = 0;
    let mut stays = true;
    for_each_index(&of, |ix| {
        let inside = ix.iter().zip(&at).zip(&extents).all(|((&i, &at), &n)| (at..at + n).contains(&i));
        stays &= inside || before[place..place + size] == after[place..place + size];
        place += size;
    });
    if stays { Ok(()) } else { Err(Stop::Bug(format!("kernel `{}` leaves {part}", launch.kernel.name))) }
}

/// What memory holds before anything is written.
pub const GARBAGE: u8 = 0xd5;
