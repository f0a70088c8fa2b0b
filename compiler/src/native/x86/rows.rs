//! The instructions there are: one row for each, which says all that encoding, allocation and printing need to know.
//!
//! Columns: name, mnemonic (with the EVEX form's behind a slash where the two differ), form, operands, mandatory prefix,
//! opcode map, opcode, W, the encodings there are, and what a memory operand is (which decides the scale of EVEX's
//! one-byte displacements).
//!
//! The operands' letters: `v` a vector of the instruction's size, `h` `f` `e` a half, fourth, eighth of it, `x` `y` 16
//! and 32 bytes (`x` also for one lane), `k` a mask, `i` an integer of the instruction's size, `b` `w` `d` `g` one of 1,
//! 2, 4, 8 bytes, `m` memory only, `n` an immediate, `c` a condition.

/// How operands are laid out, and what is done with them. `r` is the ModRM byte's register, `v` the prefix's, `m` the
/// ModRM byte's register or memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// r = f(m) [, immediate].
    Rm,
    /// r = f(v, m) [, immediate].
    Rvm,
    /// r = f(m, v): the shifts of general registers.
    Rmv,
    /// r = f(v, m, register in the immediate).
    Rvmr,
    /// m = f(r) [, immediate]: stores, and what writes a part of a register elsewhere.
    Mr,
    /// m = f(r, v): a store under a vector of masks; operands are memory, mask, value.
    Mvr,
    /// v = f(m, immediate), with an opcode digit.
    Vmi(u8),
    /// r = r + v * m, or another sign of these; operands are result, accumulator, factor, factor. Which operand is
    /// overwritten decides the opcode, of which the row has that of the 231 form.
    Fma,
    /// r = f(r, v, m) [, immediate]: operand 1 is overwritten.
    Arvm,
    /// Flags, or nothing, from r and m.
    Flags,
    /// r = a constant, made of the register itself.
    Same,
    /// Integers: r = f(r, m or immediate), the digit's operation; the flag says whether operands may change places.
    Alu(u8, bool),
    /// Flags of the digit's operation on r and m, or m and r, or an immediate.
    AluFlags(u8),
    /// r = m or immediate.
    Mov,
    /// memory = r or immediate.
    MovStore,
    /// r = r * m.
    Imul,
    /// m = f(m), with an opcode digit: operand 1 is overwritten.
    Unary(u8),
    /// m = f(m, immediate), with an opcode digit: operand 1 is overwritten.
    Shift(u8),
    /// Only an address, with an opcode digit.
    Address(u8),
    Lea,
    Setcc,
    /// r = the condition ? m : r; operands are result, otherwise, then, condition.
    Cmov,
    /// result = f(a, b) by way of rax and rdx, with an opcode digit; `Op` says which of the two is the result.
    Divide(u8),
    /// The register is part of the opcode.
    Push,
    Pop,
    Nothing,
}

impl Form {
    /// Whether operand 0 is written when it is a register.
    pub fn defines(self) -> bool {
        !matches!(
            self,
            Form::Flags
                | Form::AluFlags(_)
                | Form::MovStore
                | Form::Mvr
                | Form::Address(_)
                | Form::Push
                | Form::Nothing
        )
    }
    /// The operands of which one must be in the result's register.
    pub fn ties(self) -> &'static [usize] {
        match self {
            Form::Arvm | Form::Unary(_) | Form::Shift(_) | Form::Alu(_, false) => &[1],
            Form::Alu(_, true) | Form::Imul | Form::Cmov => &[1, 2],
            Form::Fma => &[1, 2, 3],
            _ => &[],
        }
    }
    /// The operands of which one may be memory.
    pub fn memory(self) -> &'static [usize] {
        match self {
            Form::Rm | Form::Rmv | Form::Vmi(_) | Form::Flags | Form::Mov | Form::Lea => &[1],
            Form::Rvm | Form::Rvmr | Form::Alu(..) | Form::Imul | Form::Cmov => &[2],
            Form::Mr | Form::Mvr | Form::MovStore | Form::Address(_) | Form::Setcc => &[0],
            Form::Arvm => &[3],
            Form::Fma => &[3, 2, 1],
            Form::AluFlags(_) => &[0, 1],
            Form::Divide(_) => &[2, 1, 0],
            Form::Same | Form::Unary(_) | Form::Shift(_) | Form::Push | Form::Pop | Form::Nothing => &[],
        }
    }
    /// The register operand that may be an immediate instead.
    pub fn immediate(self) -> Option<usize> {
        match self {
            Form::Alu(..) => Some(2),
            Form::AluFlags(_) | Form::Mov | Form::MovStore => Some(1),
            _ => None,
        }
    }
}

/// The mandatory prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    NP,
    P66,
    PF3,
    PF2,
}

/// The opcode map: one byte, 0F, 0F38, 0F3A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    One,
    M0F,
    M38,
    M3A,
}

/// The W bit of VEX and EVEX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum W {
    /// 0, or ignored.
    W0,
    W1,
    /// 0 or ignored in VEX, 1 in EVEX.
    W01,
    /// Set for an integer of 8 bytes.
    Int,
}

/// The encodings there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encodings {
    /// Without VEX, for general registers.
    Old,
    Vex,
    /// VEX with L set, whatever the size.
    VexL1,
    Evex,
    Both,
}

/// What a memory operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuple {
    /// There is none.
    None,
    /// A vector, or one element of so many bytes in every lane.
    Full(u8),
    /// Half a vector, or one element.
    Half(u8),
    /// The n-th part of a vector.
    Part(u8),
    /// So many bytes.
    Fixed(u8),
    /// As the operand's letter says.
    Own,
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub mnemonic: &'static str,
    pub form: Form,
    pub operands: &'static str,
    pub prefix: Prefix,
    pub map: Map,
    pub opcode: u8,
    pub w: W,
    pub encodings: Encodings,
    pub tuple: Tuple,
}

