//! Instructions of loops in an order in which the machine waits little.
//!
//! Several copies of a loop's body that do not depend on each other come one behind the other; the machine looks only
//! so far ahead, so they are interleaved: list scheduling within each block, longest way to the end first, against a
//! simple model of latencies. An order that needs more vector registers than there are is not taken; then the
//! instructions are chosen from a shorter stretch, and in the end they stay as they are. So do the results of a tile, which
//! the machine overlaps by itself: stores that wait behind all sums would keep it from looking further.
//!
//! Loads may pass stores, since a kernel never loads what it stores; where it updates elements they may not. Stores pass
//! no loads, since what a kernel reads it may overwrite afterwards. Instructions that write or read flags keep their
//! order.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::{
    allocate::Ranges,
    function::{Block, Function, Level},
    inst::{Access, Base, Class, Inst, Mem, Op, Operand, Reg},
    rows::{Encodings, Form},
};

/// Instructions that are chosen from, from the most to the fewest.
const STRETCHES: [usize; 3] = [400, 96, 40];
/// Stores that a block of results has at least.
const STORES: usize = 8;
/// Instructions that the machine chooses from, at least.
const LOOKAHEAD: usize = 64;
/// What another order has to save in such a block, as a part of the cycles that the machine takes by itself.
const GAIN: f64 = 0.15;
/// Instructions that start in one cycle.
const WIDTH: usize = 4;
/// A block with fewer is left alone.
const FEW: usize = 12;

/// `updates`: whether the function loads what it stores.
pub fn schedule(f: &mut Function, updates: bool) {
    let registers = if f.level == Level::Avx512 { 32 } else { 16 };
    let ranges = Ranges::new(f);
    for id in f.blocks.ids() {
        let block = &f.blocks[id];
        if block.depth == 0 || block.cold || block.insts.len() < FEW {
            continue;
        }
        let nodes = nodes(block, updates);
        let live = live_out(&ranges, id.index());
        let as_is: Vec<usize> = (0..nodes.len()).collect();
        let limit = registers.max(pressure(block, &as_is, &live));
        let mut orders = STRETCHES.iter().map(|stretch| order(&nodes, *stretch));
        let Some((cycles, best)) = orders.find(|(_, order)| pressure(block, order, &live) <= limit) else {
            continue;
        };
        if block.insts.iter().filter(|inst| stores(inst)).count() >= STORES {
            let (by_itself, _) = order(&nodes, LOOKAHEAD);
            if f64::from(cycles) >= f64::from(by_itself) * (1.0 - GAIN) {
                continue;
            }
        }
        let insts = best.iter().map(|n| block.insts[*n].clone()).collect();
        f.blocks[id].insts = insts;
    }
}

/// An instruction's place in the graph of what has to wait for what.
struct Node {
    /// Later instructions, and the cycles after this one's start at which they may start.
    next: Vec<(usize, u32)>,
    waits_for: usize,
    /// Cycles from its start to the end of the block.
    height: u32,
}

fn nodes(block: &Block, updates: bool) -> Vec<Node> {
    let count = block.insts.len();
    let mut nodes: Vec<Node> = (0..count).map(|_| Node { next: vec![], waits_for: 0, height: 0 }).collect();
    let mut writer: HashMap<Reg, usize> = HashMap::new();
    let (mut flags, mut store) = (None, None);
    let mut loads: Vec<usize> = vec![];
    for (n, inst) in block.insts.iter().enumerate() {
        let mut edge = |from: usize, cycles: u32| {
            nodes[from].next.push((n, cycles));
            nodes[n].waits_for += 1;
        };
        inst.visit(|r, access| {
            if access == Access::Use
                && let Some(&from) = writer.get(&r)
            {
                edge(from, latency(&block.insts[from]));
            }
        });
        if touches_flags(inst)
            && let Some(before) = flags.replace(n)
        {
            edge(before, 1);
        }
        let memory = memory(inst);
        if stores(inst) {
            loads.drain(..).for_each(|before| edge(before, 0));
            if let Some(before) = store.replace(n) {
                edge(before, 1);
            }
        } else if memory.is_some_and(|m| matches!(m.base, Base::Reg(_))) {
            loads.push(n);
            if let Some(before) = store.filter(|_| updates) {
                edge(before, 1);
            }
        }
        if let Some(r) = inst.def() {
            writer.insert(r, n);
        }
    }
    for n in (0..count).rev() {
        let after = nodes[n].next.iter().map(|(to, cycles)| nodes[*to].height + cycles).max();
        nodes[n].height = after.unwrap_or_else(|| latency(&block.insts[n]));
    }
    nodes
}

