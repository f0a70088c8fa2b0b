//! Random programs before and after scheduling and allocation, run on an abstract machine on which an instruction's result is a hash
//! of what it reads: only what is read from where matters.

use std::collections::HashMap;

use super::*;
use crate::{
    base::Rng,
    native::x86::{
        broadcast, encode,
        function::{BlockId, Edge, End, Test},
        inst::{Base, Cond, Masking, Mem, Op, Operand, Size},
        rows::Form,
        schedule,
    },
};

fn mix(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(7, |h, v| Rng::new(h ^ v.rotate_left(17)).bits())
}

/// What can be seen of a run: stores and decisions.
type Trace = Vec<u64>;

struct Machine<'a> {
    f: &'a Function,
    registers: HashMap<Reg, u64>,
    frame: HashMap<i32, u64>,
    flags: u64,
    trace: Trace,
}

impl Machine<'_> {
    fn run(f: &Function, arguments: &[(Reg, u64)], events: usize) -> Trace {
        let mut machine = Machine {
            f,
            registers: arguments.iter().copied().collect(),
            frame: HashMap::new(),
            flags: 0,
            trace: vec![],
        };
        let mut at = BlockId::new(0);
        while machine.trace.len() < events {
            let block = &f.blocks[at];
            block.insts.iter().for_each(|i| machine.step(i));
            let edge = match &block.end {
                End::Return => break,
                End::Jump(edge) => edge,
                End::Branch(_, yes, no) => {
                    machine.trace.push(machine.flags);
                    if mix([machine.flags, machine.trace.len() as u64]).is_multiple_of(2) { yes } else { no }
                }
            };
            let values: Vec<u64> = edge.args.iter().map(|r| machine.read(*r)).collect();
            machine.registers.extend(f.blocks[edge.target].params.iter().copied().zip(values));
            at = edge.target;
        }
        machine.trace
    }

    fn read(&self, r: Reg) -> u64 {
        // A register that nothing wrote has a value nobody may use.
        self.registers.get(&r).copied().unwrap_or(0xdead_0000 + u64::from(r.number()))
    }

    fn memory(&self, m: &Mem) -> u64 {
        match m.base {
            Base::Reg(Reg::RSP) => self.frame.get(&m.disp).copied().unwrap_or(0xdead),
            Base::Reg(base) => {
                let index = m.index.map_or(0, |(r, scale)| self.read(r) << scale);
                mix([self.read(base).wrapping_add(index).wrapping_add(m.disp as u64)])
            }
            Base::Cell => unreachable!("only the function that chooses a level reads the cell"),
            Base::Pool(n) => mix(self.f.pool.entries()[n as usize].iter().map(|b| u64::from(*b))),
        }
    }

    fn value(&self, operand: &Operand) -> u64 {
        match operand {
            Operand::Reg(r) => self.read(*r),
            Operand::Mem(m) => self.memory(m),
            Operand::Splat(m) => mix([1, self.memory(m)]),
            Operand::Imm(n) => *n as u64,
            Operand::Cond(c) => *c as u64,
        }
    }

    fn step(&mut self, inst: &Inst) {
        let o = &inst.operands;
        let masks = inst.masking.map_or(vec![], |m| match m {
            Masking::Merge(k, old) => vec![self.read(k), self.read(old)],
            _ => vec![self.read(m.mask())],
        });
        match (inst.op, o.first()) {
            (Op::MovStore | Op::MovupsStore | Op::KmovqStore, Some(Operand::Mem(m)))
                if m.base == Base::Reg(Reg::RSP) =>
            {
                self.frame.insert(m.disp, self.value(&o[1]));
            }
            (Op::MovStore | Op::MovupsStore, Some(Operand::Mem(m))) => {
                let address = self.memory(m);
                self.trace.push(mix([address, self.value(&o[1])]));
            }
            (Op::Cmp, _) => self.flags = mix(o.iter().map(|o| self.value(o))),
            (_, Some(Operand::Reg(to))) => {
                let value = match inst.op {
                    Op::Mov | Op::Movaps | Op::Movups | Op::Kmovq if masks.is_empty() => self.value(&o[1]),
                    Op::Broadcastss => mix([1, self.value(&o[1])]),
                    // In these, as the allocator makes them.
                    Op::Pxord | Op::Kxorq if !to.is_virtual() => self.value(&o[1]) ^ self.value(&o[2]),
                    Op::Lea => match o[1] {
                        Operand::Mem(Mem { base: Base::Reg(base), index: Some((index, scale)), disp }) => {
                            self.read(base).wrapping_add(self.read(index) << scale).wrapping_add(disp as u64)
                        }
                        _ => panic!("{inst}"),
                    },
                    op => mix([op as u64].into_iter().chain(o[1..].iter().map(|o| self.value(o))).chain(masks)),
                };
                if matches!(inst.op.row().form, Form::Divide(_)) && !to.is_virtual() {
                    self.registers.insert(Reg::RAX, 0xbad);
                    self.registers.insert(Reg::RDX, 0xbad);
                }
                self.registers.insert(*to, value);
            }
            _ => panic!("{inst} is not run"),
        }
    }
}

