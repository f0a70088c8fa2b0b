//! What a number is drawn from: fractions and normal numbers, each kind a block at a time, of which the last one is taken
//! first.

use crate::{
    base::Dim,
    loops::{BinaryFn, Bound, CompareFn, Emit, ExprId, Fault, LocalId, LoopKind, UnaryFn, Writer},
    op::{
        deviates,
        philox::{self, Blocks},
    },
    tensor::DType,
};

/// For the definition.
pub struct Source {
    key: u64,
    counter: u128,
    fractions: Vec<f64>,
    normals: Vec<f64>,
}

impl Source {
    pub fn new(key: u64, counter: u128) -> Source {
        Source { key, counter, fractions: vec![], normals: vec![] }
    }
    fn block(&mut self) -> [u32; 4] {
        let block = philox::block(self.key, self.counter);
        self.counter = self.counter.wrapping_add(1);
        block
    }
    pub fn fraction(&mut self) -> f64 {
        if self.fractions.is_empty() {
            self.fractions = deviates::fractions(DType::F64, self.block());
        }
        self.fractions.pop().expect("a block has fractions")
    }
    pub fn normal(&mut self) -> f64 {
        if self.normals.is_empty() {
            self.normals = deviates::normals(DType::F64, self.block());
        }
        self.normals.pop().expect("a block has normal numbers")
    }
}

/// What is left of a block.
struct Stock {
    numbers: [LocalId; 2],
    /// How many of them are not taken yet.
    left: LocalId,
}

impl Stock {
    fn new(w: &mut Writer) -> Stock {
        Stock { numbers: [(); 2].map(|()| w.local(DType::F64, [])), left: w.local(DType::I64, []) }
    }
}

/// For code.
pub struct Draws {
    blocks: Option<Blocks>,
    /// Blocks behind the counter.
    behind: LocalId,
    fractions: Stock,
    normals: Stock,
    /// Whether a number fits, 0 or 1, and which.
    done: LocalId,
    number: LocalId,
}

type Made = fn(&mut Writer, DType, [ExprId; 4]) -> Vec<ExprId>;

impl Draws {
    pub fn new(at: &mut Emit<'_>) -> Draws {
        let w = &mut *at.w;
        let (behind, done, number) = (w.local(DType::I64, []), w.local(DType::I64, []), w.local(DType::F64, []));
        Draws { blocks: None, behind, fractions: Stock::new(w), normals: Stock::new(w), done, number }
    }
    /// Starts a number with the block so many behind the counter.
    pub fn begin(&mut self, at: &mut Emit<'_>, blocks: Blocks, behind: Dim) {
        self.blocks = Some(blocks);
        let behind = at.w.index(behind);
        at.w.assign(self.behind, &[], behind);
        let zero = at.w.int(DType::I64, 0);
        let nothing = at.w.float(DType::F64, 0.0);
        for stock in [&self.fractions, &self.normals] {
            at.w.assign(stock.left, &[], zero);
            stock.numbers.iter().for_each(|&number| at.w.assign(number, &[], nothing));
        }
        at.w.assign(self.done, &[], zero);
        at.w.assign(self.number, &[], nothing);
    }
    /// So many attempts, until a number fits.
    pub fn attempts(&self, at: &mut Emit<'_>, rounds: i64, attempt: impl FnOnce(&mut Emit<'_>)) {
        at.each(&rounds.into(), LoopKind::Seq, |at, _| {
            let done = at.w.read(self.done, &[]);
            let done = at.w.set_index(done, None);
            at.only_within(vec![is_zero(done)], attempt);
        });
    }
    /// The number of fractions that are taken before a running value has ended: `step` makes it of the value before and a
    /// fraction, and says whether it has. It begins with `start`.
    pub fn count(
        &self,
        at: &mut Emit<'_>,
        rounds: i64,
        start: f64,
        step: impl FnOnce(&mut Floats<'_>, ExprId, ExprId) -> (ExprId, ExprId),
    ) {
        let (value, passed) = (at.w.local(DType::F64, []), at.w.local(DType::F64, []));
        let (start, zero) = (at.w.float(DType::F64, start), at.w.float(DType::F64, 0.0));
        at.w.assign(value, &[], start);
        at.w.assign(passed, &[], zero);
        self.attempts(at, rounds, |at| {
            let u = self.fraction(at);
            let before = at.w.read(value, &[]);
            let n = at.w.read(passed, &[]);
            let n = at.w.set(n);
            let mut f = Floats { w: at.w };
            let (after, ended) = step(&mut f, before, u);
            let next = f.plus(n, 1.0);
            at.w.assign(value, &[], after);
            at.w.assign(passed, &[], next);
            when(at, ended, |at| self.take(at, n));
        });
    }
    /// The number fits.
    pub fn take(&self, at: &mut Emit<'_>, number: ExprId) {
        at.w.assign(self.number, &[], number);
        let one = at.w.int(DType::I64, 1);
        at.w.assign(self.done, &[], one);
    }
    /// The number that fits; a fault where there is none.
    pub fn fitting(&self, at: &mut Emit<'_>) -> ExprId {
        let done = at.w.read(self.done, &[]);
        let one = at.w.int(DType::I64, 1);
        let fits = at.w.compare(CompareFn::Eq, done, one);
        at.w.check(fits, Fault::AssertionFailed);
        let number = at.w.read(self.number, &[]);
        at.w.set(number)
    }
    pub fn fraction(&self, at: &mut Emit<'_>) -> ExprId {
        self.next(at, &self.fractions, deviates::code::fractions)
    }
    pub fn normal(&self, at: &mut Emit<'_>) -> ExprId {
        self.next(at, &self.normals, deviates::code::normals)
    }
    fn next(&self, at: &mut Emit<'_>, stock: &Stock, make: Made) -> ExprId {
        let one = at.w.int(DType::I64, 1);
        let left = at.w.read(stock.left, &[]);
        let left = at.w.set_index(left, None);
        at.only_within(vec![is_zero(left)], |at| {
            let behind = at.w.read(self.behind, &[]);
            let behind = at.w.set(behind);
            let blocks = self.blocks.as_ref().expect("a number has begun");
            let words = blocks.words(at.w, behind);
            for (&local, number) in stock.numbers.iter().zip(make(at.w, DType::F64, words)) {
                at.w.assign(local, &[], number);
            }
            let next = at.w.binary(BinaryFn::Add, behind, one);
            at.w.assign(self.behind, &[], next);
            let many = at.w.int(DType::I64, stock.numbers.len() as i64);
            at.w.assign(stock.left, &[], many);
        });
        let left = at.w.read(stock.left, &[]);
        let left = at.w.binary(BinaryFn::Sub, left, one);
        let left = at.w.set(left);
        at.w.assign(stock.left, &[], left);
        let [first, last] = stock.numbers.map(|local| at.w.read(local, &[]));
        let is_last = at.w.compare(CompareFn::Eq, left, one);
        let number = at.w.select(is_last, last, first);
        at.w.set(number)
    }
}

