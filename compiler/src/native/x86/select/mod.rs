//! From Cranelift's IR to machine instructions over virtual registers.
//!
//! One walk in program order, after [`folds`] has decided what becomes a part of its users. Every value gets a register
//! where its instruction stands; a folded one is computed again wherever a register is needed for it. Integers of 8 and
//! 16 bits lie in registers whose further bits mean nothing. With AVX-512, lanes of bools that comparisons make lie in
//! mask registers; everywhere else (block parameters, constants) they are vectors of ones and zeros.
//!
//! What is not known here is an error, never a panic: then Cranelift makes the function, at its own width.

mod flow;
mod float;
mod folds;
mod int;
mod lane;
mod moves;
mod narrow;
mod value;

use std::collections::HashMap;

use cranelift_codegen::ir::{self, InstructionData, Opcode, Type, Value};

use self::folds::Folds;
use super::{
    function::{BlockId, Convention, End, Function, Level},
    inst::{Class, Inst, Op, Operand, Reg, Size},
};
use crate::native::intrinsic::Intrinsic;

/// The machine instructions of a function, or the instruction that there are none for.
pub fn select(f: &ir::Function, level: Level, convention: Convention) -> Result<Function, String> {
    let out = Function::new(level, convention);
    let (folds, blocks) = (Folds::new(f), HashMap::new());
    let mut select = Select {
        f,
        folds,
        out,
        blocks,
        at: None,
        regs: HashMap::new(),
        zeros: HashMap::new(),
        spreads: HashMap::new(),
    };
    select.declare_blocks().ok_or("a block parameter")?;
    for block in f.layout.blocks() {
        select.at = Some(select.blocks[&block]);
        for inst in f.layout.block_insts(block) {
            if select.folds.is_live(inst) && !select.folds.is_folded(inst) {
                select.inst(inst).ok_or_else(|| f.dfg.display_inst(inst).to_string())?;
            }
        }
    }
    Ok(select.out)
}

struct Select<'a> {
    f: &'a ir::Function,
    folds: Folds,
    out: Function,
    blocks: HashMap<ir::Block, BlockId>,
    /// The block that instructions are added to.
    at: Option<BlockId>,
    /// Where values lie.
    regs: HashMap<Value, Reg>,
    /// A vector of so many bytes without bits, made once for a block's operands.
    zeros: HashMap<(BlockId, u32), Reg>,
    /// And a constant of the pool in every lane.
    spreads: HashMap<(BlockId, u32, u32, i32), Reg>,
}

/// The class of the register that holds a value, and its bytes.
fn class(ty: Type) -> Option<(Class, u32)> {
    match ty {
        _ if ty.is_vector() => (ty.bits() <= 512).then(|| (Class::Vec, ty.bytes().max(16))),
        ir::types::F32 | ir::types::F64 => Some((Class::Vec, ty.bytes())),
        _ if ty.is_int() && ty.bits() <= 64 => Some((Class::Int, 8)),
        _ => None,
    }
}

/// The size of the instructions that work on a type.
fn size(ty: Type) -> Size {
    match ty {
        _ if ty.is_vector() => Size::vector(ty.bytes()),
        _ if ty.is_float() => Size::Scalar,
        _ => Size::int(ty.bytes().max(4)),
    }
}

