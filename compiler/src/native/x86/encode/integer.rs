//! General registers: REX and the old opcodes.
//!
//! Opcodes of the table are those for 4 bytes; the one below is for 1 byte where there is one.

use super::{
    Buffer,
    address::{Place, modrm},
};
use crate::native::x86::{
    inst::{Class, Cond, Inst, Op, Operand, Reg, Size},
    rows::{Form, Map, Prefix, Row},
};

/// An opcode and its field of the ModRM byte.
struct Code {
    prefix: Prefix,
    map: Map,
    opcode: u8,
    size: Size,
    /// A register's number, or a digit.
    field: u8,
    /// Whether a register is named by its low byte, other than by the opcode's size.
    low_byte: bool,
}

pub fn encode(out: &mut Buffer, inst: &Inst) {
    let row = inst.op.row();
    let o = &inst.operands;
    let size = inst.size;
    let code = |opcode, field| Code { prefix: row.prefix, map: row.map, opcode, size, field, low_byte: false };
    // For 1 byte the opcode below.
    let sized = |opcode: u8, field| code(opcode - u8::from(size == Size::B1), field);
    match row.form {
        Form::Nothing => {
            if row.map == Map::M0F {
                out.bytes.push(0x0f);
            }
            out.bytes.push(row.opcode);
            if inst.op == Op::Xgetbv {
                out.bytes.push(0xd0);
            }
        }
        Form::Push | Form::Pop => {
            let r = number(inst, 0);
            if r >= 8 {
                out.bytes.push(0x41);
            }
            out.bytes.push(row.opcode | r & 7);
        }
        Form::Rm if inst.op == Op::ImulImm => {
            let n = immediate(inst, 2);
            let short = i8::try_from(n).is_ok();
            write(out, code(if short { 0x6b } else { 0x69 }, number(inst, 0)), place(inst, 1));
            append(out, n, if short { Size::B1 } else { size });
        }
        Form::Rm => {
            let low_byte = row.operands.ends_with('b');
            write(out, Code { low_byte, ..code(row.opcode, number(inst, 0)) }, place(inst, 1));
        }
        Form::Lea => write(out, code(row.opcode, number(inst, 0)), place(inst, 1)),
        Form::Address(digit) => write(out, Code { size: Size::B4, ..code(row.opcode, digit) }, place(inst, 0)),
        Form::Alu(digit, commutes) => {
            let source = tied(inst, commutes);
            match source {
                Operand::Reg(r) => write(out, sized(row.opcode, r.number() as u8), place(inst, 0)),
                Operand::Mem(m) => write(out, sized(row.opcode + 2, number(inst, 0)), Place::Mem(m)),
                _ => by_immediate(out, inst, row, digit),
            }
        }
        Form::AluFlags(digit) => match (o[0], o[1]) {
            (_, Operand::Imm(_)) => by_immediate(out, inst, row, digit),
            (Operand::Reg(r), Operand::Mem(m)) => {
                let opcode = if inst.op == Op::Test { row.opcode } else { row.opcode + 2 };
                write(out, sized(opcode, r.number() as u8), Place::Mem(m));
            }
            _ => write(out, sized(row.opcode, number(inst, 1)), place(inst, 0)),
        },
        Form::Mov => load(out, size, number(inst, 0), o[1]),
        Form::MovStore => match o[1] {
            Operand::Reg(r) => write(out, sized(row.opcode, r.number() as u8), place(inst, 0)),
            _ => {
                write(out, sized(0xc7, 0), place(inst, 0));
                append(out, immediate(inst, 1), size);
            }
        },
        Form::Imul => {
            let source = tied(inst, true);
            write(out, code(row.opcode, number(inst, 0)), operand_place(inst, source));
        }
        Form::Unary(_) if inst.op == Op::Bswap => {
            tied(inst, false);
            let r = number(inst, 0);
            let wide = u8::from(size == Size::B8) << 3;
            if wide != 0 || r >= 8 {
                out.bytes.push(0x40 | wide | r >> 3);
            }
            out.bytes.extend([0x0f, row.opcode | r & 7]);
        }
        Form::Unary(digit) => {
            tied(inst, false);
            write(out, sized(row.opcode, digit), place(inst, 0));
        }
        Form::Shift(digit) => {
            tied(inst, false);
            write(out, sized(row.opcode, digit), place(inst, 0));
            append(out, immediate(inst, 2), Size::B1);
        }
        Form::Setcc => {
            let opcode = row.opcode | condition(inst, 1) as u8;
            write(out, Code { size: Size::B1, ..code(opcode, 0) }, place(inst, 0));
        }
        Form::Cmov => {
            let (mut cond, mut source) = (condition(inst, 3), o[2]);
            if o[0] != o[1] {
                assert_eq!(o[0], o[2], "{inst}: no operand is in the result's register");
                (cond, source) = (cond.not(), o[1]);
            }
            write(out, code(row.opcode | cond as u8, number(inst, 0)), operand_place(inst, source));
        }
        Form::Divide(digit) => divide(out, inst, digit),
        _ => panic!("{inst}: not an integer instruction"),
    }
}