/// A program under construction; every value of `open` is defined wherever the current block is reached from.
struct Random<'a> {
    rng: &'a mut Rng,
    f: Function,
    at: BlockId,
    depth: u32,
    open: Vec<Reg>,
}

impl Random<'_> {
    fn pick(&mut self, class: Class) -> Reg {
        let of_class: Vec<Reg> = self.open.iter().copied().filter(|r| r.class() == class).collect();
        // Recent values more often.
        let n = of_class.len();
        let back = self.rng.below(n).min(self.rng.below(n));
        of_class[n - 1 - back]
    }

    fn define(&mut self, class: Class, bytes: u32) -> Reg {
        let r = self.f.register(class, bytes);
        self.open.push(r);
        r
    }

    fn push(&mut self, inst: Inst) {
        assert_eq!(inst.mismatch(), None, "{inst}");
        let at = self.at;
        self.f.blocks[at].insts.push(inst);
    }

    fn vector_size(&self) -> Size {
        if self.f.level == Level::Avx512 { Size::B64 } else { Size::B32 }
    }

    fn address(&mut self) -> Mem {
        let (base, index) = (self.pick(Class::Int), self.pick(Class::Int));
        let disp = self.rng.range(0, 100) as i32 * 8;
        if self.rng.once_in(2) { Mem::indexed(base, index, 2, disp) } else { Mem::new(base, disp) }
    }

    fn instruction(&mut self) {
        let wide = self.f.level == Level::Avx512;
        let size = self.vector_size();
        match self.rng.below(20) {
            0..=3 => {
                let op = self.rng.pick(&[Op::Add, Op::Sub, Op::Imul, Op::Xor]);
                let [a, b] = [0; 2].map(|_| self.pick(Class::Int));
                let b = match self.rng.below(4) {
                    0 if op != Op::Imul => Operand::Imm(self.rng.range(-9, 9)),
                    1 => Operand::Mem(self.address()),
                    _ => b.into(),
                };
                let d = self.define(Class::Int, 8);
                self.push(Inst::new(op, Size::B8, [d.into(), a.into(), b]));
            }
            4 => {
                let op = self.rng.pick(&[Op::Idiv, Op::Rem, Op::Shlx, Op::Sarx, Op::Andn]);
                let [a, b] = [0; 2].map(|_| self.pick(Class::Int));
                let d = self.define(Class::Int, 8);
                self.push(Inst::new(op, Size::B8, [d.into(), a.into(), b.into()]));
            }
            5 => {
                let [a, b] = [0; 2].map(|_| self.pick(Class::Int));
                self.push(Inst::new(Op::Cmp, Size::B8, [a.into(), b.into()]));
                let [a, b] = [0; 2].map(|_| self.pick(Class::Int));
                let d = self.define(Class::Int, 8);
                self.push(Inst::new(Op::Cmov, Size::B8, [d.into(), a.into(), b.into(), Cond::L.into()]));
            }
            6 => {
                let n = self.rng.range(-5, 5);
                let d = self.define(Class::Int, 8);
                self.push(Inst::new(Op::Mov, Size::B8, [d.into(), n.into()]));
                if wide {
                    let k = self.define(Class::Mask, 8);
                    self.push(Inst::new(Op::KmovqFromInt, Size::Scalar, [k.into(), d.into()]));
                }
            }
            7 => {
                let (to, value) = (self.address(), self.pick(Class::Int));
                self.push(Inst::new(Op::MovStore, Size::B8, [to.into(), value.into()]));
            }
            8 => {
                let (to, value) = (self.address(), self.pick(Class::Vec));
                self.push(Inst::new(Op::MovupsStore, size, [to.into(), value.into()]));
            }
            9 | 10 => {
                let d;
                if self.rng.once_in(2) {
                    let pool = self.f.pool.add(&[self.rng.below(3) as u8; 4]);
                    let from = if self.rng.once_in(2) { pool } else { self.address() };
                    d = self.define(Class::Vec, size.bytes());
                    self.push(Inst::new(Op::Broadcastss, size, [d.into(), from.into()]));
                } else {
                    let pool = self.f.pool.add(&vec![self.rng.below(3) as u8; size.bytes() as usize]);
                    d = self.define(Class::Vec, size.bytes());
                    self.push(Inst::new(Op::Movups, size, [d.into(), pool.into()]));
                }
            }
            11 | 12 => {
                let [acc, x, y] = [0; 3].map(|_| self.pick(Class::Vec));
                let y = if self.rng.once_in(3) { Operand::Mem(self.address()) } else { y.into() };
                let mut operands = [acc.into(), x.into(), y];
                if self.rng.once_in(2) {
                    operands.swap(0, 2);
                }
                let d = self.define(Class::Vec, size.bytes());
                self.push(Inst::new(Op::Fmaddps, size, [d.into(), operands[0], operands[1], operands[2]]));
            }
            13 if wide => {
                let [a, b] = [0; 2].map(|_| self.pick(Class::Mask));
                let d = self.define(Class::Mask, 8);
                self.push(Inst::new(Op::Kandq, Size::Scalar, [d.into(), a.into(), b.into()]));
            }
            14 if wide => {
                let [a, b] = [0; 2].map(|_| self.pick(Class::Vec));
                let d = self.define(Class::Mask, 8);
                self.push(Inst::new(Op::CmppsMask, size, [d.into(), a.into(), b.into(), 1.into()]));
            }
            15 if wide => {
                let [a, b, old] = [0; 3].map(|_| self.pick(Class::Vec));
                let k = self.pick(Class::Mask);
                let d = self.define(Class::Vec, size.bytes());
                let inst = Inst::new(Op::Subps, size, [d.into(), a.into(), b.into()]);
                let merges = self.rng.once_in(2);
                self.push(if merges { inst.merging(k, old) } else { inst.zeroing(k) });
            }
            13..=15 => {
                let [a, b, c] = [0; 3].map(|_| self.pick(Class::Vec));
                let d = self.define(Class::Vec, size.bytes());
                self.push(Inst::new(Op::Blendvps, size, [d.into(), a.into(), b.into(), c.into()]));
            }
            16 => {
                let a = self.pick(Class::Vec);
                let d = self.define(Class::Vec, size.bytes());
                self.push(Inst::new(Op::Movaps, size, [d.into(), a.into()]));
            }
            _ => {
                let [a, b] = [0; 2].map(|_| self.pick(Class::Vec));
                let b = match self.rng.below(5) {
                    0 => Operand::Mem(self.address()),
                    1 if wide => Operand::Splat(self.f.pool.add(&[self.rng.below(20) as u8; 4])),
                    2 => Operand::Mem(self.f.pool.add(&vec![self.rng.below(20) as u8; size.bytes() as usize])),
                    _ => b.into(),
                };
                let d = self.define(Class::Vec, size.bytes());
                self.push(Inst::new(Op::Addps, size, [d.into(), a.into(), b]));
            }
        }
    }

    /// Arguments of some classes, and parameters for them.
    fn params(&mut self, classes: &[Class]) -> Vec<Reg> {
        let bytes = self.vector_size().bytes();
        classes.iter().map(|c| self.f.register(*c, if *c == Class::Vec { bytes } else { 8 })).collect()
    }

    fn args(&mut self, classes: &[Class]) -> Vec<Reg> {
        classes.iter().map(|c| self.pick(*c)).collect()
    }

    fn decide(&mut self, yes: Edge, no: Edge) {
        let [a, b] = [0; 2].map(|_| self.pick(Class::Int));
        self.push(Inst::new(Op::Cmp, Size::B8, [a.into(), b.into()]));
        let at = self.at;
        self.f.blocks[at].end = End::Branch(Test::If(Cond::L), yes, no);
    }

    fn classes(&mut self) -> Vec<Class> {
        let all: &[Class] = if self.f.level == Level::Avx512 {
            &[Class::Int, Class::Vec, Class::Mask]
        } else {
            &[Class::Int, Class::Vec]
        };
        let count = self.rng.below(7);
        (0..count).map(|_| self.rng.pick(all)).collect()
    }

    fn body(&mut self, budget: usize, nesting: usize) {
        for _ in 0..budget {
            match self.rng.below(12) {
                0 if nesting > 0 => self.looped(budget, nesting),
                1 if nesting > 0 => self.choice(budget, nesting),
                _ => self.instruction(),
            }
        }
    }

    fn looped(&mut self, budget: usize, nesting: usize) {
        let classes = self.classes();
        let (head, after) = (self.f.block(self.depth + 1), self.f.block(self.depth));
        let (params, results) = (self.params(&classes), self.params(&classes));
        let args = self.args(&classes);
        let skip = self.args(&classes);
        let (to_head, past) = (Edge { target: head, args }, Edge { target: after, args: skip });
        if self.rng.once_in(2) {
            self.decide(to_head, past);
        } else {
            let at = self.at;
            self.f.blocks[at].end = End::Jump(to_head);
        }
        let outside = self.open.len();
        self.f.blocks[head].params = params.clone();
        self.open.extend(&params);
        (self.at, self.depth) = (head, self.depth + 1);
        self.body(budget / 2, nesting - 1);
        let (again, mut out) = (self.args(&classes), self.args(&classes));
        if self.rng.once_in(2) {
            // A permutation of the parameters.
            out = params.clone();
        }
        let mut again = Edge { target: head, args: again };
        if self.rng.once_in(2) {
            for (n, class) in classes.iter().enumerate() {
                let k = (0..params.len()).map(|k| (k + n + 1) % params.len()).find(|k| classes[*k] == *class);
                again.args[n] = params[k.unwrap_or(n)];
            }
        }
        self.decide(again, Edge { target: after, args: out });
        self.open.truncate(outside);
        self.f.blocks[after].params = results.clone();
        self.open.extend(results);
        (self.at, self.depth) = (after, self.depth - 1);
    }

    fn choice(&mut self, budget: usize, nesting: usize) {
        let classes = self.classes();
        let [yes, no, after] = [(); 3].map(|()| self.f.block(self.depth));
        let edge = |target| Edge { target, args: vec![] };
        self.decide(edge(yes), edge(no));
        let outside = self.open.len();
        for side in [yes, no] {
            self.at = side;
            self.body(budget / 3, nesting - 1);
            let args = self.args(&classes);
            let at = self.at;
            self.f.blocks[at].end = End::Jump(Edge { target: after, args });
            self.open.truncate(outside);
        }
        let results = self.params(&classes);
        self.f.blocks[after].params = results.clone();
        self.open.extend(results);
        self.at = after;
    }
}

