//! Expressions. A value is one element, or the elements of all lanes; it becomes the latter when it meets one.
//!
//! Operations on the same values are shared while the scope in which they were computed is open: expressions are pure
//! and a kernel never loads what it stores, so this includes loads.

use std::collections::HashMap;

use cranelift_codegen::ir::{Constant, ConstantData, Endianness, InstBuilder, MemFlagsData, Type, Value, types};

use super::{
    Base,
    address::Key,
    kernel::{Lower, constant_memory, plain},
    lanes::fills,
    looping::stride,
    narrow::is_narrow,
    wide::Part,
};
use crate::{
    base::Dim,
    loops::{BinaryFn, BufferId, Combine, CompareFn, Expr, ExprId},
    native::intrinsic::Intrinsic,
    plan::Isa,
    tensor::{DType, Scalar},
};

/// The value of an expression. f16 and bf16 are held as an f32 that they can represent, a bool is an i8 of 0 or 1, and
/// lanes of bools are masks as wide as the lanes beside them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Val {
    Const(Scalar),
    One(Value),
    Lanes(Value),
}

/// An operand of an operation that may be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operand {
    Value(Value),
    /// The bits of a constant.
    Bits(u64),
}

/// An operation with its operands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// By as many lanes, or one element.
    Load(BufferId, Dim, Option<Part>),
    Splat(Value, Type),
    /// What begins with a value in every lane and grows by so much from lane to lane.
    Numbers(Value, i64),
    /// A mask.
    First(Operand, Type),
    /// An expression, by its kind and type.
    Expr(String, DType, Vec<Operand>),
}

/// The register type of one element.
pub(super) fn register(dtype: DType) -> Type {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 => types::I8,
        DType::I16 | DType::U16 => types::I16,
        DType::I32 | DType::U32 => types::I32,
        DType::I64 | DType::U64 => types::I64,
        DType::F16 | DType::BF16 | DType::F32 => types::F32,
        DType::F64 => types::F64,
        // The low half is where it begins, the high one how long it is.
        DType::Str => types::I128,
        DType::C64 | DType::C128 => panic!("{dtype} has no register"),
    }
}

/// Whether an operation on integers in wider lanes may give what the integer has not.
fn may_leave_range(expr: &Expr) -> bool {
    match expr {
        Expr::Unary(..) | Expr::MulAdd(..) | Expr::Cast(_) => true,
        Expr::Binary(f, ..) => matches!(f, BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul | BinaryFn::Shl),
        _ => false,
    }
}

fn bits(scalar: Scalar) -> u64 {
    match scalar {
        Scalar::Bool(b) => u64::from(b),
        Scalar::Int(n) => n as u64,
        Scalar::Uint(n) => n,
        Scalar::F32(x) => u64::from(x.to_bits()),
        Scalar::F64(x) => x.to_bits(),
        // The one that is a constant is empty.
        Scalar::Span(..) => 0,
        Scalar::C64(..) | Scalar::C128(..) => panic!("complex numbers have no register"),
    }
}

impl Lower<'_, '_> {
    pub fn eval(&mut self, root: ExprId) -> Val {
        let mut done = HashMap::new();
        for e in self.k.reach(root) {
            let value = self.expr(e, &done);
            done.insert(e, value);
        }
        done[&root]
    }

    fn expr(&mut self, e: ExprId, done: &HashMap<ExprId, Val>) -> Val {
        let k = self.k;
        let typed = &k.exprs[e];
        match &typed.expr {
            Expr::Const(scalar) => Val::Const(*scalar),
            Expr::Var(v) => self.values[v.index()].unwrap_or_else(|| panic!("{v:?} is used before it is set")),
            Expr::Index(dim) if self.moves_by_lane(dim) => self.numbers(dim),
            Expr::Index(dim) => match self.resolve(dim).as_int() {
                Some(n) => Val::Const(Scalar::Int(n)),
                None => Val::One(self.dim(dim)),
            },
            Expr::Load(buffer, dim) => self.load(*buffer, dim),
            Expr::Local(local, index) => self.read_local(*local, index),
            other => {
                let inputs: Vec<ExprId> = other.operands().collect();
                let values: Vec<Val> = inputs.iter().map(|x| done[x]).collect();
                self.shared(other, typed.dtype, &inputs, &values)
            }
        }
    }

