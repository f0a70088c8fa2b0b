//! A compiled model as Rust sees it: calls that are checked against the descriptor before they are made.
//!
//! All trust stands in one place: who makes a [`Model`] promises that descriptor and functions belong together. A call
//! is made only after every input and output is there, holds the right type of element and has exactly the length of
//! its shape, and the workspace has the size and alignment that the model asks for; then nothing that the compiled
//! code reads or writes lies outside of what the caller lent.

use core::{ffi::c_void, mem::MaybeUninit, ptr};

use crate::{
    abi::{ElementType, Invoke, SLOT_BYTES, Status, Threads, WORKSPACE_ALIGN, WorkspaceBytes},
    descriptor::{self as layout, Action},
    error::{Error, Name},
    reader::{Corrupt, Descriptor},
    state::State,
    text::{OutputText, Text},
    workspace::Workspace,
};

/// The model with this name that is linked into the program: `smc_runtime::model!(mnist)?` is a [`Model`].
///
/// It links to `mnist_descriptor`, `mnist_invoke` and `mnist_workspace_bytes`, which smc's object exports.
#[macro_export]
macro_rules! model {
    ($name:ident) => {{
        unsafe extern "C" {
            #[link_name = concat!(stringify!($name), "_descriptor")]
            static DESCRIPTOR: $crate::descriptor::Header;
            #[link_name = concat!(stringify!($name), "_invoke")]
            fn invoke(
                signature: u32,
                io: *const core::ffi::c_void,
                workspace: *mut core::ffi::c_void,
                workspace_bytes: usize,
            ) -> i32;
            #[link_name = concat!(stringify!($name), "_workspace_bytes")]
            fn workspace_bytes(signature: u32, io: *const core::ffi::c_void) -> i64;
        }
        // SAFETY: these three symbols come from one object of smc, whose descriptor describes the functions beside it.
        unsafe { $crate::Model::new((&raw const DESCRIPTOR).cast(), invoke, workspace_bytes) }
    }};
}

/// A compiled model. Any number of threads may call it at once, each with a workspace, and a state, of its own.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    descriptor: Descriptor<'m>,
    invoke: Invoke,
    workspace_bytes: WorkspaceBytes,
}

impl<'m> Model<'m> {
    /// The model that exports these. [`model!`](crate::model!) finds a linked one by name.
    ///
    /// # Safety
    /// `descriptor` satisfies [`Descriptor::at`] for `'m`. If it is a descriptor, it describes the two functions, which
    /// keep the rules of [`crate::abi`] and may be called during `'m`.
    pub unsafe fn new(
        descriptor: *const u8,
        invoke: Invoke,
        workspace_bytes: WorkspaceBytes,
    ) -> Result<Model<'m>, Error> {
        // SAFETY: the caller promises it.
        let descriptor = unsafe { Descriptor::at(descriptor) }?;
        if descriptor.header().pointer_bytes as usize != size_of::<*const u8>() {
            return Err(Error::Corrupt(Corrupt::Value("the pointer size")));
        }
        Ok(Model { descriptor, invoke, workspace_bytes })
    }
    pub fn descriptor(&self) -> &Descriptor<'m> {
        &self.descriptor
    }
    /// Every entry point.
    pub fn signatures(&self) -> impl ExactSizeIterator<Item = Signature<'m>> + use<'m> {
        let model = *self;
        self.descriptor.signatures().enumerate().map(move |(i, layout)| Signature { model, number: i as u32, layout })
    }
    /// The names of the CPU levels that there is code for, ascending.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = &'m str> + use<'m> {
        let descriptor = self.descriptor;
        descriptor.items(descriptor.header().levels).map(move |level| descriptor.text(level.name))
    }
    /// The entry point that the model's author named so.
    pub fn signature(&self, key: &str) -> Result<Signature<'m>, Error> {
        self.signatures().find(|s| s.key() == key).ok_or_else(|| Error::NoSuchSignature(Name::new(key)))
    }
}

/// An entry point of a model.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'m> {
    model: Model<'m>,
    number: u32,
    layout: layout::Signature,
}

