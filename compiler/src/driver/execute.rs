//! Runs a compiled model in this process: the very machine code that its object holds.

use std::{ffi::c_void, ptr};

use smc_runtime::{
    Parallel,
    abi::{Invoke, SLOT_BYTES, Status, WORKSPACE_ALIGN, WorkspaceBytes},
};

use crate::{
    base::{Bindings, Diagnostic, Problems},
    driver::{bind::bind, memory},
    emit::{
        interface::{Interface, Operator, Signature},
        load::Loaded,
        state::Slot,
    },
    saved::IS_SET,
    tensor::{DType, Tensor, TensorType, addressed, read_strings},
};

/// A compiled model in executable memory.
pub struct Executable {
    interface: Interface,
    invoke: Invoke,
    workspace_bytes: WorkspaceBytes,
    /// Owns the code that the two functions point into.
    code: Loaded,
}

impl Executable {
    /// Maps an object for this machine. Fails on machines that smc cannot run code on.
    pub fn new(object: &[u8], interface: Interface) -> Result<Executable, Problems> {
        let functions = Operator::functions(&interface.operators);
        let missing =
            interface.operators.iter().map(Operator::symbol).filter(|symbol| !functions.contains_key(*symbol));
        has_functions(missing.map(str::to_owned).collect())?;
        let code = Loaded::beside(object, &functions).map_err(Diagnostic::error)?;
        let symbol = |name: &str| {
            let full = format!("{}_{name}", interface.name);
            code.symbol(&full).unwrap_or_else(|| panic!("the object exports {full}"))
        };
        // SAFETY: the object writer exports these two functions with these signatures, for this machine.
        let (invoke, workspace_bytes) = unsafe {
            (
                std::mem::transmute::<*const u8, Invoke>(symbol("invoke")),
                std::mem::transmute::<*const u8, WorkspaceBytes>(symbol("workspace_bytes")),
            )
        };
        Ok(Executable { invoke, workspace_bytes, interface, code })
    }
    /// The address of a function or datum of the object, behind the model's name; valid as long as `self`.
    pub(super) fn symbol(&self, name: &str) -> Option<*const u8> {
        self.code.symbol(name)
    }
    pub fn interface(&self) -> &Interface {
        &self.interface
    }
    /// Checks the inputs of a signature, allocates its outputs and workspace.
    pub fn prepare<'a>(&'a self, signature: usize, inputs: &[Tensor]) -> Result<Call<'a>, Problems> {
        let s = &self.interface.signatures[signature];
        let declared: Vec<(&str, &TensorType)> = s.inputs.iter().map(|t| (t.key.as_str(), &t.ty)).collect();
        let bindings = bind(&declared, inputs)?;
        self.prepare_with(signature, inputs, bindings)
    }
    /// As [`Executable::prepare`], for extents that the inputs' shapes do not tell. The inputs have the declared shapes
    /// under `bindings`: anything else is refused.
    pub fn prepare_with(&self, signature: usize, inputs: &[Tensor], bindings: Bindings) -> Result<Call<'_>, Problems> {
        let s = &self.interface.signatures[signature];
        for (t, value) in s.inputs.iter().zip(inputs) {
            if (t.ty.dtype, t.ty.concrete(&bindings).as_ref()) != (value.dtype, Some(&value.shape)) {
                let problem = format!("input `{}` is {}{:?}, expected {}", t.key, value.dtype, value.shape, t.ty);
                return Err(Diagnostic::error(problem).into());
            }
        }
        // Spans are addresses, which nothing vouches for.
        if let Some((t, _)) = s.inputs.iter().zip(inputs).find(|(_, v)| v.dtype == DType::Str && !v.has_strings()) {
            return Err(Diagnostic::error(format!("input `{}` is given by addresses", t.key)).into());
        }
        memory::call(s, &bindings)?;
        let mut texts = vec![];
        let input_memory: Vec<_> = inputs.iter().map(|t| Lines::from(addressed(t, &mut texts).bytes())).collect();
        let mut outputs = vec![];
        for t in &s.outputs {
            let room = t.room.eval(&bindings).and_then(|n| usize::try_from(n).ok());
            let bytes = room.and_then(|n| n.checked_mul(t.ty.dtype.size())).ok_or_else(|| {
                Diagnostic::error(format!("output `{}` has no shape for these inputs: {}", t.key, t.ty))
            })?;
            outputs.push(Lines::new(bytes));
        }
        let state = if s.state.is_some() { self.state()? } else { None };
        let mut call = Call {
            executable: self,
            signature,
            bindings,
            io: vec![0; s.io_bytes() / SLOT_BYTES],
            inputs: input_memory,
            _texts: texts,
            outputs,
            workspace: Lines::new(0),
            state,
        };
        call.fill(s)?;
        Ok(call)
    }
}

