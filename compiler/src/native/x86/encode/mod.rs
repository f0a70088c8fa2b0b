//! Machine instructions over physical registers, as bytes.
//!
//! A function's blocks follow one another in order, then its constants. Jumps start short and grow until all reach
//! their targets; since a jump never shrinks again this ends. Operands that no encoding has (a tied operand in another
//! register, registers from 16 on without AVX-512) are mistakes of the allocator or the selection, and panic.

mod address;
mod integer;
#[cfg(test)]
mod tests;
mod vector;

use super::{
    function::{BlockId, End, Function, Level, Test},
    inst::{Cond, Inst},
    rows::Encodings,
};

/// A function's bytes. They need not lie anywhere but at a multiple of `align`.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Where the constants begin.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests disassemble so much"))]
    pub code_len: usize,
    pub align: u32,
    /// Where the distances to the object's cell stand, from the ends of their four bytes.
    pub cells: Vec<u32>,
    /// For each instruction its offset and text, when asked for.
    pub lines: Vec<(u32, String)>,
}

/// Loops start at a multiple of this.
const LOOP_ALIGN: usize = 32;

/// Encodes a function whose registers are all physical. `epilogue` stands before every return and contains it.
pub fn function(f: &Function, epilogue: &[Inst], listing: bool) -> Encoded {
    let pieces: Vec<Piece> = f.blocks.ids().map(|id| Piece::new(f, id, epilogue)).collect();
    let mut long: Vec<Vec<bool>> = pieces.iter().map(|p| vec![false; p.jumps.len()]).collect();
    let loops = loop_heads(f);
    let starts = loop {
        let (starts, ends) = layout(&pieces, &long, &loops);
        let mut grown = false;
        for (n, piece) in pieces.iter().enumerate() {
            let mut at = ends[n] - tail_len(&pieces[n], &long[n]);
            for (jump, long) in piece.jumps.iter().zip(&mut long[n]) {
                at += jump.len(*long);
                let distance = starts[jump.target.index()] as i64 - at as i64;
                if !*long && i8::try_from(distance).is_err() {
                    *long = true;
                    grown = true;
                }
            }
        }
        if !grown {
            break starts;
        }
    };
    let mut lines = vec![];
    let mut out = Buffer::default();
    for ((n, piece), long) in pieces.iter().enumerate().zip(&long) {
        nops(&mut out.bytes, starts[n]);
        let base = out.bytes.len();
        out.bytes.extend(&piece.body.bytes);
        out.cells.extend(piece.body.cells.iter().map(|at| base + at));
        out.pool.extend(piece.body.pool.iter().map(|p| PoolUse { at: base + p.at, end: base + p.end, ..*p }));
        if listing {
            lines.push((base as u32, format!("b{n}:")));
            lines.extend(piece.lines(f, epilogue).map(|(at, text)| (base as u32 + at, text)));
        }
        for (jump, &long) in piece.jumps.iter().zip(long) {
            if listing {
                lines.push((out.bytes.len() as u32, jump.to_string()));
            }
            let end = out.bytes.len() + jump.len(long);
            jump.write(&mut out.bytes, long, starts[jump.target.index()] as i64 - end as i64);
        }
    }
    let code_len = out.bytes.len();
    let align = place_pool(f, &mut out).max(LOOP_ALIGN as u32);
    let cells = out.cells.iter().map(|&at| at as u32).collect();
    Encoded { bytes: out.bytes, code_len, align, cells, lines }
}

/// Writes the constants, largest first, and the distances of the instructions to them. Returns their alignment.
fn place_pool(f: &Function, out: &mut Buffer) -> u32 {
    let entries = f.pool.entries();
    let mut used: Vec<usize> = out.pool.iter().map(|p| p.entry as usize).collect();
    used.sort_by_key(|&n| (std::cmp::Reverse(entries[n].len()), n));
    used.dedup();
    let mut place = vec![0; entries.len()];
    for &n in &used {
        let align = entries[n].len();
        out.bytes.resize(out.bytes.len().next_multiple_of(align), 0);
        place[n] = out.bytes.len();
        out.bytes.extend(&entries[n]);
    }
    for p in std::mem::take(&mut out.pool) {
        let distance = place[p.entry as usize] as i64 - p.end as i64 + i64::from(p.disp);
        let distance = i32::try_from(distance).expect("a function has less than 2 GiB");
        out.bytes[p.at..p.at + 4].copy_from_slice(&distance.to_le_bytes());
    }
    used.first().map_or(1, |&n| entries[n].len() as u32)
}

/// Bytes in which the constants' places are still open.
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    pub bytes: Vec<u8>,
    pool: Vec<PoolUse>,
    /// Where distances to the object's cell stand, each at its instruction's end.
    cells: Vec<usize>,
}

/// A four-byte distance from the end of an instruction to a byte of a constant.
#[derive(Clone, Copy, Debug)]
struct PoolUse {
    at: usize,
    end: usize,
    entry: u32,
    disp: i32,
}

