//! Elementary functions in machine code: the bits that the interpreter has for the same expansion, and their accuracy in
//! single precision, which the table in `native/elementary` states.

use smc::{
    base::{Bindings, Dim, Rng, Symbol},
    emit::load::Loaded,
    loops::{BinaryFn, Kernel, LoopKind, UnaryFn, Writer, index_of, random::Case},
    native::{Target, elementary},
    tensor::{DType, Scalar},
};
use smc_tests::{kernels, programs::not_run};

/// The functions that some target has expanded: rounding and the elementary ones.
const UNARY: [UnaryFn; 22] = *UnaryFn::ALL.last_chunk().unwrap();
const FLOAT_BINARY: [BinaryFn; 3] = [BinaryFn::Pow, BinaryFn::Atan2, BinaryFn::Rem];
const FLOATS: [DType; 4] = [DType::F16, DType::BF16, DType::F32, DType::F64];
const INTS: [DType; 8] = [DType::I8, DType::I16, DType::I32, DType::I64, DType::U8, DType::U16, DType::U32, DType::U64];

#[derive(Clone, Copy, Debug)]
enum Function {
    Unary(UnaryFn),
    Binary(BinaryFn),
}

/// `b2[i] = f(b0[i], b1[i])` in a vector loop.
fn kernel(f: Function, dtype: DType) -> Kernel {
    let mut w = Writer::new("f");
    let n = Dim::sym("N");
    let [a, b] = [0; 2].map(|_| w.buffer(dtype, n.clone(), false));
    let out = w.buffer(dtype, n.clone(), true);
    let i = w.loop_var(n);
    w.open_block();
    let at = index_of(i);
    let (x, mut y) = (w.load_flat(a, at.clone()), w.load_flat(b, at.clone()));
    if dtype.is_signed_int() {
        let mask = w.constant(dtype, Scalar::Int(dtype.int_range().unwrap().1 as i64));
        y = w.binary(BinaryFn::And, y, mask);
    }
    let value = match f {
        Function::Unary(f) => w.unary(f, x),
        Function::Binary(f) => w.binary(f, x, y),
    };
    w.store_flat(out, at, value);
    w.close_for(i, LoopKind::Vector);
    w.finish()
}

/// Every bit pattern is as likely as any other, and half of the numbers are of ordinary size.
fn operands(dtype: DType, count: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![];
    for n in 0..count {
        let bits = rng.bits();
        let value = if dtype.is_float() && n % 2 == 0 {
            Scalar::from_f64(dtype, (bits as i64 as f64) / 2f64.powi(59))
        } else {
            Scalar::read_le(dtype, &bits.to_le_bytes()[..dtype.size()])
        };
        value.write_le(dtype, &mut bytes);
    }
    bytes
}

/// The stored elements, by machine code and by the interpreter running what the machine's code is made of.
fn run(target: &Target, f: Function, dtype: DType) -> (Vec<u8>, Vec<u8>) {
    let (count, mut rng) = (301, Rng::new(dtype.size() as u64));
    let [a, b] = [0; 2].map(|_| operands(dtype, count, &mut rng));
    let out = vec![0; a.len()];
    let bind = Bindings::from([(Symbol::new("N"), count as i64)]);
    let mut case = Case { kernel: kernel(f, dtype), bind, buffers: vec![a, b, out] };
    let loaded = Loaded::new(&kernels::object(target, "m", std::slice::from_ref(&case)).bytes()).unwrap();
    let mut memory = case.buffers.clone();
    let mut io: Vec<u64> = memory.iter_mut().map(|bytes| bytes.as_mut_ptr() as u64).collect();
    io.extend([count as u64, 0, 0]);
    // SAFETY: the io struct holds pointers to two inputs and an output of the sizes that the kernel declares, the
    // symbol, no threads and no level; the program needs no workspace. Code reads elements at any alignment.
    let status = unsafe { loaded.call("m_run0", io.as_ptr(), std::ptr::null_mut(), 0) };
    assert_eq!(status, 0);
    case.kernel = elementary::expand(&case.kernel, target.best().machine());
    (memory.remove(2), kernels::interpret(&case).unwrap().remove(2))
}