    /// The operation's value, computed at most once.
    fn shared(&mut self, expr: &Expr, dtype: DType, inputs: &[ExprId], values: &[Val]) -> Val {
        let operand = |v: &Val| match v {
            Val::Const(s) => Operand::Bits(bits(*s)),
            Val::One(v) | Val::Lanes(v) => Operand::Value(*v),
        };
        let from = self.k.exprs[inputs[0]].dtype;
        let kind = match expr {
            Expr::Unary(f, _) => format!("{f:?}"),
            Expr::Binary(f, ..) => format!("{f:?}"),
            Expr::Compare(f, ..) => format!("{f:?} {from}"),
            Expr::Cast(_) => format!("Cast {from}"),
            Expr::Bits(_) => format!("Bits {from}"),
            Expr::MulAdd(..) => "MulAdd".into(),
            Expr::Scale(..) => "Scale".into(),
            Expr::Exponent(_) => "Exponent".into(),
            Expr::Mantissa(_) => "Mantissa".into(),
            Expr::Table(entries, _) => format!("Table {entries:?}"),
            Expr::Select(..) => "Select".into(),
            Expr::Start(_) => "Start".into(),
            Expr::Length(_) => "Length".into(),
            Expr::Span(..) => "Span".into(),
            Expr::Byte(..) => "Byte".into(),
            Expr::Word(..) => "Word".into(),
            _ => unreachable!("it has operands"),
        };
        let wide = values.iter().any(|v| matches!(v, Val::Lanes(_)));
        let all_constant = values.iter().all(|v| matches!(v, Val::Const(_)));
        let key = Key::Operation(Operation::Expr(kind, dtype, values.iter().map(operand).collect()));
        if !all_constant && let Some(&value) = self.memo.get(&key) {
            return if wide { Val::Lanes(value) } else { Val::One(value) };
        }
        let registers: Vec<Value> = inputs
            .iter()
            .zip(values)
            .map(|(&input, &value)| {
                let dtype = self.k.exprs[input].dtype;
                if wide { self.widen(value, dtype) } else { self.narrow(value, dtype) }
            })
            .collect();
        let value = self.operate(expr, dtype, from, &registers, values);
        let value = if wide && may_leave_range(expr) { self.wrapped(dtype, value) } else { value };
        if !all_constant {
            self.remember(key, value);
        }
        if wide { Val::Lanes(value) } else { Val::One(value) }
    }

    fn operate(&mut self, expr: &Expr, dtype: DType, from: DType, x: &[Value], values: &[Val]) -> Value {
        let not_nan = |v: &Val| match v {
            Val::Const(Scalar::F32(x)) => !x.is_nan(),
            Val::Const(Scalar::F64(x)) => !x.is_nan(),
            _ => false,
        };
        match expr {
            Expr::Unary(f, _) => self.unary(*f, dtype, x[0]),
            Expr::Binary(f @ (BinaryFn::Max | BinaryFn::Min), ..) if dtype.is_float() => {
                self.float_extremum(*f, x[0], x[1], not_nan(&values[0]), not_nan(&values[1]))
            }
            Expr::Binary(f @ (BinaryFn::Shl | BinaryFn::Shr), ..) => self.shift(*f, dtype, x[0], values[1]),
            Expr::Binary(f, ..) => self.binary(*f, dtype, x[0], x[1]),
            Expr::MulAdd(..) => self.mul_add(dtype, x[0], x[1], x[2]),
            Expr::Scale(..) => self.powers_of_two(Intrinsic::Scale, &x[..2]),
            Expr::Exponent(_) => self.powers_of_two(Intrinsic::Exponent, &x[..1]),
            Expr::Mantissa(_) => self.powers_of_two(Intrinsic::Mantissa, &x[..1]),
            Expr::Table(entries, _) => self.table(entries, x[0]),
            Expr::Compare(f, ..) => self.compare(*f, from, x[0], x[1]),
            Expr::Select(..) => self.choose(x[0], x[1], x[2]),
            Expr::Cast(_) => self.cast(from, dtype, x[0]),
            Expr::Bits(_) => self.reinterpret(from, dtype, x[0]),
            Expr::Start(_) => self.b.ins().isplit(x[0]).0,
            Expr::Length(_) => self.b.ins().isplit(x[0]).1,
            Expr::Span(..) => self.b.ins().iconcat(x[0], x[1]),
            // Not to be moved: where the string is empty there may be no memory.
            Expr::Byte(..) | Expr::Word(..) => {
                let (start, _) = self.b.ins().isplit(x[0]);
                let at = self.b.ins().iadd(start, x[1]);
                let value = self.b.ins().load(register(dtype), plain(), at, 0);
                match self.target.isa.endianness() {
                    Endianness::Big if dtype == DType::U64 => self.b.ins().bswap(value),
                    _ => value,
                }
            }
            _ => unreachable!("it has operands"),
        }
    }