impl<'m> Signature<'m> {
    /// As the model's author named it.
    pub fn key(&self) -> &'m str {
        self.model.descriptor.text(self.layout.key)
    }
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = Tensor<'m>> + use<'m> {
        self.tensors(self.layout.inputs)
    }
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = Tensor<'m>> + use<'m> {
        self.tensors(self.layout.outputs)
    }
    /// The names of the dimensions that the caller gives, in order: they come before sizes that data decide.
    pub fn given(&self) -> impl Iterator<Item = &'m str> + use<'m> {
        let descriptor = self.model.descriptor;
        let given = descriptor.items(self.layout.symbols).filter(|s| s.bound.is_empty());
        given.map(move |s| descriptor.text(s.name))
    }
    /// The names of the symbolic dimensions, in order.
    pub fn dimensions(&self) -> impl ExactSizeIterator<Item = &'m str> + use<'m> {
        let descriptor = self.model.descriptor;
        descriptor.items(self.layout.symbols).map(move |s| descriptor.text(s.name))
    }
    /// An upper bound of the stack that a call uses on the calling thread, in bytes.
    pub fn stack_bytes(&self) -> u64 {
        self.layout.stack_bytes
    }
    /// Whether calls need a state: see [`Call::state`].
    pub fn uses_state(&self) -> bool {
        self.state_slot().is_some()
    }
    /// Its slot is the one before that of the threads, which nothing else describes.
    fn state_slot(&self) -> Option<u32> {
        let (s, descriptor) = (&self.layout, self.model.descriptor);
        let tensors = descriptor.items(s.inputs).chain(descriptor.items(s.outputs)).map(|t| t.slot);
        let last = tensors.chain(descriptor.items(s.symbols).map(|symbol| symbol.slot)).max();
        let slot = s.threads_slot.checked_sub(SLOT_BYTES as u32)?;
        last.is_none_or(|last| last < slot).then_some(slot)
    }
    /// A call yet to be filled, with room for 32 inputs, outputs and dimensions.
    pub fn call<'c>(&self) -> Result<Call<'m, 'c>, Error> {
        self.call_with::<32>()
    }
    /// A call with room for as many inputs, outputs and dimensions as the caller likes.
    pub fn call_with<'c, const ROOM: usize>(&self) -> Result<Call<'m, 'c, ROOM>, Error> {
        let s = &self.layout;
        let members = [s.inputs.count, s.outputs.count, s.symbols.count].iter().map(|&n| n as usize).sum::<usize>() + 2;
        // The io struct is at most one slot of 8 bytes for each member, unless the descriptor lies.
        let needed = members.max((s.io_bytes as usize).div_ceil(8));
        if needed > ROOM {
            return Err(Error::TooManyMembers { needed, room: ROOM });
        }
        let mut call = Call {
            signature: *self,
            io: [MaybeUninit::zeroed(); ROOM],
            given: [const { Given::Nothing }; ROOM],
            dims: [None; ROOM],
        };
        call.set(s.threads_slot, ptr::null::<Threads>());
        call.set(s.cpu_slot, 0u64);
        Ok(call)
    }

    fn tensors(&self, list: layout::Array<layout::Tensor>) -> impl ExactSizeIterator<Item = Tensor<'m>> + use<'m> {
        let descriptor = self.model.descriptor;
        descriptor.items(list).map(move |layout| Tensor { descriptor, layout })
    }
}

/// An input or an output of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'m> {
    descriptor: Descriptor<'m>,
    layout: layout::Tensor,
}

impl<'m> Tensor<'m> {
    /// As the model's author named it.
    pub fn key(&self) -> &'m str {
        self.descriptor.text(self.layout.key)
    }
    pub fn element(&self) -> Result<ElementType, Error> {
        ElementType::from_code(self.layout.element).ok_or(Error::Status(Status::BadDimension))
    }
    pub fn rank(&self) -> usize {
        self.layout.extents.count as usize
    }
    /// Each extent where the signature's dimensions have these values, in order.
    pub fn shape(&self, dims: &[i64]) -> impl Iterator<Item = Result<usize, Error>> {
        self.descriptor.items(self.layout.extents).map(move |extent| {
            let extent = self.descriptor.eval(extent, dims)?;
            usize::try_from(extent).map_err(|_| Error::Status(Status::BadDimension))
        })
    }
    /// The number of elements that its memory has room for: more than those of its shape where data decide about that.
    pub fn room(&self, dims: &[i64]) -> Result<usize, Error> {
        let room = self.descriptor.eval(self.layout.room, dims)?;
        usize::try_from(room).map_err(|_| Error::Status(Status::BadDimension))
    }
    /// The number of elements.
    pub fn count(&self, dims: &[i64]) -> Result<usize, Error> {
        self.shape(dims).try_fold(1usize, |n, extent| n.checked_mul(extent?).ok_or(Error::Status(Status::BadDimension)))
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type whose slices can be an input or an output.
///
/// `u16` holds the bits of f16 and bf16, `[f32; 2]` and `[f64; 2]` are complex numbers.
pub trait Element: sealed::Sealed + Copy + 'static {
    /// For messages.
    const NAME: &'static str;
    /// What a slice of it can hold.
    const HOLDS: &'static [ElementType];
}

