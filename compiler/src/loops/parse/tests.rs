//! Text reads back as the kernel it was printed from; errors name their line.

use super::*;

#[test]
fn errors_name_their_line() {
    let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err(), expected, "{text}");
    check("", "the kernel is not closed");
    check("\nkernal x", "line 2: expected `kernel \"name\" {`");
    check("kernel x {", "line 1: `x` is not a quoted name");
    check("kernel \"x\" {\n  nonsense\n}", "line 2: expected `=` in `nonsense`");
    check("kernel \"x\" {\n  %0: f33 = const 1\n}", "line 2: unknown element type `f33`");
    check("kernel \"x\" {\n  %0: i8 = const 1.5\n}", "line 2: `1.5` is not a i8");
    check("kernel \"x\" {\n  %0: f32 = sine %1\n}", "line 2: there is no function `sine` of 1 operands");
    check("kernel \"x\" {\n  %1: f32 = const 1\n}", "expression 0 is missing");
    check("kernel \"x\" {\n%0: i8 = const 1\n%0: i8 = const 1\n}", "line 3: expression 0 is defined twice");
    check("kernel \"x\" {\n  for i0 in N slow {\n}\n}", "line 2: `N slow` does not end in the kind of a loop");
    check("kernel \"x\" {\n  for i0 in N seq {\n}\nfor i0 in M seq {\n}\n}", "line 4: 0 is declared twice");
    check("kernel \"x\" {\n  b0[0] pow= %0\n}", "line 2: there is no function `pow`");
    check("kernel \"x\" {\n  check %0 else bad_luck\n}", "line 2: there is no fault `bad_luck`");
    check("kernel \"x\" {\n  prefetch now b0[0]\n}", "line 2: expected `soon` or `later`, not `now`");
    check("kernel \"x\" {\n} else {\n}", "line 2: unexpected `else {`");
    check("kernel \"x\" {\n}\n}", "line 3: the kernel is closed already");
    check("kernel \"x\" {\n}\nkernel \"y\" {\n}", "line 3: the kernel is closed already");
    let deep = "if 0 in 1 {\n".repeat(10_000);
    check(&format!("kernel \"x\" {{\n{deep}"), "line 513: statements are nested too deeply");
}

#[test]
fn names_and_constants_keep_every_bit() {
    let mut w = Writer::new("a \"b\" \\ // \n\u{7}");
    for bits in [0u32, 0x8000_0000, 1, 0x7fc0_0000, 0xffc0_0001, 0x7f80_0000, 0x3dcc_cccd] {
        w.constant(DType::F32, Scalar::F32(f32::from_bits(bits)));
    }
    for bits in [0u64, 1 << 63, 1, 0x7ff8_0000_0000_0001, 0x3fb9_9999_9999_999a] {
        w.constant(DType::F64, Scalar::F64(f64::from_bits(bits)));
    }
    w.constant(DType::U64, Scalar::Uint(u64::MAX));
    w.constant(DType::I64, Scalar::Int(i64::MIN));
    let kernel = w.finish();
    let again = parse(&kernel.to_string()).unwrap_or_else(|e| panic!("{e}\n{kernel}"));
    assert_eq!(again.name, kernel.name);
    for (id, typed) in kernel.exprs.iter() {
        let (Expr::Const(a), Expr::Const(b)) = (&typed.expr, &again.exprs[id].expr) else { panic!("constants") };
        assert!(a.same_bits(*b), "{a:?} {b:?}");
    }
}

#[test]
fn the_example_in_the_documentation_is_read() {
    let page = include_str!("../parse.rs");
    let example = page.lines().skip_while(|l| !l.contains("```text")).skip(1).take_while(|l| !l.contains("```"));
    let text: String = example.map(|l| l.trim_start_matches("//! ").to_string() + "\n").collect();
    let kernel = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(&kernel).unwrap_or_else(|e| panic!("{e}"));
}
