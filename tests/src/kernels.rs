//! Kernels as models of their own, compiled and run: how machine code is compared with the interpreter.

use std::collections::BTreeSet;

use smc::{
    base::{Arena, Dim},
    emit::{
        object::{Object, Parts},
        weights::Stored,
    },
    entry::{Entry, Reach},
    loops::{
        BinaryFn, Expr, Stmt,
        interp::{self, Bytes, Stop},
        random::Case,
    },
    native::{self, Target},
    plan::{Bodies, IoPort, Launch, Place, Program, Storage, Weights},
    tensor::{DType, Tensor, TensorType},
};

/// A program that runs the case's kernel: what it reads are inputs or, where the length is known, every other time
/// weights; what it writes are outputs.
pub fn program(case: &Case, weights: &mut Weights) -> Program {
    let mut program = Program {
        name: case.kernel.name.clone(),
        inputs: vec![],
        outputs: vec![],
        symbols: case.bind.keys().cloned().collect(),
        found: vec![],
        formulas: vec![],
        guards: vec![],
        state: None,
        storage: Arena::default(),
        launches: vec![],
        chains: vec![],
        flows: vec![],
        workspace: Dim::zero(),
        workspace_bound: Dim::zero(),
        strings: None,
    };
    let mut args = vec![];
    for (id, buffer) in case.kernel.buffers.iter() {
        let ty = TensorType::new(buffer.dtype, [buffer.len.clone()]);
        let port = IoPort { name: format!("b{}", id.index()), ty };
        let place = if buffer.written {
            program.outputs.push(port);
            Place::Output(program.outputs.len() - 1)
        } else if let Some(len) = buffer.len.as_int().filter(|_| id.index() % 2 == 1) {
            let tensor = Tensor::from_bytes(buffer.dtype, [len as usize], case.buffers[id.index()].clone());
            Place::Weights(weights.add(tensor))
        } else {
            program.inputs.push(port);
            Place::Input(program.inputs.len() - 1)
        };
        args.push(program.storage.push(Storage { dtype: buffer.dtype, len: buffer.len.clone(), place }));
    }
    let kernel = case.kernel.clone();
    // Enough for threads, whatever the kernel does.
    program.launches.push(Launch {
        kernel,
        args,
        part: None,
        origin: None,
        flops: Dim::from(1 << 30),
        work: Dim::from(1i64 << 40),
        binds: None,
    });
    program
}

/// Why kernels were not made at the target's width: for each the operation that there is no code for.
pub fn declined(target: &Target, cases: &[Case]) -> Vec<String> {
    let (compiled, _) = compile(target, "m", cases, Reach::Near);
    compiled.functions.into_iter().filter_map(|f| f.code.declined).collect()
}

fn compile(target: &Target, name: &str, cases: &[Case], reach: Reach) -> (native::Compiled, Weights) {
    let mut weights = Weights::default();
    let program = |case| Bodies { open: vec![program(case, &mut weights); target.levels.len()], equal: None };
    let bodies: Vec<Bodies> = cases.iter().map(program).collect();
    let names: Vec<String> = (0..cases.len()).map(|n| format!("run{n}")).collect();
    let entries: Vec<Entry<'_>> =
        names.iter().zip(&bodies).map(|(c_name, bodies)| Entry { c_name, aliases: &[], bodies }).collect();
    let compiled = native::compile(target, name, &entries, &weights, reach, None).unwrap_or_else(|p| panic!("{p}"));
    (compiled, weights)
}

/// The object of a model with one signature, `run`, per case: `NAME_run0`, `NAME_run1` and so on.
pub fn object(target: &Target, name: &str, cases: &[Case]) -> Object {
    object_reaching(target, name, cases, Reach::Near)
}

/// As [`object()`], whose code finds its weights in this way.
pub fn object_reaching(target: &Target, name: &str, cases: &[Case], reach: Reach) -> Object {
    let (compiled, weights) = compile(target, name, cases, reach);
    let parts = Parts { name, descriptor: b"descriptor", fingerprint: [0; 32] };
    Object::new(target, &compiled, Stored::new(weights, target.big_endian()), &parts, false)
}

/// The buffers after the interpreter ran the kernel, or the fault that ended it.
pub fn interpret(case: &Case) -> Result<Vec<Vec<u8>>, i32> {
    let mut buffers = case.buffers.clone();
    let mut views: Vec<Bytes<'_>> = buffers
        .iter_mut()
        .zip(case.kernel.buffers.iter())
        .map(|(bytes, (_, b))| if b.written { Bytes::Out(bytes) } else { Bytes::In(bytes) })
        .collect();
    match interp::run(&case.kernel, &mut views, &case.bind) {
        Ok(()) => Ok(buffers),
        Err(Stop::Fault(fault)) => Err(fault as i32),
        Err(Stop::Bug(message)) => panic!("{message}\n{}", case.kernel),
    }
}

/// Whether two elements are equal; NaNs are, and floats are when they differ by no more than `tolerance` relative to
/// the greater, or to 1.
pub fn same(dtype: DType, a: &[u8], b: &[u8], tolerance: f64) -> bool {
    use smc::tensor::Scalar;
    let (a, b) = (Scalar::read_le(dtype, a), Scalar::read_le(dtype, b));
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) if dtype.is_float() => {
            a.same_bits(b)
                || x.is_nan() && y.is_nan()
                || tolerance > 0.0 && (x - y).abs() <= tolerance * x.abs().max(y.abs()).max(1.0)
        }
        _ => a == b,
    }
}

/// Whether the kernel has a float sum of products, which targets with multiply-adds round once.
pub fn sums_products(case: &Case) -> bool {
    fn any(case: &Case, body: &[Stmt]) -> bool {
        let k = &case.kernel;
        body.iter().any(|stmt| match stmt {
            Stmt::Accumulate { f: BinaryFn::Add, value, .. } => {
                k.dtype(*value).is_float() && matches!(k.exprs[*value].expr, Expr::Binary(BinaryFn::Mul, ..))
            }
            Stmt::For { body, .. } => any(case, body),
            Stmt::If { then, otherwise, .. } => any(case, then) || any(case, otherwise),
            _ => false,
        })
    }
    any(case, &case.kernel.body)
}

/// The element types of a case's expressions.
pub fn dtypes(case: &Case) -> BTreeSet<DType> {
    case.kernel.exprs.iter().map(|(_, e)| e.dtype).collect()
}
