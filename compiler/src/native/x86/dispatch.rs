//! Which CPU level a call runs on: the one function of an object that asks the processor what it is.
//!
//! `uint64_t NAME_cpu(uint64_t wanted)` returns the number of the level to run (see [`crate::native::Level::number`]): the best that the
//! processor has when `wanted` is 0, or else `wanted`, or 0 when the object does not hold it or the processor does not
//! have it. CPUID takes microseconds where it traps, as in virtual machines, so the answer is kept in a cell of the
//! object, 0 until it is known. Any number of threads may find it out at once: all store the same value.
//!
//! The levels are those of the x86-64 psABI, and what the operating system does not save the processor does not have
//! (XGETBV). macOS saves AVX-512 state only for those who use it, so that level is not found there.
//!
//! The function is written over physical registers. Both calling conventions let a function change the ones that it uses, but
//! for rbx: CPUID writes that, so it is kept in another one meanwhile. No unwinder sees this, since nothing here can fail and
//! nothing is called.

use cranelift_codegen::binemit::Reloc;

use super::{
    convention, encode,
    function::{self, Convention, Edge, End, Function, Test},
    inst::{Cond, Inst, Mem, Op, Operand, Reg, Size},
    listing,
};
use crate::native::{Code, Fixup, Symbol, Target, Unwind};

/// CPUID leaf 1, ECX: SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT.
const V2_ECX: u32 = 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23;
/// CPUID leaf 1, ECX: FMA, MOVBE, OSXSAVE, AVX, F16C.
const V3_ECX: u32 = 1 << 12 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29;
/// CPUID leaf 7, EBX: BMI1, AVX2, BMI2.
const V3_EBX: u32 = 1 << 3 | 1 << 5 | 1 << 8;
/// CPUID leaf 7, EBX: AVX512F, AVX512DQ, AVX512CD, AVX512BW, AVX512VL.
const V4_EBX: u32 = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31;
/// CPUID leaf 0x80000001, ECX: LAHF in long mode, LZCNT.
const LAHF: u32 = 1;
const LZCNT: u32 = 1 << 5;
/// XCR0: the registers that the operating system saves: xmm and ymm; masks and zmm.
const YMM: u32 = 0b110;
const ZMM: u32 = 0b1110_0000;

const RCX: Reg = Reg::int(1);
const RBX: Reg = Reg::int(3);
const RDI: Reg = Reg::int(7);
/// The level that is wanted.
const WANTED: Reg = Reg::int(8);
/// The caller's rbx.
const KEPT: Reg = Reg::int(9);
/// What two questions are asked of.
const SEEN: Reg = Reg::int(10);
/// The best level so far.
const BEST: Reg = Reg::int(11);

/// The function for an object with the levels of `target`.
pub fn choose(target: &Target) -> Code {
    let lowest = target.lowest();
    let levels: Vec<u32> = target.levels.iter().map(|level| level.number).collect();
    let encoded = encoded(&function_of(convention(lowest), &levels), lowest.listings);
    let cell = |&at: &u32| Fixup { offset: at, kind: Reloc::X86PCRel4, symbol: Symbol::Cpu, addend: -4 };
    Code {
        fixups: encoded.cells.iter().map(cell).collect(),
        listing: lowest.listings.then(|| listing(String::new(), &encoded)),
        bytes: encoded.bytes,
        align: u64::from(encoded.align),
        unwind: Some(Unwind::Still),
        stack_bytes: 8,
        declined: None,
    }
}

fn encoded(function: &Function, listing: bool) -> encode::Encoded {
    encode::function(function, &[Inst::new(Op::Ret, Size::Scalar, [])], listing)
}

/// A function under construction: the block that is being written.
struct Write {
    f: Function,
    at: function::BlockId,
}

