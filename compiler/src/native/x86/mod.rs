//! AVX2 and AVX-512 machine code, which Cranelift has not: its functions over wide vectors become machine instructions
//! over virtual registers (`select`), then over physical ones (`allocate`), then bytes (`encode`).
//!
//! A function keeps its caller's frame pointer and its own, as the code around it does: a debugger or profiler finds
//! its callers. It calls nothing and refers to nothing but itself, so its bytes need no relocation.

mod allocate;
mod broadcast;
mod counters;
mod dispatch;
mod encode;
mod function;
mod inst;
mod rows;
mod schedule;
mod select;
mod ternary;
mod zeros;

use cranelift_codegen::ir;
use target_lexicon::OperatingSystem;

pub use dispatch::choose;

use self::{
    allocate::Allocated,
    function::{Convention, Level},
    inst::{Class, Inst, Mem, Op, Operand, Reg, Size},
};
use super::code::{Code, Listing, Unwind};
use crate::{base::Id, plan::Isa};

/// The machine code of a kernel, or the operation that this backend has not. `updates`: whether the kernel loads what it
/// stores.
pub fn compile(f: &ir::Function, level: &super::Level, updates: bool) -> Result<Code, String> {
    let instructions = match level.info.isa {
        Isa::X64V3 => Level::Avx2,
        Isa::X64V4 => Level::Avx512,
        other => return Err(format!("a machine of another kind: {other:?}")),
    };
    let mut selected = select::select(f, instructions, convention(level))?;
    broadcast::fold(&mut selected);
    ternary::join(&mut selected);
    schedule::schedule(&mut selected, updates);
    counters::sink(&mut selected);
    let mut allocated = allocate::allocate(&selected);
    zeros::shorten(&mut allocated.function);
    let frame = Frame::new(&allocated);
    let entry = &mut allocated.function.blocks[Id::new(0)].insts;
    entry.splice(..0, frame.prologue());
    let encoded = encode::function(&allocated.function, &frame.epilogue(), level.listings);
    Ok(Code {
        listing: level.listings.then(|| listing(f.display().to_string(), &encoded)),
        bytes: encoded.bytes,
        align: u64::from(encoded.align),
        fixups: vec![],
        unwind: Some(Unwind::FramePointer(vec![])),
        stack_bytes: frame.stack_bytes(),
        declined: None,
    })
}

fn convention(level: &super::Level) -> Convention {
    match level.isa().triple().operating_system {
        OperatingSystem::Windows => Convention::Windows,
        _ => Convention::SystemV,
    }
}

fn listing(clif: String, encoded: &encode::Encoded) -> Listing {
    let line = |(at, text): &(u32, String)| match text.ends_with(':') {
        true => format!("{text}\n"),
        false => format!("{at:6x}  {text}\n"),
    };
    Listing { clif, asm: encoded.lines.iter().map(line).collect() }
}

/// What a function has on the stack: below the return address the caller's frame pointer, the general registers that it
/// wants back, its vector registers, and room for values without a register.
struct Frame {
    ints: Vec<Reg>,
    vectors: Vec<Reg>,
    bytes: u32,
    align: u32,
}

impl Frame {
    fn new(allocated: &Allocated) -> Frame {
        let (ints, vectors) = allocated.saved.iter().partition(|r| r.class() == Class::Int);
        Frame { ints, vectors, bytes: allocated.frame_bytes, align: allocated.frame_align.max(8) }
    }

    /// Where the n-th vector register is kept, from rbp.
    fn place(&self, n: usize) -> Mem {
        Mem::new(Reg::RBP, -(8 * self.ints.len() as i32) - 16 * (n as i32 + 1))
    }

    fn prologue(&self) -> Vec<Inst> {
        let int = |op, operands: &[Operand]| Inst { op, size: Size::B8, operands: operands.to_vec(), masking: None };
        let (rsp, rbp) = (Operand::Reg(Reg::RSP), Operand::Reg(Reg::RBP));
        let mut insts = vec![push(Op::Push, Reg::RBP), int(Op::Mov, &[rbp, rsp])];
        insts.extend(self.ints.iter().map(|r| push(Op::Push, *r)));
        let below = i64::from(self.bytes) + 16 * self.vectors.len() as i64;
        if below > 0 {
            insts.push(int(Op::Sub, &[rsp, rsp, Operand::Imm(below)]));
        }
        if self.bytes > 0 && self.align > 8 {
            insts.push(int(Op::And, &[rsp, rsp, Operand::Imm(-i64::from(self.align))]));
        }
        let keep = |(n, r): (usize, &Reg)| Inst::new(Op::MovupsStore, Size::B16, [self.place(n).into(), (*r).into()]);
        insts.extend(self.vectors.iter().enumerate().map(keep));
        insts
    }

    fn epilogue(&self) -> Vec<Inst> {
        let plain = |op| Inst { op, size: Size::Scalar, operands: vec![], masking: None };
        // Code with the older vector instructions follows.
        let mut insts = vec![plain(Op::Vzeroupper)];
        let restore = |(n, r): (usize, &Reg)| Inst::new(Op::Movups, Size::B16, [(*r).into(), self.place(n).into()]);
        insts.extend(self.vectors.iter().enumerate().map(restore));
        if self.bytes > 0 || !self.vectors.is_empty() {
            let saved = Mem::new(Reg::RBP, -(8 * self.ints.len() as i32));
            insts.push(Inst::new(Op::Lea, Size::B8, [Reg::RSP.into(), saved.into()]));
        }
        insts.extend(self.ints.iter().rev().map(|r| push(Op::Pop, *r)));
        insts.extend([push(Op::Pop, Reg::RBP), plain(Op::Ret)]);
        insts
    }

    /// At most so many bytes, return address included.
    fn stack_bytes(&self) -> u64 {
        let aligning = if self.bytes > 0 { u64::from(self.align - 8) } else { 0 };
        16 + 8 * self.ints.len() as u64 + 16 * self.vectors.len() as u64 + u64::from(self.bytes) + aligning
    }
}

/// Pushes or pops a register.
fn push(op: Op, r: Reg) -> Inst {
    Inst::new(op, Size::Scalar, [r.into()])
}
