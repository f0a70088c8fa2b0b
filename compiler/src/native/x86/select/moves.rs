//! Lanes moved: into vectors, out of them, between their halves, and to and from memory under a mask.

use cranelift_codegen::ir::{InstructionData, Type, Value, types};

use super::{
    super::inst::{Class, Inst, Mem, Op, Operand, Reg, Size},
    Select, folds,
    lane::row,
    size,
};

impl Select<'_> {
    /// One value in every lane.
    pub fn splat(&mut self, ty: Type, a: Value) -> Option<Reg> {
        let inst = folds::definition(self.f, a).filter(|i| self.folds.is_folded(*i));
        if let Some(InstructionData::Load { arg, offset, .. }) = inst.map(|i| self.f.dfg.insts[i]) {
            let mem = self.address(arg, offset.into())?;
            return self.splat_memory(ty, mem);
        }
        let lane = ty.lane_type();
        let x = self.reg(a)?;
        match lane {
            types::F32 => return Some(self.vector(Op::Broadcastss, ty, &[x.into()])),
            types::F64 if ty.bytes() <= 16 => return Some(self.vector(Op::Movddup, ty, &[x.into()])),
            types::F64 => return Some(self.vector(Op::Broadcastsd, ty, &[x.into()])),
            _ => {}
        }
        if self.is_avx512() {
            let op = row(ty, [Op::PbroadcastbInt, Op::PbroadcastwInt, Op::PbroadcastdInt, Op::PbroadcastqInt]);
            return Some(self.vector(op, ty, &[x.into()]));
        }
        let (mov, held) = if lane == types::I64 { (Op::MovqToVec, types::F64) } else { (Op::MovdToVec, types::F32) };
        let x = self.vector(mov, held, &[x.into()]);
        let op = row(ty, [Op::Pbroadcastb, Op::Pbroadcastw, Op::Pbroadcastd, Op::Pbroadcastq]);
        Some(self.vector(op, ty, &[x.into()]))
    }

    fn splat_memory(&mut self, ty: Type, mem: Mem) -> Option<Reg> {
        let op = match ty.lane_type() {
            types::I8 => Op::Pbroadcastb,
            types::I16 => Op::Pbroadcastw,
            types::I32 => Op::Pbroadcastd,
            types::I64 => Op::Pbroadcastq,
            types::F32 => Op::Broadcastss,
            types::F64 if ty.bytes() > 16 => Op::Broadcastsd,
            types::F64 => Op::Pbroadcastq,
            _ => return None,
        };
        Some(self.vector(op, ty, &[mem.into()]))
    }

    /// The 16 bytes of a vector that a lane lies in, and which of their lanes it is.
    fn part_of(&mut self, ty: Type, x: Reg, lane: u8) -> (Reg, u8) {
        let lanes = (128 / ty.lane_bits()) as u8;
        let part = i64::from(lane / lanes);
        if part == 0 {
            return (x, lane);
        }
        let x = self.make(Op::Extractf128, size(ty), (Class::Vec, 16), &[x.into(), Operand::Imm(part)]);
        (x, lane % lanes)
    }

    pub fn extract_lane(&mut self, v: Value, lane: u8) -> Option<Reg> {
        let ty = self.ty(v);
        let x = self.reg(v)?;
        let (x, lane) = self.part_of(ty, x, lane);
        let at = Operand::Imm(i64::from(lane));
        Some(match (ty.lane_type(), lane) {
            (types::F32 | types::F64, 0) => x,
            (types::F32, _) => self.make(Op::PermilpsImm, Size::B16, (Class::Vec, 4), &[x.into(), at]),
            (types::F64, _) => self.make(Op::PermilpdImm, Size::B16, (Class::Vec, 8), &[x.into(), at]),
            (types::I32, 0) => self.int(Op::MovdToInt, Size::Scalar, &[x.into()]),
            (types::I64, 0) => self.int(Op::MovqToInt, Size::Scalar, &[x.into()]),
            (types::I8, _) => self.int(Op::Pextrb, Size::Scalar, &[x.into(), at]),
            (types::I16, _) => self.int(Op::Pextrw, Size::Scalar, &[x.into(), at]),
            (types::I32, _) => self.int(Op::Pextrd, Size::Scalar, &[x.into(), at]),
            (types::I64, _) => self.int(Op::Pextrq, Size::Scalar, &[x.into(), at]),
            _ => return None,
        })
    }

    pub fn insert_lane(&mut self, [v, one]: [Value; 2], lane: u8) -> Option<Reg> {
        let ty = self.ty(v);
        let all = self.reg(v)?;
        let one = self.splat(ty, one)?;
        if self.is_avx512() {
            let bit = self.int(Op::Mov, Size::B8, &[Operand::Imm(1i64 << lane)]);
            let mask = self.mask(Op::KmovqFromInt, ty, &[bit.into()]);
            return Some(self.blend(ty, mask, one, all));
        }
        let op = match ty.lane_bits() {
            32 => Op::Blendps,
            64 => Op::Blendpd,
            _ => return None,
        };
        Some(self.vector(op, ty, &[all.into(), one.into(), Operand::Imm(1 << lane)]))
    }

    /// The second half of a vector's lanes.
    pub fn high_half(&mut self, v: Value) -> Option<Reg> {
        let ty = self.ty(v);
        let x = self.reg(v)?;
        Some(match ty.bytes() {
            64 => self.make(Op::Extractf256, Size::B64, (Class::Vec, 32), &[x.into(), Operand::Imm(1)]),
            32 => self.make(Op::Extractf128, Size::B32, (Class::Vec, 16), &[x.into(), Operand::Imm(1)]),
            16 => self.make(Op::Movhlps, Size::B16, (Class::Vec, 16), &[x.into(), x.into()]),
            _ => return None,
        })
    }

    /// A mask of the first `n` lanes.
    pub fn first(&mut self, ty: Type, n: Value) -> Option<Reg> {
        let lanes = ty.lane_count();
        let constant = folds::constant(self.f, n).map(|n| n.clamp(0, i64::from(lanes)));
        if self.is_avx512() {
            let bits = match constant {
                Some(64) => self.int(Op::Mov, Size::B8, &[Operand::Imm(-1)]),
                Some(n) => self.int(Op::Mov, Size::B8, &[Operand::Imm((1i64 << n) - 1)]),
                None => {
                    let all = self.int(Op::Mov, Size::B8, &[Operand::Imm(-1)]);
                    let n = self.reg(n)?;
                    self.int(Op::Bzhi, Size::B8, &[all.into(), n.into()])
                }
            };
            return Some(self.mask(Op::KmovqFromInt, ty, &[bits.into()]));
        }
        let bytes = (ty.lane_bits() / 8) as usize;
        let lane = |value: &dyn Fn(i64) -> i64| -> Vec<u8> {
            (0..i64::from(lanes)).flat_map(|i| value(i).to_le_bytes()[..bytes].to_vec()).collect()
        };
        if let Some(n) = constant {
            let mask = lane(&|i| if i < n { -1 } else { 0 });
            let mask = self.out.pool.add(&mask);
            return self.load(ty, mask);
        }
        let numbers = lane(&|i| i);
        let numbers = self.out.pool.add(&numbers);
        let n = self.reg(n)?;
        let n = self.vector(Op::MovqToVec, types::F64, &[n.into()]);
        let n =
            self.vector(row(ty, [Op::Pbroadcastb, Op::Pbroadcastw, Op::Pbroadcastd, Op::Pbroadcastq]), ty, &[n.into()]);
        let op = row(ty, [Op::Pcmpgtb, Op::Pcmpgtw, Op::Pcmpgtd, Op::Pcmpgtq]);
        Some(self.vector(op, ty, &[n.into(), numbers.into()]))
    }

    pub fn load_masked(&mut self, ty: Type, mask: Value, pointer: Value) -> Option<Reg> {
        if self.is_avx512() {
            let op = match ty.lane_bits() {
                8 => Op::Movdqu8,
                16 => Op::Movdqu16,
                32 => Op::Movups,
                _ => Op::Movupd,
            };
            let mask = self.mask_reg(mask)?;
            let mem = self.address(pointer, 0)?;
            let result = self.out.register(Class::Vec, ty.bytes());
            self.push(Inst::new(op, size(ty), [result.into(), mem.into()]).zeroing(mask));
            return Some(result);
        }
        let op = match ty.lane_bits() {
            32 => Op::MaskmovpsLoad,
            64 => Op::MaskmovpdLoad,
            _ => return None,
        };
        let mask = self.reg(mask)?;
        let mem = self.address(pointer, 0)?;
        Some(self.vector(op, ty, &[mask.into(), mem.into()]))
    }

    pub fn prefetch(&mut self, op: Op, pointer: Value) -> Option<()> {
        let mem = self.address(pointer, 0)?;
        self.push(Inst::new(op, Size::Scalar, [mem.into()]));
        Some(())
    }

    pub fn store_masked(&mut self, mask: Value, pointer: Value, value: Value) -> Option<()> {
        let ty = self.ty(value);
        let value = self.reg(value)?;
        if self.is_avx512() {
            let op = match ty.lane_bits() {
                8 => Op::Movdqu8Store,
                16 => Op::Movdqu16Store,
                32 => Op::MovupsStore,
                _ => Op::MovupdStore,
            };
            let mask = self.mask_reg(mask)?;
            let mem = self.address(pointer, 0)?;
            self.push(Inst::new(op, size(ty), [mem.into(), value.into()]).masked(mask));
            return Some(());
        }
        let op = match ty.lane_bits() {
            32 => Op::MaskmovpsStore,
            64 => Op::MaskmovpdStore,
            _ => return None,
        };
        let mask = self.reg(mask)?;
        let mem = self.address(pointer, 0)?;
        self.push(Inst::new(op, size(ty), [mem.into(), mask.into(), value.into()]));
        Some(())
    }
}
