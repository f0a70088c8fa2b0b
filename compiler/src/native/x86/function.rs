//! A function of machine instructions: what selection makes, what allocation rewrites and what is encoded.
//!
//! Over virtual registers it is in static single assignment form: a virtual register is defined once, by an instruction
//! or as a parameter of a block, and an edge gives its target's parameters their values. Blocks lie in the order of the
//! arena, the entry first. After allocation all registers are physical, blocks have no parameters and edges no
//! arguments.

use std::{collections::HashMap, fmt};

use super::inst::{Class, Cond, Inst, Mem, Reg};
use crate::base::{Arena, Id};

pub type BlockId = Id<Block>;

/// The instructions that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// x86-64-v3: AVX2, FMA, BMI2; 16 vector registers of 32 bytes.
    Avx2,
    /// x86-64-v4: AVX-512 F, BW, CD, DQ and VL; 32 vector registers of 64 bytes, masks.
    Avx512,
}

/// Who saves which registers, and where arguments arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    SystemV,
    Windows,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub level: Level,
    pub convention: Convention,
    pub blocks: Arena<Block>,
    /// For each class, the bytes that a value in the n-th virtual register has.
    pub registers: [Vec<u8>; 3],
    pub pool: Pool,
}

#[derive(Clone, Debug)]
pub struct Block {
    /// The entry's are the function's parameters, all of class [`Class::Int`].
    pub params: Vec<Reg>,
    pub insts: Vec<Inst>,
    pub end: End,
    /// The number of loops around the block.
    pub depth: u32,
    /// Runs rarely, if ever: weighs nothing in allocation.
    pub cold: bool,
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Jump(Edge),
    /// By the flags that the block's last instruction to set them left.
    Branch(Test, Edge, Edge),
    /// From the function. What restores the frame is no part of the program.
    Return,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    pub target: BlockId,
    /// For the target's parameters.
    pub args: Vec<Reg>,
}

/// Whether a branch is taken: comparing floats may need two conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    If(Cond),
    Both(Cond, Cond),
    Either(Cond, Cond),
}

impl Test {
    pub fn not(self) -> Test {
        match self {
            Test::If(c) => Test::If(c.not()),
            Test::Both(a, b) => Test::Either(a.not(), b.not()),
            Test::Either(a, b) => Test::Both(a.not(), b.not()),
        }
    }
}

impl End {
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        let (a, b) = match self {
            End::Jump(edge) => (Some(edge), None),
            End::Branch(_, yes, no) => (Some(yes), Some(no)),
            End::Return => (None, None),
        };
        a.into_iter().chain(b)
    }
    pub fn edges_mut(&mut self) -> impl Iterator<Item = &mut Edge> {
        let (a, b) = match self {
            End::Jump(edge) => (Some(edge), None),
            End::Branch(_, yes, no) => (Some(yes), Some(no)),
            End::Return => (None, None),
        };
        a.into_iter().chain(b)
    }
}

/// Constants that lie behind the code, each once.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    entries: Vec<Vec<u8>>,
    known: HashMap<Vec<u8>, u32>,
}

impl Pool {
    /// The place of a constant of 1 to 64 bytes, a power of two.
    pub fn add(&mut self, bytes: &[u8]) -> Mem {
        debug_assert!(bytes.len().is_power_of_two() && bytes.len() <= 64);
        if let Some(&n) = self.known.get(bytes) {
            return Mem::pool(n);
        }
        let n = self.entries.len() as u32;
        self.entries.push(bytes.to_vec());
        self.known.insert(bytes.to_vec(), n);
        Mem::pool(n)
    }
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }
}

impl Function {
    pub fn new(level: Level, convention: Convention) -> Function {
        Function { level, convention, blocks: Arena::default(), registers: Default::default(), pool: Pool::default() }
    }
    /// A new virtual register for values of so many bytes (8 for integers and masks; 4, 8, 16, 32 or 64 for vectors).
    pub fn register(&mut self, class: Class, bytes: u32) -> Reg {
        let all = &mut self.registers[class as usize];
        all.push(bytes as u8);
        Reg::virt(class, all.len() as u32 - 1)
    }
    /// The bytes that a value in a virtual register has.
    pub fn bytes(&self, r: Reg) -> u32 {
        u32::from(self.registers[r.class() as usize][r.number() as usize])
    }
    /// A new block at the end, which returns until its end is set.
    pub fn block(&mut self, depth: u32) -> BlockId {
        self.blocks.push(Block { params: vec![], insts: vec![], end: End::Return, depth, cold: false })
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.target.index())?;
        if self.args.is_empty() { Ok(()) } else { write!(f, "{:?}", self.args) }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, block) in self.blocks.iter() {
            write!(f, "b{}", id.index())?;
            if !block.params.is_empty() {
                write!(f, "{:?}", block.params)?;
            }
            writeln!(f, ": depth {}{}", block.depth, if block.cold { ", cold" } else { "" })?;
            for inst in &block.insts {
                writeln!(f, "    {inst}")?;
            }
            match &block.end {
                End::Jump(to) => writeln!(f, "    jmp {to}")?,
                End::Branch(test, yes, no) => writeln!(f, "    if {test:?} {yes} else {no}")?,
                End::Return => writeln!(f, "    return")?,
            }
        }
        Ok(())
    }
}
