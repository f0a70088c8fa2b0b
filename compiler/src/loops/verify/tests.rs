//! One kernel for each rule of the law that breaks it, and some that keep it.

use super::*;

/// What the verifier says of a kernel's lines.
#[track_caller]
fn check(lines: &str, expected: &str) {
    let text = format!("kernel \"k\" {{\n{lines}\n}}");
    let kernel = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let found = verify(&kernel).map_or_else(|e| e.message, |()| "ok".into());
    assert_eq!(found, expected, "{text}");
}

#[test]
fn ids_and_order() {
    check("%0: f32 = const 1.0", "ok");
    check("%0: f32 = neg %0", "expression 0: an operand does not precede it");
    check("%0: f32 = neg %3", "expression 0: an operand does not precede it");
    check("%0: f32 = b0[0]", "expression 0: there is no buffer 0");
    check("%0: f32 = l0[0]", "expression 0: there is no local 0");
    check("%0: f32 = v0", "expression 0: no such variable");
    check("%0: i64 = index i3", "expression 0: there is no variable 3, which `i3` mentions");
    check("check %7 else division_by_zero", "there is no expression 7");
    let deep: String = (1..5000).map(|n| format!("%{n}: i32 = neg %{}\n", n - 1)).collect();
    check(&format!("%0: i32 = const 1\n{deep}"), "expression 4097: it is nested too deeply");
    let nested = |n| "if 0 in 1 {\n".repeat(n) + &"}\n".repeat(n);
    check(&nested(256), "ok");
    check(&nested(257), "statements are nested too deeply");
}

#[test]
fn types() {
    check(
        "%0: f32 = const 1.0\n%1: f64 = const 1.0\n%2: f32 = add %0 %1",
        "expression 2: operand 1 is a f64, not a f32",
    );
    check("%0: f32 = const 1.0\n%1: f32 = shl %0 %0", "expression 1: Shl is not defined for f32");
    check("%0: i32 = const 1\n%1: i32 = exp %0", "expression 1: Exp is not defined for i32");
    check("%0: bool = const true\n%1: bool = lt %0 %0", "expression 1: Lt is not defined for bool");
    check("%0: f32 = const 1.0\n%1: f32 = lt %0 %0", "expression 1: its type is bool, not f32");
    check("%0: f32 = const 1.0\n%1: f64 = bits %0", "expression 1: f32 does not have the bits of f64");
    check("%0: i8 = const 300", "expression 0: Int(300) is not a i8");
    check("%0: f16 = const 0.1", "expression 0: F32(0.1) is not a f16");
    check("%0: i32 = index 3", "expression 0: its type is i64, not i32");
    check("%0: f32 = const 1.0\n%1: f32 = select %0 %0 %0", "expression 1: operand 0 is a f32, not a bool");
    check("buffer b0 in c64[4]", "buffer 0: c64 has no place in a kernel");
    check("%0: i64 = const 1\n%1: str = cast %0", "expression 1: a i64 is not converted to a str");
    check("%0: i64 = const 1\n%1: i64 = length %0", "expression 1: operand 0 is a i64, not a str");
    check("%0: f32 = const 1.0\n%1: c64 = cast %0", "expression 1: c64 has no place in a kernel");
}

#[test]
fn buffers() {
    check("buffer b0 out f32[4]\n%0: f32 = b0[0]", "expression 0: buffer 0 is loaded but marked written");
    check("buffer b0 in f32[4]\n%0: f32 = const 1.0\nb0[0] = %0", "buffer 0 is stored to but not marked written");
    check("buffer b0 out f32[4]\n%0: i32 = const 1\nb0[0] = %0", "expression 0 is a i32, not a f32");
    check("buffer b0 in f32[4]\nbuffer b1 out f32[4]\nprefetch soon b0[-9]\nprefetch later b1[9]", "ok");
    check("prefetch soon b0[0]", "there is no buffer 0");
    check("buffer b0 out f32[4]\n%0: f32 = const 1.0\nb0[0] = %0\nb0[0] add= %0\nb0[0] last_min= %0", "ok");
    check("buffer b0 in f32[4]\n%0: f32 = const 1.0\nb0[0] add= %0", "buffer 0 is stored to but not marked written");
    check("buffer b0 out f32[4]\n%0: f32 = const 1.0\nb0[0] or= %0", "Or does not update f32");
    check("buffer b0 out bool[4]\n%0: bool = const true\nb0[0] or= %0\nb0[0] set= %0", "ok");
    check("buffer b0 out bool[4]\n%0: bool = const true\nb0[0] max= %0", "Max does not update bool");
    check("buffer b0 out f32[4]\n%0: i32 = const 1\nb0[0] set= %0", "expression 0 is a i32, not a f32");
    check("buffer b0 in f32[4]\nprefetch soon b0[i0]", "there is no variable 0, which `i0` mentions");
    check("buffer b0 out f32[i0]\nvar i0 index", "the length i0 of buffer 0 mentions a variable");
}