fn compare(cpu: &str) {
    let target = Target::new(None, Some(cpu)).unwrap();
    if !target.runs_here() {
        not_run(&format!("{} at {cpu}: this machine is none", file!()));
        return;
    }
    let floats = UNARY.map(Function::Unary).into_iter().chain(FLOAT_BINARY.map(Function::Binary));
    let floats = floats.flat_map(|f| FLOATS.map(|dtype| (f, dtype)));
    let ints = INTS.map(|dtype| (Function::Binary(BinaryFn::Pow), dtype));
    for (f, dtype) in floats.chain(ints) {
        let (got, expected) = run(&target, f, dtype);
        let size = dtype.size();
        let differ = |(a, b): (&[u8], &[u8])| !kernels::same(dtype, a, b, 0.0);
        let at = got.chunks(size).zip(expected.chunks(size)).position(differ);
        let name = match f {
            Function::Unary(f) => format!("{f:?}"),
            Function::Binary(f) => format!("{f:?}"),
        };
        let values = |at: usize| [&got, &expected].map(|bytes| Scalar::read_le(dtype, &bytes[at * size..][..size]));
        assert!(at.is_none(), "{cpu}: {name} of {dtype}: machine, interpreter: {:?}", values(at.unwrap()));
    }
}

#[test]
fn functions_agree_at_the_baseline() {
    compare(if cfg!(target_arch = "x86_64") { "x86-64" } else { "native" });
}

#[test]
fn functions_agree_on_this_cpu() {
    compare(&smc_tests::cpu());
}

/// How far `y` is from the exact value, in units of the last place of an f32; infinite where one is NaN or infinite
/// and the other is not, or where a zero or a sign is wrong.
fn single_error(y: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if y.is_nan() || rounded.is_nan() {
        return if y.is_nan() && rounded.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if y.is_sign_negative() != rounded.is_sign_negative() {
        return f64::INFINITY;
    }
    if y == rounded {
        // The rest is rounding of an exact result.
        return if y.is_infinite() { 0.0 } else { (f64::from(y) - exact).abs() / ulp(exact) };
    }
    if rounded.is_infinite() || y.is_infinite() {
        // Near the threshold, one step is the distance to the greatest number.
        let near = (exact.abs() - f64::from(f32::MAX)).abs() <= 3.0 * ulp(f32::MAX.into());
        return if near { 1.0 } else { f64::INFINITY };
    }
    (f64::from(y) - exact).abs() / ulp(exact)
}

/// The spacing of f32 at a value.
fn ulp(x: f64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52).clamp(1023 - 126, 1023 + 127);
    f64::from_bits((exponent - 23) << 52)
}

/// The function in double precision, which is exact enough for f32.
fn reference(f: Function, x: f64, y: f64) -> f64 {
    match f {
        Function::Unary(UnaryFn::Exp) => x.exp(),
        Function::Unary(UnaryFn::Expm1) => x.exp_m1(),
        Function::Unary(UnaryFn::Log) => x.ln(),
        Function::Unary(UnaryFn::Log1p) => x.ln_1p(),
        Function::Unary(UnaryFn::Sin) => x.sin(),
        Function::Unary(UnaryFn::Cos) => x.cos(),
        Function::Unary(UnaryFn::Tan) => x.tan(),
        Function::Unary(UnaryFn::Asin) => x.asin(),
        Function::Unary(UnaryFn::Acos) => x.acos(),
        Function::Unary(UnaryFn::Atan) => x.atan(),
        Function::Unary(UnaryFn::Sinh) => x.sinh(),
        Function::Unary(UnaryFn::Cosh) => x.cosh(),
        Function::Unary(UnaryFn::Tanh) => x.tanh(),
        Function::Unary(UnaryFn::Asinh) => libm::asinh(x),
        Function::Unary(UnaryFn::Acosh) if x < 1.0 => f64::NAN,
        Function::Unary(UnaryFn::Acosh) => libm::acosh(x),
        Function::Unary(UnaryFn::Atanh) => libm::atanh(x),
        Function::Unary(UnaryFn::Erf) => libm::erf(x),
        Function::Unary(UnaryFn::Erfc) => libm::erfc(x),
        Function::Binary(BinaryFn::Pow) => x.powf(y),
        Function::Binary(BinaryFn::Atan2) => x.atan2(y),
        other => unreachable!("{other:?} is exact"),
    }
}