/// Whether an index, which is not negative, is 0.
fn is_zero(index: Dim) -> Bound {
    Bound { index, extent: Dim::one() }
}

/// `body` where a condition holds.
pub fn when(at: &mut Emit<'_>, cond: ExprId, body: impl FnOnce(&mut Emit<'_>)) {
    let (zero, one) = (at.w.int(DType::I64, 0), at.w.int(DType::I64, 1));
    let place = at.w.select(cond, zero, one);
    let place = at.w.set_index(place, None);
    at.only_within(vec![is_zero(place)], body);
}

/// Arithmetic on f64, each value named.
pub struct Floats<'w> {
    pub w: &'w mut Writer,
}

impl Floats<'_> {
    pub fn number(&mut self, x: f64) -> ExprId {
        self.w.float(DType::F64, x)
    }
    fn binary(&mut self, f: BinaryFn, a: ExprId, b: ExprId) -> ExprId {
        let x = self.w.binary(f, a, b);
        self.w.set(x)
    }
    pub fn add(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryFn::Add, a, b)
    }
    pub fn sub(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryFn::Sub, a, b)
    }
    pub fn mul(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryFn::Mul, a, b)
    }
    pub fn div(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryFn::Div, a, b)
    }
    pub fn pow(&mut self, a: ExprId, b: ExprId) -> ExprId {
        self.binary(BinaryFn::Pow, a, b)
    }
    /// `a + x`.
    pub fn plus(&mut self, a: ExprId, x: f64) -> ExprId {
        let x = self.number(x);
        self.add(a, x)
    }
    /// `x - a`.
    pub fn from(&mut self, x: f64, a: ExprId) -> ExprId {
        let x = self.number(x);
        self.sub(x, a)
    }
    /// `x * a`.
    pub fn times(&mut self, x: f64, a: ExprId) -> ExprId {
        let x = self.number(x);
        self.mul(x, a)
    }
    /// `x / a`.
    pub fn over(&mut self, x: f64, a: ExprId) -> ExprId {
        let x = self.number(x);
        self.div(x, a)
    }
    pub fn unary(&mut self, f: UnaryFn, a: ExprId) -> ExprId {
        let x = self.w.unary(f, a);
        self.w.set(x)
    }
    pub fn log(&mut self, a: ExprId) -> ExprId {
        self.unary(UnaryFn::Log, a)
    }
    pub fn is(&mut self, a: ExprId, f: CompareFn, b: ExprId) -> ExprId {
        let x = self.w.compare(f, a, b);
        self.w.set(x)
    }
    pub fn both(&mut self, a: ExprId, b: ExprId) -> ExprId {
        let x = self.w.binary(BinaryFn::And, a, b);
        self.w.set(x)
    }
    pub fn either(&mut self, a: ExprId, b: ExprId) -> ExprId {
        let x = self.w.binary(BinaryFn::Or, a, b);
        self.w.set(x)
    }
    pub fn select(&mut self, cond: ExprId, a: ExprId, b: ExprId) -> ExprId {
        let x = self.w.select(cond, a, b);
        self.w.set(x)
    }
}
