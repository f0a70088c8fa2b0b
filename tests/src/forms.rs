//! One kernel per form that machine code takes: every operation on every element type by lanes and alone, reductions,
//! register tiles, borders, checks, updates. With data that holds the special values of each type.

use smc::{
    base::{Bindings, Dim, Rng, Symbol},
    loops::{
        BinaryFn, Bound, BufferId, Combine, CompareFn, Emit, ExprId, Fault, Kernel, LoopKind, Operands, Stmt, UnaryFn,
        Writer, index_of,
        random::{Case, DTYPES},
    },
    tensor::{DType, Scalar, TensorType},
};

/// A kernel, its data, and how far floats may be from the interpreter's.
pub struct Form {
    pub case: Case,
    pub tolerance: f64,
}

/// Elements of the one-dimensional forms: vectors of every width and a rest.
const COUNT: i64 = 21;

/// All forms.
pub fn all() -> Vec<Form> {
    let mut forms = vec![];
    for dtype in DTYPES {
        pointwise(dtype, &mut forms);
        reductions(dtype, &mut forms);
        updates(dtype, &Combine::ALL, &mut forms);
    }
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::BF16] {
        forms.extend([gemm(dtype, 4, 8), gemm(dtype, 3, 6), gemm(dtype, 1, 16)]);
        forms.extend([border(dtype), rows(dtype), mixed_rows(dtype)]);
    }
    for dtype in [DType::F32, DType::F64, DType::F16] {
        elementary(dtype, &mut forms);
    }
    forms.extend([gather(), divisions(), weights_and_strides()]);
    forms
}

/// Nothing is fused here.
struct NoOperands;

impl Operands for NoOperands {
    fn count(&self) -> usize {
        0
    }
    fn ty(&self, _: usize) -> &TensorType {
        panic!("the forms load for themselves")
    }
    fn read(&mut self, _: &mut Writer, _: usize, _: &[Dim]) -> ExprId {
        panic!("the forms load for themselves")
    }
    fn leave(&mut self, _: usize) {}
}

fn build(name: &str, dims: &[(&str, i64)], tolerance: f64, write: impl FnOnce(&mut Writer)) -> Form {
    let mut w = Writer::new(name);
    write(&mut w);
    let kernel = w.finish();
    smc::loops::verify(&kernel).unwrap_or_else(|v| panic!("{v}\n{kernel}"));
    let bind: Bindings = dims.iter().map(|(s, n)| (Symbol::new(s), *n)).collect();
    let case = with_data(kernel, bind);
    Form { case, tolerance }
}

/// The kernel with data for these sizes.
fn with_data(kernel: Kernel, bind: Bindings) -> Case {
    let name = &kernel.name;
    let mut rng = Rng::new(name.bytes().fold(7, |h: u64, b| h.wrapping_mul(31).wrapping_add(u64::from(b))));
    let mut fill = |b: &smc::loops::Buffer| {
        let mut bytes = vec![];
        for n in 0..b.len.eval(&bind).unwrap() {
            let value = if b.written { Scalar::zero(b.dtype) } else { element(&mut rng, b.dtype, n as usize) };
            value.write_le(b.dtype, &mut bytes);
        }
        bytes
    };
    let buffers = kernel.buffers.iter().map(|(_, b)| fill(b)).collect();
    Case { kernel, bind, buffers }
}

/// Extents around the ends of vectors of every width, and a few primes.
const EXTENTS: [i64; 22] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65, 67, 127, 131, 257];

