//! The ModRM byte and what follows it: a register, or an address.

use super::{Buffer, PoolUse};
use crate::native::x86::inst::{Base, Mem, Reg};

/// What the ModRM byte names beside its register.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Reg(Reg),
    Mem(Mem),
}

impl Place {
    /// Bits 3 and 4 of the index's or register's and base's numbers: (index or register's bit 4, base or register's
    /// bit 3), as REX, VEX and EVEX extend them.
    pub fn high_bits(self) -> (u8, u8) {
        match self {
            Place::Reg(r) => (r.number() as u8 >> 4 & 1, r.number() as u8 >> 3 & 1),
            Place::Mem(m) => {
                let index = m.index.map_or(0, |(r, _)| r.number() as u8 >> 3 & 1);
                let base = if let Base::Reg(r) = m.base { r.number() as u8 >> 3 & 1 } else { 0 };
                (index, base)
            }
        }
    }
}

/// Appends ModRM, SIB and displacement. `field` is the register or digit, of which three bits are used; one-byte
/// displacements count in units of `scale` bytes.
pub fn modrm(out: &mut Buffer, field: u8, place: Place, scale: i32) {
    let field = (field & 7) << 3;
    let mem = match place {
        Place::Reg(r) => return out.bytes.push(0xc0 | field | (r.number() as u8 & 7)),
        Place::Mem(mem) => mem,
    };
    let base = match mem.base {
        Base::Reg(r) => r.number() as u8,
        Base::Pool(entry) => {
            assert!(mem.index.is_none(), "{mem}: constants take no index");
            out.bytes.push(field | 5);
            out.pool.push(PoolUse { at: out.bytes.len(), end: 0, entry, disp: mem.disp });
            return out.bytes.extend([0; 4]);
        }
        Base::Cell => {
            assert!(mem.index.is_none() && mem.disp == 0, "{mem}: the cell is one number");
            out.bytes.push(field | 5);
            out.cells.push(out.bytes.len());
            return out.bytes.extend([0; 4]);
        }
    };
    // Without a displacement, the number of rbp means something else.
    let short = i8::try_from(mem.disp / scale).ok().filter(|_| mem.disp % scale == 0);
    let mode = match short {
        Some(0) if base & 7 != 5 => 0x00,
        Some(_) => 0x40,
        None => 0x80,
    };
    match mem.index {
        Some((index, log2)) => {
            assert!(index != Reg::RSP && log2 <= 3, "{mem}: not an index");
            out.bytes.extend([mode | field | 4, log2 << 6 | (index.number() as u8 & 7) << 3 | (base & 7)]);
        }
        // The number of rsp announces an index; this is none.
        None if base & 7 == 4 => out.bytes.extend([mode | field | 4, 0x24]),
        None => out.bytes.push(mode | field | (base & 7)),
    }
    match short {
        _ if mode == 0x00 => {}
        Some(disp) => out.bytes.push(disp as u8),
        None => out.bytes.extend(mem.disp.to_le_bytes()),
    }
}