    /// One element in its register.
    pub fn narrow(&mut self, value: Val, dtype: DType) -> Value {
        match value {
            Val::One(value) => value,
            Val::Const(scalar) => self.constant(register(dtype), scalar),
            Val::Lanes(_) => panic!("lanes of {dtype} are used as one value"),
        }
    }

    /// All lanes.
    pub fn widen(&mut self, value: Val, dtype: DType) -> Value {
        let lanes = self.lane_type(dtype);
        let one = match value {
            Val::Lanes(value) => return value,
            Val::Const(Scalar::Bool(b)) => return self.constant(lanes, Scalar::Int(-i64::from(b))),
            Val::Const(scalar) => return self.constant(lanes, scalar),
            Val::One(value) => value,
        };
        let key = Key::Operation(Operation::Splat(one, lanes));
        if let Some(&value) = self.memo.get(&key) {
            return value;
        }
        let element = match dtype {
            DType::Bool => {
                let wide = self.b.ins().uextend(lanes.lane_type(), one);
                self.b.ins().ineg(wide)
            }
            _ if dtype.is_int() && is_narrow(dtype) => match dtype.is_signed_int() {
                true => self.b.ins().sextend(lanes.lane_type(), one),
                false => self.b.ins().uextend(lanes.lane_type(), one),
            },
            _ => one,
        };
        let value = self.b.ins().splat(lanes, element);
        self.remember(key, value);
        value
    }

    /// Widens a value early, where lanes of its type exist.
    pub fn widen_if_fits(&mut self, value: Val, dtype: DType) {
        let lane_bytes = self.wide.as_ref().map_or(0, |w| w.lane_bytes);
        if matches!(value, Val::One(_)) && fills(dtype, lane_bytes) {
            self.widen(value, dtype);
        }
    }

    /// The vector type of a dtype's lanes in the current vector loop.
    pub fn lane_type(&self, dtype: DType) -> Type {
        let wide = self.wide.as_ref().map(|w| (w.width as u32, w.lane_bytes));
        let (width, lane_bytes) = wide.expect("lanes occur in vector loops");
        match dtype {
            _ if dtype == DType::Bool || dtype.is_int() && is_narrow(dtype) => {
                Type::int(lane_bytes as u16 * 8).and_then(|t| t.by(width)).expect("a vector type")
            }
            _ => register(dtype).by(width).expect("a vector type"),
        }
    }

    /// A constant in a scalar or vector register.
    pub fn constant(&mut self, ty: Type, scalar: Scalar) -> Value {
        if ty.is_vector() {
            let bytes = bits(scalar).to_le_bytes();
            let bytes = &bytes[..ty.lane_type().bytes() as usize];
            let all: Vec<u8> = bytes.iter().copied().cycle().take(ty.bytes() as usize).collect();
            let constant: Constant = self.b.func.dfg.constants.insert(ConstantData::from(all));
            return self.b.ins().vconst(ty, constant);
        }
        match (ty, scalar) {
            (types::F32, Scalar::F32(x)) => self.b.ins().f32const(x),
            (types::F64, Scalar::F64(x)) => self.b.ins().f64const(x),
            (types::I128, _) => {
                let zero = self.b.ins().iconst(types::I64, 0);
                self.b.ins().iconcat(zero, zero)
            }
            (ty, scalar) => {
                // The immediate of a narrow constant is its bits without sign.
                let mask = u64::MAX >> (64 - ty.bits());
                self.b.ins().iconst(ty, (bits(scalar) & mask) as i64)
            }
        }
    }