/// Maps and reductions of one loop at many extents, each known at run time and known before.
pub fn ends() -> Vec<Form> {
    let mut forms = vec![];
    for d in [DType::F32, DType::F64, DType::I32, DType::U32, DType::I64, DType::U64, DType::F16, DType::U8] {
        reductions(d, &mut forms);
        updates(d, &[Combine::Add, Combine::LastMax], &mut forms);
        let kinds = [CompareFn::Lt, CompareFn::Ne];
        forms.extend(kinds.map(|f| {
            map(&format!("select_{f:?}_{d}"), [d; 2], d, |w, a, b, c| {
                let (x, y) = (w.compare(f, a, b), w.compare(CompareFn::Le, a, c));
                let both = w.binary(BinaryFn::Or, x, y);
                let sum = w.binary(BinaryFn::Add, a, b);
                w.select(both, sum, c)
            })
        }));
    }
    let ends = |form: &Form| {
        let text = form.case.kernel.to_string();
        let is_sum = form.case.kernel.name.contains("Add") || form.case.kernel.name.contains("Mul");
        let at = |n: i64| {
            let known = smc::loops::parse(&text.replace('N', &n.to_string())).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let unknown = Bindings::from_iter([(Symbol::new("N"), n)]);
            [with_data(known, Bindings::new()), with_data(form.case.kernel.clone(), unknown)].map(|case| {
                let form = Form { case, tolerance: form.tolerance };
                if is_sum { tame(form) } else { form }
            })
        };
        // A row of the reductions has an element more.
        let least = if form.case.kernel.name.starts_with("reduce") { 1 } else { 0 };
        EXTENTS.into_iter().filter(|n| *n >= least).flat_map(at).collect::<Vec<_>>()
    };
    forms.iter().flat_map(ends).collect()
}

/// Special values at every third place, ordinary ones elsewhere.
fn element(rng: &mut Rng, dtype: DType, n: usize) -> Scalar {
    let special = n % 3 == 2;
    match dtype {
        DType::Bool => Scalar::Bool(rng.chance(50)),
        _ if dtype.is_float() && special => {
            let values =
                [0.0, -0.0, 0.5, 1.5, 2.5, -0.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, 3e9, -1e19];
            Scalar::from_f64(dtype, rng.pick(&values))
        }
        _ if dtype.is_float() => Scalar::from_f64(dtype, rng.below(2_000_000) as f64 / 1e4 - 100.0),
        _ if special => {
            let (least, greatest) = dtype.int_range().unwrap();
            let value = rng.pick(&[least, greatest, 0, 1, least + 1]);
            if dtype.is_signed_int() { Scalar::Int(value as i64) } else { Scalar::Uint(value as u64) }
        }
        _ => Scalar::from_i64(dtype, rng.bits() as i64 >> rng.below(60)),
    }
}

/// Ordinary values only, for sums: their errors are relative to what is summed.
fn tame(mut form: Form) -> Form {
    let mut rng = Rng::new(5);
    for ((_, b), bytes) in form.case.kernel.buffers.iter().zip(&mut form.case.buffers) {
        if !b.written && b.dtype.is_float() {
            let count = bytes.len() / b.dtype.size();
            bytes.clear();
            for _ in 0..count {
                Scalar::from_f64(b.dtype, rng.below(2000) as f64 / 1e3 - 1.0).write_le(b.dtype, bytes);
            }
        }
    }
    form
}

/// `out[i] = f(a[i], b[i], c[0])` in a vector loop over a symbolic extent.
fn map(
    name: &str,
    types: [DType; 2],
    out: DType,
    f: impl FnOnce(&mut Writer, ExprId, ExprId, ExprId) -> ExprId,
) -> Form {
    build(name, &[("N", COUNT)], 0.0, |w| {
        let n = Dim::sym("N");
        let a = w.buffer(types[0], n.clone(), false);
        let b = w.buffer(types[1], n.clone(), false);
        let c = w.buffer(types[1], Dim::from(8), false);
        let out = w.buffer(out, n.clone(), true);
        vector(w, &n, |w, i| {
            let values = [w.load_flat(a, i.clone()), w.load_flat(b, i.clone()), w.load_flat(c, Dim::from(3))];
            let value = f(w, values[0], values[1], values[2]);
            w.store_flat(out, i.clone(), value);
        });
    })
}

fn vector(w: &mut Writer, extent: &Dim, body: impl FnOnce(&mut Writer, &Dim)) {
    each(w, extent, LoopKind::Vector, body);
}

fn each(w: &mut Writer, extent: &Dim, kind: LoopKind, body: impl FnOnce(&mut Writer, &Dim)) {
    Emit { w, operands: &mut NoOperands }.each(extent, kind, |at, i| body(at.w, i));
}