fn random(rng: &mut Rng) -> Function {
    let level = rng.pick(&[Level::Avx2, Level::Avx512]);
    let convention = rng.pick(&[Convention::SystemV, Convention::Windows]);
    let budget = rng.pick(&[4, 12, 40]);
    let mut random = Random { rng, f: Function::new(level, convention), at: BlockId::new(0), depth: 0, open: vec![] };
    random.at = random.f.block(0);
    let params = random.params(&[Class::Int; 3]);
    random.f.blocks[random.at].params = params.clone();
    random.open.extend(params);
    let size = random.vector_size();
    for _ in 0..2 {
        let base = random.pick(Class::Int);
        let d = random.define(Class::Vec, size.bytes());
        random.push(Inst::new(Op::Sqrtps, size, [d.into(), Mem::new(base, 0).into()]));
    }
    if level == Level::Avx512 {
        let a = random.pick(Class::Int);
        let d = random.define(Class::Mask, 8);
        random.push(Inst::new(Op::KmovqFromInt, Size::Scalar, [d.into(), a.into()]));
    }
    random.body(budget, 3);
    // What is open is used once more: long ranges.
    for r in random.open.clone() {
        let to = Mem::new(random.open[0], 8).into();
        match r.class() {
            Class::Int => random.push(Inst::new(Op::MovStore, Size::B8, [to, r.into()])),
            Class::Vec => random.push(Inst::new(Op::MovupsStore, size, [to, r.into()])),
            Class::Mask => {}
        }
    }
    random.f
}