macro_rules! rows {
    ($($(#[$doc:meta])* $op:ident $mnemonic:literal $form:ident $(($($digit:literal),*))? $operands:literal $prefix:ident $map:ident
       $opcode:literal $w:ident $encodings:ident $tuple:ident $(($bytes:literal))?;)*) => {
        /// A row's name.
        #[allow(dead_code, reason = "the table has instructions that nothing selects yet")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Op { $($(#[$doc])* $op),* }

        const ROWS: &[Row] = &[$(Row {
            mnemonic: $mnemonic,
            form: Form::$form $(($($digit),*))?,
            operands: $operands,
            prefix: Prefix::$prefix,
            map: Map::$map,
            opcode: $opcode,
            w: W::$w,
            encodings: Encodings::$encodings,
            tuple: Tuple::$tuple $(($bytes))?,
        }),*];

        impl Op {
            #[cfg(test)]
            pub const ALL: &'static [Op] = &[$(Op::$op),*];
        }
    };
}

impl Op {
    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The sizes of vectors that there are, in bytes: those whose parts an instruction names or permutes have least
    /// sizes, and those without an EVEX form end at 32 bytes.
    pub fn vector_sizes(self) -> std::ops::RangeInclusive<u32> {
        use Op::*;
        let least = match self {
            Insertf256 | Extractf256 | Broadcastf256 => 64,
            Broadcastsd | Broadcastf128 | Insertf128 | Inserti128 | Extractf128 | Extracti128 | Perm2f128 | Permps
            | Permd | PermpdImm | PermqImm | Permpd | Permq | Shuff32x4 | Shuff64x2 => 32,
            _ => 16,
        };
        let most = if matches!(self.row().encodings, Encodings::Vex | Encodings::VexL1) { 32 } else { 64 };
        least..=most
    }
}

rows! {
    // Moves of whole vectors. Masked moves have the lanes of their element.
    Movaps "vmovaps" Rm "vv" NP M0F 0x28 W0 Both Part(1);
    Movups "vmovups" Rm "vv" NP M0F 0x10 W0 Both Part(1);
    MovupsStore "vmovups" Mr "mv" NP M0F 0x11 W0 Both Part(1);
    Movupd "vmovupd" Rm "vv" P66 M0F 0x10 W01 Both Part(1);
    MovupdStore "vmovupd" Mr "mv" P66 M0F 0x11 W01 Both Part(1);
    Movntps "vmovntps" Mr "mv" NP M0F 0x2b W0 Both Part(1);
    Movdqu8 "vmovdqu8" Rm "vv" PF2 M0F 0x6f W0 Evex Part(1);
    Movdqu16 "vmovdqu16" Rm "vv" PF2 M0F 0x6f W1 Evex Part(1);
    Movdqu32 "vmovdqu/vmovdqu32" Rm "vv" PF3 M0F 0x6f W0 Both Part(1);
    Movdqu64 "vmovdqu/vmovdqu64" Rm "vv" PF3 M0F 0x6f W01 Both Part(1);
    Movdqu8Store "vmovdqu8" Mr "mv" PF2 M0F 0x7f W0 Evex Part(1);
    Movdqu16Store "vmovdqu16" Mr "mv" PF2 M0F 0x7f W1 Evex Part(1);
    Movdqu32Store "vmovdqu/vmovdqu32" Mr "mv" PF3 M0F 0x7f W0 Both Part(1);
    Movdqu64Store "vmovdqu/vmovdqu64" Mr "mv" PF3 M0F 0x7f W01 Both Part(1);
    // Moves of one lane; a load clears the others.
    MovssLoad "vmovss" Rm "xm" PF3 M0F 0x10 W0 Both Fixed(4);
    MovsdLoad "vmovsd" Rm "xm" PF2 M0F 0x10 W01 Both Fixed(8);
    MovssStore "vmovss" Mr "mx" PF3 M0F 0x11 W0 Both Fixed(4);
    MovsdStore "vmovsd" Mr "mx" PF2 M0F 0x11 W01 Both Fixed(8);
    /// The first lane of the last operand, the others of the one before.
    Movss "vmovss" Rvm "xxx" PF3 M0F 0x10 W0 Both None;
    Movsd "vmovsd" Rvm "xxx" PF2 M0F 0x10 W01 Both None;
    MovdToVec "vmovd" Rm "xd" P66 M0F 0x6e W0 Both Fixed(4);
    MovqToVec "vmovq" Rm "xg" P66 M0F 0x6e W1 Both Fixed(8);
    MovdToInt "vmovd" Mr "dx" P66 M0F 0x7e W0 Both Fixed(4);
    MovqToInt "vmovq" Mr "gx" P66 M0F 0x7e W1 Both Fixed(8);
    MovqLoad "vmovq" Rm "xx" PF3 M0F 0x7e W01 Both Fixed(8);
    MovqStore "vmovq" Mr "mx" P66 M0F 0xd6 W01 Both Fixed(8);
    Movlhps "vmovlhps" Rvm "xxx" NP M0F 0x16 W0 Both None;
    Movhlps "vmovhlps" Rvm "xxx" NP M0F 0x12 W0 Both None;
    Movshdup "vmovshdup" Rm "vv" PF3 M0F 0x16 W0 Both Part(1);
    Movsldup "vmovsldup" Rm "vv" PF3 M0F 0x12 W0 Both Part(1);
    // Stores and loads under a vector of masks (the top bit of a lane), without AVX-512.
    MaskmovpsLoad "vmaskmovps" Rvm "vvm" P66 M38 0x2c W0 Vex Part(1);
    MaskmovpdLoad "vmaskmovpd" Rvm "vvm" P66 M38 0x2d W0 Vex Part(1);
    MaskmovpsStore "vmaskmovps" Mvr "mvv" P66 M38 0x2e W0 Vex Part(1);
    MaskmovpdStore "vmaskmovpd" Mvr "mvv" P66 M38 0x2f W0 Vex Part(1);
    // One element in every lane.
    Broadcastss "vbroadcastss" Rm "vx" P66 M38 0x18 W0 Both Fixed(4);
    /// At least 32 bytes; Movddup is that of 16.
    Broadcastsd "vbroadcastsd" Rm "vx" P66 M38 0x19 W01 Both Fixed(8);
    /// Every other lane twice.
    Movddup "vmovddup" Rm "vv" PF2 M0F 0x12 W01 Both None;
    Pbroadcastb "vpbroadcastb" Rm "vx" P66 M38 0x78 W0 Both Fixed(1);
    Pbroadcastw "vpbroadcastw" Rm "vx" P66 M38 0x79 W0 Both Fixed(2);
    Pbroadcastd "vpbroadcastd" Rm "vx" P66 M38 0x58 W0 Both Fixed(4);
    Pbroadcastq "vpbroadcastq" Rm "vx" P66 M38 0x59 W01 Both Fixed(8);
    PbroadcastbInt "vpbroadcastb" Rm "vd" P66 M38 0x7a W0 Evex None;
    PbroadcastwInt "vpbroadcastw" Rm "vd" P66 M38 0x7b W0 Evex None;
    PbroadcastdInt "vpbroadcastd" Rm "vd" P66 M38 0x7c W0 Evex None;
    PbroadcastqInt "vpbroadcastq" Rm "vg" P66 M38 0x7c W1 Evex None;
    Broadcastf128 "vbroadcastf128/vbroadcastf32x4" Rm "vm" P66 M38 0x1a W0 Both Fixed(16);
    Broadcastf256 "vbroadcastf32x8" Rm "vm" P66 M38 0x1b W0 Evex Fixed(32);
    // Constants of the register itself.
    /// All bits 0, also those beyond the size.
    Zero "vpxor/vpxord" Same "x" P66 M0F 0xef W0 Both None;
    /// All bits 1, without AVX-512.
    Ones "vpcmpeqd" Same "v" P66 M0F 0x76 W0 Vex None;
    // Float arithmetic.
    Addps "vaddps" Rvm "vvv" NP M0F 0x58 W0 Both Full(4);
    Addpd "vaddpd" Rvm "vvv" P66 M0F 0x58 W01 Both Full(8);
    Addss "vaddss" Rvm "xxx" PF3 M0F 0x58 W0 Both Fixed(4);
    Addsd "vaddsd" Rvm "xxx" PF2 M0F 0x58 W01 Both Fixed(8);
    Subps "vsubps" Rvm "vvv" NP M0F 0x5c W0 Both Full(4);
    Subpd "vsubpd" Rvm "vvv" P66 M0F 0x5c W01 Both Full(8);
    Subss "vsubss" Rvm "xxx" PF3 M0F 0x5c W0 Both Fixed(4);
    Subsd "vsubsd" Rvm "xxx" PF2 M0F 0x5c W01 Both Fixed(8);
    Mulps "vmulps" Rvm "vvv" NP M0F 0x59 W0 Both Full(4);
    Mulpd "vmulpd" Rvm "vvv" P66 M0F 0x59 W01 Both Full(8);
    Mulss "vmulss" Rvm "xxx" PF3 M0F 0x59 W0 Both Fixed(4);
    Mulsd "vmulsd" Rvm "xxx" PF2 M0F 0x59 W01 Both Fixed(8);
    Divps "vdivps" Rvm "vvv" NP M0F 0x5e W0 Both Full(4);
    Divpd "vdivpd" Rvm "vvv" P66 M0F 0x5e W01 Both Full(8);
    Divss "vdivss" Rvm "xxx" PF3 M0F 0x5e W0 Both Fixed(4);
    Divsd "vdivsd" Rvm "xxx" PF2 M0F 0x5e W01 Both Fixed(8);
    /// The last operand when either is NaN or both are zero; so does max.
    Minps "vminps" Rvm "vvv" NP M0F 0x5d W0 Both Full(4);
    Minpd "vminpd" Rvm "vvv" P66 M0F 0x5d W01 Both Full(8);
    Minss "vminss" Rvm "xxx" PF3 M0F 0x5d W0 Both Fixed(4);
    Minsd "vminsd" Rvm "xxx" PF2 M0F 0x5d W01 Both Fixed(8);
    Maxps "vmaxps" Rvm "vvv" NP M0F 0x5f W0 Both Full(4);
    Maxpd "vmaxpd" Rvm "vvv" P66 M0F 0x5f W01 Both Full(8);
    Maxss "vmaxss" Rvm "xxx" PF3 M0F 0x5f W0 Both Fixed(4);
    Maxsd "vmaxsd" Rvm "xxx" PF2 M0F 0x5f W01 Both Fixed(8);
    Sqrtps "vsqrtps" Rm "vv" NP M0F 0x51 W0 Both Full(4);
    Sqrtpd "vsqrtpd" Rm "vv" P66 M0F 0x51 W01 Both Full(8);
    Sqrtss "vsqrtss" Rvm "xxx" PF3 M0F 0x51 W0 Both Fixed(4);
    Sqrtsd "vsqrtsd" Rvm "xxx" PF2 M0F 0x51 W01 Both Fixed(8);
    // acc + x * y, x * y - acc, acc - x * y, -acc - x * y.
    Fmaddps "vfmadd231ps" Fma "vvvv" P66 M38 0xb8 W0 Both Full(4);
    Fmaddpd "vfmadd231pd" Fma "vvvv" P66 M38 0xb8 W1 Both Full(8);
    Fmaddss "vfmadd231ss" Fma "xxxx" P66 M38 0xb9 W0 Both Fixed(4);
    Fmaddsd "vfmadd231sd" Fma "xxxx" P66 M38 0xb9 W1 Both Fixed(8);
    Fmsubps "vfmsub231ps" Fma "vvvv" P66 M38 0xba W0 Both Full(4);
    Fmsubpd "vfmsub231pd" Fma "vvvv" P66 M38 0xba W1 Both Full(8);
    Fmsubss "vfmsub231ss" Fma "xxxx" P66 M38 0xbb W0 Both Fixed(4);
    Fmsubsd "vfmsub231sd" Fma "xxxx" P66 M38 0xbb W1 Both Fixed(8);
    Fnmaddps "vfnmadd231ps" Fma "vvvv" P66 M38 0xbc W0 Both Full(4);
    Fnmaddpd "vfnmadd231pd" Fma "vvvv" P66 M38 0xbc W1 Both Full(8);
    Fnmaddss "vfnmadd231ss" Fma "xxxx" P66 M38 0xbd W0 Both Fixed(4);
    Fnmaddsd "vfnmadd231sd" Fma "xxxx" P66 M38 0xbd W1 Both Fixed(8);
    Fnmsubps "vfnmsub231ps" Fma "vvvv" P66 M38 0xbe W0 Both Full(4);
    Fnmsubpd "vfnmsub231pd" Fma "vvvv" P66 M38 0xbe W1 Both Full(8);
    Fnmsubss "vfnmsub231ss" Fma "xxxx" P66 M38 0xbf W0 Both Fixed(4);
    Fnmsubsd "vfnmsub231sd" Fma "xxxx" P66 M38 0xbf W1 Both Fixed(8);
    // Rounding: the immediate is 8 (quiet) + 0 nearest even, 1 down, 2 up, 3 toward zero.
    Roundps "vroundps/vrndscaleps" Rm "vvn" P66 M3A 0x08 W0 Both Full(4);
    Roundpd "vroundpd/vrndscalepd" Rm "vvn" P66 M3A 0x09 W01 Both Full(8);
    Roundss "vroundss/vrndscaless" Rvm "xxxn" P66 M3A 0x0a W0 Both Fixed(4);
    Roundsd "vroundsd/vrndscalesd" Rvm "xxxn" P66 M3A 0x0b W01 Both Fixed(8);
    /// First operand * 2^floor(second).
    Scalefps "vscalefps" Rvm "vvv" P66 M38 0x2c W0 Evex Full(4);
    Scalefpd "vscalefpd" Rvm "vvv" P66 M38 0x2c W1 Evex Full(8);
    Scalefss "vscalefss" Rvm "xxx" P66 M38 0x2d W0 Evex Fixed(4);
    Scalefsd "vscalefsd" Rvm "xxx" P66 M38 0x2d W1 Evex Fixed(8);
    Getexpps "vgetexpps" Rm "vv" P66 M38 0x42 W0 Evex Full(4);
    Getexppd "vgetexppd" Rm "vv" P66 M38 0x42 W1 Evex Full(8);
    Getexpss "vgetexpss" Rvm "xxx" P66 M38 0x43 W0 Evex Fixed(4);
    Getexpsd "vgetexpsd" Rvm "xxx" P66 M38 0x43 W1 Evex Fixed(8);
    Getmantps "vgetmantps" Rm "vvn" P66 M3A 0x26 W0 Evex Full(4);
    Getmantpd "vgetmantpd" Rm "vvn" P66 M3A 0x26 W1 Evex Full(8);
    Getmantss "vgetmantss" Rvm "xxxn" P66 M3A 0x27 W0 Evex Fixed(4);
    Getmantsd "vgetmantsd" Rvm "xxxn" P66 M3A 0x27 W1 Evex Fixed(8);
    Rsqrt14ps "vrsqrt14ps" Rm "vv" P66 M38 0x4e W0 Evex Full(4);
    Rcp14ps "vrcp14ps" Rm "vv" P66 M38 0x4c W0 Evex Full(4);
    Rsqrtps "vrsqrtps" Rm "vv" NP M0F 0x52 W0 Vex Part(1);
    Rcpps "vrcpps" Rm "vv" NP M0F 0x53 W0 Vex Part(1);
    // Comparisons of floats: into lanes of all ones and zeros, or into a mask.
    Cmpps "vcmpps" Rvm "vvvn" NP M0F 0xc2 W0 Vex Part(1);
    Cmppd "vcmppd" Rvm "vvvn" P66 M0F 0xc2 W0 Vex Part(1);
    Cmpss "vcmpss" Rvm "xxxn" PF3 M0F 0xc2 W0 Vex Fixed(4);
    Cmpsd "vcmpsd" Rvm "xxxn" PF2 M0F 0xc2 W0 Vex Fixed(8);
    CmppsMask "vcmpps" Rvm "kvvn" NP M0F 0xc2 W0 Evex Full(4);
    CmppdMask "vcmppd" Rvm "kvvn" P66 M0F 0xc2 W1 Evex Full(8);
    CmpssMask "vcmpss" Rvm "kxxn" PF3 M0F 0xc2 W0 Evex Fixed(4);
    CmpsdMask "vcmpsd" Rvm "kxxn" PF2 M0F 0xc2 W1 Evex Fixed(8);
    Ucomiss "vucomiss" Flags "xx" NP M0F 0x2e W0 Both Fixed(4);
    Ucomisd "vucomisd" Flags "xx" P66 M0F 0x2e W01 Both Fixed(8);
    FpclasspsMask "vfpclassps" Rm "kvn" P66 M3A 0x66 W0 Evex Full(4);
    FpclasspdMask "vfpclasspd" Rm "kvn" P66 M3A 0x66 W1 Evex Full(8);
    // Choices: by the top bit of the last operand's lanes (which are bytes in the third), by a mask, by an immediate.
    // The second source where the bit is set.
    Blendvps "vblendvps" Rvmr "vvvv" P66 M3A 0x4a W0 Vex Part(1);
    Blendvpd "vblendvpd" Rvmr "vvvv" P66 M3A 0x4b W0 Vex Part(1);
    Pblendvb "vpblendvb" Rvmr "vvvv" P66 M3A 0x4c W0 Vex Part(1);
    Blendmps "vblendmps" Rvm "vvv" P66 M38 0x65 W0 Evex Full(4);
    Blendmpd "vblendmpd" Rvm "vvv" P66 M38 0x65 W1 Evex Full(8);
    Pblendmb "vpblendmb" Rvm "vvv" P66 M38 0x66 W0 Evex Part(1);
    Pblendmw "vpblendmw" Rvm "vvv" P66 M38 0x66 W1 Evex Part(1);
    Pblendmd "vpblendmd" Rvm "vvv" P66 M38 0x64 W0 Evex Full(4);
    Pblendmq "vpblendmq" Rvm "vvv" P66 M38 0x64 W1 Evex Full(8);
    Blendps "vblendps" Rvm "vvvn" P66 M3A 0x0c W0 Vex Part(1);
    Blendpd "vblendpd" Rvm "vvvn" P66 M3A 0x0d W0 Vex Part(1);
    // Bits. `andn` is not-first and second.
    Andps "vandps" Rvm "vvv" NP M0F 0x54 W0 Both Full(4);
    Andpd "vandpd" Rvm "vvv" P66 M0F 0x54 W01 Both Full(8);
    Andnps "vandnps" Rvm "vvv" NP M0F 0x55 W0 Both Full(4);
    Andnpd "vandnpd" Rvm "vvv" P66 M0F 0x55 W01 Both Full(8);
    Orps "vorps" Rvm "vvv" NP M0F 0x56 W0 Both Full(4);
    Orpd "vorpd" Rvm "vvv" P66 M0F 0x56 W01 Both Full(8);
    Xorps "vxorps" Rvm "vvv" NP M0F 0x57 W0 Both Full(4);
    Xorpd "vxorpd" Rvm "vvv" P66 M0F 0x57 W01 Both Full(8);
    Pandd "vpand/vpandd" Rvm "vvv" P66 M0F 0xdb W0 Both Full(4);
    Pandq "vpand/vpandq" Rvm "vvv" P66 M0F 0xdb W01 Both Full(8);
    Pandnd "vpandn/vpandnd" Rvm "vvv" P66 M0F 0xdf W0 Both Full(4);
    Pandnq "vpandn/vpandnq" Rvm "vvv" P66 M0F 0xdf W01 Both Full(8);
    Pord "vpor/vpord" Rvm "vvv" P66 M0F 0xeb W0 Both Full(4);
    Porq "vpor/vporq" Rvm "vvv" P66 M0F 0xeb W01 Both Full(8);
    Pxord "vpxor/vpxord" Rvm "vvv" P66 M0F 0xef W0 Both Full(4);
    Pxorq "vpxor/vpxorq" Rvm "vvv" P66 M0F 0xef W01 Both Full(8);
    /// Bit (first, second, third) of the immediate: operands 1 (overwritten), 2, 3 are bits 2, 1, 0 of the index.
    Pternlogd "vpternlogd" Arvm "vvvvn" P66 M3A 0x25 W0 Evex Full(4);
    Pternlogq "vpternlogq" Arvm "vvvvn" P66 M3A 0x25 W1 Evex Full(8);
    Ptest "vptest" Flags "vv" P66 M38 0x17 W0 Vex Part(1);
    Testps "vtestps" Flags "vv" P66 M38 0x0e W0 Vex Part(1);
    // Integer arithmetic.
    Paddb "vpaddb" Rvm "vvv" P66 M0F 0xfc W0 Both Part(1);
    Paddw "vpaddw" Rvm "vvv" P66 M0F 0xfd W0 Both Part(1);
    Paddd "vpaddd" Rvm "vvv" P66 M0F 0xfe W0 Both Full(4);
    Paddq "vpaddq" Rvm "vvv" P66 M0F 0xd4 W01 Both Full(8);
    Psubb "vpsubb" Rvm "vvv" P66 M0F 0xf8 W0 Both Part(1);
    Psubw "vpsubw" Rvm "vvv" P66 M0F 0xf9 W0 Both Part(1);
    Psubd "vpsubd" Rvm "vvv" P66 M0F 0xfa W0 Both Full(4);
    Psubq "vpsubq" Rvm "vvv" P66 M0F 0xfb W01 Both Full(8);
    Pmullw "vpmullw" Rvm "vvv" P66 M0F 0xd5 W0 Both Part(1);
    Pmulld "vpmulld" Rvm "vvv" P66 M38 0x40 W0 Both Full(4);
    Pmullq "vpmullq" Rvm "vvv" P66 M38 0x40 W1 Evex Full(8);
    Pmulhw "vpmulhw" Rvm "vvv" P66 M0F 0xe5 W0 Both Part(1);
    Pmulhuw "vpmulhuw" Rvm "vvv" P66 M0F 0xe4 W0 Both Part(1);
    /// The even lanes' products, twice as wide.
    Pmuludq "vpmuludq" Rvm "vvv" P66 M0F 0xf4 W01 Both Full(8);
    Pmuldq "vpmuldq" Rvm "vvv" P66 M38 0x28 W01 Both Full(8);
    Pmaddwd "vpmaddwd" Rvm "vvv" P66 M0F 0xf5 W0 Both Part(1);
    Pmaddubsw "vpmaddubsw" Rvm "vvv" P66 M38 0x04 W0 Both Part(1);
    Pminsb "vpminsb" Rvm "vvv" P66 M38 0x38 W0 Both Part(1);
    Pminsw "vpminsw" Rvm "vvv" P66 M0F 0xea W0 Both Part(1);
    Pminsd "vpminsd" Rvm "vvv" P66 M38 0x39 W0 Both Full(4);
    Pminsq "vpminsq" Rvm "vvv" P66 M38 0x39 W1 Evex Full(8);
    Pminub "vpminub" Rvm "vvv" P66 M0F 0xda W0 Both Part(1);
    Pminuw "vpminuw" Rvm "vvv" P66 M38 0x3a W0 Both Part(1);
    Pminud "vpminud" Rvm "vvv" P66 M38 0x3b W0 Both Full(4);
    Pminuq "vpminuq" Rvm "vvv" P66 M38 0x3b W1 Evex Full(8);
    Pmaxsb "vpmaxsb" Rvm "vvv" P66 M38 0x3c W0 Both Part(1);
    Pmaxsw "vpmaxsw" Rvm "vvv" P66 M0F 0xee W0 Both Part(1);
    Pmaxsd "vpmaxsd" Rvm "vvv" P66 M38 0x3d W0 Both Full(4);
    Pmaxsq "vpmaxsq" Rvm "vvv" P66 M38 0x3d W1 Evex Full(8);
    Pmaxub "vpmaxub" Rvm "vvv" P66 M0F 0xde W0 Both Part(1);
    Pmaxuw "vpmaxuw" Rvm "vvv" P66 M38 0x3e W0 Both Part(1);
    Pmaxud "vpmaxud" Rvm "vvv" P66 M38 0x3f W0 Both Full(4);
    Pmaxuq "vpmaxuq" Rvm "vvv" P66 M38 0x3f W1 Evex Full(8);
    Pabsb "vpabsb" Rm "vv" P66 M38 0x1c W0 Both Part(1);
    Pabsw "vpabsw" Rm "vv" P66 M38 0x1d W0 Both Part(1);
    Pabsd "vpabsd" Rm "vv" P66 M38 0x1e W0 Both Full(4);
    Pabsq "vpabsq" Rm "vv" P66 M38 0x1f W1 Evex Full(8);
    // Comparisons of integers: into lanes, or into a mask by an immediate (0 eq, 1 lt, 2 le, 4 ne, 5 ge, 6 gt).
    Pcmpeqb "vpcmpeqb" Rvm "vvv" P66 M0F 0x74 W0 Vex Part(1);
    Pcmpeqw "vpcmpeqw" Rvm "vvv" P66 M0F 0x75 W0 Vex Part(1);
    Pcmpeqd "vpcmpeqd" Rvm "vvv" P66 M0F 0x76 W0 Vex Part(1);
    Pcmpeqq "vpcmpeqq" Rvm "vvv" P66 M38 0x29 W0 Vex Part(1);
    Pcmpgtb "vpcmpgtb" Rvm "vvv" P66 M0F 0x64 W0 Vex Part(1);
    Pcmpgtw "vpcmpgtw" Rvm "vvv" P66 M0F 0x65 W0 Vex Part(1);
    Pcmpgtd "vpcmpgtd" Rvm "vvv" P66 M0F 0x66 W0 Vex Part(1);
    Pcmpgtq "vpcmpgtq" Rvm "vvv" P66 M38 0x37 W0 Vex Part(1);
    PcmpbMask "vpcmpb" Rvm "kvvn" P66 M3A 0x3f W0 Evex Part(1);
    PcmpwMask "vpcmpw" Rvm "kvvn" P66 M3A 0x3f W1 Evex Part(1);
    PcmpdMask "vpcmpd" Rvm "kvvn" P66 M3A 0x1f W0 Evex Full(4);
    PcmpqMask "vpcmpq" Rvm "kvvn" P66 M3A 0x1f W1 Evex Full(8);
    PcmpubMask "vpcmpub" Rvm "kvvn" P66 M3A 0x3e W0 Evex Part(1);
    PcmpuwMask "vpcmpuw" Rvm "kvvn" P66 M3A 0x3e W1 Evex Part(1);
    PcmpudMask "vpcmpud" Rvm "kvvn" P66 M3A 0x1e W0 Evex Full(4);
    PcmpuqMask "vpcmpuq" Rvm "kvvn" P66 M3A 0x1e W1 Evex Full(8);
    /// Whether first and second have a bit in common; `testn` whether they have none.
    PtestmbMask "vptestmb" Rvm "kvv" P66 M38 0x26 W0 Evex Part(1);
    PtestmwMask "vptestmw" Rvm "kvv" P66 M38 0x26 W1 Evex Part(1);
    PtestmdMask "vptestmd" Rvm "kvv" P66 M38 0x27 W0 Evex Full(4);
    PtestmqMask "vptestmq" Rvm "kvv" P66 M38 0x27 W1 Evex Full(8);
    PtestnmdMask "vptestnmd" Rvm "kvv" PF3 M38 0x27 W0 Evex Full(4);
    PtestnmqMask "vptestnmq" Rvm "kvv" PF3 M38 0x27 W1 Evex Full(8);
    // Shifts by an immediate, by the low 8 bytes of the last operand, by each lane of it.
    PsllwImm "vpsllw" Vmi(6) "vvn" P66 M0F 0x71 W0 Both None;
    PslldImm "vpslld" Vmi(6) "vvn" P66 M0F 0x72 W0 Both None;
    PsllqImm "vpsllq" Vmi(6) "vvn" P66 M0F 0x73 W01 Both None;
    PsrlwImm "vpsrlw" Vmi(2) "vvn" P66 M0F 0x71 W0 Both None;
    PsrldImm "vpsrld" Vmi(2) "vvn" P66 M0F 0x72 W0 Both None;
    PsrlqImm "vpsrlq" Vmi(2) "vvn" P66 M0F 0x73 W01 Both None;
    PsrawImm "vpsraw" Vmi(4) "vvn" P66 M0F 0x71 W0 Both None;
    PsradImm "vpsrad" Vmi(4) "vvn" P66 M0F 0x72 W0 Both None;
    PsraqImm "vpsraq" Vmi(4) "vvn" P66 M0F 0x72 W1 Evex None;
    ProldImm "vprold" Vmi(1) "vvn" P66 M0F 0x72 W0 Evex None;
    ProlqImm "vprolq" Vmi(1) "vvn" P66 M0F 0x72 W1 Evex None;
    /// Bytes, within each 16; never under a mask.
    PslldqImm "vpslldq" Vmi(7) "vvn" P66 M0F 0x73 W0 Both None;
    PsrldqImm "vpsrldq" Vmi(3) "vvn" P66 M0F 0x73 W0 Both None;
    Psllw "vpsllw" Rvm "vvx" P66 M0F 0xf1 W0 Both Fixed(16);
    Pslld "vpslld" Rvm "vvx" P66 M0F 0xf2 W0 Both Fixed(16);
    Psllq "vpsllq" Rvm "vvx" P66 M0F 0xf3 W01 Both Fixed(16);
    Psrlw "vpsrlw" Rvm "vvx" P66 M0F 0xd1 W0 Both Fixed(16);
    Psrld "vpsrld" Rvm "vvx" P66 M0F 0xd2 W0 Both Fixed(16);
    Psrlq "vpsrlq" Rvm "vvx" P66 M0F 0xd3 W01 Both Fixed(16);
    Psraw "vpsraw" Rvm "vvx" P66 M0F 0xe1 W0 Both Fixed(16);
    Psrad "vpsrad" Rvm "vvx" P66 M0F 0xe2 W0 Both Fixed(16);
    Psraq "vpsraq" Rvm "vvx" P66 M0F 0xe2 W1 Evex Fixed(16);
    Psllvw "vpsllvw" Rvm "vvv" P66 M38 0x12 W1 Evex Part(1);
    Psllvd "vpsllvd" Rvm "vvv" P66 M38 0x47 W0 Both Full(4);
    Psllvq "vpsllvq" Rvm "vvv" P66 M38 0x47 W1 Both Full(8);
    Psrlvw "vpsrlvw" Rvm "vvv" P66 M38 0x10 W1 Evex Part(1);
    Psrlvd "vpsrlvd" Rvm "vvv" P66 M38 0x45 W0 Both Full(4);
    Psrlvq "vpsrlvq" Rvm "vvv" P66 M38 0x45 W1 Both Full(8);
    Psravw "vpsravw" Rvm "vvv" P66 M38 0x11 W1 Evex Part(1);
    Psravd "vpsravd" Rvm "vvv" P66 M38 0x46 W0 Both Full(4);
    Psravq "vpsravq" Rvm "vvv" P66 M38 0x46 W1 Evex Full(8);
    Plzcntd "vplzcntd" Rm "vv" P66 M38 0x44 W0 Evex Full(4);
    Plzcntq "vplzcntq" Rm "vv" P66 M38 0x44 W1 Evex Full(8);
    // Conversions. `cvtt` goes toward zero; what does not fit gives the least value (all ones for unsigned).
    Cvtdq2ps "vcvtdq2ps" Rm "vv" NP M0F 0x5b W0 Both Full(4);
    Cvtps2dq "vcvtps2dq" Rm "vv" P66 M0F 0x5b W0 Both Full(4);
    Cvttps2dq "vcvttps2dq" Rm "vv" PF3 M0F 0x5b W0 Both Full(4);
    Cvtudq2ps "vcvtudq2ps" Rm "vv" PF2 M0F 0x7a W0 Evex Full(4);
    Cvttps2udq "vcvttps2udq" Rm "vv" NP M0F 0x78 W0 Evex Full(4);
    Cvtps2pd "vcvtps2pd" Rm "vh" NP M0F 0x5a W0 Both Half(4);
    Cvtpd2ps "vcvtpd2ps" Rm "hv" P66 M0F 0x5a W01 Both Full(8);
    Cvtdq2pd "vcvtdq2pd" Rm "vh" PF3 M0F 0xe6 W0 Both Half(4);
    Cvtudq2pd "vcvtudq2pd" Rm "vh" PF3 M0F 0x7a W0 Evex Half(4);
    Cvttpd2dq "vcvttpd2dq" Rm "hv" P66 M0F 0xe6 W01 Both Full(8);
    Cvttpd2udq "vcvttpd2udq" Rm "hv" NP M0F 0x78 W1 Evex Full(8);
    Cvtqq2pd "vcvtqq2pd" Rm "vv" PF3 M0F 0xe6 W1 Evex Full(8);
    Cvtuqq2pd "vcvtuqq2pd" Rm "vv" PF3 M0F 0x7a W1 Evex Full(8);
    Cvtqq2ps "vcvtqq2ps" Rm "hv" NP M0F 0x5b W1 Evex Full(8);
    Cvtuqq2ps "vcvtuqq2ps" Rm "hv" PF2 M0F 0x7a W1 Evex Full(8);
    Cvttpd2qq "vcvttpd2qq" Rm "vv" P66 M0F 0x7a W1 Evex Full(8);
    Cvttpd2uqq "vcvttpd2uqq" Rm "vv" P66 M0F 0x78 W1 Evex Full(8);
    Cvttps2qq "vcvttps2qq" Rm "vh" P66 M0F 0x7a W0 Evex Half(4);
    Cvttps2uqq "vcvttps2uqq" Rm "vh" P66 M0F 0x78 W0 Evex Half(4);
    Cvtph2ps "vcvtph2ps" Rm "vh" P66 M38 0x13 W0 Both Part(2);
    /// The immediate is the rounding: 0 nearest even.
    Cvtps2ph "vcvtps2ph" Mr "hvn" P66 M3A 0x1d W0 Both Part(2);
    // The lanes beyond the first are those of the middle operand.
    Cvtss2sd "vcvtss2sd" Rvm "xxx" PF3 M0F 0x5a W0 Both Fixed(4);
    Cvtsd2ss "vcvtsd2ss" Rvm "xxx" PF2 M0F 0x5a W01 Both Fixed(8);
    CvtsiToSs "vcvtsi2ss" Rvm "xxd" PF3 M0F 0x2a W0 Both Fixed(4);
    CvtsqToSs "vcvtsi2ss" Rvm "xxg" PF3 M0F 0x2a W1 Both Fixed(8);
    CvtsiToSd "vcvtsi2sd" Rvm "xxd" PF2 M0F 0x2a W0 Both Fixed(4);
    CvtsqToSd "vcvtsi2sd" Rvm "xxg" PF2 M0F 0x2a W1 Both Fixed(8);
    CvtusiToSs "vcvtusi2ss" Rvm "xxd" PF3 M0F 0x7b W0 Evex Fixed(4);
    CvtusqToSs "vcvtusi2ss" Rvm "xxg" PF3 M0F 0x7b W1 Evex Fixed(8);
    CvtusiToSd "vcvtusi2sd" Rvm "xxd" PF2 M0F 0x7b W0 Evex Fixed(4);
    CvtusqToSd "vcvtusi2sd" Rvm "xxg" PF2 M0F 0x7b W1 Evex Fixed(8);
    CvttssToSi "vcvttss2si" Rm "dx" PF3 M0F 0x2c W0 Both Fixed(4);
    CvttssToSq "vcvttss2si" Rm "gx" PF3 M0F 0x2c W1 Both Fixed(4);
    CvttsdToSi "vcvttsd2si" Rm "dx" PF2 M0F 0x2c W0 Both Fixed(8);
    CvttsdToSq "vcvttsd2si" Rm "gx" PF2 M0F 0x2c W1 Both Fixed(8);
    CvttssToUsi "vcvttss2usi" Rm "dx" PF3 M0F 0x78 W0 Evex Fixed(4);
    CvttssToUsq "vcvttss2usi" Rm "gx" PF3 M0F 0x78 W1 Evex Fixed(4);
    CvttsdToUsi "vcvttsd2usi" Rm "dx" PF2 M0F 0x78 W0 Evex Fixed(8);
    CvttsdToUsq "vcvttsd2usi" Rm "gx" PF2 M0F 0x78 W1 Evex Fixed(8);
    // Wider lanes, with zeros or signs.
    Pmovzxbw "vpmovzxbw" Rm "vh" P66 M38 0x30 W0 Both Part(2);
    Pmovzxbd "vpmovzxbd" Rm "vf" P66 M38 0x31 W0 Both Part(4);
    Pmovzxbq "vpmovzxbq" Rm "ve" P66 M38 0x32 W0 Both Part(8);
    Pmovzxwd "vpmovzxwd" Rm "vh" P66 M38 0x33 W0 Both Part(2);
    Pmovzxwq "vpmovzxwq" Rm "vf" P66 M38 0x34 W0 Both Part(4);
    Pmovzxdq "vpmovzxdq" Rm "vh" P66 M38 0x35 W0 Both Part(2);
    Pmovsxbw "vpmovsxbw" Rm "vh" P66 M38 0x20 W0 Both Part(2);
    Pmovsxbd "vpmovsxbd" Rm "vf" P66 M38 0x21 W0 Both Part(4);
    Pmovsxbq "vpmovsxbq" Rm "ve" P66 M38 0x22 W0 Both Part(8);
    Pmovsxwd "vpmovsxwd" Rm "vh" P66 M38 0x23 W0 Both Part(2);
    Pmovsxwq "vpmovsxwq" Rm "vf" P66 M38 0x24 W0 Both Part(4);
    Pmovsxdq "vpmovsxdq" Rm "vh" P66 M38 0x25 W0 Both Part(2);
    // Narrower lanes, by their low bits; into a register or memory.
    Pmovwb "vpmovwb" Mr "hv" PF3 M38 0x30 W0 Evex Part(2);
    Pmovdb "vpmovdb" Mr "fv" PF3 M38 0x31 W0 Evex Part(4);
    Pmovqb "vpmovqb" Mr "ev" PF3 M38 0x32 W0 Evex Part(8);
    Pmovdw "vpmovdw" Mr "hv" PF3 M38 0x33 W0 Evex Part(2);
    Pmovqw "vpmovqw" Mr "fv" PF3 M38 0x34 W0 Evex Part(4);
    Pmovqd "vpmovqd" Mr "hv" PF3 M38 0x35 W0 Evex Part(2);
    Pmovsdb "vpmovsdb" Mr "fv" PF3 M38 0x21 W0 Evex Part(4);
    Pmovusdb "vpmovusdb" Mr "fv" PF3 M38 0x11 W0 Evex Part(4);
    // Two vectors' lanes made half as wide, saturating, within each 16 bytes.
    Packssdw "vpackssdw" Rvm "vvv" P66 M0F 0x6b W0 Both Full(4);
    Packusdw "vpackusdw" Rvm "vvv" P66 M38 0x2b W0 Both Full(4);
    Packsswb "vpacksswb" Rvm "vvv" P66 M0F 0x63 W0 Both Part(1);
    Packuswb "vpackuswb" Rvm "vvv" P66 M0F 0x67 W0 Both Part(1);
    // Parts of vectors; the immediate is the part's number.
    Insertf128 "vinsertf128/vinsertf32x4" Rvm "vvxn" P66 M3A 0x18 W0 Both Fixed(16);
    Inserti128 "vinserti128/vinserti32x4" Rvm "vvxn" P66 M3A 0x38 W0 Both Fixed(16);
    Insertf256 "vinsertf64x4" Rvm "vvyn" P66 M3A 0x1a W1 Evex Fixed(32);
    Extractf128 "vextractf128/vextractf32x4" Mr "xvn" P66 M3A 0x19 W0 Both Fixed(16);
    Extracti128 "vextracti128/vextracti32x4" Mr "xvn" P66 M3A 0x39 W0 Both Fixed(16);
    Extractf256 "vextractf64x4" Mr "yvn" P66 M3A 0x1b W1 Evex Fixed(32);
    Pinsrb "vpinsrb" Rvm "xxdn" P66 M3A 0x20 W0 Both Fixed(1);
    Pinsrw "vpinsrw" Rvm "xxdn" P66 M0F 0xc4 W0 Both Fixed(2);
    Pinsrd "vpinsrd" Rvm "xxdn" P66 M3A 0x22 W0 Both Fixed(4);
    Pinsrq "vpinsrq" Rvm "xxgn" P66 M3A 0x22 W1 Both Fixed(8);
    Pextrb "vpextrb" Mr "dxn" P66 M3A 0x14 W0 Both Fixed(1);
    Pextrw "vpextrw" Mr "dxn" P66 M3A 0x15 W0 Both Fixed(2);
    Pextrd "vpextrd" Mr "dxn" P66 M3A 0x16 W0 Both Fixed(4);
    Pextrq "vpextrq" Mr "gxn" P66 M3A 0x16 W1 Both Fixed(8);
    Insertps "vinsertps" Rvm "xxxn" P66 M3A 0x21 W0 Both Fixed(4);
    // Lanes in another order, within each 16 bytes.
    Shufps "vshufps" Rvm "vvvn" NP M0F 0xc6 W0 Both Full(4);
    Shufpd "vshufpd" Rvm "vvvn" P66 M0F 0xc6 W01 Both Full(8);
    PermilpsImm "vpermilps" Rm "vvn" P66 M3A 0x04 W0 Both Full(4);
    PermilpdImm "vpermilpd" Rm "vvn" P66 M3A 0x05 W01 Both Full(8);
    Permilps "vpermilps" Rvm "vvv" P66 M38 0x0c W0 Both Full(4);
    Unpcklps "vunpcklps" Rvm "vvv" NP M0F 0x14 W0 Both Full(4);
    Unpckhps "vunpckhps" Rvm "vvv" NP M0F 0x15 W0 Both Full(4);
    Unpcklpd "vunpcklpd" Rvm "vvv" P66 M0F 0x14 W01 Both Full(8);
    Unpckhpd "vunpckhpd" Rvm "vvv" P66 M0F 0x15 W01 Both Full(8);
    Punpcklbw "vpunpcklbw" Rvm "vvv" P66 M0F 0x60 W0 Both Part(1);
    Punpcklwd "vpunpcklwd" Rvm "vvv" P66 M0F 0x61 W0 Both Part(1);
    Punpckldq "vpunpckldq" Rvm "vvv" P66 M0F 0x62 W0 Both Full(4);
    Punpcklqdq "vpunpcklqdq" Rvm "vvv" P66 M0F 0x6c W01 Both Full(8);
    Punpckhbw "vpunpckhbw" Rvm "vvv" P66 M0F 0x68 W0 Both Part(1);
    Punpckhwd "vpunpckhwd" Rvm "vvv" P66 M0F 0x69 W0 Both Part(1);
    Punpckhdq "vpunpckhdq" Rvm "vvv" P66 M0F 0x6a W0 Both Full(4);
    Punpckhqdq "vpunpckhqdq" Rvm "vvv" P66 M0F 0x6d W01 Both Full(8);
    Pshufd "vpshufd" Rm "vvn" P66 M0F 0x70 W0 Both Full(4);
    Pshufb "vpshufb" Rvm "vvv" P66 M38 0x00 W0 Both Part(1);
    Palignr "vpalignr" Rvm "vvvn" P66 M3A 0x0f W0 Both Part(1);
    // Lanes in another order, of whole vectors. The indices come before the values.
    Perm2f128 "vperm2f128" Rvm "vvvn" P66 M3A 0x06 W0 Vex Part(1);
    Permps "vpermps" Rvm "vvv" P66 M38 0x16 W0 Both Full(4);
    Permd "vpermd" Rvm "vvv" P66 M38 0x36 W0 Both Full(4);
    PermpdImm "vpermpd" Rm "vvn" P66 M3A 0x01 W1 Both Full(8);
    PermqImm "vpermq" Rm "vvn" P66 M3A 0x00 W1 Both Full(8);
    Permpd "vpermpd" Rvm "vvv" P66 M38 0x16 W1 Evex Full(8);
    Permq "vpermq" Rvm "vvv" P66 M38 0x36 W1 Evex Full(8);
    Permw "vpermw" Rvm "vvv" P66 M38 0x8d W1 Evex Part(1);
    /// Operand 1 (overwritten) and 3 are tables, 2 the indices.
    Permt2ps "vpermt2ps" Arvm "vvvv" P66 M38 0x7f W0 Evex Full(4);
    Permt2pd "vpermt2pd" Arvm "vvvv" P66 M38 0x7f W1 Evex Full(8);
    Shuff32x4 "vshuff32x4" Rvm "vvvn" P66 M3A 0x23 W0 Evex Full(4);
    Shuff64x2 "vshuff64x2" Rvm "vvvn" P66 M3A 0x23 W1 Evex Full(8);
    Alignd "valignd" Rvm "vvvn" P66 M3A 0x03 W0 Evex Full(4);
    Alignq "valignq" Rvm "vvvn" P66 M3A 0x03 W1 Evex Full(8);
    // Masks: top bits to an integer, between lanes and mask registers, and mask registers by themselves.
    Movmskps "vmovmskps" Rm "dv" NP M0F 0x50 W0 Vex None;
    Movmskpd "vmovmskpd" Rm "dv" P66 M0F 0x50 W0 Vex None;
    Pmovmskb "vpmovmskb" Rm "dv" P66 M0F 0xd7 W0 Vex None;
    Pmovm2b "vpmovm2b" Rm "vk" PF3 M38 0x28 W0 Evex None;
    Pmovm2w "vpmovm2w" Rm "vk" PF3 M38 0x28 W1 Evex None;
    Pmovm2d "vpmovm2d" Rm "vk" PF3 M38 0x38 W0 Evex None;
    Pmovm2q "vpmovm2q" Rm "vk" PF3 M38 0x38 W1 Evex None;
    Pmovb2m "vpmovb2m" Rm "kv" PF3 M38 0x29 W0 Evex None;
    Pmovw2m "vpmovw2m" Rm "kv" PF3 M38 0x29 W1 Evex None;
    Pmovd2m "vpmovd2m" Rm "kv" PF3 M38 0x39 W0 Evex None;
    Pmovq2m "vpmovq2m" Rm "kv" PF3 M38 0x39 W1 Evex None;
    Kmovb "kmovb" Rm "kk" P66 M0F 0x90 W0 Vex Fixed(1);
    Kmovw "kmovw" Rm "kk" NP M0F 0x90 W0 Vex Fixed(2);
    Kmovq "kmovq" Rm "kk" NP M0F 0x90 W1 Vex Fixed(8);
    KmovqStore "kmovq" Mr "mk" NP M0F 0x91 W1 Vex Fixed(8);
    KmovbFromInt "kmovb" Rm "kd" P66 M0F 0x92 W0 Vex None;
    KmovwFromInt "kmovw" Rm "kd" NP M0F 0x92 W0 Vex None;
    KmovdFromInt "kmovd" Rm "kd" PF2 M0F 0x92 W0 Vex None;
    KmovqFromInt "kmovq" Rm "kg" PF2 M0F 0x92 W1 Vex None;
    KmovbToInt "kmovb" Rm "dk" P66 M0F 0x93 W0 Vex None;
    KmovwToInt "kmovw" Rm "dk" NP M0F 0x93 W0 Vex None;
    KmovdToInt "kmovd" Rm "dk" PF2 M0F 0x93 W0 Vex None;
    KmovqToInt "kmovq" Rm "gk" PF2 M0F 0x93 W1 Vex None;
    Kandq "kandq" Rvm "kkk" NP M0F 0x41 W1 VexL1 None;
    Kandnq "kandnq" Rvm "kkk" NP M0F 0x42 W1 VexL1 None;
    Korq "korq" Rvm "kkk" NP M0F 0x45 W1 VexL1 None;
    Kxnorq "kxnorq" Rvm "kkk" NP M0F 0x46 W1 VexL1 None;
    Kxorq "kxorq" Rvm "kkk" NP M0F 0x47 W1 VexL1 None;
    Knotq "knotq" Rm "kk" NP M0F 0x44 W1 Vex None;
    Kandw "kandw" Rvm "kkk" NP M0F 0x41 W0 VexL1 None;
    Korw "korw" Rvm "kkk" NP M0F 0x45 W0 VexL1 None;
    Kxorw "kxorw" Rvm "kkk" NP M0F 0x47 W0 VexL1 None;
    Knotw "knotw" Rm "kk" NP M0F 0x44 W0 Vex None;
    Knotb "knotb" Rm "kk" P66 M0F 0x44 W0 Vex None;
    /// The low bits are those of the last operand, the ones from 16 (8) on those of the one before.
    Kunpckwd "kunpckwd" Rvm "kkk" NP M0F 0x4b W0 VexL1 None;
    Kunpckbw "kunpckbw" Rvm "kkk" P66 M0F 0x4b W0 VexL1 None;
    Kshiftrw "kshiftrw" Rm "kkn" P66 M3A 0x30 W1 Vex None;
    Kshiftrq "kshiftrq" Rm "kkn" P66 M3A 0x31 W1 Vex None;
    Kortestb "kortestb" Flags "kk" P66 M0F 0x98 W0 Vex None;
    Kortestw "kortestw" Flags "kk" NP M0F 0x98 W0 Vex None;
    Kortestq "kortestq" Flags "kk" NP M0F 0x98 W1 Vex None;
    // Integers. An operation on 1 or 2 bytes leaves what is beyond them as it was, one on 4 bytes clears it.
    Add "add" Alu(0, true) "iii" NP One 0x01 W0 Old Own;
    Or "or" Alu(1, true) "iii" NP One 0x09 W0 Old Own;
    And "and" Alu(4, true) "iii" NP One 0x21 W0 Old Own;
    Sub "sub" Alu(5, false) "iii" NP One 0x29 W0 Old Own;
    Xor "xor" Alu(6, true) "iii" NP One 0x31 W0 Old Own;
    Cmp "cmp" AluFlags(7) "ii" NP One 0x39 W0 Old Own;
    Test "test" AluFlags(0) "ii" NP One 0x85 W0 Old Own;
    Mov "mov" Mov "ii" NP One 0x8b W0 Old Own;
    MovStore "mov" MovStore "mi" NP One 0x89 W0 Old Own;
    MovzxB "movzx" Rm "ib" NP M0F 0xb6 W0 Old Own;
    MovzxW "movzx" Rm "iw" NP M0F 0xb7 W0 Old Own;
    MovsxB "movsx" Rm "ib" NP M0F 0xbe W0 Old Own;
    MovsxW "movsx" Rm "iw" NP M0F 0xbf W0 Old Own;
    MovsxD "movsxd" Rm "id" NP One 0x63 W0 Old Own;
    Lea "lea" Lea "im" NP One 0x8d W0 Old Own;
    /// Not of 1 byte.
    Imul "imul" Imul "iii" NP M0F 0xaf W0 Old Own;
    /// By an immediate; not of 1 byte.
    ImulImm "imul" Rm "iin" NP One 0x69 W0 Old Own;
    Not "not" Unary(2) "ii" NP One 0xf7 W0 Old None;
    Neg "neg" Unary(3) "ii" NP One 0xf7 W0 Old None;
    ShlImm "shl" Shift(4) "iin" NP One 0xc1 W0 Old None;
    ShrImm "shr" Shift(5) "iin" NP One 0xc1 W0 Old None;
    SarImm "sar" Shift(7) "iin" NP One 0xc1 W0 Old None;
    RolImm "rol" Shift(0) "iin" NP One 0xc1 W0 Old None;
    /// Of 4 or 8 bytes, by the last operand modulo that; flags stay.
    Shlx "shlx" Rmv "iii" P66 M38 0xf7 Int Vex Own;
    Shrx "shrx" Rmv "iii" PF2 M38 0xf7 Int Vex Own;
    Sarx "sarx" Rmv "iii" PF3 M38 0xf7 Int Vex Own;
    Andn "andn" Rvm "iii" NP M38 0xf2 Int Vex Own;
    /// The low bits, as many as the low byte of the last operand says.
    Bzhi "bzhi" Rmv "iii" NP M38 0xf5 Int Vex Own;
    Lzcnt "lzcnt" Rm "ii" PF3 M0F 0xbd W0 Old Own;
    Tzcnt "tzcnt" Rm "ii" PF3 M0F 0xbc W0 Old Own;
    Popcnt "popcnt" Rm "ii" PF3 M0F 0xb8 W0 Old Own;
    Bswap "bswap" Unary(1) "ii" NP M0F 0xc8 W0 Old None;
    /// Into one byte.
    Setcc "set" Setcc "bc" NP M0F 0x90 W0 Old Own;
    /// Not of 1 byte.
    Cmov "cmov" Cmov "iiic" NP M0F 0x40 W0 Old Own;
    // By way of rax and rdx, which are never allocated; of 4 or 8 bytes, all operands registers or memory. They trap as
    // the machine does.
    Div "div" Divide(6) "iii" NP One 0xf7 W0 Old Own;
    Idiv "idiv" Divide(7) "iii" NP One 0xf7 W0 Old Own;
    Rem "div.rem" Divide(6) "iii" NP One 0xf7 W0 Old Own;
    Irem "idiv.rem" Divide(7) "iii" NP One 0xf7 W0 Old Own;
    /// The high half of a product.
    MulHigh "mul.high" Divide(4) "iii" NP One 0xf7 W0 Old Own;
    ImulHigh "imul.high" Divide(5) "iii" NP One 0xf7 W0 Old Own;
    // Into every level of the cache.
    Prefetcht0 "prefetcht0" Address(1) "m" NP M0F 0x18 W0 Old Own;
    // Into all but the first.
    Prefetcht1 "prefetcht1" Address(2) "m" NP M0F 0x18 W0 Old Own;
    Push "push" Push "g" NP One 0x50 W0 Old None;
    Pop "pop" Pop "g" NP One 0x58 W0 Old None;
    Vzeroupper "vzeroupper" Nothing "" NP M0F 0x77 W0 Vex None;
    Ret "ret" Nothing "" NP One 0xc3 W0 Old None;
    Ud2 "ud2" Nothing "" NP M0F 0x0b W0 Old None;
    /// Of eax and ecx, into eax, ebx, ecx and edx.
    Cpuid "cpuid" Nothing "" NP M0F 0xa2 W0 Old None;
    /// Of ecx, into eax and edx.
    Xgetbv "xgetbv" Nothing "" NP M0F 0x01 W0 Old None;
}
