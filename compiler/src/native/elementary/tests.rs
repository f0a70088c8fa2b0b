//! The expansions, interpreted: accuracy in double precision, special values, exact functions. Accuracy in single
//! precision is measured by machine code in the test package.

use super::*;
use crate::{
    base::{Bindings, Symbol},
    loops::{
        interp::{self, Bytes},
        verify,
    },
};

const PLAIN: Machine =
    Machine { has_fma: false, has_rounding: false, has_scaling: false, has_parts: false, has_tables: false };
const FUSED: Machine =
    Machine { has_fma: true, has_rounding: true, has_scaling: false, has_parts: false, has_tables: false };
/// As with AVX2.
const TABLES: Machine = Machine { has_tables: true, ..FUSED };
const ALL: Machine = Machine { has_scaling: true, has_parts: true, has_tables: true, ..FUSED };

/// A function of the language, of one or two operands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Unary(UnaryFn),
    Binary(BinaryFn),
}

/// `out[i] = f(a[i], b[i])` for `i` below `N`.
fn kernel(f: Function, dtype: DType) -> Kernel {
    let mut w = Writer::new("f");
    let n = Dim::sym("N");
    let [a, b] = [0; 2].map(|_| w.buffer(dtype, n.clone(), false));
    let out = w.buffer(dtype, n.clone(), true);
    let i = w.loop_var(n);
    w.open_block();
    let at = crate::loops::index_of(i);
    let x = w.load_flat(a, at.clone());
    let value = match f {
        Function::Unary(f) => w.unary(f, x),
        Function::Binary(f) => {
            let y = w.load_flat(b, at.clone());
            w.binary(f, x, y)
        }
    };
    w.store_flat(out, at, value);
    w.close_for(i, LoopKind::Vector);
    w.finish()
}

/// Runs a kernel on pairs of operands.
fn run(kernel: &Kernel, dtype: DType, a: &[Scalar], b: &[Scalar]) -> Vec<Scalar> {
    let bytes = |values: &[Scalar]| {
        let mut bytes = vec![];
        values.iter().for_each(|v| v.write_le(dtype, &mut bytes));
        bytes
    };
    let mut out = vec![0; a.len() * dtype.size()];
    let bind = Bindings::from([(Symbol::new("N"), a.len() as i64)]);
    interp::run(kernel, &mut [Bytes::In(&bytes(a)), Bytes::In(&bytes(b)), Bytes::Out(&mut out)], &bind)
        .unwrap_or_else(|e| panic!("{e:?}\n{kernel}"));
    out.chunks_exact(dtype.size()).map(|bytes| Scalar::read_le(dtype, bytes)).collect()
}

fn expanded(f: Function, dtype: DType, machine: Machine) -> Kernel {
    let kernel = expand(&kernel(f, dtype), machine);
    verify(&kernel).unwrap_or_else(|e| panic!("{e}\n{kernel}"));
    assert!(!kernel.exprs.iter().any(|(_, e)| matches!(e.expr, Expr::Unary(f, _) if is_elementary(f))));
    kernel
}

fn singles(f: Function, machine: Machine, a: &[f32], b: &[f32]) -> Vec<f32> {
    let scalars = |v: &[f32]| v.iter().map(|&x| Scalar::F32(x)).collect::<Vec<_>>();
    let results = run(&expanded(f, DType::F32, machine), DType::F32, &scalars(a), &scalars(b));
    results.into_iter().map(|s| if let Scalar::F32(x) = s { x } else { unreachable!() }).collect()
}

fn doubles(f: Function, machine: Machine, a: &[f64], b: &[f64]) -> Vec<f64> {
    let scalars = |v: &[f64]| v.iter().map(|&x| Scalar::F64(x)).collect::<Vec<_>>();
    let results = run(&expanded(f, DType::F64, machine), DType::F64, &scalars(a), &scalars(b));
    results.into_iter().map(|s| if let Scalar::F64(x) = s { x } else { unreachable!() }).collect()
}

/// The function's name, as in `double.txt`.
fn named(name: &str) -> Function {
    let unary = serde_json::from_value(name.into()).map(Function::Unary);
    unary.or_else(|_| serde_json::from_value(name.into()).map(Function::Binary)).unwrap()
}