/// Appends an instruction.
pub fn inst(out: &mut Buffer, level: Level, inst: &Inst) {
    debug_assert_eq!(inst.mismatch(), None, "{inst}");
    let (uses, cells) = (out.pool.len(), out.cells.len());
    match inst.op.row().encodings {
        Encodings::Old => integer::encode(out, inst),
        _ => vector::encode(out, level, inst),
    }
    let end = out.bytes.len();
    out.pool[uses..].iter_mut().for_each(|p| p.end = end);
    debug_assert!(
        out.cells[cells..].iter().all(|at| at + 4 == end),
        "{inst}: nothing follows the distance to the cell"
    );
}

/// A block: its instructions and the jumps behind them.
struct Piece {
    id: BlockId,
    body: Buffer,
    jumps: Vec<Jump>,
}

/// To a block, always or under a condition.
#[derive(Clone, Copy, Debug)]
struct Jump {
    cond: Option<Cond>,
    target: BlockId,
}

impl Piece {
    fn new(f: &Function, id: BlockId, epilogue: &[Inst]) -> Piece {
        let block = &f.blocks[id];
        let mut body = Buffer::default();
        for i in insts(f, id, epilogue) {
            inst(&mut body, f.level, i);
        }
        let jump = |cond, target| Jump { cond, target };
        let next = |target: BlockId| target.index() == id.index() + 1;
        let mut jumps = match &block.end {
            End::Return => vec![],
            End::Jump(edge) => vec![jump(None, edge.target)],
            End::Branch(test, yes, no) => {
                let (test, yes, no) = match next(yes.target) {
                    true => (test.not(), no.target, yes.target),
                    false => (*test, yes.target, no.target),
                };
                let mut jumps = match test {
                    Test::If(c) => vec![jump(Some(c), yes)],
                    Test::Either(a, b) => vec![jump(Some(a), yes), jump(Some(b), yes)],
                    Test::Both(a, b) => vec![jump(Some(a.not()), no), jump(Some(b), yes)],
                };
                jumps.push(jump(None, no));
                jumps
            }
        };
        if jumps.last().is_some_and(|j| j.cond.is_none() && next(j.target)) {
            jumps.pop();
        }
        Piece { id, body, jumps }
    }

    /// The instructions' offsets in the block, and texts.
    fn lines<'a>(&'a self, f: &'a Function, epilogue: &'a [Inst]) -> impl Iterator<Item = (u32, String)> + 'a {
        let mut scratch = Buffer::default();
        insts(f, self.id, epilogue).map(move |i| {
            let at = scratch.bytes.len() as u32;
            inst(&mut scratch, f.level, i);
            (at, i.to_string())
        })
    }
}

/// A block's instructions, with those that restore the frame where it returns.
fn insts<'a>(f: &'a Function, id: BlockId, epilogue: &'a [Inst]) -> impl Iterator<Item = &'a Inst> {
    let block = &f.blocks[id];
    block.insts.iter().chain(if block.end == End::Return { epilogue } else { &[] })
}

impl Jump {
    fn len(&self, long: bool) -> usize {
        match (long, self.cond) {
            (false, _) => 2,
            (true, None) => 5,
            (true, Some(_)) => 6,
        }
    }
    fn write(&self, out: &mut Vec<u8>, long: bool, distance: i64) {
        match (long, self.cond) {
            (false, None) => out.extend([0xeb, distance as u8]),
            (false, Some(c)) => out.extend([0x70 | c as u8, distance as u8]),
            (true, cond) => {
                match cond {
                    None => out.push(0xe9),
                    Some(c) => out.extend([0x0f, 0x80 | c as u8]),
                }
                let distance = i32::try_from(distance).expect("a function has less than 2 GiB");
                out.extend(distance.to_le_bytes());
            }
        }
    }
}

impl std::fmt::Display for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.cond {
            None => write!(f, "jmp b{}", self.target.index()),
            Some(c) => write!(f, "j{} b{}", format!("{c:?}").to_lowercase(), self.target.index()),
        }
    }
}

fn tail_len(piece: &Piece, long: &[bool]) -> usize {
    piece.jumps.iter().zip(long).map(|(j, &long)| j.len(long)).sum()
}

/// The start and end of every block.
fn layout(pieces: &[Piece], long: &[Vec<bool>], loops: &[bool]) -> (Vec<usize>, Vec<usize>) {
    let (mut starts, mut ends, mut at) = (vec![], vec![], 0usize);
    for ((piece, long), &is_loop) in pieces.iter().zip(long).zip(loops) {
        if is_loop {
            at = at.next_multiple_of(LOOP_ALIGN);
        }
        starts.push(at);
        at += piece.body.bytes.len() + tail_len(piece, long);
        ends.push(at);
    }
    (starts, ends)
}

/// The blocks that are jumped to from themselves or from behind, and run often.
fn loop_heads(f: &Function) -> Vec<bool> {
    let mut heads = vec![false; f.blocks.len()];
    for (id, block) in f.blocks.iter() {
        for edge in block.end.edges().filter(|e| e.target <= id) {
            heads[edge.target.index()] |= !f.blocks[edge.target].cold;
        }
    }
    heads
}

/// Fills up to `end` with instructions that do nothing.
fn nops(out: &mut Vec<u8>, end: usize) {
    const NOPS: [&[u8]; 9] = [
        &[0x90],
        &[0x66, 0x90],
        &[0x0f, 0x1f, 0x00],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
        &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    ];
    while out.len() < end {
        out.extend(NOPS[(end - out.len()).min(NOPS.len()) - 1]);
    }
}
