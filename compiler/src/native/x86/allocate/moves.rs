//! Moves between places: one, or several that happen at once.

use super::{Location, rewrite::NoScratch, scratch};
use crate::native::x86::{
    function::Level,
    inst::{Class, Inst, Mem, Op, Reg, Size},
};

/// A value's move, with the bytes that it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub to: Location,
    pub from: Location,
    pub class: Class,
    pub bytes: u32,
}

/// Into a register from another one.
pub fn copy(to: Reg, from: Reg, bytes: u32) -> Inst {
    match to.class() {
        Class::Int => Inst::new(Op::Mov, Size::B8, [to.into(), from.into()]),
        Class::Vec => Inst::new(Op::Movaps, Size::vector(bytes), [to.into(), from.into()]),
        Class::Mask => Inst::new(Op::Kmovq, Size::Scalar, [to.into(), from.into()]),
    }
}

/// Into a register from a slot.
pub fn load(to: Reg, slot: i32, bytes: u32) -> Inst {
    let slot = Mem::new(Reg::RSP, slot).into();
    match to.class() {
        Class::Int => Inst::new(Op::Mov, Size::B8, [to.into(), slot]),
        Class::Vec => Inst::new(Op::Movups, Size::vector(bytes), [to.into(), slot]),
        Class::Mask => Inst::new(Op::Kmovq, Size::Scalar, [to.into(), slot]),
    }
}

/// Into a slot from a register.
pub fn store(slot: i32, from: Reg, bytes: u32) -> Inst {
    let slot = Mem::new(Reg::RSP, slot).into();
    match from.class() {
        Class::Int => Inst::new(Op::MovStore, Size::B8, [slot, from.into()]),
        Class::Vec => Inst::new(Op::MovupsStore, Size::vector(bytes), [slot, from.into()]),
        Class::Mask => Inst::new(Op::KmovqStore, Size::Scalar, [slot, from.into()]),
    }
}

/// An instruction with another register for its result.
pub fn again(inst: &Inst, to: Reg) -> Inst {
    let mut inst = inst.clone();
    inst.operands[0] = to.into();
    inst
}

/// Moves that happen at once, one after another. `spills` counts those that touch the frame.
pub struct Parallel<'a> {
    pub level: Level,
    /// How many scratch registers are kept back for each class.
    pub kept: [usize; 3],
    pub out: &'a mut Vec<Inst>,
    pub spills: &'a mut u32,
}

impl Parallel<'_> {
    pub fn run(mut self, mut moves: Vec<Move>) -> Result<(), NoScratch> {
        moves.retain(|m| m.to != m.from);
        while !moves.is_empty() {
            let ready =
                (0..moves.len()).find(|&n| moves.iter().enumerate().all(|(k, m)| k == n || m.from != moves[n].to));
            match ready {
                Some(n) => {
                    let ready = moves.swap_remove(n);
                    self.one(&ready)?;
                }
                None => self.cut(&mut moves)?,
            }
        }
        Ok(())
    }

    /// Every place to move to is still moved from: takes one such value elsewhere.
    fn cut(&mut self, moves: &mut Vec<Move>) -> Result<(), NoScratch> {
        let Move { to, from, class, bytes } = moves[0].clone();
        if let (Location::Reg(a), Location::Reg(b), 0..2) = (&to, &from, self.kept[class as usize]) {
            // Without any other register, the two change places: three times xor.
            let (a, b) = (*a, *b);
            for [x, y, z] in [[a, a, b], [b, a, b], [a, a, b]] {
                let (op, size) = match class {
                    Class::Vec => (Op::Pxord, Size::vector(self.swap_bytes(moves, bytes))),
                    _ => (Op::Kxorq, Size::Scalar),
                };
                self.out.push(Inst::new(op, size, [x.into(), y.into(), z.into()]));
            }
            for m in moves.iter_mut() {
                if m.from == to {
                    m.from = from.clone();
                } else if m.from == from {
                    m.from = to.clone();
                }
            }
            moves.retain(|m| m.to != m.from);
            return Ok(());
        }
        if self.kept[class as usize] < 2 {
            return Err(NoScratch(class));
        }
        let temporary = scratch(self.level, class)[1];
        let bytes = moves.iter().filter(|m| m.from == to).map(|m| m.bytes).max().unwrap_or(bytes);
        self.one(&Move { to: Location::Reg(temporary), from: to.clone(), class, bytes })?;
        for m in moves.iter_mut().filter(|m| m.from == to) {
            m.from = Location::Reg(temporary);
        }
        Ok(())
    }

    /// The most bytes that any of the values has.
    fn swap_bytes(&self, moves: &[Move], least: u32) -> u32 {
        moves.iter().filter(|m| m.class == Class::Vec).map(|m| m.bytes).max().unwrap_or(least)
    }

    fn one(&mut self, m: &Move) -> Result<(), NoScratch> {
        let through = scratch(self.level, m.class)[0];
        match (&m.to, &m.from) {
            (Location::Slot(_), Location::Slot(_) | Location::Again(_)) if self.kept[m.class as usize] == 0 => {
                return Err(NoScratch(m.class));
            }
            (Location::Reg(to), Location::Reg(from)) => self.out.push(copy(*to, *from, m.bytes)),
            (Location::Reg(to), Location::Slot(from)) => {
                *self.spills += 1;
                self.out.push(load(*to, *from, m.bytes));
            }
            (Location::Reg(to), Location::Again(inst)) => self.out.push(again(inst, *to)),
            (Location::Slot(to), Location::Reg(from)) => {
                *self.spills += 1;
                self.out.push(store(*to, *from, m.bytes));
            }
            (Location::Slot(to), Location::Slot(from)) => {
                *self.spills += 2;
                self.out.push(load(through, *from, m.bytes));
                self.out.push(store(*to, through, m.bytes));
            }
            (Location::Slot(to), Location::Again(inst)) => {
                *self.spills += 1;
                self.out.push(again(inst, through));
                self.out.push(store(*to, through, m.bytes));
            }
            (Location::Again(_), _) => panic!("a constant is not moved to"),
        }
        Ok(())
    }
}