#[test]
fn scopes() {
    check("for i0 in 4 seq {\n%0: i64 = index i0\nset i1 in 4 = %0\n}", "ok");
    check(
        "for i0 in 4 seq {\n}\n%0: i64 = index i0\nset i1 = %0",
        "expression 0 mentions a variable outside its scope",
    );
    check("for i0 in i0 seq {\n}", "`i0` mentions a variable outside its scope");
    check("for i0 in 4 seq {\n}\nfor i0 in 4 seq {\n}", "variable 0 is set twice");
    check("for i0 in 4 seq {\nfor i0 in 4 seq {\n}\n}", "variable 0 is set twice");
    check("%0: f32 = const 1.0\n%1: f32 = v0\nset v0: f32 = %1", "expression 1 mentions a variable outside its scope");
    check(
        "%0: f32 = const 1.0\nif 0 in N {\nset v0: f32 = %0\n}\n%1: f32 = v0\nset v1: f32 = %1",
        "expression 1 mentions a variable outside its scope",
    );
    check("%0: f32 = const 1.0\nset v0: f32 = %0\nif v0 in 3 {\n}", "ok");
    check("%0: f32 = const 1.0\nset v0: f32 = %0\nif i0 in 3 {\n}", "variable 0 in `i0` is not an index");
    check("%0: f32 = const 1.0\nset i0 = %0", "expression 0 is a f32, not a i64");
    check("%0: f32 = const 1.0\nset v0: i32 = %0", "expression 0 is a f32, not a i32");
}

#[test]
fn loops() {
    check("for i0 in N unroll {\n}", "an unrolled loop has the extent N");
    check("for i0 in 64 unroll {\nfor i1 in 64 unroll {\n}\n}", "ok");
    check("for i0 in 64 unroll {\nfor i1 in 65 unroll {\n}\n}", "a loop unrolls to 4160 statements");
    check("for i0 in N parallel {\nfor i1 in N seq {\n}\n}", "ok");
    check("for i0 in N seq {\nfor i1 in N parallel {\n}\n}", "a parallel loop is not the only outermost statement");
    check("for i0 in N parallel {\n}\nfor i1 in N seq {\n}", "a parallel loop is not the only outermost statement");
    check("local l0 i32[]\n%0: i32 = const 1\nl0[] = %0\nl0[] sub= %0", "Sub does not accumulate i32");
    check("local l0 f32[]\n%0: f32 = const 1.0\nl0[] = %0\nl0[] and= %0", "And does not accumulate f32");
    check("%0: i32 = const 1\ncheck %0 else assertion_failed", "expression 0 is a i32, not a bool");
}

const SCALAR: &str = "local l0 i32[]\n%0: i32 = const 1\n%1: i32 = l0[]\n";

#[test]
fn registers_are_assigned_first() {
    let check = |lines: &str, expected: &str| check(&format!("{SCALAR}{lines}"), expected);
    let unassigned = "local 0 is used before it is assigned on every path";
    check("l0[] = %0\nset v0: i32 = %1", "ok");
    check("set v0: i32 = %1", unassigned);
    check("l0[] add= %0", unassigned);
    check("if 0 in N {\nl0[] = %0\n} else {\nl0[] = %0\n}\nset v0: i32 = %1", "ok");
    check("if 0 in N {\nl0[] = %0\n}\nset v0: i32 = %1", unassigned);
    check("for i0 in 3 seq {\nl0[] = %0\n}\nset v1: i32 = %1", "ok");
    check("for i0 in N seq {\nl0[] = %0\n}\nset v1: i32 = %1", unassigned);
    check("for i0 in 0 seq {\nl0[] = %0\n}\nset v1: i32 = %1", unassigned);
    check("for i0 in N seq {\nl0[] = %0\nset v1: i32 = %1\n}", "ok");
}