fn pointwise(d: DType, forms: &mut Vec<Form>) {
    use BinaryFn::*;
    let float = d.is_float();
    let unary: &[UnaryFn] = match d {
        DType::Bool => &[UnaryFn::Not],
        _ if float => {
            &[UnaryFn::Neg, UnaryFn::Abs, UnaryFn::Sqrt, UnaryFn::Floor, UnaryFn::Ceil, UnaryFn::Trunc, UnaryFn::Round]
        }
        _ => &[UnaryFn::Neg, UnaryFn::Abs, UnaryFn::Not],
    };
    for &f in unary {
        forms.push(map(&format!("{f:?}_{d}"), [d; 2], d, |w, a, _, _| w.unary(f, a)));
    }
    let binary: &[BinaryFn] = match d {
        DType::Bool => &[And, Or, Xor],
        _ if float => &[Add, Sub, Mul, Div, Max, Min],
        _ => &[Add, Sub, Mul, Max, Min, And, Or, Xor, Shl, Shr],
    };
    for &f in binary {
        forms.push(map(&format!("{f:?}_{d}"), [d; 2], d, |w, a, b, _| w.binary(f, a, b)));
        forms.push(map(&format!("{f:?}_{d}_uniform"), [d; 2], d, |w, a, _, c| w.binary(f, a, c)));
    }
    if d != DType::Bool {
        let one = |w: &mut Writer| if float { w.float(d, 1.5) } else { w.int(d, 3) };
        for f in binary {
            forms.push(map(&format!("{f:?}_{d}_constant"), [d; 2], d, |w, a, _, _| {
                let c = one(w);
                w.binary(*f, a, c)
            }));
            forms.push(map(&format!("{f:?}_constant_{d}"), [d; 2], d, |w, a, _, _| {
                let c = one(w);
                w.binary(*f, c, a)
            }));
        }
    }
    let compare: &[CompareFn] = match d {
        DType::Bool => &[CompareFn::Eq, CompareFn::Ne],
        _ => &[CompareFn::Eq, CompareFn::Ne, CompareFn::Lt, CompareFn::Le, CompareFn::Gt, CompareFn::Ge],
    };
    for &f in compare {
        forms.push(map(&format!("{f:?}_{d}"), [d; 2], DType::Bool, |w, a, b, _| w.compare(f, a, b)));
        // A mask chooses, is combined, and becomes a number.
        forms.push(map(&format!("select_{f:?}_{d}"), [d; 2], d, |w, a, b, c| {
            let (x, y) = (w.compare(f, a, b), w.compare(CompareFn::Ne, a, c));
            let both = w.binary(And, x, y);
            let neither = w.unary(UnaryFn::Not, both);
            let number = w.cast(d, neither);
            let chosen = w.select(both, b, a);
            if d == DType::Bool { w.binary(Xor, chosen, number) } else { w.binary(Max, chosen, number) }
        }));
    }
    for to in DTYPES {
        forms.push(map(&format!("cast_{d}_{to}"), [d; 2], to, |w, a, _, _| w.cast(to, a)));
        if d != DType::Bool && to != DType::Bool && to.size() == d.size() && !float {
            forms.push(map(&format!("bits_{d}_{to}"), [d; 2], to, |w, a, _, _| w.bits(to, a)));
        }
    }
}

fn elementary(d: DType, forms: &mut Vec<Form>) {
    use UnaryFn::*;
    let tolerance = match d {
        DType::F32 => 1e-6,
        DType::F64 => 1e-14,
        _ => 1e-3,
    };
    for f in [Exp, Expm1, Log, Log1p, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh, Atanh, Erf, Erfc]
    {
        forms.push(Form { tolerance, ..map(&format!("{f:?}_{d}"), [d; 2], d, |w, a, _, _| w.unary(f, a)) });
    }
    for f in [BinaryFn::Pow, BinaryFn::Atan2, BinaryFn::Rem] {
        forms.push(Form { tolerance, ..map(&format!("{f:?}_{d}"), [d; 2], d, |w, a, b, _| w.binary(f, a, b)) });
    }
}