    fn load(&mut self, buffer: BufferId, dim: &Dim) -> Val {
        let dtype = self.k.buffers[buffer].dtype;
        let wide = self.moves_by_lane(dim);
        let part = self.wide.as_ref().map(|w| w.part).filter(|_| wide);
        let key = Key::Operation(Operation::Load(buffer, self.resolve(dim), part));
        if let Some(&value) = self.memo.get(&key) {
            return if wide { Val::Lanes(value) } else { Val::One(value) };
        }
        let place = self.element(buffer, dim);
        let value = match dtype {
            DType::Str => self.string(buffer, place),
            _ => self.fetch(dtype, place, wide, constant_memory()),
        };
        self.remember(key, value);
        if wide { Val::Lanes(value) } else { Val::One(value) }
    }

    /// A string of a buffer. Those of weights count from the weight's own beginning, so that nothing has to be relocated.
    fn string(&mut self, buffer: BufferId, place: (Value, i32)) -> Value {
        let span = self.fetch(DType::Str, place, false, constant_memory());
        if !matches!(self.bases[buffer.index()], Base::Weights(_)) {
            return span;
        }
        let (start, bytes) = self.b.ins().isplit(span);
        let start = self.b.ins().iadd(start, self.buffers[&buffer]);
        self.b.ins().iconcat(start, bytes)
    }

    /// The values of an index that grows by a known number from lane to lane.
    fn numbers(&mut self, index: &Dim) -> Val {
        let step = self.wide.as_ref().and_then(|w| stride(index, w.var)?.as_int());
        let step = step.unwrap_or_else(|| panic!("{}: the lanes of {index} are not known", self.k.name));
        let first = match self.resolve(index).as_int() {
            Some(n) => Val::Const(Scalar::Int(n)),
            None => Val::One(self.dim(index)),
        };
        let first = self.widen(first, DType::I64);
        let key = Key::Operation(Operation::Numbers(first, step));
        if let Some(&value) = self.memo.get(&key) {
            return Val::Lanes(value);
        }
        let lanes = self.type_of(first);
        let behind: Vec<u8> = (0..i64::from(lanes.lane_count())).flat_map(|n| (n * step).to_le_bytes()).collect();
        let behind = self.b.func.dfg.constants.insert(ConstantData::from(behind));
        let behind = self.b.ins().vconst(lanes, behind);
        let value = self.b.ins().iadd(first, behind);
        self.remember(key, value);
        Val::Lanes(value)
    }

    /// Whether an index changes from lane to lane, in the current vector loop.
    fn moves_by_lane(&self, index: &Dim) -> bool {
        self.wide.as_ref().is_some_and(|w| index.mentions_var(w.var.index() as u32))
    }

    /// The element at a pointer and a displacement, or all lanes from there on.
    fn fetch(&mut self, dtype: DType, (pointer, offset): (Value, i32), wide: bool, memory: MemFlagsData) -> Value {
        if wide && is_narrow(dtype) {
            let pointer = self.b.ins().iadd_imm_s(pointer, i64::from(offset));
            return self.load_narrow(dtype, pointer);
        }
        if wide {
            let ty = self.lane_type(dtype);
            let Some(mask) = self.mask(ty) else { return self.load_lanes(ty, memory, (pointer, offset)) };
            let pointer = self.b.ins().iadd_imm_s(pointer, i64::from(offset));
            let lanes = self.intrinsic(Intrinsic::LoadMasked, &[mask, pointer], Some(ty));
            return lanes.unwrap_or_else(|| unreachable!("it returns lanes"));
        }
        match dtype {
            DType::F16 | DType::BF16 => {
                let half = self.b.ins().load(types::I16, memory, pointer, offset);
                self.widen_half(dtype, half)
            }
            DType::Str => {
                let start = self.b.ins().load(types::I64, memory, pointer, offset);
                let bytes = self.b.ins().load(types::I64, memory, pointer, offset + 8);
                self.b.ins().iconcat(start, bytes)
            }
            _ => self.b.ins().load(register(dtype), memory, pointer, offset),
        }
    }

