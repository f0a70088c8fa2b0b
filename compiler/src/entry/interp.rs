//! Runs a call as its routines say, with the interpreter of the loop IR for the kernels.
//!
//! Memory is a set of regions; an address names a region and a place in it, so that whatever leaves its region shows.
//! What is not written is garbage. Threads, where a call has some, take parts of parallel kernels one by one, the last
//! first: what depends on an order that nobody promised gives another result.

mod foreign;
mod step;

use smc_runtime::abi::WORKSPACE_ALIGN;

use super::{Entry, Field, Model, Slots, What, workspace};
use crate::{
    base::Bindings,
    loops::interp::Stop,
    plan::{self, GARBAGE, Memory, Place, Program, Weights},
    tensor::{Tensor, TensorType, Text},
};

/// How a call is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The number of the level that the processor has at best.
    pub level: u32,
    /// So many, where there are any.
    pub threads: Option<u32>,
}

/// The outputs of a call of the n-th entry, or the status that it returns. `bind` gives every symbol a value, and the
/// inputs have their ports' types under it.
pub fn call(
    model: &Model,
    entries: &[Entry<'_>],
    weights: &Weights,
    n: usize,
    inputs: &[Tensor],
    bind: &Bindings,
    options: Options,
) -> Result<Result<Vec<Tensor>, i64>, Stop> {
    call_on(model, entries, weights, n, (inputs, &mut vec![]), bind, options)
}

/// As [`call`], on a block of state, of which nothing is used where the entry has none.
pub fn call_on(
    model: &Model,
    entries: &[Entry<'_>],
    weights: &Weights,
    n: usize,
    (inputs, state): (&[Tensor], &mut Vec<u8>),
    bind: &Bindings,
    options: Options,
) -> Result<Result<Vec<Tensor>, i64>, Stop> {
    let program = entries[n].shared();
    let mut machine = Machine::new(model, entries, weights, options);
    let mut slots: Vec<i64> = vec![];
    for tensor in inputs {
        let placed = machine.text.place(tensor);
        slots.push(machine.region(placed.bytes().to_vec()));
    }
    let mut outputs = vec![];
    for port in &program.outputs {
        // Where a size has no value or is too large, the call is refused, and the memory does not matter.
        let room = program.most(&port.ty.count()).eval(bind).and_then(|n| usize::try_from(n).ok());
        let bytes = room.and_then(|n| n.checked_mul(port.ty.dtype.size())).filter(|&bytes| bytes <= MOST);
        slots.push(machine.region(vec![GARBAGE; bytes.unwrap_or(0)]));
        outputs.push((&port.ty, *slots.last().expect("it was pushed")));
    }
    for symbol in program.given() {
        slots.push(bind.get(symbol).copied().ok_or_else(|| Stop::Bug(format!("`{symbol}` has no value")))?);
    }
    slots.extend(program.found.iter().map(|_| 0));
    let block = program.state.map(|_| machine.region(state.clone()));
    slots.extend(block);
    let threads = options.threads.map(|count| machine.threads(count));
    slots.extend([threads.unwrap_or(0), 0]);
    debug_assert_eq!(slots.len() as u32, Slots(program).cpu() + 1);
    let io = machine.words(&slots);
    let bytes = workspace(entries[n].programs()).eval(bind).and_then(|n| usize::try_from(n).ok());
    let bytes = bytes.filter(|&bytes| bytes <= MOST).unwrap_or(0);
    let memory = machine.region(vec![GARBAGE; bytes]);
    let status = machine.run(model.entries[n], &[io, memory, bytes as i64])?.unwrap_or(0);
    if let Some(block) = block {
        *state = machine.memory_of(block)?.to_vec();
    }
    if status != 0 {
        return Ok(Err(status));
    }
    let mut bind = bind.clone();
    for (n, symbol) in program.symbols.iter().enumerate().skip(program.given().len()) {
        bind.insert(symbol.clone(), machine.load(io, Field::Number(Slots(program).symbol(n)))?);
    }
    let tensor = |(ty, at): (&TensorType, i64)| {
        let shape = ty.concrete(&bind).ok_or_else(|| Stop::Bug(format!("{ty} has no size")))?;
        let bytes = shape.iter().product::<usize>() * ty.dtype.size();
        let memory = machine.memory_of(at)?.get(..bytes);
        let memory = memory.ok_or_else(|| Stop::Bug(format!("{ty} leaves its memory")))?;
        let tensor = Tensor::from_bytes(ty.dtype, shape, memory.to_vec());
        machine.text.read(&tensor).ok_or_else(|| Stop::Bug(format!("{ty} leaves the text")))
    };
    outputs.into_iter().map(tensor).collect::<Result<_, Stop>>().map(Ok)
}

/// A new block of state, by the model's own function. Panics where the model has none.
pub fn state(model: &Model, entries: &[Entry<'_>], weights: &Weights) -> Result<Vec<u8>, Stop> {
    let mut machine = Machine::new(model, entries, weights, Options::default());
    let ends = |name: &str| model.members.iter().position(|m| m.name.ends_with(name)).expect("the model has a state");
    let bytes = machine.run(ends("_state_bytes"), &[])?.unwrap_or(0);
    let block = machine.region(vec![GARBAGE; bytes as usize]);
    match machine.run(ends("_state_init"), &[block, bytes])? {
        Some(0) => Ok(machine.memory_of(block)?.to_vec()),
        status => bug(format!("a new state has the status {status:?}")),
    }
}

/// Seeds a block of state, by the model's own function. Panics where the model has none.
pub fn seed(
    model: &Model,
    entries: &[Entry<'_>],
    weights: &Weights,
    state: &mut Vec<u8>,
    seed: u64,
) -> Result<Option<i64>, Stop> {
    let mut machine = Machine::new(model, entries, weights, Options::default());
    let number = model.members.iter().position(|m| m.name.ends_with("_state_seed")).expect("the model has a state");
    let block = machine.region(state.clone());
    let status = machine.run(number, &[block, seed as i64])?;
    *state = machine.memory_of(block)?.to_vec();
    Ok(status)
}

/// The result of a function of a model without entries, for arguments that are words.
#[cfg(test)]
pub(super) fn run(model: &Model, number: usize, args: &[i64]) -> Result<Option<i64>, Stop> {
    Machine::new(model, &[], &Weights::default(), Options::default()).run(number, args)
}

/// Bytes of a workspace beyond which no call is interpreted.
const MOST: usize = 1 << 32;

/// Where the offset in an address ends, and the number of its region begins, from 1 on.
const REGION: u32 = 40;
/// What is added to a function's number for its address.
const FUNCTION: i64 = 1 << 62;
/// The address of the caller's `parallel_for`.
const PARALLEL_FOR: i64 = FUNCTION - 1;

/// The memory of a call, and what runs in it.
struct Machine<'a> {
    model: &'a Model,
    entries: &'a [Entry<'a>],
    weights: &'a Weights,
    options: Options,
    regions: Vec<Vec<u8>>,
    /// The address of the weights' memory, once there is one.
    stored: i64,
    /// What strings are spans of.
    text: Text,
}

fn bug<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Bug(message.into()))
}