fn reductions(d: DType, forms: &mut Vec<Form>) {
    use BinaryFn::*;
    let functions: &[BinaryFn] = match d {
        DType::Bool => &[And, Or],
        _ if d.is_float() => &[Add, Mul, Max, Min],
        _ => &[Add, Mul, Max, Min, And, Or],
    };
    for &f in functions {
        let tolerance = match d {
            DType::F16 | DType::BF16 => 0.1,
            _ => 1e-5,
        };
        let form = build(&format!("reduce_{f:?}_{d}"), &[("N", COUNT)], tolerance, |w| {
            let n = Dim::sym("N");
            let a = w.buffer(d, Dim::from(3) * &n, false);
            let out = w.buffer(d, Dim::from(3), true);
            each(w, &Dim::from(3), LoopKind::Parallel, |w, row| {
                let start = w.load_flat(a, row * &n);
                let acc = w.local(d, []);
                w.assign(acc, &[], start);
                vector(w, &(&n - 1).at_least(&Dim::zero()), |w, i| {
                    let value = w.load_flat(a, row * &n + i + 1);
                    w.accumulate(acc, &[], f, value);
                });
                let value = w.read(acc, &[]);
                w.store_flat(out, row.clone(), value);
            });
        });
        forms.push(if matches!(f, Add | Mul) { tame(form) } else { form });
    }
}

/// A register tile: `out[M, NR] = a[M, K] b[K, NR]`, `mr` rows at a time, with a bias row and a ReLU.
pub fn gemm(d: DType, mr: i64, nr: i64) -> Form {
    let name = format!("gemm_{mr}x{nr}_{d}");
    let tolerance = if d == DType::BF16 { 0.1 } else { 1e-5 };
    tame(build(&name, &[("B", 2), ("K", 37)], tolerance, |w| {
        let (k, b) = (Dim::sym("K"), Dim::sym("B"));
        let rows = &b * mr;
        let x = w.buffer(d, &rows * &k, false);
        let y = w.buffer(d, &k * nr, false);
        let bias = w.buffer(d, Dim::from(nr), false);
        let out = w.buffer(d, &rows * nr, true);
        each(w, &b, LoopKind::Parallel, |w, block| {
            let acc = w.local(d, [mr as usize, nr as usize]);
            tile(w, mr, nr, |w, m, n| {
                let zero = w.int_or_float(d, 0);
                w.assign(acc, &[m.clone(), n.clone()], zero);
            });
            each(w, &k, LoopKind::Seq, |w, k_at| {
                tile(w, mr, nr, |w, m, n| {
                    let a = w.load_flat(x, (block * mr + m) * &k + k_at);
                    let b = w.load_flat(y, k_at * &Dim::from(nr) + n);
                    let product = w.binary(BinaryFn::Mul, a, b);
                    w.accumulate(acc, &[m.clone(), n.clone()], BinaryFn::Add, product);
                });
            });
            tile(w, mr, nr, |w, m, n| {
                let sum = w.read(acc, &[m.clone(), n.clone()]);
                let bias = w.load_flat(bias, n.clone());
                let sum = w.binary(BinaryFn::Add, sum, bias);
                let zero = w.int_or_float(d, 0);
                let value = w.binary(BinaryFn::Max, sum, zero);
                w.store_flat(out, (block * mr + m) * nr + n, value);
            });
        });
    }))
}

fn tile(w: &mut Writer, mr: i64, nr: i64, body: impl FnOnce(&mut Writer, &Dim, &Dim)) {
    each(w, &Dim::from(mr), LoopKind::Unroll, |w, m| {
        vector(w, &Dim::from(nr), |w, n| body(w, m, n));
    });
}

/// A number of any type.
trait IntOrFloat {
    fn int_or_float(&mut self, dtype: DType, n: i64) -> ExprId;
}

impl IntOrFloat for Writer {
    fn int_or_float(&mut self, dtype: DType, n: i64) -> ExprId {
        if dtype.is_float() { self.float(dtype, n as f64) } else { self.int(dtype, n) }
    }
}

/// A window of three over a padded row, with the border inside the vector loop and outside of it.
fn border(d: DType) -> Form {
    build(&format!("border_{d}"), &[("N", COUNT), ("C", 6)], 1e-5, |w| {
        let (n, c) = (Dim::sym("N"), Dim::sym("C"));
        let x = w.buffer(d, &n * &c, false);
        let out = w.buffer(d, &n * &c, true);
        each(w, &n, LoopKind::Seq, |w, i| {
            vector(w, &c, |w, channel| {
                let acc = w.local(d, []);
                let least = w.load_flat(x, i * &c + channel);
                w.assign(acc, &[], least);
                each(w, &Dim::from(3), LoopKind::Unroll, |w, t| {
                    let at = i + t - 1;
                    w.open_block();
                    let value = w.load_flat(x, &at * &c + channel);
                    w.accumulate(acc, &[], BinaryFn::Max, value);
                    let then = w.close_block();
                    let bounds = vec![Bound { index: at, extent: n.clone() }];
                    w.emit(Stmt::If { bounds, then, otherwise: vec![] });
                });
                let value = w.read(acc, &[]);
                w.store_flat(out, i * &c + channel, value);
            });
        });
    })
}

