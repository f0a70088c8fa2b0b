//! Runs a program with the interpreter of the loop IR: the oracle between the reference evaluator and machine code.
//!
//! Memory is as the compiled entry has it: one workspace at the planned offsets, filled with garbage, so that a kernel
//! that reads what nothing wrote, or a buffer that overlaps another, shows. A kernel that writes over an operand reads
//! what it has written.

use super::*;
use crate::{
    base::Bindings,
    loops::interp::{self, Bytes, Stop},
    tensor::{Tensor, concrete, for_each_index},
};

/// The outputs for these inputs. Panics when an input does not have its port's type or a symbol is unbound.
pub fn interpret(
    program: &Program,
    weights: &Weights,
    inputs: &[Tensor],
    bind: &Bindings,
) -> Result<Vec<Tensor>, Stop> {
    let value = |dim: &Dim| dim.eval(bind).expect("symbols are bound");
    let size = |dim: &Dim| usize::try_from(value(dim)).map_err(|_| Stop::Bug(format!("{dim} is negative")));
    for guard in &program.guards {
        let holds = match guard {
            Guard::Equal(a, b) => value(a) == value(b),
            Guard::Nonneg(a) => value(a) >= 0,
        };
        assert!(holds, "{guard:?} does not hold under {bind:?}");
    }
    for (port, tensor) in program.inputs.iter().zip(inputs) {
        assert_eq!((port.ty.dtype, port.ty.concrete(bind).as_ref()), (tensor.dtype, Some(&tensor.shape)));
    }
    let mut workspace = vec![GARBAGE; size(&program.workspace)?];
    let mut outputs = vec![];
    for port in &program.outputs {
        let shape = port.ty.concrete(bind).ok_or_else(|| Stop::Bug(format!("{} is negative", port.ty)))?;
        outputs.push((shape.clone(), vec![GARBAGE; shape.iter().product::<usize>() * port.ty.dtype.size()]));
    }
    for launch in &program.launches {
        // The result is apart while the kernel runs, so that nothing it reads can alias it.
        let mut result = vec![];
        let mut reads: Vec<Option<Vec<u8>>> = vec![];
        let mut buffers = launch.kernel.buffers.iter().zip(&launch.args);
        let out = buffers.find(|((_, b), _)| b.written).map(|((id, _), arg)| (id.index(), *arg));
        let overwrites = |arg: StorageId| {
            let of = |id: StorageId| &program.storage[id];
            let same = |to: StorageId| (&of(to).place, &of(to).len) == (&of(arg).place, &of(arg).len);
            out.filter(|&(_, to)| to != arg && matches!(of(to).place, Place::Workspace(_)) && same(to))
        };
        for ((_, buffer), arg) in launch.kernel.buffers.iter().zip(&launch.args) {
            let storage = &program.storage[*arg];
            let len = size(&storage.len)? * storage.dtype.size();
            let bytes = match &storage.place {
                Place::Input(n) => inputs[*n].bytes().to_vec(),
                Place::Output(n) => outputs[*n].1.clone(),
                Place::Weights(id) => weights.tensors[*id].bytes().to_vec(),
                Place::Workspace(at) => {
                    let at = size(at)?;
                    workspace
                        .get(at..at + len)
                        .ok_or_else(|| Stop::Bug("a buffer leaves the workspace".into()))?
                        .to_vec()
                }
            };
            if buffer.written {
                result = bytes;
                reads.push(None);
            } else {
                reads.push(Some(bytes));
            }
        }
        let before = result.clone();
        let mut written = Some(&mut result);
        let mut buffers: Vec<Bytes<'_>> = vec![];
        for (read, arg) in reads.iter().zip(&launch.args) {
            buffers.push(match (read, written.take()) {
                (Some(bytes), rest) if !bytes.is_empty() && overwrites(*arg).is_some() => {
                    written = rest;
                    Bytes::Of(overwrites(*arg).map_or(0, |(n, _)| n))
                }
                (Some(bytes), rest) => {
                    written = rest;
                    Bytes::In(bytes)
                }
                (None, Some(bytes)) => Bytes::Out(bytes),
                (None, None) => return Err(Stop::Bug(format!("kernel `{}` writes two buffers", launch.kernel.name))),
            });
        }
        interp::run(&launch.kernel, &mut buffers, bind)?;
        if let Some(part) = &launch.part {
            stays_within(launch, part, &before, &result, bind)?;
        }
        for ((_, buffer), arg) in launch.kernel.buffers.iter().zip(&launch.args).filter(|((_, b), _)| b.written) {
            let storage = &program.storage[*arg];
            debug_assert_eq!(buffer.dtype, storage.dtype);
            match &storage.place {
                Place::Output(n) => outputs[*n].1.copy_from_slice(&result),
                Place::Workspace(at) => workspace[size(at)?..][..result.len()].copy_from_slice(&result),
                place => return Err(Stop::Bug(format!("kernel `{}` writes to {place:?}", launch.kernel.name))),
            }
        }
    }
    let ports = program.outputs.iter().zip(outputs);
    Ok(ports.map(|(port, (shape, bytes))| Tensor::from_bytes(port.ty.dtype, shape, bytes)).collect())
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
const GARBAGE: u8 = 0xd5;
