//! Elementary functions in machine code against the interpreter: the same expansion gives the same bits.

use smc::{
    base::{Bindings, Dim, Symbol},
    emit::load::Loaded,
    loops::{
        BinaryFn, Kernel, LoopKind, UnaryFn, Writer, index_of,
        random::{Case, Rng},
    },
    native::{Target, elementary},
    tensor::{DType, Scalar},
};
use smc_tests::kernels;

const UNARY: [UnaryFn; 22] = [
    UnaryFn::Floor,
    UnaryFn::Ceil,
    UnaryFn::Trunc,
    UnaryFn::Round,
    UnaryFn::Exp,
    UnaryFn::Expm1,
    UnaryFn::Log,
    UnaryFn::Log1p,
    UnaryFn::Sin,
    UnaryFn::Cos,
    UnaryFn::Tan,
    UnaryFn::Asin,
    UnaryFn::Acos,
    UnaryFn::Atan,
    UnaryFn::Sinh,
    UnaryFn::Cosh,
    UnaryFn::Tanh,
    UnaryFn::Asinh,
    UnaryFn::Acosh,
    UnaryFn::Atanh,
    UnaryFn::Erf,
    UnaryFn::Erfc,
];
const FLOAT_BINARY: [BinaryFn; 3] = [BinaryFn::Pow, BinaryFn::Atan2, BinaryFn::Rem];
const FLOATS: [DType; 4] = [DType::F16, DType::BF16, DType::F32, DType::F64];
const INTS: [DType; 8] = [DType::I8, DType::I16, DType::I32, DType::I64, DType::U8, DType::U16, DType::U32, DType::U64];

#[derive(Clone, Copy)]
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
    io.extend([count as u64, 0]);
    // SAFETY: the io struct holds pointers to two inputs and an output of the sizes that the kernel declares, the
    // symbol and no threads; the program needs no workspace. Code reads elements at any alignment.
    let status = unsafe { loaded.call("m_run0", io.as_ptr(), std::ptr::null_mut(), 0) };
    assert_eq!(status, 0);
    case.kernel = elementary::expand(&case.kernel, target.machine());
    (memory.remove(2), kernels::interpret(&case).unwrap().remove(2))
}

fn compare(cpu: &str) {
    let target = Target::new(None, Some(cpu)).unwrap();
    if !target.runs_here() {
        eprintln!("this machine is no {cpu}: not run");
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
    compare("native");
}
