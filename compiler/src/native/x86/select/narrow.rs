//! Elements of one and two bytes in lanes of four: loads that widen, stores that narrow.

use cranelift_codegen::ir::{Type, Value};

use super::{
    super::inst::{Class, Inst, Mem, Op, Operand, Reg, Size},
    Select, size,
};
use crate::native::intrinsic::Intrinsic;

impl Select<'_> {
    /// The lanes at a pointer, which may come after a mask.
    pub fn load_narrow(&mut self, intrinsic: Intrinsic, ty: Type, args: &[Value]) -> Option<Reg> {
        let op = match intrinsic {
            Intrinsic::LoadU8 => Op::Pmovzxbd,
            Intrinsic::LoadI8 => Op::Pmovsxbd,
            Intrinsic::LoadU16 => Op::Pmovzxwd,
            Intrinsic::LoadI16 => Op::Pmovsxwd,
            Intrinsic::LoadF16 => Op::Cvtph2ps,
            _ => return None,
        };
        let (mask, pointer) = self.mask_and_pointer(args)?;
        let result = self.out.register(Class::Vec, ty.bytes());
        let load = Inst::new(op, size(ty), [result.into(), pointer.into()]);
        self.push(match mask {
            Some(mask) => load.zeroing(mask),
            None => load,
        });
        Some(result)
    }

    /// Stores lanes, the last operand, at a pointer.
    pub fn store_narrow(&mut self, intrinsic: Intrinsic, args: &[Value]) -> Option<()> {
        let (&value, place) = args.split_last()?;
        let ty = self.ty(value);
        let lanes = self.reg(value)?;
        let (mask, pointer) = self.mask_and_pointer(place)?;
        let store = match intrinsic {
            Intrinsic::StoreF16 => Inst::new(Op::Cvtps2ph, size(ty), [pointer.into(), lanes.into(), Operand::Imm(0)]),
            Intrinsic::Store8 if self.is_avx512() => Inst::new(Op::Pmovdb, size(ty), [pointer.into(), lanes.into()]),
            Intrinsic::Store16 if self.is_avx512() => Inst::new(Op::Pmovdw, size(ty), [pointer.into(), lanes.into()]),
            Intrinsic::Store8 => {
                let pairs = self.packed(Op::Packssdw, lanes);
                // As bytes of either sign: all that is kept is their low bits.
                let bits = self.every_lane(Op::Pandd, ty, &0x00ff_00ffu32.to_le_bytes());
                let pairs = self.make(Op::Pandd, Size::B32, (Class::Vec, 32), &[pairs.into(), bits]);
                let bytes = self.packed(Op::Packuswb, pairs);
                let (low, high) = self.halves(bytes);
                let all = self.make(Op::Punpckldq, Size::B16, (Class::Vec, 16), &[low.into(), high.into()]);
                Inst::new(Op::MovqStore, Size::B16, [pointer.into(), all.into()])
            }
            Intrinsic::Store16 => {
                // Both signs fit after the upper half is cleared.
                let bits = self.every_lane(Op::Pandd, ty, &0xffffu32.to_le_bytes());
                let words = self.make(Op::Pandd, Size::B32, (Class::Vec, 32), &[lanes.into(), bits]);
                let words = self.packed(Op::Packusdw, words);
                let (low, high) = self.halves(words);
                let all = self.make(Op::Punpcklqdq, Size::B16, (Class::Vec, 16), &[low.into(), high.into()]);
                Inst::new(Op::MovupsStore, Size::B16, [pointer.into(), all.into()])
            }
            _ => return None,
        };
        if !self.is_avx512() && ty.bytes() != 32 {
            return None;
        }
        self.push(match mask {
            Some(mask) => store.masked(mask),
            None => store,
        });
        Some(())
    }

    /// f16 nearest to lanes of f32, as f32.
    pub fn round_f16(&mut self, x: Value) -> Option<Reg> {
        let ty = self.ty(x);
        let x = self.reg(x)?;
        let half =
            self.make(Op::Cvtps2ph, size(ty), (Class::Vec, (ty.bytes() / 2).max(16)), &[x.into(), Operand::Imm(0)]);
        Some(self.vector(Op::Cvtph2ps, ty, &[half.into()]))
    }

    /// AVX2 has no masks for small elements.
    fn mask_and_pointer(&mut self, args: &[Value]) -> Option<(Option<Reg>, Mem)> {
        match *args {
            [pointer] => Some((None, self.address(pointer, 0)?)),
            [mask, pointer] if self.is_avx512() => Some((Some(self.mask_reg(mask)?), self.address(pointer, 0)?)),
            _ => None,
        }
    }

    /// Elements half as wide, twice in every 16 bytes.
    fn packed(&mut self, op: Op, x: Reg) -> Reg {
        self.make(op, Size::B32, (Class::Vec, 32), &[x.into(), x.into()])
    }
    fn halves(&mut self, x: Reg) -> (Reg, Reg) {
        (x, self.make(Op::Extractf128, Size::B32, (Class::Vec, 16), &[x.into(), Operand::Imm(1)]))
    }
}