#[test]
fn an_allocated_program_does_what_it_did() {
    let mut spilled = 0;
    for seed in 0..150 {
        let f = random(&mut Rng::new(seed));
        let values = [0x1000, 0x2000, 0x3000];
        let inputs: Vec<(Reg, u64)> = f.blocks[BlockId::new(0)].params.iter().copied().zip(values).collect();
        let wanted = Machine::run(&f, &inputs, 300);
        let mut selected = f.clone();
        if seed % 2 == 0 {
            broadcast::fold(&mut selected);
            schedule::schedule(&mut selected, false);
        }
        let done = allocate(&selected);
        let inputs: Vec<(Reg, u64)> = arguments(f.convention).into_iter().zip(values).collect();
        let is = Machine::run(&done.function, &inputs, 300);
        assert_eq!(is, wanted, "seed {seed}:\n{f}\nbecame\n{}", done.function);
        spilled += usize::from(done.spill_slots > 0);
        // Whatever is left can be encoded: what is tied is tied.
        let code = encode::function(&done.function, &[Inst::new(Op::Ret, Size::Scalar, [])], false);
        assert!(!code.bytes.is_empty());
    }
    assert!(spilled > 10, "{spilled} of the programs were large");
}

/// One tile of a matrix product: r rows by v vectors.
fn tile(level: Level, rows: usize, vectors: usize) -> Function {
    let mut f = Function::new(level, Convention::SystemV);
    let size = if level == Level::Avx512 { Size::B64 } else { Size::B32 };
    let bytes = size.bytes();
    let [entry, body, after] = [0, 1, 0].map(|depth| f.block(depth));
    let ints = [(); 3].map(|()| f.register(Class::Int, 8));
    f.blocks[entry].params = ints.to_vec();
    let zeros: Vec<Reg> = (0..rows * vectors).map(|_| f.register(Class::Vec, bytes)).collect();
    for z in &zeros {
        f.blocks[entry].insts.push(Inst::new(Op::Zero, Size::Scalar, [(*z).into()]));
    }
    let start = [ints.to_vec(), zeros].concat();
    f.blocks[entry].end = End::Jump(Edge { target: body, args: start.clone() });
    let params: Vec<Reg> =
        start.iter().map(|r| f.register(r.class(), if r.class() == Class::Vec { bytes } else { 8 })).collect();
    f.blocks[body].params = params.clone();
    let mut insts = vec![];
    let mut results = vec![];
    for (n, step) in [(0, 4), (1, 64 * vectors as i64), (2, -1)] {
        let next = f.register(Class::Int, 8);
        results.push(next);
        insts.push(Inst::new(Op::Add, Size::B8, [next.into(), params[n].into(), step.into()]));
    }
    // The pointers are counted after their last use.
    let counting = std::mem::take(&mut insts);
    let b: Vec<Reg> = (0..vectors).map(|_| f.register(Class::Vec, bytes)).collect();
    for (n, b) in b.iter().enumerate() {
        insts.push(Inst::new(Op::Movups, size, [(*b).into(), Mem::new(params[1], n as i32 * bytes as i32).into()]));
    }
    for row in 0..rows {
        let a = f.register(Class::Vec, bytes);
        insts.push(Inst::new(Op::Broadcastss, size, [a.into(), Mem::new(params[0], row as i32 * 64).into()]));
        for (n, b) in b.iter().enumerate() {
            let acc = params[3 + row * vectors + n];
            let next = f.register(Class::Vec, bytes);
            insts.push(Inst::new(Op::Fmaddps, size, [next.into(), acc.into(), a.into(), (*b).into()]));
            results.push(next);
        }
    }
    insts.extend(counting);
    f.blocks[body].insts = insts;
    let done: Vec<Reg> = results[3..].to_vec();
    let out = Edge { target: after, args: vec![] };
    f.blocks[body].end = End::Branch(Test::If(Cond::Ne), Edge { target: body, args: results.clone() }, out);
    for (n, r) in done.iter().enumerate() {
        let to = Mem::new(results[0], n as i32 * bytes as i32).into();
        f.blocks[after].insts.push(Inst::new(Op::MovupsStore, size, [to, (*r).into()]));
    }
    f
}