macro_rules! elements {
    ($($type:ty: $($element:ident)*;)*) => { $(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const NAME: &'static str = stringify!($type);
            const HOLDS: &'static [ElementType] = &[$(ElementType::$element),*];
        }
    )* };
}
elements! {
    bool: Bool;
    i8: I8;
    i16: I16;
    i32: I32;
    i64: I64;
    u8: U8;
    u16: U16 F16 BF16;
    u32: U32;
    u64: U64;
    f32: F32;
    f64: F64;
    [f32; 2]: C64;
    [f64; 2]: C128;
}

/// What the caller said about an input or an output.
#[derive(Clone, Copy)]
enum Given<'c> {
    Nothing,
    Input { shape: &'c [usize] },
    Output { length: usize },
}

/// A call that is being filled: inputs with their shapes, outputs, then [`Call::run`].
pub struct Call<'m, 'c, const ROOM: usize = 32> {
    signature: Signature<'m>,
    /// The io struct.
    io: [MaybeUninit<u64>; ROOM],
    /// By input, then by output.
    given: [Given<'c>; ROOM],
    /// By symbolic dimension.
    dims: [Option<i64>; ROOM],
}

impl<'m, 'c, const ROOM: usize> Call<'m, 'c, ROOM> {
    /// Lends an input. Takes from `shape` the dimensions that the input's shape names alone, such as `batch`.
    pub fn input<T: Element>(&mut self, key: &str, data: &'c [T], shape: &'c [usize]) -> Result<&mut Self, Error> {
        let (index, tensor) = find(self.signature.inputs(), key)?;
        accepts(&tensor, T::HOLDS, T::NAME)?;
        self.lend(index, tensor, data, shape)
    }

    /// Lends an input of strings; otherwise as [`Call::input`].
    pub fn input_text(&mut self, key: &str, data: &'c [Text<'c>], shape: &'c [usize]) -> Result<&mut Self, Error> {
        let (index, tensor) = find(self.signature.inputs(), key)?;
        accepts(&tensor, &[ElementType::Str], "text")?;
        self.lend(index, tensor, data, shape)
    }

    fn lend<T>(
        &mut self,
        index: usize,
        tensor: Tensor<'m>,
        data: &'c [T],
        shape: &'c [usize],
    ) -> Result<&mut Self, Error> {
        let name = Name::new(tensor.key());
        if shape.len() != tensor.rank() {
            return Err(Error::Rank { tensor: name, expected: tensor.rank(), given: shape.len() });
        }
        let expected = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        let expected = expected.ok_or(Status::BadDimension)?;
        if data.len() != expected {
            return Err(Error::Length { tensor: name, expected, given: data.len() });
        }
        for (extent, &given) in tensor.descriptor.items(tensor.layout.extents).zip(shape) {
            let mut steps = tensor.descriptor.items(extent);
            if let (1, Some(step)) = (extent.count, steps.next())
                && step.action == Action::Symbol as u32
            {
                self.bind(step.symbol as usize, i64::try_from(given).map_err(|_| Status::BadDimension)?)?;
            }
        }
        self.given[index] = Given::Input { shape };
        self.set(tensor.layout.slot, data.as_ptr());
        Ok(self)
    }

    /// Lends an output, of exactly the length of its shape; see [`Call::output_count`].
    pub fn output<T: Element>(&mut self, key: &str, data: &'c mut [T]) -> Result<&mut Self, Error> {
        let (index, tensor) = find(self.signature.outputs(), key)?;
        accepts(&tensor, T::HOLDS, T::NAME)?;
        self.given[self.signature.inputs().len() + index] = Given::Output { length: data.len() };
        self.set(tensor.layout.slot, data.as_mut_ptr().cast_const());
        Ok(self)
    }

    /// Lends an output of strings; otherwise as [`Call::output`].
    pub fn output_text(&mut self, key: &str, data: &'c mut [OutputText]) -> Result<&mut Self, Error> {
        let (index, tensor) = find(self.signature.outputs(), key)?;
        accepts(&tensor, &[ElementType::Str], "text")?;
        self.given[self.signature.inputs().len() + index] = Given::Output { length: data.len() };
        self.set(tensor.layout.slot, data.as_mut_ptr().cast_const());
        Ok(self)
    }

    /// Sets a symbolic dimension that no input's shape names alone.
    pub fn dim(&mut self, name: &str, value: usize) -> Result<&mut Self, Error> {
        let index = self.signature.given().position(|n| n == name);
        let index = index.ok_or_else(|| Error::NoSuchDimension(Name::new(name)))?;
        self.bind(index, i64::try_from(value).map_err(|_| Status::BadDimension)?)?;
        Ok(self)
    }