/// The cycles in which all instructions start, and their order, when each cycle takes the `WIDTH` that are ready and have
/// the longest way to go, among the `stretch` that come first.
fn order(nodes: &[Node], stretch: usize) -> (u32, Vec<usize>) {
    let mut waits: Vec<usize> = nodes.iter().map(|n| n.waits_for).collect();
    let mut ready_at = vec![0; nodes.len()];
    let mut done = vec![false; nodes.len()];
    let mut order = vec![];
    // Ready now, by height; ready later, by time; too far behind.
    let mut now: BinaryHeap<(u32, std::cmp::Reverse<usize>)> = BinaryHeap::new();
    let mut later: BinaryHeap<std::cmp::Reverse<(u32, usize)>> = BinaryHeap::new();
    let mut far: Vec<usize> = vec![];
    let (mut cycle, mut first) = (0, 0);
    (0..nodes.len()).filter(|n| waits[*n] == 0).for_each(|n| later.push(std::cmp::Reverse((0, n))));
    while order.len() < nodes.len() {
        while first < nodes.len() && done[first] {
            first += 1;
        }
        for n in far.extract_if(.., |n| *n < first + stretch) {
            now.push((nodes[n].height, std::cmp::Reverse(n)));
        }
        while let Some(std::cmp::Reverse((_, n))) = later.peek().copied().filter(|r| r.0.0 <= cycle) {
            later.pop();
            if n < first + stretch {
                now.push((nodes[n].height, std::cmp::Reverse(n)));
            } else {
                far.push(n);
            }
        }
        for _ in 0..WIDTH {
            let Some((_, std::cmp::Reverse(n))) = now.pop() else { break };
            done[n] = true;
            order.push(n);
            for &(to, cycles) in &nodes[n].next {
                ready_at[to] = ready_at[to].max(cycle + cycles);
                waits[to] -= 1;
                if waits[to] == 0 {
                    later.push(std::cmp::Reverse((ready_at[to], to)));
                }
            }
        }
        cycle += 1;
    }
    (cycle, order)
}

/// The most vector registers that are live at once, without constants, in an order of a block's instructions.
fn pressure(block: &Block, order: &[usize], live_out: &HashSet<Reg>) -> usize {
    let mut live: HashSet<Reg> = live_out.clone();
    let mut most = live.len();
    for &n in order.iter().rev() {
        let inst = &block.insts[n];
        if let Some(r) = inst.def() {
            live.remove(&r);
        }
        inst.visit(|r, access| {
            if access == Access::Use && r.class() == Class::Vec {
                live.insert(r);
            }
        });
        most = most.max(live.len());
    }
    most
}

/// The vector registers that are read after a block.
fn live_out(ranges: &Ranges, block: usize) -> HashSet<Reg> {
    let at = 2 * ranges.blocks[block].1;
    let vectors = (0..ranges.of.len()).filter(|n| ranges.is_live(*n, at)).map(|n| ranges.register(n));
    vectors.filter(|r| r.class() == Class::Vec).collect()
}

fn memory(inst: &Inst) -> Option<&Mem> {
    inst.operands.iter().find_map(|o| match o {
        Operand::Mem(m) | Operand::Splat(m) if inst.op != Op::Lea => Some(m),
        _ => None,
    })
}

fn stores(inst: &Inst) -> bool {
    matches!(inst.operands.first(), Some(Operand::Mem(_)))
        && !matches!(inst.op.row().form, Form::AluFlags(_) | Form::Address(_))
}

/// Whether an instruction writes or reads flags, or may trap.
pub fn touches_flags(inst: &Inst) -> bool {
    match inst.op.row().form {
        Form::Flags | Form::AluFlags(_) | Form::Alu(..) | Form::Imul | Form::Unary(_) | Form::Shift(_) => true,
        Form::Setcc | Form::Cmov | Form::Divide(_) | Form::Push | Form::Pop | Form::Nothing => true,
        Form::Rm => matches!(inst.op, Op::ImulImm | Op::Lzcnt | Op::Tzcnt | Op::Popcnt),
        Form::Rvm => inst.op == Op::Andn,
        Form::Rmv => inst.op == Op::Bzhi,
        _ => false,
    }
}

/// Cycles from an instruction's start to that of one that reads its result; roughly, for recent machines.
fn latency(inst: &Inst) -> u32 {
    let mnemonic = inst.op.row().mnemonic;
    let loads = if memory(inst).is_some_and(|m| matches!(m.base, Base::Reg(_))) { 5 } else { 0 };
    let compute = match inst.op.row().encodings {
        Encodings::Old => 1,
        _ if mnemonic.contains("div") || mnemonic.contains("sqrt") => 13,
        _ if mnemonic.starts_with("vmov") || mnemonic.starts_with("vbroadcast") => 1,
        _ if mnemonic.starts_with("vp") || mnemonic.contains("blend") || mnemonic.starts_with('k') => 2,
        _ => 4,
    };
    loads + compute
}