impl Write {
    fn op(&mut self, op: Op, size: Size, operands: &[Operand]) {
        let inst = Inst { op, size, operands: operands.to_vec(), masking: None };
        assert_eq!(inst.mismatch(), None, "{inst}");
        self.f.blocks[self.at].insts.push(inst);
    }
    fn set(&mut self, r: Reg, value: impl Into<Operand>) {
        self.op(Op::Mov, Size::B4, &[r.into(), value.into()]);
    }
    /// The answer of CPUID for a leaf and the first of its parts.
    fn ask(&mut self, leaf: u32) {
        self.set(Reg::RAX, i64::from(leaf));
        self.set(RCX, 0);
        self.op(Op::Cpuid, Size::Scalar, &[]);
    }
    /// Goes to `other` unless all of these bits are set; changes the register.
    fn need(&mut self, r: Reg, bits: u32, other: function::BlockId) {
        self.op(Op::And, Size::B4, &[r.into(), r.into(), i64::from(bits).into()]);
        self.op(Op::Cmp, Size::B4, &[r.into(), i64::from(bits).into()]);
        self.unless(Cond::E, other);
    }
    /// Goes to `other` unless the condition holds, and goes on in a new block.
    fn unless(&mut self, cond: Cond, other: function::BlockId) {
        let next = self.block();
        self.f.blocks[self.at].end = End::Branch(Test::If(cond), edge(next), edge(other));
        self.at = next;
    }
    fn end(&mut self, end: End) {
        self.f.blocks[self.at].end = end;
    }
    /// No loop, whoever jumps there from behind.
    fn block(&mut self) -> function::BlockId {
        let block = self.f.block(0);
        self.f.blocks[block].cold = true;
        block
    }
}

fn edge(target: function::BlockId) -> Edge {
    Edge { target, args: vec![] }
}

/// The function of an object with these levels.
fn function_of(convention: Convention, levels: &[u32]) -> Function {
    let mut w = Write { f: Function::new(function::Level::Avx2, convention), at: crate::base::Id::new(0) };
    let [_, found, keep, refuse] = [(); 4].map(|()| w.block());
    let wanted = if convention == Convention::Windows { RCX } else { RDI };
    w.op(Op::Mov, Size::B8, &[WANTED.into(), wanted.into()]);
    w.set(Reg::RAX, Mem::cell());
    w.op(Op::Test, Size::B4, &[Reg::RAX.into(), Reg::RAX.into()]);
    let find = w.block();
    w.end(End::Branch(Test::If(Cond::Ne), edge(found), edge(find)));

    w.at = find;
    find_out(&mut w, keep);
    w.end(End::Jump(edge(keep)));
    w.at = keep;
    w.op(Op::Mov, Size::B8, &[RBX.into(), KEPT.into()]);
    w.set(Reg::RAX, BEST);
    w.op(Op::MovStore, Size::B4, &[Mem::cell().into(), Reg::RAX.into()]);
    w.end(End::Jump(edge(found)));

    w.at = found;
    answer(&mut w, levels, refuse);
    w.at = refuse;
    w.set(Reg::RAX, 0);
    w.f
}

/// Answers with the best level, in rax, or with the wanted one where it is one of these and no better.
fn answer(w: &mut Write, levels: &[u32], refuse: function::BlockId) {
    let (best, own) = (w.block(), w.block());
    w.op(Op::Test, Size::B8, &[WANTED.into(), WANTED.into()]);
    w.unless(Cond::Ne, best);
    w.op(Op::Cmp, Size::B8, &[WANTED.into(), Reg::RAX.into()]);
    w.unless(Cond::Be, refuse);
    for &level in levels {
        w.op(Op::Cmp, Size::B8, &[WANTED.into(), i64::from(level).into()]);
        w.unless(Cond::Ne, own);
    }
    w.end(End::Jump(edge(refuse)));
    w.at = own;
    w.op(Op::Mov, Size::B8, &[Reg::RAX.into(), WANTED.into()]);
}