impl<'a> Machine<'a> {
    fn new(model: &'a Model, entries: &'a [Entry<'a>], weights: &'a Weights, options: Options) -> Machine<'a> {
        Machine { model, entries, weights, options, regions: vec![], stored: 0, text: Text::default() }
    }

    /// The address of all weights, as the object has them.
    fn weights(&mut self) -> i64 {
        if self.stored == 0 {
            let (offsets, bytes) = self.weights.layout();
            let mut memory = vec![GARBAGE; bytes as usize];
            for ((_, weight), at) in self.weights.all.iter().zip(offsets) {
                let stored = weight.stored();
                memory[at as usize..][..stored.len()].copy_from_slice(&stored);
            }
            self.stored = self.region(memory);
        }
        self.stored
    }
    /// The address of new memory.
    fn region(&mut self, bytes: Vec<u8>) -> i64 {
        self.regions.push(bytes);
        (self.regions.len() as i64) << REGION
    }
    fn words(&mut self, words: &[i64]) -> i64 {
        self.region(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }
    /// The address of a `struct smc_threads`.
    fn threads(&mut self, count: u32) -> i64 {
        self.words(&[0, PARALLEL_FOR, i64::from(count)])
    }

    fn place(&self, address: i64) -> Result<(usize, usize), Stop> {
        let region = usize::try_from(address >> REGION).ok().and_then(|n| n.checked_sub(1));
        match region.filter(|&region| region < self.regions.len()) {
            Some(region) => Ok((region, (address & ((1 << REGION) - 1)) as usize)),
            None => bug(format!("{address:#x} is no address")),
        }
    }
    /// All bytes from an address on.
    fn memory_of(&self, address: i64) -> Result<&[u8], Stop> {
        let (region, at) = self.place(address)?;
        self.regions[region].get(at..).map_or_else(|| bug("an address leaves its memory"), Ok)
    }
    fn memory_mut(&mut self, address: i64, bytes: usize) -> Result<&mut [u8], Stop> {
        let (region, at) = self.place(address)?;
        self.regions[region].get_mut(at..at + bytes).map_or_else(|| bug("a store leaves its memory"), Ok)
    }
    fn load(&self, address: i64, field: Field) -> Result<i64, Stop> {
        let bytes = self.memory_of(address + i64::from(field.offset()))?;
        let word = bytes.first_chunk().copied();
        word.map_or_else(|| bug("a load leaves its memory"), |word| Ok(i64::from_le_bytes(word)))
    }
    fn store(&mut self, address: i64, field: Field, value: i64) -> Result<(), Stop> {
        let place = self.memory_mut(address + i64::from(field.offset()), 8)?;
        place.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Runs a function of the model and returns its result.
    fn run(&mut self, number: usize, args: &[i64]) -> Result<Option<i64>, Stop> {
        match &self.model.members[number].what {
            What::Routine(routine) => step::run(self, routine, args),
            What::Kernel(entry, program, launch) => {
                let program = self.entries[*entry].program(*program);
                self.kernel(program, *launch, args)?;
                Ok(None)
            }
            What::Choose => Ok(Some(self.choose(args[0]))),
            What::Foreign(call) => foreign::run(self, call, args).map(Some),
        }
    }
    /// Runs the function at an address.
    fn run_at(&mut self, address: i64, args: &[i64]) -> Result<(), Stop> {
        match (address, args) {
            (PARALLEL_FOR, &[_, task, frame, extent, _]) => {
                let parts = i64::from(self.options.threads.unwrap_or(1).max(1)) + 1;
                for part in (0..parts).rev() {
                    let [begin, end] = [part, part + 1].map(|n| extent * n / parts);
                    self.run_at(task, &[frame, begin, end])?;
                }
                Ok(())
            }
            _ => match usize::try_from(address - FUNCTION).ok().filter(|&n| n < self.model.members.len()) {
                Some(number) => self.run(number, args).map(drop),
                None => bug(format!("{address:#x} is no function")),
            },
        }
    }

    fn choose(&self, wanted: i64) -> i64 {
        let best = i64::from(self.options.level);
        if wanted == 0 {
            best
        } else if wanted <= best {
            wanted
        } else {
            0
        }
    }

    fn kernel(&mut self, program: &Program, launch: usize, args: &[i64]) -> Result<(), Stop> {
        let frame = args[0];
        let io = self.load(frame, Field::Io)?;
        let mut bind = Bindings::default();
        for (n, symbol) in program.symbols.iter().enumerate() {
            bind.insert(symbol.clone(), self.load(io, Field::Number(Slots(program).symbol(n)))?);
        }
        self.check_formulas(program, frame, &bind)?;
        let part = match args {
            [_, begin, end] => Some(*begin..*end),
            _ => None,
        };
        let arena = match program.launches[launch].kernel.makes_strings() {
            true => Some(self.load(frame, Field::Arena)?),
            false => None,
        };
        if let Some(arena) = arena {
            let [made, room] = [0, 1].map(|n| self.load(arena, Field::Word(n)));
            self.text.make_room(room? as u64, made? as u64);
        }
        let mut memory = OfKernel { machine: self, program, frame, io, bind: &bind };
        let result = match plan::launch(program, launch, &bind, part, &mut memory) {
            Err(Stop::Fault(fault)) => self.store(frame, Field::Status, fault as i64),
            result => result,
        };
        if let Some(arena) = arena {
            self.store(arena, Field::Word(0), self.text.made() as i64)?;
        }
        result
    }

    /// What an entry computed of extents is what they mean.
    fn check_formulas(&self, program: &Program, frame: i64, bind: &Bindings) -> Result<(), Stop> {
        for (n, formula) in program.formulas.iter().enumerate() {
            let kept = self.load(self.load(frame, Field::Formulas)?, Field::Word(n as u32))?;
            let dim = crate::base::Dim::from(formula);
            // What waits for a size that was not found yet has no value.
            let waits = program.last_found([&dim]).is_some_and(|n| bind[&program.found[n].symbol] < 0);
            if !waits && dim.eval(bind) != Some(kept) {
                return bug(format!("`{formula}` is not {kept}"));
            }
        }
        Ok(())
    }
}

/// The memory that a kernel finds by its frame.
struct OfKernel<'m, 'a> {
    machine: &'m mut Machine<'a>,
    program: &'m Program,
    frame: i64,
    io: i64,
    bind: &'m Bindings,
}

impl OfKernel<'_, '_> {
    fn address(&self, place: &Place) -> Result<i64, Stop> {
        let (machine, slots) = (&*self.machine, Slots(self.program));
        match place {
            Place::Input(n) => machine.load(self.io, Field::Pointer(slots.input(*n))),
            Place::Output(n) => machine.load(self.io, Field::Pointer(slots.output(*n))),
            Place::State(at) => Ok(machine.load(self.io, Field::Pointer(slots.state()))? + *at as i64),
            Place::Workspace(at) => {
                let at = at.eval(self.bind).ok_or_else(|| Stop::Bug(format!("{at} has no value")))?;
                Ok(machine.load(self.frame, Field::Workspace)? + at)
            }
            Place::Slice(at) => Ok(machine.load(self.frame, Field::Slice)? + at),
            Place::Weights(_) => bug("weights are apart"),
        }
    }
}

impl Memory for OfKernel<'_, '_> {
    fn text(&mut self) -> &mut Text {
        &mut self.machine.text
    }
    fn read(&mut self, place: &Place, bytes: usize) -> Result<Vec<u8>, Stop> {
        if let Place::Weights(id) = place {
            return Ok(self.machine.weights.all[*id].placed(&mut self.machine.text));
        }
        if bytes == 0 {
            return Ok(vec![]);
        }
        let memory = self.machine.memory_of(self.address(place)?)?;
        memory.get(..bytes).map_or_else(|| bug("a buffer leaves its memory"), |bytes| Ok(bytes.to_vec()))
    }
    fn write(&mut self, place: &Place, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Place::Input(_) | Place::Weights(_) = place {
            return bug(format!("a kernel writes to {place:?}"));
        }
        let address = self.address(place)?;
        self.machine.memory_mut(address, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}

const _: () = assert!((1i64 << REGION) % WORKSPACE_ALIGN as i64 == 0, "memory starts at a multiple of its alignment");