/// Refuses to run what calls functions that are not in this process.
pub(super) fn has_functions(missing: Vec<String>) -> Result<(), Diagnostic> {
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = missing.iter().map(|symbol| format!("`{symbol}`")).collect();
    let what = format!("the model calls {}, which nothing in this process has", missing.join(", "));
    Err(Diagnostic::error(what).help("`--plugin FILE` names a shared library that has it"))
}

/// A call that can be made again and again: its inputs, outputs and workspace stay where they are.
pub struct Call<'a> {
    pub(super) executable: &'a Executable,
    pub(super) signature: usize,
    bindings: Bindings,
    pub(super) io: Vec<u64>,
    inputs: Vec<Lines>,
    /// The bytes of strings, to which inputs and outputs point.
    _texts: Vec<Vec<u8>>,
    outputs: Vec<Lines>,
    pub(super) workspace: Lines,
    /// What the call uses that is made on no other one.
    state: Option<Block>,
}

impl Call<'_> {
    fn fill(&mut self, s: &Signature) -> Result<(), Problems> {
        if let Some(state) = &mut self.state {
            self.io[s.state_slot() / SLOT_BYTES] = state.0.address();
        }
        for (n, memory) in self.inputs.iter_mut().enumerate() {
            self.io[s.input_slot(n) / SLOT_BYTES] = memory.address();
        }
        for (n, memory) in self.outputs.iter_mut().enumerate() {
            self.io[s.output_slot(n) / SLOT_BYTES] = memory.address();
        }
        for (n, d) in s.symbols.iter().enumerate().filter(|(_, d)| d.bound.is_none()) {
            let value = self.bindings.get(&d.symbol).ok_or_else(|| {
                Diagnostic::error(format!("the inputs do not determine the extent `{}`", d.symbol))
                    .help("fix it when compiling: --batch or --input NAME=SHAPE")
            })?;
            self.io[s.symbol_slot(n) / SLOT_BYTES] = *value as u64;
        }
        // SAFETY: reads the symbols' slots of an io struct of this signature.
        let bytes = unsafe { (self.executable.workspace_bytes)(self.signature as u32, self.io.as_ptr().cast()) };
        if bytes < 0 {
            return Err(self.fault(-bytes as i32).into());
        }
        memory::fits(u64::try_from(bytes).ok(), "the workspace of the call")?;
        self.workspace = Lines::new(bytes as usize);
        Ok(())
    }
    /// Whose threads the next call has: `threads`, or only the calling one.
    pub(super) fn set_threads(&mut self, threads: Option<&dyn Parallel>) {
        let s = &self.executable.interface.signatures[self.signature];
        let slot = threads.map_or(ptr::null(), |t| ptr::from_ref(t.threads()));
        self.io[s.threads_slot() / SLOT_BYTES] = slot as u64;
    }
    /// Runs the code on this thread, or on `threads` too.
    pub fn run(&mut self, threads: Option<&dyn Parallel>) -> Result<(), Diagnostic> {
        self.set_threads(threads);
        // SAFETY: the io struct is this signature's; every pointer in it is to memory of the size that the declared
        // shapes have under the bindings, which `prepare` computed, and the workspace has the size the code asked for.
        let status = unsafe {
            (self.executable.invoke)(
                self.signature as u32,
                self.io.as_mut_ptr().cast_const().cast::<c_void>(),
                self.workspace.address() as *mut c_void,
                self.workspace.bytes,
            )
        };
        let s = &self.executable.interface.signatures[self.signature];
        for (n, d) in s.symbols.iter().enumerate().filter(|(_, d)| d.bound.is_some()) {
            self.bindings.insert(d.symbol.clone(), self.io[s.symbol_slot(n) / SLOT_BYTES] as i64);
        }
        if status == Status::Ok.code() { Ok(()) } else { Err(self.fault(status)) }
    }
    /// As [`Call::run`], on a state of the model, where the signature uses one.
    pub fn run_on(&mut self, state: &mut Block, threads: Option<&dyn Parallel>) -> Result<(), Diagnostic> {
        let s = &self.executable.interface.signatures[self.signature];
        if s.state.is_none() {
            return self.run(threads);
        }
        let slot = s.state_slot() / SLOT_BYTES;
        let own = std::mem::replace(&mut self.io[slot], state.0.address());
        let result = self.run(threads);
        self.io[slot] = own;
        result.map_err(|problem| match self.unset(state) {
            Some(names) if problem.message.ends_with(Status::UnsetVariable.text()) => {
                problem.help(format!("nothing has assigned {names}: call a signature first that does"))
            }
            _ => problem,
        })
    }
    /// The variables of a state that have no value yet.
    fn unset(&self, state: &Block) -> Option<String> {
        let slots = &self.executable.interface.state.as_ref()?.layout.slots;
        let is_unset = |slot: &&Slot| slot.ty.dtype == DType::Bool && state.bytes()[slot.at as usize] == 0;
        let names = slots.iter().filter(is_unset).filter_map(|slot| slot.name.strip_suffix(IS_SET));
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
    /// The bytes of an input, which calls read from now on. Panics for strings, whose bytes are addresses.
    pub fn input(&mut self, n: usize) -> &mut [u8] {
        let s = &self.executable.interface.signatures[self.signature];
        assert!(s.inputs[n].ty.dtype != DType::Str, "strings are given with the call");
        self.inputs[n].slice_mut()
    }
    /// The outputs in the signature's order, copied out of a call that was made.
    pub fn results(&self) -> Vec<Tensor> {
        (0..self.outputs.len()).filter_map(|n| self.result(n)).collect()
    }
    /// One output of a call that was made, if there are so many.
    pub fn result(&self, n: usize) -> Option<Tensor> {
        let t = self.executable.interface.signatures[self.signature].outputs.get(n)?;
        let shape = t.ty.concrete(&self.bindings).expect("the call has settled all sizes");
        let bytes = shape.iter().product::<usize>() * t.ty.dtype.size();
        let result = Tensor::from_bytes(t.ty.dtype, shape, self.outputs[n].slice()[..bytes].to_vec());
        // SAFETY: the call that wrote the spans was made, and what they point to lives in `self`.
        Some(unsafe { read_strings(&result) })
    }
    pub fn workspace_bytes(&self) -> usize {
        self.workspace.bytes
    }
    /// The values of symbols; of sizes that data decide once a call was made.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }
    pub(super) fn fault(&self, status: i32) -> Diagnostic {
        let s = &self.executable.interface.signatures[self.signature];
        let (code, operator) = Status::of_call(status).unwrap_or((Status::Ok, 0));
        if code == Status::OperatorFailed {
            let what = format!("signature `{}` stopped, since a custom operator failed with code {operator}", s.key);
            return Diagnostic::error(what);
        }
        let text = Status::from_code(status).map_or("unknown status", Status::text);
        let mut d = Diagnostic::error(format!("signature `{}` stopped with status {status}: {text}", s.key));
        if status == Status::BrokenGuard.code() {
            let guards: Vec<_> = s.guards.iter().map(|g| g.text.as_str()).collect();
            d = d.help(format!("it serves shapes where {}", guards.join("; ")));
        }
        if status == Status::StringsExceeded.code() {
            let (needed, room) =
                (self.workspace.slice().first_chunk().map_or(0, |word| u64::from_le_bytes(*word)), s.strings);
            d = d.help(format!(
                "the call made {needed} bytes of strings and has room for {}: `--strings BYTES` states another number",
                room.unwrap_or(0)
            ));
        }
        if status == Status::BrokenSize.code() && !s.found_guards.is_empty() {
            d = d.help(format!("it serves values where {}", s.found_guards.join("; ")));
        }
        if status == Status::SizeOutOfBounds.code() {
            // The last one that was found.
            let found = s.found().filter_map(|(d, bound)| Some((d, *self.bindings.get(&d.symbol)?, bound)));
            if let Some((dimension, value, bound)) = found.filter(|(_, value, _)| *value != -1).last() {
                let most = bound.eval(&self.bindings).map_or(bound.to_string(), |most| most.to_string());
                let symbol = &dimension.symbol;
                d = d.help(format!(
                    "`{symbol}` is {value}, and at most {most}: `--bound {symbol}=MAX` states another bound"
                ));
            }
        }
        d
    }
}