/// The greatest errors that are allowed, for f32.
const ERRORS: [(Function, f64); 20] = [
    (Function::Unary(UnaryFn::Exp), 1.2),
    (Function::Unary(UnaryFn::Expm1), 1.7),
    (Function::Unary(UnaryFn::Log), 0.9),
    (Function::Unary(UnaryFn::Log1p), 1.0),
    (Function::Unary(UnaryFn::Sin), 0.9),
    (Function::Unary(UnaryFn::Cos), 0.9),
    (Function::Unary(UnaryFn::Tan), 2.5),
    (Function::Unary(UnaryFn::Asin), 2.2),
    (Function::Unary(UnaryFn::Acos), 1.3),
    (Function::Unary(UnaryFn::Atan), 1.7),
    (Function::Unary(UnaryFn::Sinh), 1.8),
    (Function::Unary(UnaryFn::Cosh), 1.6),
    (Function::Unary(UnaryFn::Tanh), 2.7),
    (Function::Unary(UnaryFn::Asinh), 2.0),
    (Function::Unary(UnaryFn::Acosh), 2.5),
    (Function::Unary(UnaryFn::Atanh), 2.5),
    (Function::Unary(UnaryFn::Erf), 2.4),
    (Function::Unary(UnaryFn::Erfc), 5.0),
    (Function::Binary(BinaryFn::Pow), 0.8),
    (Function::Binary(BinaryFn::Atan2), 2.0),
];

/// Floats of every size, dense where functions change their formula.
fn samples(step: usize) -> Vec<f32> {
    let spread = (0..=u32::MAX).step_by(step).map(f32::from_bits);
    let edges = [
        0.0,
        f32::MIN_POSITIVE,
        1e-7,
        0.25,
        0.41421356,
        0.5,
        0.129,
        0.625,
        std::f32::consts::FRAC_1_SQRT_2,
        0.85,
        1.0,
        std::f32::consts::SQRT_2,
        std::f32::consts::FRAC_PI_2,
        2.0,
        std::f32::consts::PI,
        1.5,
        3.92,
        3.98,
        4.0,
        5.0,
        9.0,
        10.05,
        16.6,
        20.0,
        44.0,
        87.33,
        88.0,
        88.72284,
        89.4,
        103.97,
        1e9,
        1.8446744e19,
        f32::MAX,
    ];
    let dense = edges.into_iter().flat_map(|edge: f32| {
        let start = edge.to_bits().saturating_sub(60);
        (start..start + 120).flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)])
    });
    let grid = (-2000..=2000).map(|n| n as f32 * 0.013);
    spread.chain(dense).chain(grid).chain([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]).collect()
}

/// A function compiled for this machine.
struct Compiled(Loaded);

impl Compiled {
    fn new(target: &Target, f: Function) -> Compiled {
        let empty = vec![vec![]; 3];
        let case =
            Case { kernel: kernel(f, DType::F32), bind: Bindings::from([(Symbol::new("N"), 0)]), buffers: empty };
        Compiled(Loaded::new(&kernels::object(target, "m", &[case]).bytes()).unwrap())
    }
    fn run(&self, a: &[f32], b: &[f32]) -> Vec<f32> {
        assert_eq!(a.len(), b.len());
        let mut out = vec![0f32; a.len()];
        let io = [a.as_ptr() as u64, b.as_ptr() as u64, out.as_mut_ptr() as u64, a.len() as u64, 0, 0];
        // SAFETY: two inputs and an output of N elements, N, no threads and no level; the program needs no workspace.
        let status = unsafe { self.0.call("m_run0", io.as_ptr(), std::ptr::null_mut(), 0) };
        assert_eq!(status, 0);
        out
    }
    /// The worst error and where it is.
    fn worst(&self, f: Function, a: &[f32], b: &[f32]) -> (f64, f32, f32, f32) {
        let mut worst = (0.0, 0.0, 0.0, 0.0);
        for ((&x, &y), z) in a.iter().zip(b).zip(self.run(a, b)) {
            let error = single_error(z, reference(f, x.into(), y.into()));
            if error > worst.0 {
                worst = (error, x, y, z);
            }
        }
        worst
    }
}

