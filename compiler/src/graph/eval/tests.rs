//! Hand-written cases: one operator over constants, its value, a fault or a type error; and the kernel of the operator
//! alone gives the same.

use super::*;
use crate::{
    graph::text,
    loops::interp::{Bytes, Stop, run},
    op,
    tensor::Scalar,
};

/// `operands` are separated by `;`, each a type and elements, as is a value that is expected.
fn check(operator: &str, operands: &str, expected: &str) {
    let constant = |name: &str, text: &str| {
        let (ty, elements) = text.trim().split_once(' ').expect("a type and elements");
        format!("{name} = const {elements} : {ty}\n")
    };
    let operands: Vec<&str> = operands.split(';').filter(|o| !o.trim().is_empty()).collect();
    let names: Vec<String> = (0..operands.len()).map(|n| format!("%{n}")).collect();
    let mut source: String = names.iter().zip(&operands).map(|(n, o)| constant(n, o)).collect();
    source += &format!("%y = {operator} {}\noutput \"y\" %y\n", names.join(" "));
    let graph = match text::parse(&source, &Default::default()) {
        Ok(graph) => graph,
        Err(error) => return assert_eq!(error.what, expected, "{source}"),
    };
    let bind = Bindings::new();
    let value = evaluate(&graph, &[], &bind);
    let node = graph.node(graph.outputs[0].node);
    let types: Vec<_> = node.inputs.iter().map(|&i| graph.ty(i)).collect();
    let kernel = op::kernel(&node.op, &types, &node.ty);
    let shape = node.ty.concrete(&bind).unwrap();
    let mut bytes = vec![0; shape.iter().product::<usize>() * node.ty.dtype.size()];
    let inputs = node.inputs.iter().map(|&i| Bytes::In(graph.as_const(i).unwrap().bytes()));
    let ran = run(&kernel, &mut inputs.chain([Bytes::Out(&mut bytes)]).collect::<Vec<_>>(), &bind);
    if let Some(fault) = expected.strip_prefix("fault ") {
        assert_eq!(format!("{:?}", value.unwrap_err()), fault, "{source}");
        assert!(matches!(ran, Err(Stop::Fault(f)) if format!("{f:?}") == fault), "{source}{ran:?}");
        return;
    }
    let expected = text::parse(&constant("%y", expected), &Default::default()).unwrap();
    let expected = expected.iter().find_map(|(id, _)| expected.as_const(id)).unwrap();
    ran.unwrap();
    let kernels = Tensor::from_bytes(node.ty.dtype, shape, bytes);
    for (what, value) in [("the evaluator", &value.unwrap()[0]), ("the kernel", &kernels)] {
        assert_eq!(value.ty(), expected.ty(), "{what}: {source}");
        let nan = |s: Scalar| s.as_f64().is_some_and(f64::is_nan);
        let same = |(a, b): (Scalar, Scalar)| a.same_bits(b) || nan(a) && nan(b);
        assert!(value.scalars().zip(expected.scalars()).all(same), "{what}: {source}{value:?}");
    }
}