    /// Lends the state that the call reads, and changes where it succeeds. Fails where the signature uses none.
    pub fn state(&mut self, state: &'c mut State<'_>) -> Result<&mut Self, Error> {
        let slot = self.signature.state_slot().ok_or(Error::Status(Status::WrongState))?;
        self.set(slot, state.address());
        Ok(self)
    }

    /// Lets others run parts of the call; without it, the calling thread runs it alone.
    pub fn threads(&mut self, threads: &'c impl Parallel) -> &mut Self {
        self.set(self.signature.layout.threads_slot, ptr::from_ref(threads.threads()));
        self
    }

    /// Runs the code of this CPU level, such as `x86-64-v3`; without it, that of the best one that the processor has.
    /// [`Call::run`] fails when the processor is not of this level and the model has several.
    pub fn cpu(&mut self, level: &str) -> Result<&mut Self, Error> {
        let descriptor = self.signature.model.descriptor;
        let mut levels = descriptor.items(descriptor.header().levels);
        let found =
            levels.find(|l| descriptor.text(l.name) == level).ok_or_else(|| Error::NoSuchCpu(Name::new(level)))?;
        self.set(self.signature.layout.cpu_slot, u64::from(found.number));
        Ok(self)
    }

    /// The number of elements of an output, once inputs or [`Call::dim`] tell the dimensions; the most that there can be
    /// where data decide.
    pub fn output_count(&self, key: &str) -> Result<usize, Error> {
        let (_, tensor) = find(self.signature.outputs(), key)?;
        self.with_dims(|dims| tensor.room(dims))
    }

    /// The value of a dimension: of a size that data decide what the last call found, or -1 where it came to none.
    pub fn value(&self, name: &str) -> Result<i64, Error> {
        let index = self.signature.dimensions().position(|n| n == name);
        let index = index.ok_or_else(|| Error::NoSuchDimension(Name::new(name)))?;
        self.dims[index].ok_or_else(|| Error::UnknownDimension(Name::new(name)))
    }

    /// One extent of an output, once inputs or [`Call::dim`] tell the dimensions; once the call was made where data decide.
    pub fn output_extent(&self, key: &str, axis: usize) -> Result<usize, Error> {
        let (_, tensor) = find(self.signature.outputs(), key)?;
        let rank = Error::Rank { tensor: Name::new(key), expected: tensor.rank(), given: axis };
        self.with_dims(|dims| tensor.shape(dims).nth(axis).unwrap_or(Err(rank)))
    }

    /// Checks everything, then runs the compiled code.
    pub fn run(&mut self, workspace: &mut impl Workspace) -> Result<(), Error> {
        let signature = self.signature;
        let symbols = signature.model.descriptor.items(signature.layout.symbols);
        for (symbol, dim) in symbols.zip(&mut self.dims) {
            // What an earlier call found is none of this one's.
            *dim = dim.filter(|_| symbol.bound.is_empty());
        }
        self.with_dims(|dims| self.check(dims))?;
        for (symbol, dim) in symbols.zip(self.dims) {
            self.set(symbol.slot, dim.unwrap_or(-1));
        }
        // The call writes the sizes that data decide.
        let io: *const c_void = self.io.as_mut_ptr().cast_const().cast();
        // SAFETY: `Model::new` promises the function; `io` is the signature's struct with all dimensions set.
        let needed = unsafe { (signature.model.workspace_bytes)(signature.number, io) };
        let needed = usize::try_from(needed).map_err(|_| {
            let status = i32::try_from(needed.unsigned_abs()).ok().and_then(Status::from_code);
            Error::Status(status.unwrap_or(Status::BadDimension))
        })?;
        let memory = workspace.reserve(needed).filter(|memory| {
            memory.len() >= needed && memory.as_ptr().cast::<u8>().addr().is_multiple_of(WORKSPACE_ALIGN)
        });
        let memory = memory.ok_or(Error::Workspace { needed })?;
        // SAFETY: by `check`, each pointer in `io` is borrowed for `'c` and has the elements that the shape demands
        // under these dimensions; outputs are borrowed mutably, so nothing overlaps. The workspace was checked above.
        let status =
            unsafe { (signature.model.invoke)(signature.number, io, memory.as_mut_ptr().cast(), memory.len()) };
        for (n, symbol) in symbols.enumerate().filter(|(_, symbol)| !symbol.bound.is_empty()) {
            self.dims[n] = Some(self.get(symbol.slot));
        }
        match Status::of_call(status) {
            Some((Status::Ok, _)) => Ok(()),
            Some((Status::OperatorFailed, code)) => Err(Error::Operator { code }),
            Some((status, _)) => Err(Error::Status(status)),
            None => Err(Error::Status(Status::AssertionFailed)),
        }
    }

