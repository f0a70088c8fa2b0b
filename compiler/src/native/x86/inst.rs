//! Machine instructions of x86-64 with AVX2 or AVX-512, over virtual registers before allocation and physical ones
//! after it.
//!
//! An [`Inst`] is a row of the table in [`super::rows`] with its operands in Intel's order: the result first, then what
//! it is made of. Where the machine overwrites a source ("tied"), that source is an operand of its own, so a selected
//! program assigns every virtual register once; the allocator makes the two one register. Nothing here knows which
//! register is which: [`Inst::visit`] tells what is read and written, for every row alike.

use std::fmt;

pub use super::rows::Op;
use super::rows::{Form, Tuple};

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A 64-bit general register.
    Int,
    /// A vector register of up to 64 bytes; floats are its first lane.
    Vec,
    /// A mask of up to 64 lanes (AVX-512).
    Mask,
}

/// A register: physical, by the machine's number, or virtual, by a number unique among those of its class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u32);

const VIRTUAL: u32 = 1 << 29;

impl Reg {
    pub const RAX: Reg = Reg(0);
    pub const RDX: Reg = Reg(2);
    pub const RSP: Reg = Reg(4);
    pub const RBP: Reg = Reg(5);
}

impl Reg {
    pub const fn int(number: u8) -> Reg {
        Reg(number as u32)
    }
    pub fn physical(class: Class, number: u8) -> Reg {
        Reg((class as u32) << 30 | u32::from(number))
    }
    pub fn virt(class: Class, number: u32) -> Reg {
        debug_assert!(number < VIRTUAL);
        Reg((class as u32) << 30 | VIRTUAL | number)
    }
    pub fn class(self) -> Class {
        match self.0 >> 30 {
            0 => Class::Int,
            1 => Class::Vec,
            _ => Class::Mask,
        }
    }
    pub fn is_virtual(self) -> bool {
        self.0 & VIRTUAL != 0
    }
    pub fn number(self) -> u32 {
        self.0 & (VIRTUAL - 1)
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Named(*self, Size::B64.for_class(self.class())))
    }
}

/// How much of its registers an instruction works on: bytes of a general register, or of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    B1,
    B2,
    B4,
    B8,
    /// The first lane, whose type the row has; also for rows that have no size.
    Scalar,
    B16,
    B32,
    B64,
}

impl Size {
    pub fn bytes(self) -> u32 {
        match self {
            Size::B1 => 1,
            Size::B2 => 2,
            Size::B4 => 4,
            Size::B8 => 8,
            Size::Scalar | Size::B16 => 16,
            Size::B32 => 32,
            Size::B64 => 64,
        }
    }
    /// The vector of so many bytes; the smallest one is that of 16.
    pub fn vector(bytes: u32) -> Size {
        match bytes {
            0..=16 => Size::B16,
            17..=32 => Size::B32,
            _ => Size::B64,
        }
    }
    /// The integer of 1, 2, 4 or 8 bytes.
    pub fn int(bytes: u32) -> Size {
        match bytes {
            1 => Size::B1,
            2 => Size::B2,
            3..=4 => Size::B4,
            _ => Size::B8,
        }
    }
    fn for_class(self, class: Class) -> Size {
        if class == Class::Int { Size::B8 } else { self }
    }
}

/// What an address starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    Reg(Reg),
    /// A constant of the function's [`super::function::Pool`]; takes no index.
    Pool(u32),
    /// The cell of the object in which the processor's level is kept; takes no index.
    Cell,
}

/// `base + index * 2^scale + disp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mem {
    pub base: Base,
    pub index: Option<(Reg, u8)>,
    pub disp: i32,
}

impl Mem {
    pub fn new(base: Reg, disp: i32) -> Mem {
        Mem { base: Base::Reg(base), index: None, disp }
    }
    pub fn indexed(base: Reg, index: Reg, scale: u8, disp: i32) -> Mem {
        Mem { base: Base::Reg(base), index: Some((index, scale)), disp }
    }
    pub fn pool(entry: u32) -> Mem {
        Mem { base: Base::Pool(entry), index: None, disp: 0 }
    }
    pub fn cell() -> Mem {
        Mem { base: Base::Cell, index: None, disp: 0 }
    }
    pub fn registers(&self) -> impl Iterator<Item = Reg> {
        let base = if let Base::Reg(r) = self.base { Some(r) } else { None };
        base.into_iter().chain(self.index.map(|(r, _)| r))
    }
}