/// Counts the levels that the processor has, and goes to `keep` at the first that it has not.
fn find_out(w: &mut Write, keep: function::BlockId) {
    let better = |w: &mut Write| w.op(Op::Add, Size::B4, &[BEST.into(), BEST.into(), 1.into()]);
    let has = |w: &mut Write, bits: u32| {
        w.op(Op::Test, Size::B4, &[SEEN.into(), i64::from(bits).into()]);
        w.unless(Cond::Ne, keep);
    };
    w.op(Op::Mov, Size::B8, &[KEPT.into(), RBX.into()]);
    w.set(BEST, 1);
    // Every x86-64 processor has this leaf: long mode is a bit of it.
    w.ask(0x8000_0001);
    w.set(SEEN, RCX);
    w.ask(1);
    w.set(Reg::RAX, RCX);
    w.need(Reg::RAX, V2_ECX, keep);
    has(w, LAHF);
    better(w);
    has(w, LZCNT);
    w.need(RCX, V3_ECX, keep);
    // OSXSAVE is among those bits: XGETBV exists.
    w.set(RCX, 0);
    w.op(Op::Xgetbv, Size::Scalar, &[]);
    w.set(SEEN, Reg::RAX);
    w.need(Reg::RAX, YMM, keep);
    // Beyond its last leaf a processor may answer with that of another.
    w.ask(0);
    w.op(Op::Cmp, Size::B4, &[Reg::RAX.into(), 7.into()]);
    w.unless(Cond::Ae, keep);
    w.ask(7);
    w.set(Reg::RAX, RBX);
    w.need(Reg::RAX, V3_EBX, keep);
    better(w);
    w.need(SEEN, ZMM, keep);
    w.need(RBX, V4_EBX, keep);
    better(w);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a processor says of itself.
    #[derive(Clone, Copy)]
    struct Processor {
        last_leaf: u32,
        ecx: u32,
        ebx: u32,
        extended: u32,
        saved: u32,
    }

    const BEST_THERE_IS: Processor =
        Processor { last_leaf: 13, ecx: u32::MAX, ebx: u32::MAX, extended: u32::MAX, saved: u32::MAX };

    /// Runs the function: the answer, and what the cell holds then. rbx must be as it was.
    fn run(f: &Function, processor: Processor, wanted: u64, mut cell: u64) -> (u64, u64) {
        let mut r = [0xdead_0000_0000_u64; 16];
        r[RDI.number() as usize] = wanted;
        let rbx = r[RBX.number() as usize];
        let (mut at, mut flags) = (crate::base::Id::new(0), (false, false));
        loop {
            let block = &f.blocks[at];
            for inst in &block.insts {
                let mask = if inst.size == Size::B8 { u64::MAX } else { u64::from(u32::MAX) };
                let value = |o: &Operand| match o {
                    Operand::Reg(x) => r[x.number() as usize] & mask,
                    Operand::Imm(n) => *n as u64 & mask,
                    Operand::Mem(_) => cell,
                    other => panic!("{other:?}"),
                };
                let last = inst.operands.last().map(&value);
                let first = inst.operands.first().map(&value);
                let both = || (first.unwrap(), last.unwrap());
                let mut set = |value: u64| match inst.operands[0] {
                    Operand::Reg(x) => r[x.number() as usize] = value & mask,
                    _ => cell = value & mask,
                };
                match inst.op {
                    Op::Mov | Op::MovStore => set(last.unwrap()),
                    Op::Add => set(both().0 + both().1),
                    Op::And => set(both().0 & both().1),
                    Op::Cmp => flags = (both().0 == both().1, both().0 < both().1),
                    Op::Test => flags = (both().0 & both().1 == 0, false),
                    Op::Xgetbv => r[0] = processor.saved.into(),
                    Op::Cpuid => {
                        let leaf = r[0] as u32;
                        r[..4].fill(0);
                        match leaf {
                            0 => r[0] = processor.last_leaf.into(),
                            1 => r[1] = processor.ecx.into(),
                            7 if processor.last_leaf >= 7 => r[3] = processor.ebx.into(),
                            0x8000_0001 => r[1] = processor.extended.into(),
                            _ => r[..4].fill(u64::from(u32::MAX)),
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            at = match &block.end {
                End::Return => break,
                End::Jump(to) => to.target,
                End::Branch(Test::If(cond), yes, no) => {
                    let (equal, below) = flags;
                    let holds = match cond {
                        Cond::E => equal,
                        Cond::Ne => !equal,
                        Cond::Ae => !below,
                        Cond::Be => below || equal,
                        other => panic!("{other:?}"),
                    };
                    if holds { yes.target } else { no.target }
                }
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(r[RBX.number() as usize], rbx);
        (r[0], cell)
    }

    #[test]
    fn a_level_is_what_all_of_its_bits_say() {
        let f = function_of(Convention::SystemV, &[1, 3, 4]);
        let best = |p: Processor| run(&f, p, 0, 0).0;
        assert_eq!(best(BEST_THERE_IS), 4);
        let bits = |mask: u32| (0..32).filter(move |n| mask >> n & 1 != 0);
        for n in bits(V2_ECX) {
            assert_eq!(best(Processor { ecx: !(1 << n), ..BEST_THERE_IS }), 1, "bit {n}");
        }
        for n in bits(V3_ECX) {
            assert_eq!(best(Processor { ecx: !(1 << n), ..BEST_THERE_IS }), 2, "bit {n}");
        }
        for n in bits(V3_EBX) {
            assert_eq!(best(Processor { ebx: !(1 << n), ..BEST_THERE_IS }), 2, "bit {n}");
        }
        for n in bits(V4_EBX) {
            assert_eq!(best(Processor { ebx: !(1 << n), ..BEST_THERE_IS }), 3, "bit {n}");
        }
        for n in 0..8 {
            let expected = if YMM >> n & 1 != 0 { 2 } else { 4 - u64::from(ZMM >> n & 1) };
            assert_eq!(best(Processor { saved: !(1 << n), ..BEST_THERE_IS }), expected, "bit {n}");
        }
        assert_eq!(best(Processor { extended: !LAHF, ..BEST_THERE_IS }), 1);
        assert_eq!(best(Processor { extended: !LZCNT, ..BEST_THERE_IS }), 2);
        assert_eq!(best(Processor { last_leaf: 6, ..BEST_THERE_IS }), 2);
    }

    #[test]
    fn what_is_wanted_is_given_where_it_is_there() {
        let f = function_of(Convention::SystemV, &[1, 3, 4]);
        let third = Processor { ebx: !V4_EBX, ..BEST_THERE_IS };
        for (wanted, answer) in [(0, 3), (1, 1), (2, 0), (3, 3), (4, 0), (5, 0), (1 << 32 | 1, 0), (u64::MAX, 0)] {
            assert_eq!(run(&f, third, wanted, 0), (answer, 3), "{wanted}");
            // Known before, nothing is asked.
            assert_eq!(run(&f, BEST_THERE_IS, wanted, 3), (answer, 3), "{wanted}");
        }
    }

    #[test]
    fn the_cell_is_read_and_written_once() {
        for convention in [Convention::SystemV, Convention::Windows] {
            let f = function_of(convention, &[1, 3, 4]);
            let encoded = encoded(&f, false);
            let mut decoder = iced_x86::Decoder::new(64, &encoded.bytes, iced_x86::DecoderOptions::NONE);
            let (mut cells, mut asked) = (vec![], vec![]);
            for instruction in &mut decoder {
                assert!(!instruction.is_invalid());
                if instruction.is_ip_rel_memory_operand() {
                    cells.push(instruction.next_ip() as u32 - 4);
                }
                if matches!(instruction.mnemonic(), iced_x86::Mnemonic::Cpuid | iced_x86::Mnemonic::Xgetbv) {
                    asked.push(instruction.mnemonic());
                }
            }
            cells.sort();
            let mut own = encoded.cells.clone();
            own.sort();
            assert_eq!((cells.len(), asked.len(), cells), (2, 5, own));
        }
    }
}
