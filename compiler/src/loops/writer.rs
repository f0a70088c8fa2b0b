//! Writes a kernel: a cursor into the innermost open block, and one constructor per expression that knows its type.

use super::*;

/// Builds a [`Kernel`] from the outside in.
#[derive(Default)]
pub struct Writer {
    pub kernel: Kernel,
    open: Vec<Block>,
}

impl Writer {
    pub fn new(name: impl Into<String>) -> Writer {
        Writer { kernel: Kernel { name: name.into(), ..Kernel::default() }, open: vec![vec![]] }
    }
    /// The finished kernel. Panics when a block is still open.
    pub fn finish(mut self) -> Kernel {
        assert_eq!(self.open.len(), 1, "every block is closed");
        self.kernel.body = self.open.pop().unwrap_or_default();
        self.kernel
    }
    /// The number of open blocks: what is set at one depth is visible until that block closes.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    pub fn buffer(&mut self, dtype: DType, len: Dim, written: bool) -> BufferId {
        self.kernel.buffers.push(Buffer { dtype, len, written })
    }
    /// A mutable scalar (`shape` is empty) or register array.
    pub fn local(&mut self, dtype: DType, shape: impl Into<Vec<usize>>) -> LocalId {
        self.kernel.locals.push(Local { dtype, shape: shape.into() })
    }

    // Expressions.

    fn push(&mut self, dtype: DType, expr: Expr) -> ExprId {
        self.kernel.exprs.push(Typed { expr, dtype })
    }
    pub fn dtype(&self, e: ExprId) -> DType {
        self.kernel.dtype(e)
    }
    pub fn constant(&mut self, dtype: DType, value: Scalar) -> ExprId {
        self.push(dtype, Expr::Const(value.wrap(dtype)))
    }
    /// The integer `n` in any numeric type.
    pub fn int(&mut self, dtype: DType, n: i64) -> ExprId {
        self.constant(dtype, Scalar::from_i64(dtype, n))
    }
    /// `x` rounded to a float type.
    pub fn float(&mut self, dtype: DType, x: f64) -> ExprId {
        self.constant(dtype, Scalar::from_f64(dtype, x))
    }
    /// The value of an index as an i64.
    pub fn index(&mut self, index: Dim) -> ExprId {
        self.push(DType::I64, Expr::Index(index))
    }
    /// The element at `ix` of a buffer seen under `shape`.
    pub fn load(&mut self, buffer: BufferId, shape: &[Dim], ix: &[Dim]) -> ExprId {
        let dtype = self.kernel.buffers[buffer].dtype;
        self.push(dtype, Expr::Load(buffer, flat(shape, ix)))
    }
    pub fn load_flat(&mut self, buffer: BufferId, index: Dim) -> ExprId {
        let dtype = self.kernel.buffers[buffer].dtype;
        self.push(dtype, Expr::Load(buffer, index))
    }
    pub fn read(&mut self, local: LocalId, index: &[Dim]) -> ExprId {
        let dtype = self.kernel.locals[local].dtype;
        self.push(dtype, Expr::Local(local, index.to_vec()))
    }
    pub fn unary(&mut self, f: UnaryFn, x: ExprId) -> ExprId {
        self.push(self.dtype(x), Expr::Unary(f, x))
    }
    pub fn binary(&mut self, f: BinaryFn, x: ExprId, y: ExprId) -> ExprId {
        self.push(self.dtype(x), Expr::Binary(f, x, y))
    }
    pub fn mul_add(&mut self, a: ExprId, b: ExprId, c: ExprId) -> ExprId {
        self.push(self.dtype(c), Expr::MulAdd(a, b, c))
    }
    /// `x * 2^n`, rounded once.
    pub fn scale(&mut self, x: ExprId, n: ExprId) -> ExprId {
        self.push(self.dtype(x), Expr::Scale(x, n))
    }
    /// The exponent of a float, as a float.
    pub fn exponent(&mut self, x: ExprId) -> ExprId {
        self.push(self.dtype(x), Expr::Exponent(x))
    }
    /// The mantissa of a float, from 3/4 up to 3/2.
    pub fn mantissa(&mut self, x: ExprId) -> ExprId {
        self.push(self.dtype(x), Expr::Mantissa(x))
    }
    /// The entry of a table at the low bits of an i32.
    pub fn table(&mut self, entries: [f32; TABLE], index: ExprId) -> ExprId {
        self.push(DType::F32, Expr::Table(Box::new(entries), index))
    }
    pub fn compare(&mut self, f: CompareFn, x: ExprId, y: ExprId) -> ExprId {
        self.push(DType::Bool, Expr::Compare(f, x, y))
    }
    pub fn select(&mut self, cond: ExprId, then: ExprId, otherwise: ExprId) -> ExprId {
        self.push(self.dtype(then), Expr::Select(cond, then, otherwise))
    }
    /// The value converted to `dtype`; the operand itself when it has that type.
    pub fn cast(&mut self, dtype: DType, x: ExprId) -> ExprId {
        if self.dtype(x) == dtype { x } else { self.push(dtype, Expr::Cast(x)) }
    }
    pub fn bits(&mut self, dtype: DType, x: ExprId) -> ExprId {
        if self.dtype(x) == dtype { x } else { self.push(dtype, Expr::Bits(x)) }
    }
    /// Where the bytes of a string begin.
    pub fn start(&mut self, x: ExprId) -> ExprId {
        self.push(DType::I64, Expr::Start(x))
    }
    /// How many bytes a string has.
    pub fn length(&mut self, x: ExprId) -> ExprId {
        self.push(DType::I64, Expr::Length(x))
    }
    /// The string of so many bytes from there on.
    pub fn span(&mut self, start: ExprId, bytes: ExprId) -> ExprId {
        self.push(DType::Str, Expr::Span(start, bytes))
    }
    /// A byte of a string.
    pub fn byte(&mut self, x: ExprId, index: ExprId) -> ExprId {
        self.push(DType::U8, Expr::Byte(x, index))
    }

    /// Eight bytes of a string.
    pub fn word(&mut self, x: ExprId, index: ExprId) -> ExprId {
        self.push(DType::U64, Expr::Word(x, index))
    }

    // Statements.

    pub fn emit(&mut self, stmt: Stmt) {
        self.open.last_mut().expect("a block is open").push(stmt);
    }
    pub fn open_block(&mut self) {
        self.open.push(vec![]);
    }
    /// Closes the innermost block and hands it over, for the statement that owns it.
    pub fn close_block(&mut self) -> Block {
        assert!(self.open.len() > 1, "the kernel's own block closes last");
        self.open.pop().unwrap_or_default()
    }
    /// A fresh loop variable; use it between `open_block` and [`Writer::close_for`].
    pub fn loop_var(&mut self, extent: Dim) -> VarId {
        self.kernel.vars.push(Var::Loop { extent })
    }
    /// Closes the innermost block as the body of a loop.
    pub fn close_for(&mut self, var: VarId, kind: LoopKind) {
        let body = self.close_block();
        self.emit(Stmt::For { var, kind, body });
    }
    /// Names a value, so that its uses share one evaluation.
    pub fn set(&mut self, value: ExprId) -> ExprId {
        let dtype = self.dtype(value);
        let var = self.kernel.vars.push(Var::Value { dtype });
        self.emit(Stmt::Set { var, value });
        self.push(dtype, Expr::Var(var))
    }
    /// Names an i64 value for use in indices; `extent` says that it lies in `0..extent`.
    pub fn set_index(&mut self, value: ExprId, extent: Option<Dim>) -> Dim {
        let var = self.kernel.vars.push(Var::Index { extent });
        self.emit(Stmt::Set { var, value });
        index_of(var)
    }
    pub fn assign(&mut self, local: LocalId, index: &[Dim], value: ExprId) {
        self.emit(Stmt::Assign { local, index: index.to_vec(), value });
    }
    pub fn accumulate(&mut self, local: LocalId, index: &[Dim], f: BinaryFn, value: ExprId) {
        self.emit(Stmt::Accumulate { local, index: index.to_vec(), f, value });
    }
    pub fn store(&mut self, buffer: BufferId, shape: &[Dim], ix: &[Dim], value: ExprId) {
        self.emit(Stmt::Store { buffer, index: flat(shape, ix), value });
    }
    pub fn store_flat(&mut self, buffer: BufferId, index: Dim, value: ExprId) {
        self.emit(Stmt::Store { buffer, index, value });
    }
    /// `buffer[index] = f(buffer[index], value)`.
    pub fn update(&mut self, buffer: BufferId, shape: &[Dim], ix: &[Dim], f: Combine, value: ExprId) {
        self.emit(Stmt::Update { buffer, index: flat(shape, ix), f, value });
    }
    pub fn prefetch_flat(&mut self, buffer: BufferId, index: Dim, near: bool) {
        self.emit(Stmt::Prefetch { buffer, index, near });
    }
    pub fn check(&mut self, cond: ExprId, fault: Fault) {
        self.emit(Stmt::Check { cond, fault });
    }
    /// Puts a byte or the bytes of a string into the arena.
    pub fn append(&mut self, value: ExprId) {
        self.emit(Stmt::Append { value });
    }
    /// What was appended since the last time, as a string.
    pub fn take(&mut self) -> ExprId {
        let var = self.kernel.vars.push(Var::Value { dtype: DType::Str });
        self.emit(Stmt::Take { var });
        self.push(DType::Str, Expr::Var(var))
    }

    // Index arithmetic that knows the variables' ranges.

    pub fn div(&self, index: &Dim, by: &Dim) -> Dim {
        index.floor_div_in(by, &self.kernel.vars)
    }
    pub fn rem(&self, index: &Dim, by: &Dim) -> Dim {
        index.rem_in(by, &self.kernel.vars)
    }
    /// Whether `0 <= index < extent` is proved.
    pub fn is_within(&self, index: &Dim, extent: &Dim) -> bool {
        index.is_within(extent, &self.kernel.vars)
    }
}
