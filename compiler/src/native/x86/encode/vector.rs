//! VEX and EVEX: the shorter VEX wherever it says the same.

use super::{
    Buffer,
    address::{Place, modrm},
};
use crate::native::x86::{
    function::Level,
    inst::{Class, Inst, Masking, Operand, Reg, Size},
    rows::{Encodings, Form, Map, Prefix, Row, Tuple, W},
};

/// Where the operands go.
struct Layout {
    opcode: u8,
    /// Of the ModRM byte: a register's number or a digit.
    field: u8,
    /// The prefix's register.
    extra: Option<Reg>,
    place: Operand,
    immediate: Option<u8>,
}

pub fn encode(out: &mut Buffer, level: Level, inst: &Inst) {
    let row = inst.op.row();
    if row.form == Form::Nothing {
        return out.bytes.extend([0xc5, 0xf8, row.opcode]);
    }
    let layout = layout(inst, row);
    if needs_evex(inst, row) {
        assert!(matches!(row.encodings, Encodings::Evex | Encodings::Both), "{inst}: has no EVEX form");
        assert_eq!(level, Level::Avx512, "{inst}: needs AVX-512");
        evex(out, inst, row, &layout);
    } else {
        vex(out, inst, row, &layout);
    }
    out.bytes.extend(layout.immediate);
}

fn needs_evex(inst: &Inst, row: &Row) -> bool {
    let mut high = false;
    inst.visit(|r, _| high |= r.class() == Class::Vec && r.number() >= 16);
    let splat = inst.operands.iter().any(|o| matches!(o, Operand::Splat(_)));
    let wide = inst.size == Size::B64 && row.operands.contains('v');
    row.encodings == Encodings::Evex || high || splat || wide || inst.masking.is_some()
}

fn layout(inst: &Inst, row: &Row) -> Layout {
    let o = &inst.operands;
    let register = |n: usize| match o[n] {
        Operand::Reg(r) => r,
        _ => panic!("{inst}: operand {n} must be a register"),
    };
    let number = |n: usize| register(n).number() as u8;
    let immediate = o.last().and_then(|o| if let Operand::Imm(n) = o { Some(*n as u8) } else { None });
    let plain = |field, extra, place| Layout { opcode: row.opcode, field, extra, place, immediate };
    match row.form {
        Form::Rm | Form::Flags => plain(number(0), None, o[1]),
        Form::Rvm => plain(number(0), Some(register(1)), o[2]),
        Form::Rmv => plain(number(0), Some(register(2)), o[1]),
        Form::Rvmr => {
            let last = number(3) << 4;
            Layout { immediate: Some(last), ..plain(number(0), Some(register(1)), o[2]) }
        }
        Form::Mr => plain(number(1), None, o[0]),
        Form::Mvr => plain(number(2), Some(register(1)), o[0]),
        Form::Vmi(digit) => plain(digit, Some(register(0)), o[1]),
        Form::Same => plain(number(0), Some(register(0)), o[0]),
        Form::Arvm => {
            assert_eq!(o[0], o[1], "{inst}: operand 1 must be in the result's register");
            plain(number(0), Some(register(2)), o[3])
        }
        Form::Fma => {
            let (form, field, extra, place) = multiply_add(inst);
            Layout { opcode: row.opcode - form, ..plain(field, Some(extra), place) }
        }
        _ => panic!("{inst}: not a vector instruction"),
    }
}

/// Which operand the result overwrites: the distance of the opcode from the 231 form's, and the operands' places.
fn multiply_add(inst: &Inst) -> (u8, u8, Reg, Operand) {
    let [result, acc, x, y] = inst.operands[..] else { panic!("{inst}: has four operands") };
    let Operand::Reg(field) = result else { panic!("{inst}: the result must be a register") };
    let field = field.number() as u8;
    // Factors change places freely.
    let factors = [(x, y), (y, x)];
    if acc == result {
        let found = factors.iter().find_map(|(v, m)| if let Operand::Reg(v) = v { Some((*v, *m)) } else { None });
        let (v, m) = found.unwrap_or_else(|| panic!("{inst}: one factor must be a register"));
        return (0, field, v, m);
    }
    let other = factors.iter().find(|(factor, _)| *factor == result).map(|(_, other)| *other);
    match (acc, other.unwrap_or_else(|| panic!("{inst}: no operand is in the result's register"))) {
        (Operand::Reg(acc), other) => (0x20, field, acc, other),
        (acc, Operand::Reg(other)) => (0x10, field, other, acc),
        _ => panic!("{inst}: only one operand may be memory"),
    }
}