/// By way of rax and rdx.
fn divide(out: &mut Buffer, inst: &Inst, digit: u8) {
    let size = inst.size;
    assert!(size >= Size::B4, "{inst}: of 4 or 8 bytes");
    let plain = |opcode, field| Code { prefix: Prefix::NP, map: Map::One, opcode, size, field, low_byte: false };
    load(out, size, 0, inst.operands[1]);
    match inst.op {
        Op::Idiv | Op::Irem => {
            if size == Size::B8 {
                out.bytes.push(0x48);
            }
            out.bytes.push(0x99);
        }
        Op::Div | Op::Rem => out.bytes.extend([0x31, 0xd2]),
        _ => {}
    }
    write(out, plain(0xf7, digit), place(inst, 2));
    let result = if matches!(inst.op, Op::Div | Op::Idiv) { Reg::RAX } else { Reg::RDX };
    write(out, plain(0x89, result.number() as u8), place(inst, 0));
}

/// A register or memory or an immediate into a register: of a register never less than 4 bytes, of memory with zeros
/// up to 4 bytes, since a register of which a part is written waits for the rest.
fn load(out: &mut Buffer, size: Size, field: u8, source: Operand) {
    let code = |map, opcode, size| Code { prefix: Prefix::NP, map, opcode, size, field, low_byte: false };
    match source {
        Operand::Reg(r) => write(out, code(Map::One, 0x8b, size.max(Size::B4)), Place::Reg(r)),
        Operand::Mem(m) | Operand::Splat(m) => {
            let code = match size {
                Size::B1 => code(Map::M0F, 0xb6, Size::B4),
                Size::B2 => code(Map::M0F, 0xb7, Size::B4),
                _ => code(Map::One, 0x8b, size),
            };
            write(out, code, Place::Mem(m));
        }
        Operand::Imm(n) => {
            let n = if size == Size::B8 { n } else { n & (u64::MAX >> (64 - 8 * size.bytes())) as i64 };
            if size == Size::B8 && n < 0 && i32::try_from(n).is_ok() {
                write(
                    out,
                    Code { field: 0, ..code(Map::One, 0xc7, size) },
                    Place::Reg(Reg::physical(Class::Int, field)),
                );
                return append(out, n, Size::B4);
            }
            let size = if u32::try_from(n).is_ok() { Size::B4 } else { Size::B8 };
            let rex = u8::from(size == Size::B8) << 3 | field >> 3;
            if rex != 0 {
                out.bytes.push(0x40 | rex);
            }
            out.bytes.push(0xb8 | field & 7);
            out.bytes.extend(&n.to_le_bytes()[..size.bytes() as usize]);
        }
        Operand::Cond(_) => panic!("a condition is not moved"),
    }
}

