//! How much memory a call or an evaluation takes, found out before anything is allocated: a process that asks for more
//! than there is ends without a word.

use std::fs;

use crate::{
    base::{Bindings, Diagnostic},
    emit::interface::{Signature, Tensor},
    graph::Graph,
    op::Op,
    tensor::{DType, TensorType},
};

/// Refuses what does not fit into the memory that is left. `None` is a size beyond all numbers.
pub fn fits(bytes: Option<u64>, what: &str) -> Result<(), Diagnostic> {
    let Some(bytes) = bytes else {
        return Err(Diagnostic::error(format!("{what} would take more memory than can be counted")).help(SMALLER));
    };
    // Where the system does not tell, what it would promise.
    let promised = || usize::try_from(bytes).is_ok_and(|n| Vec::<u8>::new().try_reserve_exact(n).is_ok());
    let fits = available().map_or_else(promised, |left| bytes <= left);
    if fits {
        return Ok(());
    }
    let left = available().map_or(String::new(), |left| format!(", and {} are left", amount(left)));
    Err(Diagnostic::error(format!("{what} would take {} of memory{left}", amount(bytes))).help(SMALLER))
}

const SMALLER: &str = "give smaller extents: --batch N or --input NAME=SHAPE";

/// What a call takes: its inputs and outputs, each once more for the caller, and the workspace.
pub fn call(signature: &Signature, bind: &Bindings) -> Result<(), Diagnostic> {
    let room = |t: &Tensor| {
        let count = t.room.eval(bind).and_then(|n| u128::try_from(n).ok());
        // What has no size here is for others to refuse.
        Some(count.map_or(0, |n| n.saturating_mul(t.ty.dtype.size() as u128)))
    };
    let ports = signature.inputs.iter().chain(&signature.outputs).map(room).sum::<Option<u128>>();
    // A workspace that has no size here is for the code to refuse.
    let workspace = signature.workspace.eval(bind).and_then(|n| u128::try_from(n).ok()).unwrap_or(0);
    fits(narrow(ports.map(|ports| 2 * ports + workspace)), &format!("a call of signature `{}`", signature.key))
}

/// What tensors of these types take.
pub fn tensors<'a>(
    types: impl IntoIterator<Item = &'a TensorType>,
    bind: &Bindings,
    what: &str,
) -> Result<(), Diagnostic> {
    fits(narrow(types.into_iter().map(|ty| bytes(ty, bind)).sum()), what)
}

/// What evaluating a graph in double precision takes at most: values from their making to their last use, and copies of the
/// operands of a contraction.
pub fn evaluation(graph: &Graph, bind: &Bindings) -> Result<(), Diagnostic> {
    let bind = &graph.with_bounds(bind);
    let size = |ty: &TensorType| {
        let wide = TensorType::new(if ty.dtype.is_float() { DType::F64 } else { ty.dtype }, ty.shape.clone());
        bytes(&wide, bind)
    };
    let mut uses = graph.use_counts();
    let (mut held, mut most) = (0u128, 0u128);
    let mut simulate = || -> Option<u128> {
        for (_, node) in graph.iter() {
            if matches!(node.op, Op::Const(_)) {
                continue;
            }
            let result = size(&node.ty)?;
            held += result;
            let copies = match node.op {
                Op::Dot(_) | Op::Conv(_) => {
                    node.inputs.iter().map(|i| size(graph.ty(*i))).sum::<Option<u128>>()? + result
                }
                _ => 0,
            };
            most = most.max(held + copies);
            for input in &node.inputs {
                uses[input.index()] -= 1;
                if uses[input.index()] == 0 && !matches!(graph.op(*input), Op::Const(_)) {
                    held -= size(graph.ty(*input))?;
                }
            }
        }
        Some(most)
    };
    fits(narrow(simulate()), "the reference evaluator")
}

/// Bytes of a tensor; strings count their places.
fn bytes(ty: &TensorType, bind: &Bindings) -> Option<u128> {
    let size = if ty.dtype == DType::Str { size_of::<Vec<u8>>() } else { ty.dtype.size() } as u128;
    // A type without a size here is for others to refuse.
    let Some(shape) = ty.concrete(bind) else { return Some(0) };
    shape.iter().try_fold(size, |bytes, &n| bytes.checked_mul(n as u128))
}

fn narrow(bytes: Option<u128>) -> Option<u64> {
    bytes.and_then(|n| u64::try_from(n).ok())
}

/// The bytes that may still be taken without swapping, of the machine and of the control group; `None` where the system
/// does not say.
fn available() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)?;
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// Bytes for people.
fn amount(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let unit = units.into_iter().find(|(_, size)| bytes as f64 >= *size);
    unit.map_or(format!("{bytes} bytes"), |(unit, size)| format!("{:.1} {unit}", bytes as f64 / size))
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(fits(Some(1), "a byte").is_ok());
    let message = fits(Some(1 << 60), "the call").unwrap_err().message;
    assert!(message.starts_with("the call would take 1152921504.6 GB of memory"), "{message}");
    assert!(fits(None, "the call").is_err());
    let bind = Bindings::new();
    assert_eq!(bytes(&"f32[4611686018427387904,4611686018427387904,64]".parse().unwrap(), &bind), None);
    let graph = |n: &str| {
        let mut graph = Graph::default();
        let x = graph.input("x", format!("f32[{n}]").parse().unwrap());
        let y = graph.add(crate::op::Unary { f: crate::loops::UnaryFn::Neg }, &[x]).unwrap();
        graph.output("y", y);
        graph
    };
    assert!(evaluation(&graph("1000"), &bind).is_ok());
    assert!(evaluation(&graph("1000000000000000"), &bind).is_err());
}