/// Scales rows by their greatest element: two vector loops in a row, a division, a value between them.
fn rows(d: DType) -> Form {
    let form = build(&format!("rows_{d}"), &[("R", 3), ("C", 13)], 1e-5, |w| {
        let (r, c) = (Dim::sym("R"), Dim::sym("C"));
        let x = w.buffer(d, &r * &c, false);
        let scale = w.buffer(d, c.clone(), false);
        let out = w.buffer(d, &r * &c, true);
        each(w, &r, LoopKind::Parallel, |w, i| {
            let acc = w.local(d, []);
            let one = w.int_or_float(d, 1);
            w.assign(acc, &[], one);
            vector(w, &c, |w, j| {
                let value = w.load_flat(x, i * &c + j);
                w.accumulate(acc, &[], BinaryFn::Max, value);
            });
            let greatest = w.read(acc, &[]);
            let greatest = w.set(greatest);
            vector(w, &c, |w, j| {
                let value = w.load_flat(x, i * &c + j);
                let scale = w.load_flat(scale, j.clone());
                let value = w.mul_add(value, greatest, scale);
                let value = w.binary(BinaryFn::Min, value, greatest);
                w.store_flat(out, i * &c + j, value);
            });
        });
    });
    tame(form)
}

/// Two types in one loop, a stride of two, an index that is stored, a division in an index.
fn mixed_rows(d: DType) -> Form {
    build(&format!("mixed_{d}"), &[("N", COUNT)], 0.0, |w| {
        let n = Dim::sym("N");
        let x = w.buffer(d, &n * 2, false);
        let narrow = w.buffer(DType::I8, n.clone(), false);
        let positions = w.buffer(DType::I64, n.clone(), true);
        let out = w.buffer(d, n.clone(), true);
        vector(w, &n, |w, i| {
            let (value, small) = (w.load_flat(x, i * 2 + 1), w.load_flat(narrow, i.clone()));
            let small = w.cast(d, small);
            let far = w.load_flat(x, w.div(&(i * 3), &Dim::from(2)));
            let value = w.binary(BinaryFn::Max, value, small);
            let value = w.binary(BinaryFn::Min, value, far);
            w.store_flat(out, i.clone(), value);
            let position = w.index(w.rem(i, &Dim::from(5)) - 2);
            w.store_flat(positions, i.clone(), position);
        });
    })
}

/// Elements updated at places that repeat: rows by lanes, each twice in an iteration, and elements alone.
fn updates(d: DType, by: &[Combine], forms: &mut Vec<Form>) {
    for &f in by.iter().filter(|f| f.accepts(d)) {
        // No integer is divided by 0.
        let fit = |w: &mut Writer, value: ExprId| match f == Combine::Div && d.is_int() {
            true => {
                let one = w.int(d, 1);
                w.binary(BinaryFn::Or, value, one)
            }
            false => value,
        };
        forms.push(build(&format!("update_{f:?}_{d}"), &[("N", COUNT)], 0.0, |w| {
            let (n, rows) = (Dim::sym("N"), Dim::from(4));
            let [x, y] = [(); 2].map(|()| w.buffer(d, n.clone(), false));
            let places = w.buffer(DType::I64, n.clone(), false);
            let [out, alone] = [&rows * &n, rows.clone()].map(|len| w.buffer(d, len, true));
            each(w, &rows, LoopKind::Seq, |w, i| {
                vector(w, &n, |w, j| {
                    let value = w.load_flat(x, j.clone());
                    w.store_flat(out, i * &n + j, value);
                });
            });
            each(w, &n, LoopKind::Seq, |w, i| {
                let place = w.load_flat(places, i.clone());
                let last = w.int(DType::I64, 3);
                let place = w.binary(BinaryFn::And, place, last);
                let place = w.set_index(place, Some(rows.clone()));
                let value = w.load_flat(y, i.clone());
                let value = fit(w, value);
                w.update(alone, std::slice::from_ref(&rows), std::slice::from_ref(&place), f, value);
                vector(w, &n, |w, j| {
                    let (one, other) = (w.load_flat(y, j.clone()), w.load_flat(x, i.clone()));
                    let (one, other) = (fit(w, one), fit(w, other));
                    w.update(out, &[rows.clone(), n.clone()], &[place.clone(), j.clone()], f, one);
                    w.update(out, &[rows.clone(), n.clone()], &[place.clone(), j.clone()], f, other);
                });
            });
        }));
    }
}