/// The greatest errors that are allowed for f64.
const DOUBLE: [(Function, f64); 20] = [
    (Function::Unary(UnaryFn::Exp), 1.0),
    (Function::Unary(UnaryFn::Expm1), 1.5),
    (Function::Unary(UnaryFn::Log), 1.0),
    (Function::Unary(UnaryFn::Log1p), 1.5),
    (Function::Unary(UnaryFn::Sin), 1.0),
    (Function::Unary(UnaryFn::Cos), 1.0),
    (Function::Unary(UnaryFn::Tan), 2.0),
    (Function::Unary(UnaryFn::Asin), 2.0),
    (Function::Unary(UnaryFn::Acos), 1.5),
    (Function::Unary(UnaryFn::Atan), 1.5),
    (Function::Unary(UnaryFn::Sinh), 2.0),
    (Function::Unary(UnaryFn::Cosh), 2.0),
    (Function::Unary(UnaryFn::Tanh), 3.0),
    (Function::Unary(UnaryFn::Asinh), 3.0),
    (Function::Unary(UnaryFn::Acosh), 3.0),
    (Function::Unary(UnaryFn::Atanh), 3.0),
    (Function::Unary(UnaryFn::Erf), 1.5),
    (Function::Unary(UnaryFn::Erfc), 4.0),
    (Function::Binary(BinaryFn::Pow), 1.5),
    (Function::Binary(BinaryFn::Atan2), 2.5),
];

/// The spacing of f64 at a value.
fn double_ulp(x: f64) -> f64 {
    match x.abs().to_bits() >> 52 {
        0 => f64::from_bits(1),
        e @ 1..53 => f64::from_bits(1 << (e - 1)),
        e => f64::from_bits((e - 52) << 52),
    }
}