/// The digit's operation on operand 0 and the last operand, an immediate.
fn by_immediate(out: &mut Buffer, inst: &Inst, row: &Row, digit: u8) {
    let size = inst.size;
    let n = immediate(inst, inst.operands.len() - 1);
    let code = |opcode| Code { prefix: row.prefix, map: row.map, opcode, size, field: digit, low_byte: false };
    let place = place(inst, 0);
    match inst.op {
        Op::Test => {
            write(out, code(if size == Size::B1 { 0xf6 } else { 0xf7 }), place);
            append(out, n, size);
        }
        _ if size == Size::B1 => {
            write(out, code(0x80), place);
            append(out, n, size);
        }
        _ if i8::try_from(n).is_ok() => {
            write(out, code(0x83), place);
            append(out, n, Size::B1);
        }
        _ => {
            write(out, code(0x81), place);
            append(out, n, size);
        }
    }
}

/// Checks that an operand is in the result's register; returns the other one, if there is another.
fn tied(inst: &Inst, commutes: bool) -> Operand {
    let o = &inst.operands;
    let last = *o.get(2).unwrap_or(&o[0]);
    if o[0] == o[1] {
        return last;
    }
    assert!(commutes && o[0] == last, "{inst}: no operand is in the result's register");
    o[1]
}

/// Prefixes, opcode and what follows it, without the immediate.
fn write(out: &mut Buffer, code: Code, place: Place) {
    if code.size == Size::B2 {
        out.bytes.push(0x66);
    }
    match code.prefix {
        Prefix::NP => {}
        Prefix::P66 => out.bytes.push(0x66),
        Prefix::PF3 => out.bytes.push(0xf3),
        Prefix::PF2 => out.bytes.push(0xf2),
    }
    let (x, b) = place.high_bits();
    let rex = u8::from(code.size == Size::B8) << 3 | (code.field >> 3 & 1) << 2 | x << 1 | b;
    // Without REX, the numbers of these registers' low bytes mean others.
    let by_low_byte = |n: u32| (4..8).contains(&n);
    let low = (code.size == Size::B1 && by_low_byte(u32::from(code.field)))
        || ((code.size == Size::B1 || code.low_byte) && matches!(place, Place::Reg(r) if by_low_byte(r.number())));
    if rex != 0 || low {
        out.bytes.push(0x40 | rex);
    }
    match code.map {
        Map::One => {}
        Map::M0F => out.bytes.push(0x0f),
        Map::M38 => out.bytes.extend([0x0f, 0x38]),
        Map::M3A => out.bytes.extend([0x0f, 0x3a]),
    }
    out.bytes.push(code.opcode);
    modrm(out, code.field, place, 1);
}

/// An immediate; of 8 bytes there are none but in `mov`.
fn append(out: &mut Buffer, n: i64, size: Size) {
    let bytes = size.bytes().min(4) as usize;
    out.bytes.extend(&n.to_le_bytes()[..bytes]);
}

fn number(inst: &Inst, n: usize) -> u8 {
    match inst.operands[n] {
        Operand::Reg(r) => r.number() as u8,
        _ => panic!("{inst}: operand {n} must be a register"),
    }
}

/// An immediate with the sign of the instruction's size; the machine extends 4 bytes to 8 by their sign.
fn immediate(inst: &Inst, n: usize) -> i64 {
    match (inst.operands[n], inst.size) {
        (Operand::Imm(n), Size::B1) => i64::from(n as i8),
        (Operand::Imm(n), Size::B2) => i64::from(n as i16),
        (Operand::Imm(n), Size::B4) => i64::from(n as i32),
        (Operand::Imm(n), _) => {
            assert!(i32::try_from(n).is_ok(), "{inst}: the immediate has more than 4 bytes");
            n
        }
        _ => panic!("{inst}: operand {n} must be an immediate"),
    }
}

fn condition(inst: &Inst, n: usize) -> Cond {
    match inst.operands[n] {
        Operand::Cond(c) => c,
        _ => panic!("{inst}: operand {n} must be a condition"),
    }
}

fn place(inst: &Inst, n: usize) -> Place {
    operand_place(inst, inst.operands[n])
}

fn operand_place(inst: &Inst, operand: Operand) -> Place {
    match operand {
        Operand::Reg(r) => Place::Reg(r),
        Operand::Mem(m) => Place::Mem(m),
        _ => panic!("{inst}: an operand must be a register or memory"),
    }
}