/// A condition of the flags, in the machine's numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[rustfmt::skip]
pub enum Cond { O, No, B, Ae, E, Ne, Be, A, S, Ns, P, Np, L, Ge, Le, G }

impl Cond {
    pub const ALL: [Cond; 16] = {
        use Cond::*;
        [O, No, B, Ae, E, Ne, Be, A, S, Ns, P, Np, L, Ge, Le, G]
    };
    /// The condition that holds exactly when this one does not.
    pub fn not(self) -> Cond {
        Cond::ALL[self as usize ^ 1]
    }
    fn suffix(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    Reg(Reg),
    Mem(Mem),
    /// One element of memory in every lane (AVX-512, rows with a `Full` or `Half` tuple).
    Splat(Mem),
    Imm(i64),
    Cond(Cond),
}

impl From<Reg> for Operand {
    fn from(r: Reg) -> Operand {
        Operand::Reg(r)
    }
}
impl From<Mem> for Operand {
    fn from(m: Mem) -> Operand {
        Operand::Mem(m)
    }
}
impl From<i64> for Operand {
    fn from(n: i64) -> Operand {
        Operand::Imm(n)
    }
}
impl From<Cond> for Operand {
    fn from(c: Cond) -> Operand {
        Operand::Cond(c)
    }
}

/// What becomes of the lanes that a mask leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Masking {
    /// They become zero.
    Zero(Reg),
    /// They keep the second register's values, which is tied to the result.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests have such so far"))]
    Merge(Reg, Reg),
    /// As the row has it: stores leave memory alone, comparisons give 0, blends take the first source.
    Where(Reg),
}

impl Masking {
    pub fn mask(self) -> Reg {
        match self {
            Masking::Zero(k) | Masking::Merge(k, _) | Masking::Where(k) => k,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Use,
    Def,
}

/// A machine instruction. The row's form says which operands it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inst {
    pub op: Op,
    pub size: Size,
    pub operands: Vec<Operand>,
    pub masking: Option<Masking>,
}

impl Inst {
    pub fn new<const N: usize>(op: Op, size: Size, operands: [Operand; N]) -> Inst {
        let inst = Inst { op, size, operands: operands.to_vec(), masking: None };
        debug_assert_eq!(inst.mismatch(), None, "{inst}");
        inst
    }
    /// Under a mask whose other lanes become zero.
    pub fn zeroing(mut self, k: Reg) -> Inst {
        self.masking = Some(Masking::Zero(k));
        self
    }
    /// Under a mask whose other lanes are those of `old`. Not for rows that overwrite a source anyway.
    #[cfg(test)]
    pub fn merging(mut self, k: Reg, old: Reg) -> Inst {
        debug_assert!(self.op.row().form.ties().is_empty());
        self.masking = Some(Masking::Merge(k, old));
        self
    }
    /// Under a mask whose meaning the row has: a store, a comparison or a blend.
    pub fn masked(mut self, k: Reg) -> Inst {
        self.masking = Some(Masking::Where(k));
        self
    }

    /// The operands, one of which (an index into `operands`) has to be in the result's register.
    pub fn ties(&self) -> &'static [usize] {
        self.op.row().form.ties()
    }

    /// The register that is written, if one is.
    pub fn def(&self) -> Option<Reg> {
        match self.operands.first() {
            Some(Operand::Reg(r)) if self.op.row().form.defines() => Some(*r),
            _ => None,
        }
    }

    /// Every register that is read or written, sources before the result.
    pub fn visit(&self, mut f: impl FnMut(Reg, Access)) {
        let defines = self.op.row().form.defines();
        for (n, operand) in self.operands.iter().enumerate() {
            match operand {
                Operand::Reg(r) if n > 0 || !defines => f(*r, Access::Use),
                Operand::Mem(m) | Operand::Splat(m) => m.registers().for_each(|r| f(r, Access::Use)),
                _ => {}
            }
        }
        if let Some(masking) = self.masking {
            f(masking.mask(), Access::Use);
            if let Masking::Merge(_, old) = masking {
                f(old, Access::Use);
            }
        }
        if let Some(r) = self.def() {
            f(r, Access::Def);
        }
    }