impl Select<'_> {
    /// Loops are the stretches of blocks between the target of a jump back and that jump.
    fn declare_blocks(&mut self) -> Option<()> {
        let f = self.f;
        let order: Vec<ir::Block> = f.layout.blocks().collect();
        let position: HashMap<ir::Block, usize> = order.iter().enumerate().map(|(n, b)| (*b, n)).collect();
        let mut ends: HashMap<usize, usize> = HashMap::new();
        for (n, block) in order.iter().enumerate() {
            let Some(last) = f.layout.last_inst(*block) else { continue };
            for call in f.dfg.insts[last].branch_destination(&f.dfg.jump_tables, &f.dfg.exception_tables) {
                let target = position[&call.block(&f.dfg.value_lists)];
                if target <= n {
                    let end = ends.entry(target).or_default();
                    *end = (*end).max(n);
                }
            }
        }
        for (n, block) in order.iter().enumerate() {
            let depth = ends.iter().filter(|(start, end)| (**start..=**end).contains(&n)).count();
            let id = self.out.block(depth as u32);
            self.out.blocks[id].cold = f.layout.is_cold(*block);
            self.blocks.insert(*block, id);
            for &param in f.dfg.block_params(*block) {
                let (class, bytes) = class(f.dfg.value_type(param))?;
                let reg = self.out.register(class, bytes);
                self.out.blocks[id].params.push(reg);
                self.regs.insert(param, reg);
            }
        }
        Some(())
    }

    fn is_avx512(&self) -> bool {
        self.out.level == Level::Avx512
    }
    fn ty(&self, v: Value) -> Type {
        self.f.dfg.value_type(v)
    }

    fn push(&mut self, inst: Inst) {
        if let Some(at) = self.at {
            self.out.blocks[at].insts.push(inst);
        }
    }
    fn end(&mut self, end: End) {
        if let Some(at) = self.at {
            self.out.blocks[at].end = end;
        }
    }
    /// Adds an instruction whose result is a new register of a class and size.
    fn make(&mut self, op: Op, size: Size, result: (Class, u32), sources: &[Operand]) -> Reg {
        let reg = self.out.register(result.0, result.1);
        let operands = std::iter::once(Operand::Reg(reg)).chain(sources.iter().copied()).collect();
        let inst = Inst { op, size, operands, masking: None };
        debug_assert_eq!(inst.mismatch(), None, "{inst}");
        self.push(inst);
        reg
    }
    /// With a result in a vector register, of a type.
    fn vector(&mut self, op: Op, ty: Type, sources: &[Operand]) -> Reg {
        let bytes = if ty.is_vector() { ty.bytes().max(16) } else { ty.bytes() };
        self.make(op, size(ty), (Class::Vec, bytes), sources)
    }
    /// With a result in a general register.
    fn int(&mut self, op: Op, size: Size, sources: &[Operand]) -> Reg {
        self.make(op, size, (Class::Int, 8), sources)
    }
    /// With a result in a mask register, from operands of a type.
    fn mask(&mut self, op: Op, ty: Type, sources: &[Operand]) -> Reg {
        self.make(op, size(ty), (Class::Mask, 8), sources)
    }

    fn inst(&mut self, inst: ir::Inst) -> Option<()> {
        let f = self.f;
        let data = f.dfg.insts[inst];
        let args: Vec<Value> = f.dfg.inst_args(inst).to_vec();
        let result = f.dfg.inst_results(inst).first().copied();
        if let Some(intrinsic) = folds::intrinsic(f, inst) {
            return self.intrinsic(intrinsic, &args, result);
        }
        match data {
            InstructionData::Jump { destination, .. } => {
                let edge = self.edge(destination)?;
                self.end(End::Jump(edge));
                return Some(());
            }
            InstructionData::Brif { arg, blocks: [yes, no], .. } => return self.branch(arg, yes, no),
            InstructionData::MultiAry { opcode: Opcode::Return, .. } if args.is_empty() => {
                self.end(End::Return);
                return Some(());
            }
            InstructionData::Store { opcode: Opcode::Store, args, offset, .. } => {
                return self.store(args[0], args[1], offset.into());
            }
            _ => {}
        }
        let result = result?;
        let reg = match data {
            InstructionData::Load { opcode: Opcode::Load, arg, offset, .. } => {
                let mem = self.address(arg, offset.into())?;
                self.load(self.ty(result), mem)?
            }
            InstructionData::UnaryImm { .. }
            | InstructionData::UnaryIeee32 { .. }
            | InstructionData::UnaryIeee64 { .. }
            | InstructionData::UnaryConst { .. } => self.constant(inst)?,
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } => self.bitcast(self.ty(result), arg)?,
            InstructionData::FloatCompare { cond, args, .. } => self.float_compare(cond, args)?,
            InstructionData::IntCompare { cond, args, .. } => self.int_compare(cond, args)?,
            InstructionData::Ternary { opcode: Opcode::Select | Opcode::Bitselect, args } => {
                match self.folds.extrema.get(&inst).copied() {
                    Some(extremum) => self.extremum(self.ty(result), extremum)?,
                    None if data.opcode() == Opcode::Select => self.choose(self.ty(result), args)?,
                    None => self.bit_select(self.ty(result), args)?,
                }
            }
            InstructionData::BinaryImm8 { opcode: Opcode::Extractlane, arg, imm } => self.extract_lane(arg, imm)?,
            InstructionData::TernaryImm8 { opcode: Opcode::Insertlane, args, imm } => self.insert_lane(args, imm)?,
            _ => {
                let ty = self.ty(result);
                let opcode = data.opcode();
                if ty.lane_type().is_float() || args.first().is_some_and(|a| self.ty(*a).lane_type().is_float()) {
                    self.float_operation(opcode, ty, &args)?
                } else if ty.is_vector() {
                    self.lanes_operation(opcode, ty, &args)?
                } else {
                    self.int_operation(opcode, ty, &args)?
                }
            }
        };
        self.regs.insert(result, reg);
        Some(())
    }

    fn intrinsic(&mut self, intrinsic: Intrinsic, args: &[Value], result: Option<Value>) -> Option<()> {
        let reg = match (intrinsic, args) {
            (Intrinsic::First, [n]) => self.first(self.ty(result?), *n)?,
            (Intrinsic::LoadMasked, [mask, pointer]) => self.load_masked(self.ty(result?), *mask, *pointer)?,
            (Intrinsic::StoreMasked, [mask, pointer, value]) => return self.store_masked(*mask, *pointer, *value),
            (Intrinsic::LowHalf, [x]) => self.reg(*x)?,
            (Intrinsic::HighHalf, [x]) => self.high_half(*x)?,
            (Intrinsic::RoundF16, [x]) => self.round_f16(*x)?,
            (Intrinsic::Scale, [x, n]) => self.scale(*x, *n)?,
            (Intrinsic::Exponent, [x]) => self.exponent(*x)?,
            (Intrinsic::Mantissa, [x]) => self.mantissa(*x)?,
            (Intrinsic::Table, [index, table]) => self.table(self.ty(result?), *index, *table)?,
            (Intrinsic::PrefetchNear, [pointer]) => return self.prefetch(Op::Prefetcht0, *pointer),
            (Intrinsic::PrefetchFar, [pointer]) => return self.prefetch(Op::Prefetcht1, *pointer),
            (store, args) if store.stores() => return self.store_narrow(store, args),
            (load, args) => self.load_narrow(load, self.ty(result?), args)?,
        };
        self.regs.insert(result?, reg);
        Some(())
    }
}