/// Reads through an index that is checked; the data make the check fail at some row.
fn gather() -> Form {
    build("gather", &[("N", COUNT), ("C", 5)], 0.0, |w| {
        let (n, c) = (Dim::sym("N"), Dim::sym("C"));
        let table = w.buffer(DType::F32, &n * &c, false);
        let indices = w.buffer(DType::I32, n.clone(), false);
        let out = w.buffer(DType::F32, &n * &c, true);
        each(w, &n, LoopKind::Parallel, |w, i| {
            let index = w.load_flat(indices, i.clone());
            let index = w.cast(DType::I64, index);
            let (zero, end) = (w.int(DType::I64, 0), w.index(n.clone()));
            let fine = w.compare(CompareFn::Ge, index, zero);
            let below = w.compare(CompareFn::Lt, index, end);
            let fine = w.binary(BinaryFn::And, fine, below);
            w.check(fine, Fault::IndexOutOfRange);
            let at = w.set_index(index, Some(n.clone()));
            vector(w, &c, |w, j| {
                let value = w.load_flat(table, &at * &c + j);
                w.store_flat(out, i * &c + j, value);
            });
        });
    })
}

/// Integer division and powers behind their checks, in every width; no divisor is 0.
fn divisions() -> Form {
    build("divisions", &[("N", COUNT)], 0.0, |w| {
        let n = Dim::sym("N");
        for d in DTYPES.into_iter().filter(|d| d.is_int()) {
            let inputs: [BufferId; 2] = [(); 2].map(|()| w.buffer(d, n.clone(), false));
            let outputs: [BufferId; 3] = [(); 3].map(|()| w.buffer(d, n.clone(), true));
            vector(w, &n, |w, i| {
                let (a, b) = (w.load_flat(inputs[0], i.clone()), w.load_flat(inputs[1], i.clone()));
                let (zero, one, few) = (w.int(d, 0), w.int(d, 1), w.int(d, 7));
                let is_zero = w.compare(CompareFn::Eq, b, zero);
                let divisor = w.select(is_zero, one, b);
                let exponent = w.binary(BinaryFn::And, b, few);
                for (out, f, y) in [
                    (outputs[0], BinaryFn::Div, divisor),
                    (outputs[1], BinaryFn::Rem, divisor),
                    (outputs[2], BinaryFn::Pow, exponent),
                ] {
                    let value = w.binary(f, a, y);
                    w.store_flat(out, i.clone(), value);
                }
            });
        }
    })
}

/// Loops of constant extent, some of whose buffers are weights; a transposition; extents of one.
fn weights_and_strides() -> Form {
    build("strides", &[("N", 3)], 0.0, |w| {
        let n = Dim::sym("N");
        let x = w.buffer(DType::F32, &n * 35, false);
        let y = w.buffer(DType::F32, Dim::from(35), false);
        let out = w.buffer(DType::F32, &n * 35, true);
        each(w, &n, LoopKind::Seq, |w, b| {
            let row = w.kernel.vars.push(smc::loops::Var::Loop { extent: Dim::from(7) });
            let i = index_of(row);
            w.open_block();
            vector(w, &Dim::from(5), |w, j| {
                let value = w.load_flat(x, b * 35 + j * 7 + &i);
                let scale = w.load_flat(y, &i * 5 + j);
                let value = w.binary(BinaryFn::Mul, value, scale);
                w.store_flat(out, b * 35 + &i * 5 + j, value);
            });
            w.close_for(row, LoopKind::Seq);
        });
    })
}