    /// Lanes from an address that need not be aligned to them.
    ///
    /// Without AVX, Cranelift lets a comparison of floats read its operand from memory, which then would have to be aligned:
    /// what is loaded as integers has to pass a register.
    fn load_lanes(&mut self, ty: Type, memory: MemFlagsData, (pointer, offset): (Value, i32)) -> Value {
        if self.info.isa != Isa::X64 || self.info.has_fma || !ty.lane_type().is_float() {
            return self.b.ins().load(ty, memory, pointer, offset);
        }
        let lanes = self.b.ins().load(ty.as_int(), memory, pointer, offset);
        self.as_type(ty, lanes)
    }

    pub fn store(&mut self, buffer: BufferId, index: &Dim, value: ExprId) {
        let dtype = self.k.buffers[buffer].dtype;
        let value = self.eval(value);
        let wide = self.moves_by_lane(index);
        let value = if wide { self.widen(value, dtype) } else { self.narrow(value, dtype) };
        let place = self.element(buffer, index);
        self.put(dtype, place, wide, value);
    }

    /// `buffer[index] = f(buffer[index], value)`, of lanes that are elements apart. The old value is nothing that holds on.
    pub fn update(&mut self, buffer: BufferId, index: &Dim, f: Combine, value: ExprId) {
        let dtype = self.k.buffers[buffer].dtype;
        let value = self.eval(value);
        let wide = self.moves_by_lane(index);
        let value = if wide { self.widen(value, dtype) } else { self.narrow(value, dtype) };
        let place = self.element(buffer, index);
        let new = match f {
            Combine::Set => value,
            _ => {
                let old = self.fetch(dtype, place, wide, plain());
                let new = self.combine(f, dtype, old, value);
                let leaves_range = matches!(f, Combine::Add | Combine::Sub | Combine::Mul | Combine::Div);
                if wide && leaves_range { self.wrapped(dtype, new) } else { new }
            }
        };
        self.put(dtype, place, wide, new);
    }

    fn combine(&mut self, f: Combine, dtype: DType, old: Value, value: Value) -> Value {
        let (compare, yes, no) = match f {
            Combine::Set => return value,
            Combine::Add => return self.binary(BinaryFn::Add, dtype, old, value),
            Combine::Sub => return self.binary(BinaryFn::Sub, dtype, old, value),
            Combine::Mul => return self.binary(BinaryFn::Mul, dtype, old, value),
            Combine::Div => return self.binary(BinaryFn::Div, dtype, old, value),
            Combine::Or => return self.binary(BinaryFn::Or, dtype, old, value),
            Combine::Max => (CompareFn::Lt, value, old),
            Combine::Min => (CompareFn::Gt, value, old),
            Combine::LastMax => (CompareFn::Gt, old, value),
            Combine::LastMin => (CompareFn::Lt, old, value),
        };
        let chooses = self.compare(compare, dtype, old, value);
        self.choose(chooses, yes, no)
    }

    /// Stores an element, or the lanes that there are, at a pointer and a displacement.
    fn put(&mut self, dtype: DType, (pointer, offset): (Value, i32), wide: bool, value: Value) {
        if wide && is_narrow(dtype) {
            let pointer = self.b.ins().iadd_imm_s(pointer, i64::from(offset));
            return self.store_narrow(dtype, pointer, value);
        }
        if dtype == DType::Str {
            let (start, bytes) = self.b.ins().isplit(value);
            self.b.ins().store(plain(), start, pointer, offset);
            self.b.ins().store(plain(), bytes, pointer, offset + 8);
            return;
        }
        let value = match dtype {
            DType::F16 | DType::BF16 => self.narrow_half(dtype, value),
            _ => value,
        };
        if wide && let Some(mask) = self.mask(self.type_of(value)) {
            let pointer = self.b.ins().iadd_imm_s(pointer, i64::from(offset));
            self.intrinsic(Intrinsic::StoreMasked, &[mask, pointer, value], None);
            return;
        }
        self.b.ins().store(plain(), value, pointer, offset);
    }

    /// Cranelift has no such instruction.
    pub fn prefetch(&mut self, buffer: BufferId, index: &Dim, near: bool) {
        if self.info.is_wide() {
            let (pointer, offset) = self.element(buffer, index);
            let pointer = self.b.ins().iadd_imm_s(pointer, i64::from(offset));
            let f = if near { Intrinsic::PrefetchNear } else { Intrinsic::PrefetchFar };
            self.intrinsic(f, &[pointer], None);
        }
    }
}