#[test]
fn pad() {
    check(r#"pad {"low":[1],"high":[2]}"#, "f32[2] [1,2]; f32[] [-0.0]", "f32[5] [-0.0,1,2,-0.0,-0.0]");
    check(r#"pad {"low":[0,1],"high":[0,0]}"#, "u8[2,1] [1,2]; u8[] [9]", "u8[2,2] [9,1,9,2]");
    check(r#"pad {"low":[2],"high":[0]}"#, "bool[0] []; bool[] [true]", "bool[2] [true,true]");
    check(r#"pad {"low":[-1],"high":[0]}"#, "u8[2] [1,2]; u8[] [9]", "pad: paddings [-1] and [0] are negative");
    check(r#"pad {"low":[1],"high":[0]}"#, "u8[2] [1,2]; i8[] [9]", "pad: cannot pad u8[2] with i8[]");
}

#[test]
fn concat() {
    check(r#"concat {"axis":0}"#, "i8[2] [1,2]; i8[0] []; i8[1] [3]; i8[2] [4,5]", "i8[5] [1,2,3,4,5]");
    check(r#"concat {"axis":1}"#, "i8[2,1] [1,2]; i8[2,2] [3,4,5,6]", "i8[2,3] [1,3,4,2,5,6]");
    check(r#"concat {"axis":0}"#, "f64[1] [0x7ff8000000000001]", "f64[1] [0x7ff8000000000001]");
    check(r#"concat {"axis":0}"#, "i8[2] [1,2]; i16[1] [1]", "concat: cannot join i8[2] and i16[1] along axis 0");
    check(r#"concat {"axis":1}"#, "i8[2] [1,2]", "concat: i8[2] has no axis 1");
    check(r#"concat {"axis":0}"#, "", "concat: expected at least one operand");
}

#[test]
fn reduce() {
    check(r#"reduce {"f":"add","axes":[1]}"#, "f32[2,2] [1,2,3,4]", "f32[2,1] [3,7]");
    check(r#"reduce {"f":"add","axes":[0,1]}"#, "u8[2,2] [100,100,100,4]", "u8[1,1] [48]");
    check(r#"reduce {"f":"mul","axes":[]}"#, "f16[2] [1,2]", "f16[2] [1,2]");
    check(r#"reduce {"f":"mul","axes":[0]}"#, "i64[0,2] []", "i64[1,2] [1,1]");
    check(r#"reduce {"f":"max","axes":[0]}"#, "f32[0] []", "f32[1] [-inf]");
    check(r#"reduce {"f":"max","axes":[0]}"#, "f32[2] [-inf,-inf]", "f32[1] [-inf]");
    check(r#"reduce {"f":"max","axes":[0]}"#, "f32[3] [1,0x7fc00000,2]", "f32[1] [0x7fc00000]");
    check(r#"reduce {"f":"max","axes":[0]}"#, "i8[0] []", "i8[1] [-128]");
    check(r#"reduce {"f":"min","axes":[0]}"#, "u16[0] []", "u16[1] [65535]");
    check(r#"reduce {"f":"min","axes":[0]}"#, "i32[0] []", "i32[1] [2147483647]");
    check(r#"reduce {"f":"and","axes":[0]}"#, "bool[0] []", "bool[1] [true]");
    check(r#"reduce {"f":"and","axes":[0]}"#, "i16[2] [6,3]", "i16[1] [2]");
    check(r#"reduce {"f":"and","axes":[0]}"#, "u64[0] []", "u64[1] [18446744073709551615]");
    check(r#"reduce {"f":"or","axes":[0]}"#, "bool[2] [false,true]", "bool[1] [true]");
    // Half precision sums in single precision: 2048 + 1 + 1 would stay 2048.
    check(r#"reduce {"f":"add","axes":[0]}"#, "f16[3] [2048,1,1]", "f16[1] [2050]");
    check(r#"reduce {"f":"add","axes":[1,0]}"#, "f32[1,1] [1]", "reduce: axes [1, 0] do not ascend");
    check(r#"reduce {"f":"add","axes":[0]}"#, "bool[1] [true]", "reduce: Add does not fold bool");
    check(r#"reduce {"f":"sub","axes":[0]}"#, "i8[1] [1]", "reduce: Sub does not fold i8");
}

#[test]
fn arg_reduce() {
    let max = r#"arg_reduce {"max":true,"axis":0,"to":"i32"}"#;
    check(max, "f32[4] [1,3,3,2]", "i32[1] [1]");
    check(max, "f32[3] [0x7fc00000,1,3]", "i32[1] [2]");
    check(max, "f32[2] [0x7fc00000,0x7fc00000]", "i32[1] [0]");
    check(max, "f32[3] [-inf,-inf,-1]", "i32[1] [2]");
    check(max, "f32[2] [0x7fc00000,-inf]", "i32[1] [1]");
    check(max, "u64[2] [1,18446744073709551615]", "i32[1] [1]");
    check(max, "i8[0,2] []", "i32[1,2] [0,0]");
    check(r#"arg_reduce {"max":false,"axis":1,"to":"u16"}"#, "i8[2,2] [1,-1,-5,-5]", "u16[2,1] [1,0]");
    check(max, "f32[] [1]", "arg_reduce: f32[] has no axis 0");
}

#[test]
fn window() {
    let pool = |f: &str, low: i64, high: i64| {
        format!(r#"window {{"f":"{f}","size":[2],"stride":[2],"dilation":[1],"low":[{low}],"high":[{high}]}}"#)
    };
    check(&pool("max", 0, 0), "f32[5] [1,2,3,4,5]", "f32[2] [2,4]");
    check(&pool("max", 0, 1), "f32[5] [1,2,-3,4,-5]", "f32[3] [2,4,-5]");
    check(&pool("max", 0, 0), "f32[4] [1,0x7fc00000,-inf,0x7fc00000]", "f32[2] [1,-3.4028235e38]");
    check(&pool("min", 0, 0), "f16[2] [inf,0x7e00]", "f16[1] [65504]");
    check(&pool("max", 0, 0), "bf16[2] [-inf,-inf]", "bf16[1] [-3.3895314e38]");
    check(&pool("max", 2, 0), "i8[2] [-3,-4]", "i8[2] [-128,-3]");
    check(&pool("add", 1, 1), "f32[2] [1,2]", "f32[2] [1,2]");
    check(&pool("add", 0, 0), "f32[1] [1]", "f32[0] []");
    check(&pool("mul", 0, 4), "i32[0] []", "i32[2] [1,1]");
    let dilated = r#"window {"f":"add","size":[1,2],"stride":[1,1],"dilation":[1,2],"low":[0,0],"high":[0,0]}"#;
    check(dilated, "i64[1,4] [1,2,3,4]", "i64[1,2] [4,6]");
    check(&pool("max", 0, -1), "i8[2] [1,2]", "window: paddings [0] and [-1] are negative");
}

#[test]
fn scan() {
    let scan = |f: &str, exclusive: bool, reverse: bool| {
        format!(r#"scan {{"f":"{f}","axis":0,"exclusive":{exclusive},"reverse":{reverse}}}"#)
    };
    check(&scan("add", false, false), "f32[3] [1,2,3]", "f32[3] [1,3,6]");
    check(&scan("add", true, false), "f32[3] [1,2,3]", "f32[3] [0,1,3]");
    check(&scan("mul", true, true), "i8[3] [100,2,3]", "i8[3] [6,3,1]");
    check(&scan("max", false, true), "f32[3] [1,5,3]", "f32[3] [5,5,3]");
    check(&scan("min", true, false), "f64[2] [1,2]", "f64[2] [inf,1]");
    check(&scan("add", false, false), "f16[3] [2048,1,1]", "f16[3] [2048,2048,2048]");
    check(&scan("add", false, false), "i8[2,2] [1,2,3,4]", "i8[2,2] [1,2,4,6]");
    check(&scan("add", false, false), "i8[0,2] []", "i8[0,2] []");
    check(&scan("and", false, false), "i8[1] [1]", "scan: And does not scan i8");
}

#[test]
fn dot() {
    check("dot", "f32[1,2] [1,2]; f32[2,2] [1,2,3,4]", "f32[1,2] [7,10]");
    check("dot", "i8[2,1,1] [100,3]; i8[2,1,1] [3,5]", "i8[2,1,1] [44,15]");
    check("dot", "f64[1,0] []; f64[0,2] []", "f64[1,2] [0,0]");
    check("dot", "f16[1,3] [1,1,1]; f16[3,1] [2048,1,1]", "f16[1,1] [2050]");
    check("dot", "f32[1,1] [0]; f32[1,1] [inf]", "f32[1,1] [0x7fc00000]");
    check("dot", "f32[1,2] [1,2]; f32[1,2] [1,2]", "dot: cannot multiply f32[1,2] by f32[1,2]");
}

#[test]
fn conv() {
    let conv = |stride: i64, spread: i64, low: i64, high: i64, groups: usize| {
        format!(
            r#"conv {{"stride":[{stride}],"dilation":[1],"input_dilation":[{spread}],"low":[{low}],"high":[{high}],"groups":{groups}}}"#
        )
    };
    check(&conv(1, 1, 0, 0, 1), "f32[1,3,1] [1,2,3]; f32[2,1,1] [1,10]", "f32[1,2,1] [21,32]");
    check(&conv(2, 1, 1, 1, 1), "f32[1,3,1] [1,2,3]; f32[2,1,1] [1,10]", "f32[1,2,1] [10,32]");
    check(&conv(1, 2, 0, 0, 1), "i8[1,2,1] [1,2]; i8[1,1,1] [1]", "i8[1,3,1] [1,0,2]");
    check(&conv(1, 2, -1, 0, 1), "i8[1,2,1] [1,2]; i8[1,1,1] [1]", "i8[1,2,1] [0,2]");
    check(&conv(1, 1, 0, 0, 2), "i8[1,1,2] [1,2]; i8[1,1,4] [1,10,1,10]", "i8[1,1,4] [1,10,2,20]");
    check(&conv(1, 1, 0, 0, 1), "i8[1,1,1] [1]; i8[2,1,1] [1,1]", "i8[1,0,1] []");
    check(&conv(1, 1, 0, 0, 1), "i8[0,2,1] []; i8[2,1,1] [1,1]", "i8[0,1,1] []");
    check(&conv(1, 2, 1, 1, 1), "i8[1,0,1] []; i8[2,1,1] [1,1]", "i8[1,0,1] []");
    check(&conv(1, 2, 1, 2, 1), "i8[1,0,1] []; i8[2,1,1] [1,1]", "i8[1,1,1] [0]");
    // Padding is not multiplied.
    check(&conv(1, 1, 1, 0, 1), "f32[1,1,1] [1]; f32[2,1,1] [inf,1]", "f32[1,1,1] [1]");
    let planes = r#"conv {"stride":[1,1],"dilation":[1,2],"input_dilation":[1,1],"low":[0,0],"high":[0,0],"groups":1}"#;
    check(planes, "i32[1,2,3,1] [1,2,3,4,5,6]; i32[2,2,1,1] [1,10,100,1000]", "i32[1,1,1,1] [6431]");
    check(
        &conv(1, 1, 0, 0, 2),
        "i8[1,1,2] [1,2]; i8[1,1,3] [1,10,1]",
        "conv: 2 groups do not divide the 3 filters of i8[1,1,3]",
    );
    check(
        &conv(1, 1, 0, 0, 2),
        "i8[1,1,3] [1,2,3]; i8[1,1,2] [1,10]",
        "conv: i8[1,1,3] does not have 2 times the 1 channels of i8[1,1,2]",
    );
}

#[test]
fn gather() {
    let gather = |axis: usize, batch: usize, checked: bool| {
        format!(r#"gather {{"axis":{axis},"batch":{batch},"checked":{checked}}}"#)
    };
    check(&gather(0, 0, true), "f32[3] [1,2,3]; i32[2] [2,0]", "f32[2] [3,1]");
    check(&gather(0, 0, true), "f32[3] [1,2,3]; u8[] [1]", "f32[] [2]");
    check(&gather(1, 0, true), "i8[2,2] [1,2,3,4]; i64[1,2] [1,1]", "i8[2,1,2] [2,2,4,4]");
    check(&gather(1, 1, true), "i8[2,2] [1,2,3,4]; i64[2,1] [1,0]", "i8[2,1] [2,3]");
    check(&gather(0, 0, true), "f32[3] [1,2,3]; i32[1] [3]", "fault IndexOutOfRange");
    check(&gather(0, 0, true), "f32[3] [1,2,3]; i32[1] [-1]", "fault IndexOutOfRange");
    check(&gather(0, 0, true), "f32[3] [1,2,3]; u64[1] [18446744073709551615]", "fault IndexOutOfRange");
    check(&gather(0, 0, true), "f32[0] []; i32[0] []", "f32[0] []");
    check(&gather(0, 0, false), "f32[3] [1,2,3]; i32[2] [9,-9]", "f32[2] [3,1]");
    check(&gather(0, 0, false), "f32[3] [1,2,3]; f32[1] [1]", "gather: f32[1] are not indices");
    check(
        &gather(0, 1, false),
        "f32[3] [1,2,3]; i8[3] [1,1,1]",
        "gather: f32[3] and i8[3] do not share 1 axes before axis 0",
    );
}

#[test]
fn iota() {
    check(r#"iota {"shape":[2,2],"axis":1,"dtype":"f16"}"#, "", "f16[2,2] [0,1,0,1]");
    check(r#"iota {"shape":[0],"axis":0,"dtype":"u8"}"#, "", "u8[0] []");
    check(r#"iota {"shape":[],"axis":0,"dtype":"u8"}"#, "", "iota: u8[] has no axis 0");
}

#[test]
fn top_k() {
    let top = |k: usize| format!(r#"top_k {{"k":{k},"to":"i32"}}"#);
    check(&top(3), "f32[5] [1,3,3,0x7fc00000,2]", "i32[3] [1,2,4]");
    check(&top(3), "f32[3] [0x7fc00000,-inf,0x7fc00000]", "i32[3] [1,0,2]");
    check(&top(2), "f32[2] [-0.0,0.0]", "i32[2] [0,1]");
    check(&top(1), "u64[2,2] [1,18446744073709551615,7,7]", "i32[2,1] [1,0]");
    check(&top(0), "i8[2,2] [1,2,3,4]", "i32[2,0] []");
    check(&top(3), "i8[2] [1,2]", "top_k: there are no 3 greatest among 2");
}

/// The first question comes before the operator, so that an interruption at the second one is within it.
#[test]
fn long_operators_are_interrupted() {
    let conv = r#"conv {"stride":[1,1],"dilation":[1,1],"input_dilation":[1,1],"low":[1,1],"high":[1,1],"groups":1}"#;
    let window = r#"window {"f":"max","size":[1,5,5],"stride":[1,1,1],"dilation":[1,1,1],"low":["0","2","2"],"high":["0","2","2"]}"#;
    for (operator, operands) in [
        ("dot {}", &["f32[8,512]", "f32[512,512]"][..]),
        (conv, &["f32[1,32,32,32]", "f32[3,3,32,32]"]),
        (r#"reduce {"f":"add","axes":[0,1]}"#, &["f32[1024,1024]"]),
        (window, &["f32[16,64,64]"]),
    ] {
        let mut source = String::new();
        let names: Vec<String> = (0..operands.len()).map(|n| format!("%{n}")).collect();
        names.iter().for_each(|n| source += &format!("input \"{n}\" {n}\n"));
        names.iter().zip(operands).for_each(|(n, ty)| source += &format!("{n} = input : {ty}\n"));
        source += &format!("%y = {operator} {}\noutput \"y\" %y\n", names.join(" "));
        let graph = text::parse(&source, &Default::default()).unwrap_or_else(|e| panic!("{source}{e:?}"));
        let zeros = |ty: &&str| {
            let ty: TensorType = ty.parse().unwrap();
            Tensor::from_fn(ty.dtype, ty.concrete(&Bindings::new()).unwrap(), |_| Scalar::zero(ty.dtype))
        };
        let inputs: Vec<_> = operands.iter().map(zeros).collect();
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let go_on = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        let how = Evaluation { go_on: &go_on, ..Evaluation::WHOLE };
        let stopped = evaluate_by(&graph, &inputs, &Bindings::new(), how);
        assert_eq!(stopped.unwrap_err(), op::Stop::Interrupted, "{operator}");
    }
}