#[test]
fn a_matrix_product_keeps_its_accumulators_in_registers() {
    for (level, rows, vectors) in
        [(Level::Avx512, 14, 2), (Level::Avx512, 9, 3), (Level::Avx512, 6, 4), (Level::Avx2, 6, 2)]
    {
        let mut f = tile(level, rows, vectors);
        schedule::schedule(&mut f, false);
        let done = allocate(&f);
        assert_eq!(done.spill_slots, 0, "{}", done.function);
        assert!(done.spill_accesses.iter().all(|n| *n == 0));
        let (_, body) = done.function.blocks.iter().find(|(_, b)| b.depth == 1).unwrap();
        // Loads, products and counting, and nothing else.
        assert_eq!(body.insts.len(), vectors + rows * (1 + vectors) + 3, "{}", done.function);
    }
}

/// `x = x * x + c` for many constants, in a loop.
fn polynomial(level: Level, constants: usize) -> Function {
    let mut f = Function::new(level, Convention::SystemV);
    let size = if level == Level::Avx512 { Size::B64 } else { Size::B32 };
    let [entry, body, after] = [0, 1, 0].map(|depth| f.block(depth));
    let n = f.register(Class::Int, 8);
    f.blocks[entry].params = vec![n];
    f.blocks[entry].end = End::Jump(Edge { target: body, args: vec![] });
    let mut x = f.register(Class::Vec, size.bytes());
    let mut insts = vec![Inst::new(Op::Movups, size, [x.into(), Mem::new(n, 0).into()])];
    for k in 0..constants {
        let next = f.register(Class::Vec, size.bytes());
        let c: Operand = match level {
            Level::Avx512 => Operand::Splat(f.pool.add(&(k as u32).to_le_bytes())),
            Level::Avx2 => f.pool.add(&[k as u8; 32]).into(),
        };
        insts.push(Inst::new(Op::Fmaddps, size, [next.into(), c, x.into(), x.into()]));
        x = next;
    }
    insts.push(Inst::new(Op::MovupsStore, size, [Mem::new(n, 0).into(), x.into()]));
    f.blocks[body].insts = insts;
    let edge = |target| Edge { target, args: vec![] };
    f.blocks[body].end = End::Branch(Test::If(Cond::Ne), edge(body), edge(after));
    f
}