fn accuracy(cpu: &str) {
    let target = Target::new(None, Some(cpu)).unwrap();
    if !target.runs_here() {
        not_run(&format!("{} at {cpu}: this machine is none", file!()));
        return;
    }
    let (mut failures, a) = (String::new(), samples(40_009));
    for (f, bound) in ERRORS {
        let b: Vec<f32> = match f {
            Function::Unary(_) => a.clone(),
            Function::Binary(_) => a.iter().rev().copied().cycle().skip(1234).take(a.len()).collect(),
        };
        let (error, x, y, z) = Compiled::new(&target, f).worst(f, &a, &b);
        println!("{cpu} {f:?}: {error:.3} at {x:e}, {y:e}");
        if error > bound {
            let exact = reference(f, x.into(), y.into());
            failures += &format!("{f:?}: {error} ulp at {x:e}, {y:e}: {z:e}, not {exact:e}\n");
        }
    }
    assert!(failures.is_empty(), "{cpu}:\n{failures}");
}

#[test]
fn single_precision_is_as_accurate_as_stated_at_the_baseline() {
    accuracy(if cfg!(target_arch = "x86_64") { "x86-64" } else { "native" });
}

#[test]
fn single_precision_is_as_accurate_as_stated_on_this_cpu() {
    accuracy(&smc_tests::cpu());
}

/// What a variable of the environment lists between commas.
fn list(variable: &str) -> Option<Vec<String>> {
    let text = std::env::var(variable).ok()?;
    Some(text.split(',').map(|word| word.trim().to_string()).collect())
}

/// Every float through every function of one operand, at every level of this machine; `SMC_STRIDE=n` takes every n-th,
/// `SMC_FUNCTIONS` and `SMC_CPUS` list what is of interest.
#[test]
#[ignore = "takes hours unoptimised: `cargo xtask elementary`"]
fn single_precision_is_as_accurate_as_stated_for_all_floats() {
    let stride = std::env::var("SMC_STRIDE").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (functions, levels) = (list("SMC_FUNCTIONS"), list("SMC_CPUS"));
    let levels = levels.unwrap_or_else(|| Target::native_levels().iter().map(|cpu| cpu.to_string()).collect());
    let name = |f: UnaryFn| serde_json::to_value(f).unwrap().as_str().unwrap_or_default().to_string();
    let known: Vec<(String, Function, f64)> = ERRORS
        .into_iter()
        .filter_map(|(f, bound)| match f {
            Function::Unary(unary) => Some((name(unary), f, bound)),
            Function::Binary(_) => None,
        })
        .collect();
    let functions = functions.unwrap_or_else(|| known.iter().map(|(name, ..)| name.clone()).collect());
    for wanted in &functions {
        let names: Vec<&str> = known.iter().map(|(name, ..)| &name[..]).collect();
        assert!(names.contains(&&wanted[..]), "`{wanted}` is no function of one operand: {}", names.join(", "));
    }
    let mut failures = String::new();
    for cpu in &levels {
        let target = Target::new(None, Some(cpu)).unwrap();
        assert!(target.runs_here(), "this machine does not run {cpu}");
        for &(_, f, bound) in known.iter().filter(|(name, ..)| functions.contains(name)) {
            let (error, x) = worst_of_all(&Compiled::new(&target, f), f, stride);
            println!("{cpu} {f:?}: {error:.3} at {x:e}");
            if error > bound {
                failures += &format!("{cpu} {f:?}: {error} at {x:e}\n");
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The worst error over all floats but for those that `stride` passes over, and where it is; by all processors.
fn worst_of_all(compiled: &Compiled, f: Function, stride: u32) -> (f64, f32) {
    const CHUNK: u64 = 1 << 16;
    let next = std::sync::atomic::AtomicU64::new(0);
    let work = || {
        let mut worst = (0.0, 0.0);
        loop {
            let first = next.fetch_add(CHUNK * u64::from(stride), std::sync::atomic::Ordering::Relaxed);
            let bits = (0..CHUNK).map(|n| first + n * u64::from(stride)).map_while(|n| u32::try_from(n).ok());
            let floats: Vec<f32> = bits.map(f32::from_bits).collect();
            if floats.is_empty() {
                return worst;
            }
            let (error, x, ..) = compiled.worst(f, &floats, &floats);
            if error > worst.0 {
                worst = (error, x);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<(f64, f32)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    results.into_iter().fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
}