    /// Everything is given and has the extents that the dimensions demand.
    fn check(&self, dims: &[i64]) -> Result<(), Error> {
        let signature = &self.signature;
        for (tensor, given) in signature.inputs().chain(signature.outputs()).zip(self.given) {
            let name = Name::new(tensor.key());
            match given {
                Given::Nothing => return Err(Error::Missing(name)),
                Given::Input { shape } => {
                    for (axis, (expected, &given)) in tensor.shape(dims).zip(shape).enumerate() {
                        let expected = expected?;
                        if expected != given {
                            return Err(Error::Extent { tensor: name, axis, expected: expected as i64, given });
                        }
                    }
                }
                Given::Output { length } => {
                    let expected = tensor.room(dims)?;
                    if expected != length {
                        return Err(Error::Length { tensor: name, expected, given: length });
                    }
                }
            }
        }
        let descriptor = &signature.model.descriptor;
        for guard in descriptor.items(signature.layout.guards) {
            if descriptor.eval(guard.left, dims)? != descriptor.eval(guard.right, dims)? {
                return Err(Error::BrokenGuard(Name::new(descriptor.text(guard.text))));
            }
        }
        Ok(())
    }

    fn bind(&mut self, index: usize, value: i64) -> Result<(), Error> {
        let name = || Name::new(self.signature.dimensions().nth(index).unwrap_or(""));
        match self.dims.get(index).copied() {
            Some(Some(first)) if first != value => Err(Error::Conflict { dimension: name(), first, second: value }),
            Some(_) => {
                self.dims[index] = Some(value);
                Ok(())
            }
            None => Err(Error::NoSuchDimension(name())),
        }
    }

    fn with_dims<R>(&self, f: impl FnOnce(&[i64]) -> Result<R, Error>) -> Result<R, Error> {
        let mut values = [0; ROOM];
        let descriptor = self.signature.model.descriptor;
        let symbols = descriptor.items(self.signature.layout.symbols);
        let count = symbols.len();
        for (n, symbol) in symbols.enumerate() {
            values[n] = match self.dims[n].filter(|&value| value >= 0) {
                Some(value) => value,
                // A size that data decide is at most that.
                None if !symbol.bound.is_empty() => descriptor.eval(symbol.bound, &values[..n])?,
                None => return Err(Error::UnknownDimension(Name::new(descriptor.text(symbol.name)))),
            };
        }
        f(&values[..count])
    }

    /// A dimension in the io struct.
    fn get(&self, slot: u32) -> i64 {
        let slot = slot as usize;
        assert!(slot + size_of::<i64>() <= size_of_val(&self.io), "the reader has checked the slots");
        // SAFETY: it lies within the array, as just asserted, which has been zero since it was made or written.
        unsafe { self.io.as_ptr().cast::<u8>().add(slot).cast::<i64>().read_unaligned() }
    }

    /// Writes a pointer or a dimension into the io struct.
    fn set<T: Copy>(&mut self, slot: u32, value: T) {
        let slot = slot as usize;
        assert!(slot + size_of::<T>() <= size_of_val(&self.io), "the reader has checked the slots");
        // SAFETY: it lies within the array, as just asserted; nothing is assumed about its alignment.
        unsafe { self.io.as_mut_ptr().cast::<u8>().add(slot).cast::<T>().write_unaligned(value) }
    }
}

fn find<'m>(mut tensors: impl Iterator<Item = Tensor<'m>>, key: &str) -> Result<(usize, Tensor<'m>), Error> {
    let mut index = 0;
    tensors
        .find(|t| {
            index += 1;
            t.key() == key
        })
        .map(|t| (index - 1, t))
        .ok_or_else(|| Error::NoSuchTensor(Name::new(key)))
}

fn accepts(tensor: &Tensor<'_>, holds: &[ElementType], given: &'static str) -> Result<(), Error> {
    let expected = tensor.element()?;
    if holds.contains(&expected) {
        return Ok(());
    }
    Err(Error::Element { tensor: Name::new(tensor.key()), expected, given })
}

/// Who can run the parallel loops of a call.
///
/// # Safety
/// The `parallel_for` of [`Parallel::threads`] keeps the promise of [`Threads`] as long as `self` is borrowed.
pub unsafe trait Parallel {
    fn threads(&self) -> &Threads;
}