    /// Replaces every register.
    pub fn map(&mut self, mut f: impl FnMut(Reg, Access) -> Reg) {
        let defines = self.op.row().form.defines();
        for (n, operand) in self.operands.iter_mut().enumerate() {
            match operand {
                Operand::Reg(r) => *r = f(*r, if n == 0 && defines { Access::Def } else { Access::Use }),
                Operand::Mem(m) | Operand::Splat(m) => {
                    if let Base::Reg(r) = &mut m.base {
                        *r = f(*r, Access::Use);
                    }
                    if let Some((r, _)) = &mut m.index {
                        *r = f(*r, Access::Use);
                    }
                }
                Operand::Imm(_) | Operand::Cond(_) => {}
            }
        }
        match &mut self.masking {
            None => {}
            Some(Masking::Zero(k) | Masking::Where(k)) => *k = f(*k, Access::Use),
            Some(Masking::Merge(k, old)) => {
                *k = f(*k, Access::Use);
                *old = f(*old, Access::Use);
            }
        }
    }

    /// The bytes that a memory operand has.
    pub fn memory_bytes(&self) -> u32 {
        let row = self.op.row();
        match row.tuple {
            Tuple::Full(_) | Tuple::Part(1) => self.size.bytes(),
            Tuple::Half(_) => self.size.bytes() / 2,
            Tuple::Part(n) => self.size.bytes() / u32::from(n),
            Tuple::Fixed(n) => u32::from(n),
            Tuple::Own => match row.operands.as_bytes()[row.form.memory().first().copied().unwrap_or(0)] {
                b'b' => 1,
                b'w' => 2,
                b'd' => 4,
                b'g' => 8,
                _ => self.size.bytes(),
            },
            Tuple::None => 0,
        }
    }

    /// What is wrong with the operands, if anything is.
    pub fn mismatch(&self) -> Option<&'static str> {
        let row = self.op.row();
        if row.operands.len() != self.operands.len() {
            return Some("the number of operands");
        }
        let mut memories = 0;
        for (n, (kind, operand)) in row.operands.bytes().zip(&self.operands).enumerate() {
            let fits = match operand {
                Operand::Reg(r) => kind_class(kind) == Some(r.class()),
                Operand::Mem(_) => kind == b'm' || row.form.memory().contains(&n) && row.tuple != Tuple::None,
                Operand::Splat(_) => {
                    row.form.memory().contains(&n) && matches!(row.tuple, Tuple::Full(_) | Tuple::Half(_))
                }
                Operand::Imm(_) => kind == b'n' || row.form.immediate() == Some(n),
                Operand::Cond(_) => kind == b'c',
            };
            memories += usize::from(matches!(operand, Operand::Mem(_) | Operand::Splat(_)));
            if !fits {
                return Some("the kind of an operand");
            }
        }
        if memories > 1 && !matches!(row.form, Form::Divide(_)) {
            return Some("more than one memory operand");
        }
        let int = self.size < Size::Scalar;
        let right_size = match row.operands {
            operands if operands.contains('i') => int,
            operands if operands.contains('v') => !int && self.op.vector_sizes().contains(&self.size.bytes()),
            _ => !int,
        };
        (!right_size).then_some("the size")
    }
}

/// The class of the register that a letter of [`super::rows::Row::operands`] stands for.
pub(super) fn kind_class(kind: u8) -> Option<Class> {
    match kind {
        b'v' | b'h' | b'f' | b'e' | b'x' | b'y' => Some(Class::Vec),
        b'k' => Some(Class::Mask),
        b'i' | b'b' | b'w' | b'd' | b'g' => Some(Class::Int),
        _ => None,
    }
}

/// The part of a register that an operand names.
pub(super) fn kind_size(kind: u8, size: Size) -> Size {
    match kind {
        b'h' => Size::vector(size.bytes() / 2),
        b'f' | b'e' | b'x' => Size::B16,
        b'y' => Size::B32,
        b'b' => Size::B1,
        b'w' => Size::B2,
        b'd' => Size::B4,
        b'g' => Size::B8,
        _ => size,
    }
}

