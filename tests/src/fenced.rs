//! Memory between pages that nobody may touch, and models that run in it: whoever reads or writes one byte outside of
//! what it was lent is stopped.
//!
//! Buffers end, or begin, exactly where the readable memory does; at its end a buffer is aligned to its element only.
//! Inputs are read-only, and each string has pages of its own. A program that is stopped says what it was doing, see [`doing`].

use std::{ffi::c_void, ptr, sync::atomic::AtomicPtr, sync::atomic::Ordering::SeqCst};

use smc::{
    base::Bindings,
    emit::{
        interface::Interface,
        load::{Fence, Loaded},
    },
    tensor::{DType, Tensor},
};
use smc_runtime::abi::{SLOT_BYTES, WORKSPACE_ALIGN};

/// Where the forbidden memory meets a buffer.
pub const SIDES: [Fence; 2] = [Fence::Behind, Fence::Before];

/// A buffer of its own pages, with a forbidden one on each side.
pub struct Fenced {
    map: *mut u8,
    room: usize,
    start: *mut u8,
    bytes: usize,
}

fn page() -> usize {
    // SAFETY: asks for a number.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

impl Fenced {
    /// So many bytes of a pattern, at a multiple of `align`.
    pub fn new(bytes: usize, align: usize, side: Fence) -> Fenced {
        let room = bytes.next_multiple_of(page());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, which nothing else is in.
        let map = unsafe { libc::mmap(ptr::null_mut(), room + 2 * page(), libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(map, libc::MAP_FAILED, "no memory for {bytes} bytes");
        let map = map.cast::<u8>();
        let skip = if side == Fence::Behind { (room - bytes) / align * align } else { 0 };
        let fenced = Fenced { map, room, start: map.wrapping_add(page() + skip), bytes };
        fenced.protect(libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: these pages are ours and writable now.
        unsafe { ptr::write_bytes(map.add(page()), 0x7f, room) };
        fenced
    }
    /// These bytes, read-only.
    pub fn holding(data: &[u8], align: usize, side: Fence) -> Fenced {
        let fenced = Fenced::new(data.len(), align, side);
        // SAFETY: the buffer has as many bytes.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), fenced.start, data.len()) };
        fenced.protect(libc::PROT_READ);
        fenced
    }
    pub fn address(&self) -> *mut u8 {
        self.start
    }
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the bytes are readable and written by nobody while they are borrowed.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }

    fn protect(&self, access: i32) {
        // SAFETY: whole pages of our own mapping.
        let status = unsafe { libc::mprotect(self.map.wrapping_add(page()).cast(), self.room, access) };
        assert!(status == 0 || self.room == 0, "pages cannot be protected");
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which only `self` knows.
        unsafe { libc::munmap(self.map.cast(), self.room + 2 * page()) };
    }
}

/// Calls the `number`-th signature of a model with all of its memory fenced, at a CPU level (0 for the best). Returns
/// the outputs, or the status that is not 0.
pub fn call(
    loaded: &Loaded,
    interface: &Interface,
    number: usize,
    inputs: &[Tensor],
    bind: &Bindings,
    cpu: u32,
    side: Fence,
) -> Result<Vec<Tensor>, i32> {
    call_by(loaded, interface, number, inputs, bind, (cpu, None), side)
}

/// The same at the best level, on a block of state.
pub fn call_on(
    loaded: &Loaded,
    interface: &Interface,
    number: usize,
    inputs: &[Tensor],
    bind: &Bindings,
    side: Fence,
    state: &Fenced,
) -> Result<Vec<Tensor>, i32> {
    call_by(loaded, interface, number, inputs, bind, (0, Some(state)), side)
}

fn call_by(
    loaded: &Loaded,
    interface: &Interface,
    number: usize,
    inputs: &[Tensor],
    bind: &Bindings,
    (cpu, state): (u32, Option<&Fenced>),
    side: Fence,
) -> Result<Vec<Tensor>, i32> {
    let s = &interface.signatures[number];
    let mut io = vec![0u64; s.io_bytes() / SLOT_BYTES];
    if let Some(state) = state.filter(|_| s.state.is_some()) {
        io[s.state_slot() / SLOT_BYTES] = state.address() as u64;
    }
    let mut texts = vec![];
    let inputs: Vec<Tensor> = inputs.iter().map(|t| addressed(t, side, &mut texts)).collect();
    let inputs: Vec<Fenced> = inputs.iter().map(|t| Fenced::holding(t.bytes(), align(t.dtype), side)).collect();
    let output = |t: &smc::emit::interface::Tensor| {
        let (room, size) = (t.room.eval(bind).expect("the symbols are bound"), t.ty.dtype.size());
        Fenced::new(room as usize * size, align(t.ty.dtype), side)
    };
    let outputs: Vec<Fenced> = s.outputs.iter().map(output).collect();
    for (n, memory) in inputs.iter().enumerate() {
        io[s.input_slot(n) / SLOT_BYTES] = memory.address() as u64;
    }
    for (n, memory) in outputs.iter().enumerate() {
        io[s.output_slot(n) / SLOT_BYTES] = memory.address() as u64;
    }
    for (n, d) in s.symbols.iter().enumerate().filter(|(_, d)| d.bound.is_none()) {
        io[s.symbol_slot(n) / SLOT_BYTES] = bind[&d.symbol] as u64;
    }
    io[s.cpu_slot() / SLOT_BYTES] = cpu.into();
    let bytes = s.workspace.eval(bind).expect("the symbols are bound") as usize;
    let workspace = Fenced::new(bytes, WORKSPACE_ALIGN, side);
    let symbol = format!("{}_{}", interface.name, s.c_name);
    // SAFETY: the io struct is the signature's: pointers to memory of the declared sizes, the symbols, no threads and a
    // level; the workspace has the size that the model states.
    let status = unsafe { loaded.call(&symbol, io.as_mut_ptr(), workspace.address(), bytes) };
    if status != 0 {
        return Err(status);
    }
    let mut bind = bind.clone();
    for (n, d) in s.symbols.iter().enumerate().filter(|(_, d)| d.bound.is_some()) {
        bind.insert(d.symbol.clone(), io[s.symbol_slot(n) / SLOT_BYTES] as i64);
    }
    let result = |(memory, t): (&Fenced, &smc::emit::interface::Tensor)| {
        let shape = t.ty.concrete(&bind).expect("the call has settled all sizes");
        let bytes = shape.iter().product::<usize>() * t.ty.dtype.size();
        let left = Tensor::from_bytes(t.ty.dtype, shape, memory.bytes()[..bytes].to_vec());
        // SAFETY: a model writes addresses of bytes of its inputs, of its own or of the workspace, which are still there.
        unsafe { smc::tensor::read_strings(&left) }
    };
    Ok(outputs.iter().zip(&s.outputs).map(result).collect())
}

/// What elements of a type are aligned to.
fn align(dtype: DType) -> usize {
    if dtype == DType::Str { size_of::<usize>() } else { dtype.size() }
}

/// A tensor as calls take it: strings by their addresses, in memory that is added to `texts`.
fn addressed(tensor: &Tensor, side: Fence, texts: &mut Vec<Fenced>) -> Tensor {
    tensor.to_spans(|string| {
        let text = Fenced::holding(string, 1, side);
        let address = text.address() as u64;
        texts.push(text);
        address
    })
}

/// What this thread of tests is doing, for [`stopped`] to say.
static DOING: AtomicPtr<String> = AtomicPtr::new(ptr::null_mut());

/// Says what is done from here on, should the program be stopped by touching what it may not.
pub fn doing(what: String) {
    static HANDLER: std::sync::Once = std::sync::Once::new();
    HANDLER.call_once(|| {
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL] {
            // SAFETY: the handler calls nothing that may not be called there.
            unsafe { libc::signal(signal, stopped as *const () as libc::sighandler_t) };
        }
    });
    // The text before it may be being read, so it is never freed.
    DOING.store(Box::into_raw(Box::new(what)), SeqCst);
}

extern "C" fn stopped(signal: i32) {
    let say = |text: &str| {
        // SAFETY: writes bytes that live.
        unsafe { libc::write(2, text.as_ptr().cast::<c_void>(), text.len()) };
    };
    say("stopped: ");
    // SAFETY: null, or a string that lives forever.
    if let Some(what) = unsafe { DOING.load(SeqCst).as_ref() } {
        say(what);
    }
    say("\n");
    // SAFETY: the signal ends the program the next time.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