/// A block of the variables that outlive calls.
#[derive(Clone)]
pub struct Block(Lines);

impl Block {
    /// The block as calls use it; see [`smc_runtime::state`].
    pub fn bytes(&self) -> &[u8] {
        self.0.slice()
    }
    /// Lets a variable have the value that it has in another block of the same layout.
    pub fn take(&mut self, slot: &Slot, from: &Block) {
        let place = slot.at as usize..(slot.at + slot.bytes) as usize;
        self.0.slice_mut()[place.clone()].copy_from_slice(&from.bytes()[place]);
    }
}

type Init = unsafe extern "C" fn(*mut c_void, usize) -> i32;
type Save = unsafe extern "C" fn(*const c_void, *mut c_void, usize) -> i32;
type Load = unsafe extern "C" fn(*mut c_void, usize, *const c_void, usize) -> i32;
type Seed = unsafe extern "C" fn(*mut c_void, u64) -> i32;

/// The state of a model, by its own functions.
impl Executable {
    /// A new state; none where the model has none.
    pub fn state(&self) -> Result<Option<Block>, Diagnostic> {
        let Some(state) = &self.interface.state else { return Ok(None) };
        let mut memory = Lines::new(state.layout.bytes as usize);
        // SAFETY: the object of a model with a state exports this function.
        let init = unsafe { std::mem::transmute::<*const u8, Init>(self.of_state("init")) };
        // SAFETY: the memory has so many bytes.
        let status = unsafe { init(memory.address() as *mut c_void, memory.bytes) };
        failed(status).map_or(Ok(Some(Block(memory))), Err)
    }
    /// What a file keeps of a state.
    pub fn save(&self, state: &Block) -> Result<Vec<u8>, Diagnostic> {
        let mut memory = Lines::new(state.0.bytes);
        // SAFETY: as in `state`.
        let save = unsafe { std::mem::transmute::<*const u8, Save>(self.of_state("save")) };
        // SAFETY: both have so many bytes.
        let status = unsafe { save(state.bytes().as_ptr().cast(), memory.address() as *mut c_void, memory.bytes) };
        failed(status).map_or(Ok(memory.slice().to_vec()), Err)
    }
    /// The state that such a file keeps.
    pub fn load(&self, bytes: &[u8]) -> Result<Block, Diagnostic> {
        let size = self.interface.state.as_ref().map_or(0, |state| state.layout.bytes);
        let (mut memory, mut from) = (Lines::new(size as usize), Lines::from(bytes));
        // SAFETY: as in `state`.
        let load = unsafe { std::mem::transmute::<*const u8, Load>(self.of_state("load")) };
        let (to, from) = (memory.address() as *mut c_void, from.address() as *const c_void);
        // SAFETY: the memory has so many bytes.
        let status = unsafe { load(to, size as usize, from, bytes.len()) };
        failed(status).map_or(Ok(Block(memory)), Err)
    }
    /// Lets what draws random numbers without a seed begin at this one.
    pub fn seed(&self, state: &mut Block, seed: u64) -> Result<(), Diagnostic> {
        // SAFETY: as in `state`.
        let function = unsafe { std::mem::transmute::<*const u8, Seed>(self.of_state("seed")) };
        // SAFETY: the block is one of a model's, whose header tells whose.
        let status = unsafe { function(state.0.address() as *mut c_void, seed) };
        failed(status).map_or(Ok(()), Err)
    }
    fn of_state(&self, what: &str) -> *const u8 {
        let name = format!("{}_state_{what}", self.interface.name);
        self.code.symbol(&name).unwrap_or_else(|| panic!("the object exports {name}"))
    }
}