#[test]
fn register_arrays_expand() {
    let array = "local l0 i32[2,4]\n%0: i32 = const 1\n";
    let check = |lines: &str, expected: &str| check(&format!("{array}{lines}"), expected);
    let fill = "for i0 in 2 unroll {\nfor i1 in 4 vector {\nl0[i0,i1] = %0\n}\n}\n";
    let read = |i: &str| format!("{fill}for i2 in 4 seq {{\n%1: i32 = l0[{i}]\nset v3: i32 = %1\n}}");
    check(&read("1,3"), "ok");
    check(&read("1"), "expression 1: local 0 has rank 2, not 1");
    check(&read("1,4"), "the index 4 leaves the extent 4 of local 0");
    check(&read("1,i2"), "the index i2 of local 0 is not constant when expanded");
    check(&read("1,N"), "the index N of local 0 is not constant when expanded");
    check("for i0 in 3 unroll {\nl0[i0,0] = %0\n}", "the index i0 leaves the extent 2 of local 0");
    check("for i0 in N vector {\nl0[0,i0] = %0\n}", "the index i0 of local 0 is not constant when expanded");
    check("local l1 i32[5000]", "local 1 has more than 4096 elements");
    check(
        "for i0 in 3 unroll {\nl0[0,i0] = %0\n}\n%1: i32 = l0[0,3]\nset v1: i32 = %1",
        "local 0 is used before it is assigned on every path",
    );
}

#[test]
fn iterations_that_run_as_lanes_are_independent() {
    let check = |lines: &str, expected: &str| check(&format!("{SCALAR}{lines}"), expected);
    let (meet, unassigned) = (
        "iterations of a vector or parallel loop meet in local 0",
        "local 0 is used before it is assigned on every path",
    );
    let vector = |body: &str| format!("l0[] = %0\nfor i0 in N vector {{\n{body}\n}}\n");
    check(&vector("l0[] add= %0"), "ok");
    check(&(vector("l0[] add= %0") + "set v1: i32 = %1"), "ok");
    check(&vector("set v1: i32 = %1"), "ok");
    check(&vector("l0[] = %0\nset v1: i32 = %1\nl0[] add= %0"), "ok");
    check(&(vector("l0[] = %0") + "set v1: i32 = %1"), unassigned);
    check(&vector("l0[] = %1"), meet);
    check(&vector("l0[] add= %0\nset v1: i32 = %1"), meet);
    check(&vector("l0[] add= %0\nl0[] max= %0"), meet);
    check(&vector("if 0 in N {\nl0[] = %0\n}\nset v1: i32 = %1"), unassigned);
    let array = |body: &str| {
        format!("local l1 i32[5]\nfor i0 in 5 unroll {{\nl1[i0] = %0\n}}\nfor i1 in 4 vector {{\n{body}\n}}\n")
    };
    check(&array("%2: i32 = l1[i1]\nl1[i1] = %2"), "ok");
    let meet = "iterations of a vector or parallel loop meet in local 1";
    check(&array("%2: i32 = l1[i1+1]\nl1[i1] = %2"), meet);
    check(&array("l1[i1] = %0\n%2: i32 = l1[4]\nset v2: i32 = %2"), "ok");
    check(&array("%2: i32 = l1[0]\nl1[i1] = %2"), meet);
    check(&array("l1[3-i1] = %0\n%2: i32 = l1[i1]\nset v2: i32 = %2"), meet);
    check(&array("l1[i1] add= %0"), "ok");
    check(&(array("l1[i1] = %0") + "%2: i32 = l1[2]\nset v2: i32 = %2"), "ok");
}

/// Linear in the kernel: a long one is checked in a moment.
#[test]
fn long_kernels_are_quick() {
    let mut w = Writer::new("long");
    let total = w.local(DType::F32, []);
    let mut x = w.float(DType::F32, 1.0);
    w.assign(total, &[], x);
    for _ in 0..100_000 {
        let square = w.binary(BinaryFn::Mul, x, x);
        x = w.set(square);
        w.accumulate(total, &[], BinaryFn::Add, x);
    }
    let kernel = w.finish();
    let start = std::time::Instant::now();
    verify(&kernel).unwrap_or_else(|e| panic!("{e}"));
    assert!(start.elapsed().as_secs_f64() < 2.0, "{:?}", start.elapsed());
}

#[test]
fn iterations_in_any_order_update_apart() {
    let check_as = |kind: &str, index: &str, expected: &str| {
        check(
            &format!(
                "buffer b0 out f32[32]\nbuffer b1 in i64[8]\n%0: f32 = const 1.0\nfor i0 in 8 {kind} {{\n%1: i64 = b1[i0]\n\
                 set i1 in 4 = %1\nb0[{index}] add= %0\n}}"
            ),
            expected,
        )
    };
    let may_meet = "iterations of the loop over variable 0 may update one element";
    for kind in ["vector", "parallel"] {
        check_as(kind, "8*i1+i0", "ok");
        check_as(kind, "4*i0+i1", "ok");
        check_as(kind, "i1", may_meet);
        check_as(kind, "i0+i1", may_meet);
        check_as(kind, "0", may_meet);
    }
    check_as("seq", "i1", "ok");
    check_as("unroll", "i1", "ok");
}
