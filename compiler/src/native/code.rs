//! One function of machine code, and what has to be filled in when its place is known.

use cranelift_codegen::{
    Context, FinalizedRelocTarget, RegClass,
    binemit::Reloc,
    ir,
    isa::unwind::{UnwindInfo, UnwindInst},
};

use super::{Level, riscv64};

/// What code refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// The n-th function.
    Function(usize),
    /// The n-th of the functions that the model calls and does not have.
    Foreign(usize),
    /// The start of the weights.
    Weights,
    /// Eight bytes that say how far behind them the weights start.
    Distance,
    /// Eight bytes that are zero at first and writable: where the weights start that the caller bound.
    Bound,
    /// [`crate::entry::FINGERPRINT_BYTES`] bytes that the weights of this code have in their file.
    Fingerprint,
    /// Four bytes that are zero at first and writable: what the code found out about its machine.
    Cpu,
    /// An offset in the function that refers to it.
    Here(u32),
}

/// A reference to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixup {
    pub offset: u32,
    pub kind: Reloc,
    pub symbol: Symbol,
    pub addend: i64,
}

/// Machine code.
#[derive(Clone, Debug)]
pub struct Code {
    pub bytes: Vec<u8>,
    pub align: u64,
    pub fixups: Vec<Fixup>,
    pub unwind: Option<Unwind>,
    /// Bytes of stack that one activation uses, return address included.
    pub stack_bytes: u64,
    /// The operation for which a kernel of a wide level had to be made at Cranelift's width, if one was.
    pub declined: Option<String>,
    /// What the code was made from and what it became, for people; kept when the target is asked to.
    pub listing: Option<Listing>,
}

/// How to find a function's caller from any of its instructions.
#[derive(Clone, Debug)]
pub enum Unwind {
    /// As Cranelift describes it.
    Described(UnwindInfo),
    /// The same behind [`riscv64::GUARD_BYTES`] bytes that keep the return address and fs1.
    Guarded(UnwindInfo),
    /// The stack pointer stays where it was at the call, and the registers that belong to the caller too.
    Still,
    /// The function starts by pushing the frame pointer (one byte) and making it the stack pointer (three). x86-64.
    FramePointer(Vec<Saved>),
}

/// A register that belongs to the caller and lies in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Behind the instruction that stores it.
    pub offset: u32,
    /// Its number in unwind tables.
    pub register: u16,
    /// Where it lies, from the stack pointer before the call.
    pub place: i32,
}

/// The description of an x86-64 function of Cranelift's, which keeps frame pointers.
fn frame_pointer(rules: &[(u32, UnwindInst)]) -> Unwind {
    let (mut clobbers, mut saved) = (0, vec![]);
    for (offset, rule) in rules {
        match rule {
            UnwindInst::DefineNewFrame { offset_upward_to_caller_sp: up, offset_downward_to_clobbers: down } => {
                clobbers = -((up + down) as i32);
            }
            UnwindInst::SaveReg { clobber_offset, reg } if reg.class() == RegClass::Int => {
                // Tables number the first eight registers in an order of their own; of those, rbx is kept by calls.
                let register = u16::from(reg.hw_enc());
                saved.push(Saved { offset: *offset, register, place: clobbers + *clobber_offset as i32 });
            }
            _ => {}
        }
    }
    Unwind::FramePointer(saved)
}

/// A function as text.
#[derive(Clone, Debug)]
pub struct Listing {
    /// In Cranelift's IR.
    pub clif: String,
    /// As instructions with their registers.
    pub asm: String,
}

/// A function of a model.
#[derive(Clone, Debug)]
pub struct Function {
    /// The whole symbol.
    pub name: String,
    pub exported: bool,
    /// Other symbols for it.
    pub aliases: Vec<String>,
    /// Which of the target's levels the function is for; none when all of them use it.
    pub level: Option<usize>,
    pub code: Code,
}

/// Spaces of the numbers that Cranelift keeps for names.
pub(super) const FUNCTIONS: u32 = 0;
pub(super) const DATA: u32 = 1;
pub(super) const FOREIGN: u32 = 2;
/// What the numbers in the space of data are.
pub(super) const DATA_SYMBOLS: [Symbol; 4] = [Symbol::Weights, Symbol::Distance, Symbol::Bound, Symbol::Fingerprint];

/// Compiles a function of Cranelift's. Panics when it does not verify, or when it calls a library: both are faults of
/// this compiler, never of a model.
pub(super) fn finish(level: &Level, function: ir::Function) -> Code {
    let isa = &**level.isa();
    let name = function.name.clone();
    let clif = level.listings.then(|| function.display().to_string());
    let mut context = Context::for_function(function);
    context.want_disasm = level.listings || level.is_riscv64();
    if let Err(error) = context.compile(isa, &mut Default::default()) {
        panic!("machine code for {name}: {:?}\n{}", error.inner, context.func.display());
    }
    let compiled = context.compiled_code().expect("the function was compiled");
    let buffer = &compiled.buffer;
    let fixups = buffer.relocs().iter().map(|reloc| Fixup {
        offset: reloc.offset,
        kind: reloc.kind,
        addend: reloc.addend,
        symbol: match &reloc.target {
            FinalizedRelocTarget::Func(offset) => Symbol::Here(*offset),
            FinalizedRelocTarget::ExternalName(ir::ExternalName::User(user)) => {
                let name = &context.func.params.user_named_funcs()[*user];
                let index = name.index as usize;
                match name.namespace {
                    DATA => DATA_SYMBOLS[index],
                    FOREIGN => Symbol::Foreign(index),
                    _ => Symbol::Function(index),
                }
            }
            FinalizedRelocTarget::ExternalName(other) => panic!("machine code for {name} refers to {other:?}"),
        },
    });
    // Below the frame pointer; above it lie the saved pointer and the return address (on s390x the register save area).
    let frame = buffer.frame_layout().map_or(0, |layout| u64::from(layout.frame_to_fp_offset));
    let asm = compiled.vcode.as_deref().unwrap_or_default();
    let code = Code {
        bytes: buffer.data().to_vec(),
        align: u64::from(buffer.alignment),
        fixups: fixups.collect(),
        unwind: match level.is_x64() {
            true => Some(frame_pointer(&buffer.unwind_info)),
            false => compiled.create_unwind_info(isa).ok().flatten().map(Unwind::Described),
        },
        stack_bytes: frame + 16,
        declined: None,
        listing: clif.map(|clif| Listing { clif, asm: asm.into() }),
    };
    if level.is_riscv64() { riscv64::guarded(code, asm, context.func.signature.params.len()) } else { code }
}
