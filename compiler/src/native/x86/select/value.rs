//! Values as operands: registers, constants, memory.

use cranelift_codegen::ir::{self, InstructionData, Opcode, Type, Value, types};

use super::{
    super::{
        inst::{Base, Class, Mem, Op, Operand, Reg, Size},
        rows::Tuple,
    },
    Select, folds, size,
};

impl Select<'_> {
    /// The register of a value, computed here when it is folded; lanes of bools become a vector.
    pub fn reg(&mut self, v: Value) -> Option<Reg> {
        let reg = self.any_reg(v)?;
        match reg.class() {
            Class::Mask => Some(self.mask_to_vector(self.ty(v), reg)),
            _ => Some(reg),
        }
    }

    /// The register of a value, whatever its class.
    pub fn any_reg(&mut self, v: Value) -> Option<Reg> {
        let v = self.f.dfg.resolve_aliases(v);
        if let Some(&reg) = self.regs.get(&v) {
            return Some(reg);
        }
        let inst = folds::definition(self.f, v)?;
        if !self.folds.is_folded(inst) {
            return None;
        }
        self.inst(inst)?;
        // It is computed again where it is needed again, which may be a place that this one does not lead to.
        self.regs.remove(&v)
    }

    /// A mask register with a value's lanes.
    pub fn mask_reg(&mut self, v: Value) -> Option<Reg> {
        let reg = self.any_reg(v)?;
        if reg.class() == Class::Mask {
            return Some(reg);
        }
        let ty = self.ty(v);
        let op = match ty.lane_bits() {
            8 => Op::Pmovb2m,
            16 => Op::Pmovw2m,
            32 => Op::Pmovd2m,
            _ => Op::Pmovq2m,
        };
        Some(self.mask(op, ty, &[reg.into()]))
    }

    fn mask_to_vector(&mut self, ty: Type, mask: Reg) -> Reg {
        let op = match ty.lane_bits() {
            8 => Op::Pmovm2b,
            16 => Op::Pmovm2w,
            32 => Op::Pmovm2d,
            _ => Op::Pmovm2q,
        };
        self.vector(op, ty, &[mask.into()])
    }

    /// A value as the operand of `op` that may be memory.
    pub fn operand(&mut self, op: Op, v: Value) -> Option<Operand> {
        let v = self.f.dfg.resolve_aliases(v);
        let Some(inst) = folds::definition(self.f, v).filter(|i| self.folds.is_folded(*i)) else {
            return self.reg(v).map(Operand::Reg);
        };
        let ty = self.ty(v);
        match self.f.dfg.insts[inst] {
            InstructionData::Load { opcode: Opcode::Load, arg, offset, .. } => {
                Some(Operand::Mem(self.address(arg, offset.into())?))
            }
            InstructionData::UnaryIeee32 { .. }
            | InstructionData::UnaryIeee64 { .. }
            | InstructionData::UnaryConst { .. } => {
                let bytes = self.constant_bytes(inst)?;
                if bytes.iter().all(|b| *b == 0) || ty.is_vector() && bytes.iter().all(|b| *b == 255) {
                    return self.reg(v).map(Operand::Reg);
                }
                if let Tuple::Full(n) = op.row().tuple
                    && self.is_avx512()
                    && ty.is_vector()
                    && is_periodic(&bytes, usize::from(n))
                {
                    return Some(Operand::Splat(self.out.pool.add(&bytes[..usize::from(n)])));
                }
                // What runs once reads less where it spreads an element once.
                if ty.is_vector() && ty.bytes() > 16 && is_periodic(&bytes, 4) && !self.is_in_loop() {
                    return Some(self.spread(ty, &bytes[..4]).into());
                }
                Some(Operand::Mem(self.out.pool.add(&bytes)))
            }
            _ => self.reg(v).map(Operand::Reg),
        }
    }

    /// An integer as the operand of an instruction of its size that may be memory or an immediate.
    pub fn int_operand(&mut self, v: Value) -> Option<Operand> {
        if let Some(n) = folds::constant(self.f, v)
            && i32::try_from(n).is_ok()
        {
            return Some(Operand::Imm(n));
        }
        let v = self.f.dfg.resolve_aliases(v);
        let inst = folds::definition(self.f, v).filter(|i| self.folds.is_folded(*i));
        match inst.map(|i| self.f.dfg.insts[i]) {
            Some(InstructionData::Load { opcode: Opcode::Load, arg, offset, .. }) if self.ty(v).bits() >= 32 => {
                Some(Operand::Mem(self.address(arg, offset.into())?))
            }
            _ => self.reg(v).map(Operand::Reg),
        }
    }

    /// The memory that a pointer and a displacement name.
    pub fn address(&mut self, pointer: Value, offset: i32) -> Option<Mem> {
        let (mut leaves, mut disp) = (vec![], i64::from(offset));
        self.leaves(pointer, 0, &mut leaves, &mut disp)?;
        // The scaled one is the index.
        leaves.sort_by_key(|(_, scale)| *scale);
        let (base, index) = match leaves[..] {
            [(base, 0)] => (base, None),
            [(base, 0), (index, scale)] => (base, Some((index, scale))),
            _ => return None,
        };
        match i32::try_from(disp) {
            Ok(disp) => Some(Mem { base: Base::Reg(base), index, disp }),
            Err(_) => {
                let far = self.int(Op::Mov, Size::B8, &[Operand::Imm(disp)]);
                let base = self.int(Op::Add, Size::B8, &[base.into(), far.into()]);
                Some(Mem { base: Base::Reg(base), index, disp: 0 })
            }
        }
    }

    /// The registers, each with a scale, and the displacement that an address is the sum of.
    fn leaves(&mut self, v: Value, depth: u32, leaves: &mut Vec<(Reg, u8)>, disp: &mut i64) -> Option<()> {
        let v = self.f.dfg.resolve_aliases(v);
        if let Some(inst) = folds::definition(self.f, v).filter(|i| self.folds.is_folded(*i)) {
            let args = self.f.dfg.inst_args(inst).to_vec();
            match self.f.dfg.insts[inst].opcode() {
                Opcode::Iadd => {
                    if let Some(n) = folds::constant(self.f, args[1]) {
                        *disp = disp.checked_add(n)?;
                        return self.leaves(args[0], depth, leaves, disp);
                    }
                    if depth == 0 && leaves.is_empty() {
                        self.leaves(args[0], 1, leaves, disp)?;
                        return self.leaves(args[1], 1, leaves, disp);
                    }
                }
                Opcode::Ishl if !leaves.iter().any(|(_, scale)| *scale > 0) && depth > 0 => {
                    if let Some(n @ 1..=3) = folds::constant(self.f, args[1]) {
                        leaves.push((self.reg(args[0])?, n as u8));
                        return Some(());
                    }
                }
                _ => {}
            }
        }
        leaves.push((self.reg(v)?, 0));
        Some(())
    }

    /// Loads a value of a type.
    pub fn load(&mut self, ty: Type, mem: Mem) -> Option<Reg> {
        Some(match ty {
            types::I8 => self.int(Op::MovzxB, Size::B4, &[mem.into()]),
            types::I16 => self.int(Op::MovzxW, Size::B4, &[mem.into()]),
            types::I32 | types::I64 => self.int(Op::Mov, size(ty), &[mem.into()]),
            types::F32 => self.vector(Op::MovssLoad, ty, &[mem.into()]),
            types::F64 => self.vector(Op::MovsdLoad, ty, &[mem.into()]),
            _ if ty.is_vector() && ty.bytes() >= 16 => self.vector(Op::Movups, ty, &[mem.into()]),
            _ => return None,
        })
    }

    pub fn store(&mut self, value: Value, pointer: Value, offset: i32) -> Option<()> {
        let ty = self.ty(value);
        let (op, size, source) = match ty {
            _ if ty.is_int() => {
                let source = match folds::constant(self.f, value).filter(|n| i32::try_from(*n).is_ok()) {
                    Some(n) => Operand::Imm(n),
                    None => self.reg(value)?.into(),
                };
                (Op::MovStore, Size::int(ty.bytes()), source)
            }
            types::F32 => (Op::MovssStore, Size::Scalar, self.reg(value)?.into()),
            types::F64 => (Op::MovsdStore, Size::Scalar, self.reg(value)?.into()),
            _ if ty.is_vector() && ty.bytes() >= 16 => (Op::MovupsStore, size(ty), self.reg(value)?.into()),
            _ => return None,
        };
        let mem = self.address(pointer, offset)?;
        self.push(super::Inst::new(op, size, [mem.into(), source]));
        Some(())
    }

    /// Whether a value is a constant without bits.
    pub fn is_zero(&self, v: Value) -> bool {
        let inst = folds::definition(self.f, v).filter(|i| self.folds.is_folded(*i));
        inst.and_then(|i| self.constant_bytes(i)).is_some_and(|bytes| bytes.iter().all(|b| *b == 0))
    }

    /// The bytes of a constant that is not an integer in a general register.
    pub fn constant_bytes(&self, inst: ir::Inst) -> Option<Vec<u8>> {
        Some(match self.f.dfg.insts[inst] {
            InstructionData::UnaryIeee32 { imm, .. } => imm.bits().to_le_bytes().to_vec(),
            InstructionData::UnaryIeee64 { imm, .. } => imm.bits().to_le_bytes().to_vec(),
            InstructionData::UnaryConst { constant_handle, .. } => {
                self.f.dfg.constants.get(constant_handle).as_slice().to_vec()
            }
            _ => return None,
        })
    }

    /// A constant in a register.
    pub fn constant(&mut self, inst: ir::Inst) -> Option<Reg> {
        let ty = self.ty(self.f.dfg.first_result(inst));
        if let InstructionData::UnaryImm { opcode: Opcode::Iconst, .. } = self.f.dfg.insts[inst] {
            let n = folds::constant(self.f, self.f.dfg.first_result(inst))?;
            // Of 4 bytes when that clears the others rightly.
            let size = if u32::try_from(n).is_ok() { Size::B4 } else { size(ty) };
            return Some(self.int(Op::Mov, size, &[Operand::Imm(n)]));
        }
        let bytes = self.constant_bytes(inst)?;
        if bytes.iter().all(|b| *b == 0) {
            return Some(self.zero(ty));
        }
        if ty.is_vector() && bytes.iter().all(|b| *b == 255) {
            return Some(self.ones(ty));
        }
        if !ty.is_vector() {
            let mem = self.out.pool.add(&bytes);
            return self.load(ty, mem);
        }
        if is_periodic(&bytes, 4) {
            let mem = self.out.pool.add(&bytes[..4]);
            return Some(self.vector(Op::Broadcastss, ty, &[mem.into()]));
        }
        if is_periodic(&bytes, 8) && bytes.len() > 16 {
            let mem = self.out.pool.add(&bytes[..8]);
            return Some(self.vector(Op::Broadcastsd, ty, &[mem.into()]));
        }
        let mem = self.out.pool.add(&bytes);
        self.load(ty, mem)
    }

    /// The register of an operand that stays as it is. The allocator makes zeros anew where no register is left.
    pub fn source(&mut self, v: Value) -> Option<Reg> {
        let ty = self.ty(v);
        let Some(at) = self.at.filter(|_| ty.is_vector() && self.is_zero(v)) else { return self.reg(v) };
        let key = (at, ty.bytes().max(16));
        if let Some(&zero) = self.zeros.get(&key) {
            return Some(zero);
        }
        let zero = self.zero(ty);
        self.zeros.insert(key, zero);
        Some(zero)
    }

    /// One constant in every lane, for operands of the block that stay as they are.
    fn spread(&mut self, ty: Type, lane: &[u8]) -> Reg {
        let mem = self.out.pool.add(lane);
        let (Some(at), Base::Pool(entry)) = (self.at, mem.base) else {
            return self.vector(Op::Broadcastss, ty, &[mem.into()]);
        };
        let key = (at, ty.bytes(), entry, mem.disp);
        if let Some(&known) = self.spreads.get(&key) {
            return known;
        }
        let made = self.vector(Op::Broadcastss, ty, &[mem.into()]);
        self.spreads.insert(key, made);
        made
    }

    fn is_in_loop(&self) -> bool {
        self.at.is_some_and(|at| self.out.blocks[at].depth > 0)
    }

    /// No bits, in a vector or a single float.
    pub fn zero(&mut self, ty: Type) -> Reg {
        let bytes = if ty.is_vector() { ty.bytes().max(16) } else { ty.bytes() };
        self.make(Op::Zero, Size::B16, (Class::Vec, bytes), &[])
    }

    /// All bits of a vector.
    pub fn ones(&mut self, ty: Type) -> Reg {
        if !self.is_avx512() {
            return self.vector(Op::Ones, ty, &[]);
        }
        let any = self.zero(ty);
        self.vector(Op::Pternlogd, ty, &[any.into(), any.into(), any.into(), Operand::Imm(0xff)])
    }

    /// One constant in every lane, as an operand of `op`; also for a single float, which is the first lane.
    pub fn every_lane(&mut self, op: Op, ty: Type, lane: &[u8]) -> Operand {
        match op.row().tuple {
            Tuple::Full(n) if usize::from(n) == lane.len() && self.is_avx512() && ty.is_vector() => {
                Operand::Splat(self.out.pool.add(lane))
            }
            _ => {
                let bytes: Vec<u8> = lane.iter().copied().cycle().take(ty.bytes().max(16) as usize).collect();
                Operand::Mem(self.out.pool.add(&bytes))
            }
        }
    }
}

fn is_periodic(bytes: &[u8], n: usize) -> bool {
    bytes.chunks(n).all(|c| c == &bytes[..n])
}