/// A register under the name of its part.
pub(super) struct Named(pub Reg, pub Size);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OLD: [&str; 8] = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
        let Named(r, size) = self;
        let n = r.number();
        match (r.class(), size) {
            (class, _) if r.is_virtual() => write!(f, "%{}{n}", ["i", "v", "k"][class as usize]),
            (Class::Mask, _) => write!(f, "k{n}"),
            (Class::Vec, Size::B64) => write!(f, "zmm{n}"),
            (Class::Vec, Size::B32) => write!(f, "ymm{n}"),
            (Class::Vec, _) => write!(f, "xmm{n}"),
            (Class::Int, size) => {
                let old = OLD.get(n as usize);
                match (size, old) {
                    (Size::B1, Some(old)) if n < 4 => write!(f, "{}l", &old[..1]),
                    (Size::B1, Some(old)) => write!(f, "{old}l"),
                    (Size::B2, Some(old)) => write!(f, "{old}"),
                    (Size::B4, Some(old)) => write!(f, "e{old}"),
                    (_, Some(old)) => write!(f, "r{old}"),
                    (Size::B1, None) => write!(f, "r{n}b"),
                    (Size::B2, None) => write!(f, "r{n}w"),
                    (Size::B4, None) => write!(f, "r{n}d"),
                    (_, None) => write!(f, "r{n}"),
                }
            }
        }
    }
}

impl fmt::Display for Mem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base {
            Base::Reg(r) => write!(f, "[{r:?}")?,
            Base::Pool(n) => write!(f, "[pool{n}")?,
            Base::Cell => write!(f, "[cell")?,
        }
        if let Some((r, scale)) = self.index {
            write!(f, "+{r:?}*{}", 1 << scale)?;
        }
        match self.disp {
            0 => write!(f, "]"),
            d if d < 0 => write!(f, "-{:#x}]", i64::from(d).abs()),
            d => write!(f, "+{d:#x}]"),
        }
    }
}

impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.op.row();
        let (mnemonic, shown) = self.spelling();
        f.write_str(&mnemonic)?;
        for operand in &self.operands {
            if let Operand::Cond(c) = operand {
                // A conditional move that overwrites what it would have moved has the opposite condition.
                let opposite = row.form == Form::Cmov && !shown.contains(&2);
                f.write_str(&if opposite { c.not() } else { *c }.suffix())?;
            }
        }
        let mut between = " ";
        for (place, &n) in shown.iter().enumerate() {
            let kind = row.operands.as_bytes()[n];
            match &self.operands[n] {
                Operand::Cond(_) => continue,
                Operand::Reg(r) => write!(f, "{between}{}", Named(*r, kind_size(kind, self.size)))?,
                Operand::Mem(m) => write!(f, "{between}{m}")?,
                Operand::Splat(m) => write!(f, "{between}{m}{{1toN}}")?,
                Operand::Imm(i) => write!(f, "{between}{i}")?,
            }
            between = ", ";
            match self.masking {
                Some(masking) if place == 0 => {
                    write!(f, " {{{:?}}}", masking.mask())?;
                    match masking {
                        Masking::Zero(_) => f.write_str("{z}")?,
                        Masking::Merge(_, old) if old.is_virtual() => write!(f, "({old:?})")?,
                        Masking::Merge(..) | Masking::Where(_) => {}
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Inst {
    /// The mnemonic and the operands that an assembler would take. While results and the operands that they overwrite
    /// are in different registers, all operands.
    fn spelling(&self) -> (String, Vec<usize>) {
        let row = self.op.row();
        let o = &self.operands;
        let mnemonic = row.mnemonic.split('/').next().unwrap_or_default();
        let all: Vec<usize> = (0..o.len()).collect();
        let tied = self.ties().iter().find(|&&n| o[n] == o[0]);
        let (Some(&tied), false) = (tied, matches!(o.first(), Some(Operand::Reg(r)) if r.is_virtual())) else {
            return (mnemonic.into(), all);
        };
        if row.form != Form::Fma {
            return (mnemonic.into(), all.into_iter().filter(|n| *n != tied).collect());
        }
        // The memory operand comes last; what it is says which form this is.
        let is_memory = |n: usize| matches!(o[n], Operand::Mem(_) | Operand::Splat(_));
        let (form, middle, last) = match tied {
            1 if is_memory(2) => ("231", 3, 2),
            1 => ("231", 2, 3),
            factor if is_memory(1) => ("213", 5 - factor, 1),
            factor => ("132", 1, 5 - factor),
        };
        (mnemonic.replace("231", form), vec![0, middle, last])
    }
}