/// What a status says, where it is not that of success.
fn failed(status: i32) -> Option<Diagnostic> {
    let text = Status::from_code(status).map_or("unknown status", Status::text);
    (status != Status::Ok.code()).then(|| Diagnostic::error(text))
}

/// Memory that starts at a multiple of 64.
#[derive(Clone)]
pub(super) struct Lines {
    lines: Vec<Line>,
    bytes: usize,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u8; WORKSPACE_ALIGN]);

impl Lines {
    fn new(bytes: usize) -> Lines {
        // One line at least, so that the address is one of memory.
        Lines { lines: vec![Line([0; WORKSPACE_ALIGN]); bytes.div_ceil(WORKSPACE_ALIGN).max(1)], bytes }
    }
    fn from(data: &[u8]) -> Lines {
        let mut memory = Lines::new(data.len());
        for (line, chunk) in memory.lines.iter_mut().zip(data.chunks(WORKSPACE_ALIGN)) {
            line.0[..chunk.len()].copy_from_slice(chunk);
        }
        memory
    }
    pub(super) fn address(&mut self) -> u64 {
        self.lines.as_mut_ptr() as u64
    }
    fn slice(&self) -> &[u8] {
        // SAFETY: `lines` holds at least `bytes` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<u8>(), self.bytes) }
    }
    fn slice_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `slice`, and nobody else has a reference to the lines.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<u8>(), self.bytes) }
    }
}