/// Against `double.txt`, which `reference.py` wrote.
#[test]
fn double_precision_is_as_accurate_as_stated() {
    let mut cases: Vec<(Function, Vec<f64>)> = vec![];
    for line in include_str!("double.txt").lines() {
        let (name, numbers) = line.split_once(' ').unwrap();
        let numbers = numbers.split(' ').map(|n| f64::from_bits(u64::from_str_radix(n, 16).unwrap()));
        cases.push((named(name), numbers.collect()));
    }
    let (mut failures, mut table) = (String::new(), String::new());
    for (f, bound) in DOUBLE {
        let cases: Vec<&[f64]> = cases.iter().filter(|(g, _)| *g == f).map(|(_, n)| &n[..]).collect();
        assert!(cases.len() > 40, "{f:?}");
        let a: Vec<f64> = cases.iter().map(|n| n[0]).collect();
        let b: Vec<f64> = cases.iter().map(|n| n[n.len() - 3]).collect();
        for machine in [PLAIN, FUSED, ALL] {
            let mut worst = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (n, y) in cases.iter().zip(doubles(f, machine, &a, &b)) {
                let (high, low) = (n[n.len() - 2], n[n.len() - 1]);
                let ulp = double_ulp(high);
                let error = ((y - high) - low).abs() / ulp;
                let error = if error.is_nan() { f64::INFINITY } else { error };
                if error > worst.0 {
                    worst = (error, n[0], n[n.len() - 3], y, high);
                }
            }
            let (error, x, y, z, exact) = worst;
            table += &format!(
                "{f:?} scaling {} fma {}: {error:.3} at {x:e} {y:e} = {z:e}\n",
                machine.has_scaling, machine.has_fma
            );
            if error > bound {
                failures += &format!("{f:?} {machine:?}: {error} ulp at {x:e}, {y:e}: {z:e}, not {exact:e}\n");
            }
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "\n{failures}");
}

/// The same value, any NaN being like any other.
fn same(a: f64, b: f64) -> bool {
    a.is_nan() && b.is_nan() || a.to_bits() == b.to_bits()
}

#[test]
fn special_values_are_those_of_c() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    let unary = |name: &str, cases: &[(f64, f64)]| {
        let (a, f): (Vec<f64>, _) = (cases.iter().map(|c| c.0).collect(), named(name));
        let single: Vec<f32> = a.iter().map(|&x| x as f32).collect();
        for machine in [PLAIN, TABLES, ALL] {
            let (d, s) = (doubles(f, machine, &a, &a), singles(f, machine, &single, &single));
            for (((x, y), d), s) in cases.iter().zip(d).zip(s) {
                assert!(same(d, *y), "{name}({x}) = {d}, not {y}");
                assert!(same(s.into(), f64::from(*y as f32)), "{name}({x}f) = {s}, not {y}");
            }
        }
    };
    unary("exp", &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (NAN, NAN), (1e4, INF), (-1e4, 0.0)]);
    unary("expm1", &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (NAN, NAN), (-99.0, -1.0), (1e4, INF)]);
    unary("log", &[(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)]);
    unary("log1p", &[(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)]);
    unary("sin", &[(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]);
    unary("cos", &[(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]);
    unary("tan", &[(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]);
    unary("asin", &[(0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (-INF, NAN), (NAN, NAN)]);
    unary("acos", &[(1.0, 0.0), (1.5, NAN), (-1.5, NAN), (INF, NAN), (NAN, NAN)]);
    unary("atan", &[(0.0, 0.0), (-0.0, -0.0), (NAN, NAN)]);
    unary("sinh", &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (NAN, NAN), (-1e4, -INF)]);
    unary("cosh", &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, INF), (NAN, NAN), (-1e4, INF)]);
    unary("tanh", &[(0.0, 0.0), (-0.0, -0.0), (30.0, 1.0), (-30.0, -1.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN)]);
    unary("asinh", &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (NAN, NAN)]);
    unary("acosh", &[(1.0, 0.0), (0.5, NAN), (-3.0, NAN), (-INF, NAN), (INF, INF), (NAN, NAN), (-1e30, NAN)]);
    unary(
        "atanh",
        &[(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (2.0, NAN), (-2.0, NAN), (INF, NAN), (NAN, NAN)],
    );
    unary("erf", &[(0.0, 0.0), (-0.0, -0.0), (30.0, 1.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (-7.0, -1.0)]);
    unary("erfc", &[(0.0, 1.0), (-0.0, 1.0), (30.0, 0.0), (INF, 0.0), (-INF, 2.0), (NAN, NAN), (-30.0, 2.0)]);
    let values = [0.0, 1.0, 0.5, 2.0, 3.0, 2.5, 1e9, 16777217.0, 9007199254740991.0, 1e300, INF, NAN, 1e-300, 5e-324];
    let values: Vec<f64> = values.into_iter().flat_map(|v| [v, -v]).collect();
    let pairs: Vec<(f64, f64)> = values.iter().flat_map(|&x| values.iter().map(move |&y| (x, y))).collect();
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let (a32, b32): (Vec<f32>, Vec<f32>) = pairs.iter().map(|&(x, y)| (x as f32, y as f32)).unzip();
    for machine in [PLAIN, TABLES, ALL] {
        for (name, exact) in [("pow", f64::powf as fn(f64, f64) -> f64), ("atan2", f64::atan2)] {
            let (d, s) = (doubles(named(name), machine, &a, &b), singles(named(name), machine, &a32, &b32));
            for (n, (d, s)) in d.into_iter().zip(s).enumerate() {
                let (x, y, exact, single) = (a[n], b[n], exact(a[n], b[n]), exact(a32[n].into(), b32[n].into()));
                let signs = |a: f64, b: f64| a.is_sign_negative() == b.is_sign_negative();
                let close = (d - exact).abs() <= 1e-15 * exact.abs() && signs(d, exact);
                assert!(same(d, exact) || close, "{name}({x}, {y}) = {d}, not {exact}");
                let s = f64::from(s);
                let close = (s - single).abs() <= 2e-7 * single.abs() && signs(s, single);
                assert!(same(s, f64::from(single as f32)) || close, "{name}({x}f, {y}f) = {s}, not {single}");
            }
        }
    }
}

#[test]
fn constant_exponents_take_short_ways() {
    const INF: f64 = f64::INFINITY;
    let values = [0.0, 1.0, 0.3, 2.5, 1e200, 1e-200, 7.0, INF, f64::NAN];
    let values = values.into_iter().flat_map(|v| [v, -v]);
    let exponents = [0.0, 1.0, 2.0, 3.0, 4.0, -1.0, 0.5, 1.5, -2.0, 5.0, -3.0, -1.5, 1e10, -1e300, INF, -INF, f64::NAN];
    for (dtype, exponent) in [DType::F32, DType::F64].into_iter().flat_map(|d| exponents.map(|e| (d, e))) {
        let scalar = |x: f64| Scalar::from_f64(dtype, x);
        let a: Vec<Scalar> = values.clone().map(scalar).collect();
        let mut kernel = kernel(Function::Binary(BinaryFn::Pow), dtype);
        let second = kernel.exprs.ids().nth(1).unwrap();
        kernel.exprs[second].expr = Expr::Const(scalar(exponent));
        for machine in [PLAIN, TABLES, ALL] {
            let kernel = expand(&kernel, machine);
            verify(&kernel).unwrap_or_else(|e| panic!("{e}"));
            for (x, y) in a.iter().zip(run(&kernel, dtype, &a, &a)) {
                let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
                let exact = scalar(x.powf(exponent)).as_f64().unwrap();
                let bound = if dtype == DType::F32 { 1.2e-7 } else { 4e-16 };
                let close = (y - exact).abs() <= bound * exact.abs();
                assert!(same(y, exact) || close, "{dtype} {x} ^ {exponent} = {y}, not {exact}");
            }
        }
    }
}

/// Thresholds and large arguments that users notice.
#[test]
fn known_values() {
    for machine in [PLAIN, TABLES, ALL] {
        let single = |name: &str, x: f32| singles(named(name), machine, &[x], &[x])[0];
        assert_eq!(single("sin", 1e10), -0.48750603);
        assert_eq!(single("sin", 1e30), -0.79116344);
    }
    let single = |name: &str, x: f32| singles(named(name), PLAIN, &[x], &[x])[0];
    assert_eq!(single("exp", 88.72), 3.3931806e38);
    assert_eq!(single("exp", 88.73), f32::INFINITY);
    assert_eq!(single("tanh", 9.1), 1.0);
    assert_eq!(single("erf", 4.0), 1.0);
    assert_eq!(single("expm1", 1e-8), 1e-8);
    assert_eq!(single("log1p", 1e-8), 1e-8);
}

#[test]
fn remainders_and_whole_numbers_are_exact() {
    let mut rng = crate::base::Rng::new(7);
    let mut a: Vec<f64> = (0..1500).map(|_| f64::from_bits(rng.bits())).collect();
    a.extend((0..1500).map(|_| (rng.bits() >> 40) as f64 / 256.0 - 3e4));
    a.extend([
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NAN,
        1.0,
        5e-324,
        f64::MAX,
        -1.5,
        0.5,
        -0.5,
        2.5,
        1e-310,
        4503599627370497.5,
    ]);
    let mut b: Vec<f64> =
        a.iter().map(|x| if rng.chance(50) { x * 1e-7 } else { f64::from_bits(rng.bits()) }).collect();
    b[3000..].fill(1.0);
    b.extend([0.0, 1.0, -3.0, f64::INFINITY, f64::NAN, 5e-324, 1e-310]);
    a.extend([1.0, 1e308, 1e308, 2.0, 2.0, 1.7e308, 3e-310]);
    let rem = Function::Binary(BinaryFn::Rem);
    for ((x, y), z) in a.iter().zip(&b).zip(doubles(rem, PLAIN, &a, &b)) {
        assert!(same(z, x % y), "{x:e} % {y:e} = {z:e}, not {:e}", x % y);
    }
    let (mut a32, mut b32): (Vec<f32>, Vec<f32>) = a.iter().zip(&b).map(|(&x, &y)| (x as f32, y as f32)).unzip();
    a32.extend((0..2000).map(|_| f32::from_bits(rng.bits() as u32)));
    b32.extend((0..2000).map(|_| f32::from_bits(rng.bits() as u32 >> if rng.chance(50) { 0 } else { 8 })));
    a32.extend([f32::MAX, f32::MAX, f32::MAX, 1.5 * f32::MIN_POSITIVE]);
    b32.extend([f32::from_bits(1), f32::from_bits(3), 1.0000001, f32::from_bits(7)]);
    for machine in [PLAIN, FUSED, ALL] {
        for ((x, y), z) in a32.iter().zip(&b32).zip(singles(rem, machine, &a32, &b32)) {
            assert!(same(z.into(), (x % y).into()), "{x:e} % {y:e} = {z:e}, not {:e}", x % y);
        }
    }
    type Whole = (UnaryFn, fn(f64) -> f64, fn(f32) -> f32);
    let wholes: [Whole; 4] = [
        (UnaryFn::Floor, f64::floor, f32::floor),
        (UnaryFn::Ceil, f64::ceil, f32::ceil),
        (UnaryFn::Trunc, f64::trunc, f32::trunc),
        (UnaryFn::Round, f64::round_ties_even, f32::round_ties_even),
    ];
    for (f, double, single) in wholes {
        let f = Function::Unary(f);
        for (x, y) in a.iter().zip(doubles(f, PLAIN, &a, &a)) {
            assert!(same(y, double(*x)), "{f:?}({x}) = {y}");
        }
        let a: Vec<f32> = (0..=u32::MAX).step_by(1_000_003).map(f32::from_bits).chain(a32.iter().copied()).collect();
        for (x, y) in a.iter().zip(singles(f, PLAIN, &a, &a)) {
            assert!(same(y.into(), single(*x).into()), "{f:?}({x}) = {y}");
        }
    }
}

/// What machines without them make of scaling and tables.
#[test]
fn scaling_and_tables_are_exact() {
    let mut rng = crate::base::Rng::new(11);
    let powers = [0.0, 1.0, -1.0, 0.5, -0.5, 23.0, -23.0, -126.0, -149.0, 127.0, 128.0, 277.0, -278.0, 1e30, -1e30];
    let mut cases: Vec<(f64, f64)> = vec![(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, -3.0), (-0.0, 9.0)];
    for _ in 0..4000 {
        let near = if rng.chance(50) { rng.pick(&powers) } else { (rng.bits() % 4400) as f64 - 2200.0 };
        cases.push((f64::from_bits(rng.bits()), near));
        cases.push((f32::from_bits(rng.bits() as u32).into(), near));
    }
    for dtype in [DType::F32, DType::F64] {
        let scalars = |f: &dyn Fn(&(f64, f64)) -> f64| -> Vec<Scalar> {
            cases.iter().map(|c| Scalar::from_f64(dtype, f(c))).collect()
        };
        let (x, n) = (scalars(&|c| c.0), scalars(&|c| c.1));
        let mut plain = kernel(Function::Binary(BinaryFn::Add), dtype);
        let (id, sum) = plain.exprs.iter().find(|(_, e)| matches!(e.expr, Expr::Binary(..))).unwrap();
        let Expr::Binary(_, a, b) = sum.expr else { unreachable!() };
        plain.exprs[id].expr = Expr::Scale(a, b);
        let expected = run(&plain, dtype, &x, &n);
        for machine in [PLAIN, FUSED] {
            let found = run(&expand(&plain, machine), dtype, &x, &n);
            for ((case, a), b) in cases.iter().zip(&expected).zip(found) {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                assert!(same(a, b), "{case:?}: {b:e}, not {a:e}");
            }
        }
    }
    let mut w = Writer::new("t");
    let (index, out) = (w.buffer(DType::I32, 40.into(), false), w.buffer(DType::F32, 40.into(), true));
    let i = w.loop_var(40.into());
    w.open_block();
    let x = w.load_flat(index, crate::loops::index_of(i));
    let entry = w.table(std::array::from_fn(|n| n as f32), x);
    w.store_flat(out, crate::loops::index_of(i), entry);
    w.close_for(i, LoopKind::Vector);
    let kernel = expand(&w.finish(), PLAIN);
    let bytes: Vec<u8> = (-20..20i32).flat_map(|n| n.to_le_bytes()).collect();
    let mut found = vec![0; 160];
    interp::run(&kernel, &mut [Bytes::In(&bytes), Bytes::Out(&mut found)], &Bindings::new()).unwrap();
    let expected: Vec<u8> = (-20..20i32).flat_map(|n| (n.rem_euclid(16) as f32).to_le_bytes()).collect();
    assert_eq!(found, expected);
}

#[test]
fn parts_of_floats_are_exact() {
    let mut rng = crate::base::Rng::new(13);
    let mut cases = vec![0.0, -0.0, 1.0, 0.75, 1.5, -1.0, 5e-324, 1e-45, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for _ in 0..4000 {
        cases.push(f64::from_bits(rng.bits()));
        cases.push(f32::from_bits(rng.bits() as u32).into());
    }
    for dtype in [DType::F32, DType::F64] {
        let x: Vec<Scalar> = cases.iter().map(|x| Scalar::from_f64(dtype, *x)).collect();
        for part in [Expr::Exponent, Expr::Mantissa] {
            let mut plain = kernel(Function::Unary(UnaryFn::Neg), dtype);
            let (id, negative) = plain.exprs.iter().find(|(_, e)| matches!(e.expr, Expr::Unary(..))).unwrap();
            let Expr::Unary(_, a) = negative.expr else { unreachable!() };
            plain.exprs[id].expr = part(a);
            let expected = run(&plain, dtype, &x, &x);
            for machine in [PLAIN, FUSED] {
                let found = run(&expand(&plain, machine), dtype, &x, &x);
                for ((case, a), b) in cases.iter().zip(&expected).zip(found) {
                    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                    assert!(same(a, b), "{case:e}: {b:e}, not {a:e}");
                }
            }
        }
    }
}

/// A kernel keeps what it says of its own iterations.
#[test]
fn a_kernel_still_takes_turns() {
    let mut kernel = kernel(Function::Unary(UnaryFn::Exp), DType::F32);
    kernel.turn = Some("3".parse().unwrap());
    assert_eq!(expand(&kernel, ALL).turn, kernel.turn);
}

/// The sign of an exponential's operand costs nothing where constants can take it.
#[test]
fn an_opposite_exponential_takes_no_more_steps() {
    let operations = |negates: bool| {
        let mut w = Writer::new("t");
        let [a, out] = [false, true].map(|written| w.buffer(DType::F32, 8.into(), written));
        let i = w.loop_var(8.into());
        w.open_block();
        let x = w.load_flat(a, crate::loops::index_of(i));
        let x = w.set(x);
        let x = if negates { w.unary(UnaryFn::Neg, x) } else { x };
        let x = w.set(x);
        let y = w.unary(UnaryFn::Exp, x);
        w.store_flat(out, crate::loops::index_of(i), y);
        w.close_for(i, LoopKind::Vector);
        let kernel = expand(&w.finish(), ALL);
        verify(&kernel).unwrap_or_else(|e| panic!("{e}\n{kernel}"));
        let value = crate::loops::statements(&kernel.body).find_map(|stmt| match stmt {
            Stmt::Store { value, .. } => Some(*value),
            _ => None,
        });
        // What the result is made of, through all variables.
        let (mut open, mut count) = (vec![value.unwrap()], 0);
        let set = |v: VarId| {
            crate::loops::statements(&kernel.body).find_map(|stmt| match stmt {
                Stmt::Set { var, value } if *var == v => Some(*value),
                _ => None,
            })
        };
        let mut seen = std::collections::HashSet::new();
        while let Some(x) = open.pop() {
            match &kernel.exprs[x].expr {
                Expr::Var(v) if seen.insert(*v) => open.extend(set(*v)),
                Expr::Var(_) => {}
                expr => {
                    count += usize::from(expr.operands().next().is_some());
                    open.extend(expr.operands());
                }
            }
        }
        count
    };
    assert_eq!(operations(true), operations(false));
}

/// Expanding changes nothing in kernels without elementary functions, and keeps the law in all others.
#[test]
fn random_kernels_keep_their_meaning() {
    use crate::loops::random::{Options, case};
    let stores = |kernel: &Kernel, case: &crate::loops::random::Case| {
        let mut data = case.buffers.clone();
        let mut buffers: Vec<Bytes<'_>> = data.iter_mut().map(|b| Bytes::Out(b)).collect();
        let result = interp::run(kernel, &mut buffers, &case.bind);
        let scalars = |(bytes, dtype): (&Vec<u8>, DType)| {
            bytes.chunks_exact(dtype.size()).map(|b| Scalar::read_le(dtype, b)).collect::<Vec<_>>()
        };
        let types = kernel.buffers.iter().map(|(_, b)| b.dtype);
        (result, data.iter().zip(types).map(scalars).collect::<Vec<_>>())
    };
    let alike = |a: &Scalar, b: &Scalar| {
        a.same_bits(*b) || a.as_f64().is_some_and(f64::is_nan) && b.as_f64().is_some_and(f64::is_nan)
    };
    for seed in 0..300 {
        let case = case(seed, Options { size: 20, exact: seed % 3 != 0 });
        let kernel = expand(&case.kernel, PLAIN);
        verify(&kernel).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}\n{kernel}", case.kernel));
        if seed % 3 != 0 {
            let (expected, found) = (stores(&case.kernel, &case), stores(&kernel, &case));
            assert_eq!(expected.0, found.0, "seed {seed}");
            let same = expected.1.iter().flatten().zip(found.1.iter().flatten()).all(|(a, b)| alike(a, b));
            assert!(expected.0.is_err() || same, "seed {seed}\n{}\n{kernel}", case.kernel);
        }
    }
}