#[test]
fn constants_of_a_loop_are_in_registers_as_far_as_there_are_any() {
    for (level, constants, read) in [(Level::Avx512, 25, 0), (Level::Avx512, 50, 19), (Level::Avx2, 12, 0)] {
        let done = allocate(&polynomial(level, constants));
        let (_, body) = done.function.blocks.iter().find(|(_, b)| b.depth == 1).unwrap();
        let pool = |o: &Operand| matches!(o, Operand::Mem(m) | Operand::Splat(m) if matches!(m.base, Base::Pool(_)));
        let from_pool = body.insts.iter().filter(|i| i.operands.iter().any(pool)).count();
        assert_eq!(done.spill_slots, 0);
        assert_eq!(body.insts.len(), constants + 2, "{}", done.function);
        assert_eq!(from_pool, read, "{}", done.function);
    }
}

/// What comes behind the loop needs more registers than there are beside the accumulators.
#[test]
fn accumulators_that_an_epilogue_spills_stay_in_registers_in_the_loop() {
    for (level, rows, vectors) in [(Level::Avx512, 14, 2), (Level::Avx2, 6, 2)] {
        let mut f = tile(level, rows, vectors);
        let size = if level == Level::Avx512 { Size::B64 } else { Size::B32 };
        let after = f.blocks.ids().last().unwrap();
        let stores = std::mem::take(&mut f.blocks[after].insts);
        for store in stores {
            let Operand::Reg(acc) = store.operands[1] else { unreachable!("a store of a register") };
            // Each value is read once more at the end.
            let mut values = vec![acc];
            for n in 0..7 {
                let next = f.register(Class::Vec, size.bytes());
                let [a, b] = [values[n], values[n.saturating_sub(1)]].map(Operand::Reg);
                f.blocks[after].insts.push(Inst::new(Op::Addps, size, [next.into(), a, b]));
                values.push(next);
            }
            let mut sum = acc;
            for value in values {
                let next = f.register(Class::Vec, size.bytes());
                f.blocks[after].insts.push(Inst::new(Op::Mulps, size, [next.into(), sum.into(), value.into()]));
                sum = next;
            }
            f.blocks[after].insts.push(Inst::new(store.op, size, [store.operands[0], sum.into()]));
        }
        let done = allocate(&f);
        assert!(done.spill_slots > 0, "{}", done.function);
        assert_eq!(done.spill_accesses[1], 0, "{}", done.function);
        let (_, body) = done.function.blocks.iter().find(|(_, b)| b.depth == 1).unwrap();
        assert_eq!(body.insts.len(), vectors + rows * (1 + vectors) + 3, "{}", done.function);
    }
}