fn prefix_bits(prefix: Prefix) -> u8 {
    prefix as u8
}
fn map_bits(map: Map) -> u8 {
    map as u8
}

fn vex(out: &mut Buffer, inst: &Inst, row: &Row, l: &Layout) {
    let place = place(inst, l.place);
    let w = row.w == W::W1 || row.w == W::Int && inst.size == Size::B8;
    let wide = row.encodings == Encodings::VexL1 || inst.size == Size::B32 && row.operands.contains('v');
    let (x, b) = place.high_bits();
    let extra = l.extra.map_or(0, |r| r.number() as u8);
    let r = l.field >> 3 & 1;
    let last = (!extra & 15) << 3 | u8::from(wide) << 2 | prefix_bits(row.prefix);
    if row.map == Map::M0F && !w && x == 0 && b == 0 {
        out.bytes.extend([0xc5, (r ^ 1) << 7 | last]);
    } else {
        let first = (r ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | map_bits(row.map);
        out.bytes.extend([0xc4, first, u8::from(w) << 7 | last]);
    }
    out.bytes.push(l.opcode);
    modrm(out, l.field, place, 1);
}

fn evex(out: &mut Buffer, inst: &Inst, row: &Row, l: &Layout) {
    let place = place(inst, l.place);
    let splat = matches!(l.place, Operand::Splat(_));
    let size = if row.operands.contains('v') { inst.size } else { Size::B16 };
    let length = match size.bytes() {
        16 => 0,
        32 => 1,
        _ => 2,
    };
    let (x, b) = place.high_bits();
    let extra = l.extra.map_or(0, |r| r.number() as u8);
    let (mask, zero) = match inst.masking {
        None => (0, false),
        Some(masking) => {
            assert_ne!(masking.mask().number(), 0, "{inst}: k0 stands for no mask");
            if let Masking::Merge(_, old) = masking {
                assert_eq!(
                    Operand::Reg(old),
                    inst.operands[0],
                    "{inst}: what is kept must be in the result's register"
                );
            }
            (masking.mask().number() as u8, matches!(masking, Masking::Zero(_)))
        }
    };
    let w = matches!(row.w, W::W1 | W::W01);
    out.bytes.extend([
        0x62,
        (!l.field >> 3 & 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | (!l.field >> 4 & 1) << 4 | map_bits(row.map),
        u8::from(w) << 7 | (!extra & 15) << 3 | 4 | prefix_bits(row.prefix),
        u8::from(zero) << 7 | length << 5 | u8::from(splat) << 4 | (!extra >> 4 & 1) << 3 | mask,
        l.opcode,
    ]);
    modrm(out, l.field, place, displacement_scale(row.tuple, size, splat));
}

/// The unit of one-byte displacements.
fn displacement_scale(tuple: Tuple, size: Size, splat: bool) -> i32 {
    let bytes = size.bytes() as i32;
    match tuple {
        Tuple::Full(element) | Tuple::Half(element) if splat => i32::from(element),
        Tuple::Full(_) => bytes,
        Tuple::Half(_) => bytes / 2,
        Tuple::Part(n) => bytes / i32::from(n),
        Tuple::Fixed(n) => i32::from(n),
        Tuple::None | Tuple::Own => 1,
    }
}

fn place(inst: &Inst, operand: Operand) -> Place {
    match operand {
        Operand::Reg(r) => Place::Reg(r),
        Operand::Mem(m) | Operand::Splat(m) => Place::Mem(m),
        _ => panic!("{inst}: an operand must be a register or memory"),
    }
}
