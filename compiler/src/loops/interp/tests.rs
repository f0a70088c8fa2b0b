//! The interpreter runs kernels as the definitions say, and names what is broken.

use super::*;
use crate::base::Symbol;

/// Runs a kernel of one loaded and one stored buffer.
fn run_text(lines: &str, input: &[u8], output: usize, bind: &Bindings) -> Result<Vec<u8>, Stop> {
    let kernel = parse(&format!("kernel \"k\" {{\n{lines}\n}}")).unwrap_or_else(|e| panic!("{e}\n{lines}"));
    verify(&kernel).unwrap_or_else(|e| panic!("{e}"));
    let mut out = vec![0; output];
    run(&kernel, &mut [Bytes::In(input), Bytes::Out(&mut out)], bind)?;
    Ok(out)
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn a_matrix_times_a_vector() {
    let text = "buffer b0 in f32[3*N+3]\nbuffer b1 out f32[N]\nlocal l0 f32[]
        for i0 in N parallel {
          %0: f32 = const 0.0
          l0[] = %0
          for i1 in 3 vector {
            %1: f32 = b0[3*i0+i1]
            %2: f32 = b0[3*N+i1]
            %3: f32 = mul %1 %2
            l0[] add= %3
          }
          %4: f32 = l0[]
          b1[i0] = %4
        }";
    let bind = Bindings::from([(Symbol::new("N"), 2)]);
    let input = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 10.0, 100.0]);
    assert_eq!(run_text(text, &input, 8, &bind), Ok(floats(&[321.0, 654.0])));
    assert_eq!(run_text(text, &input, 0, &Bindings::from([(Symbol::new("N"), 0)])), Ok(vec![]));
    let unbound = run_text(text, &input, 0, &Bindings::new());
    assert_eq!(unbound, Err(Stop::Bug("kernel `k`: `N` has no value".into())));
}

#[test]
fn bugs_and_faults_stop_it() {
    let bind = Bindings::new();
    let check = |lines: &str, expected: Stop| {
        let text = format!("buffer b0 in i32[2]\nbuffer b1 out i32[2]\n%0: i32 = b0[0]\n%1: i32 = b0[1]\n{lines}");
        assert_eq!(run_text(&text, &[5, 0, 0, 0, 0, 0, 0, 0], 8, &bind), Err(expected));
    };
    let bug = |text: &str| Stop::Bug(format!("kernel `k`: {text}"));
    check("b1[2] = %0", bug("buffer 1 of 2 elements is used at 2"));
    check("%2: i32 = b0[-1]\nb1[0] = %2", bug("buffer 0 of 2 elements is used at -1"));
    check("%2: i32 = div %0 %1\nb1[0] = %2", bug("an integer is divided by 0"));
    check("%2: i32 = neg %0\n%3: i32 = pow %0 %2\nb1[0] = %3", bug("an integer is raised to a negative power"));
    check("%2: i64 = cast %0\nset i0 in 3 = %2", bug("index variable 0 is 5, not below 3"));
    check("%2: bool = ne %1 %1\ncheck %2 else negative_exponent", Stop::Fault(Fault::NegativeExponent));
    let short = run_text("buffer b0 in i32[2]\nbuffer b1 out i32[2]", &[0; 8], 7, &bind);
    assert!(matches!(short, Err(Stop::Bug(_))));
}

/// Conversions at the edges of their ranges.
#[test]
fn casts_follow_the_definition() {
    let f = |to, v| scalar::cast(to, Scalar::F64(v));
    let i = |to, n| scalar::cast(to, Scalar::Int(n));
    assert_eq!(f(DType::I32, f64::NAN), Scalar::Int(i32::MIN.into()));
    assert_eq!(f(DType::I32, 2147483647.9), Scalar::Int(i32::MAX.into()));
    assert_eq!(f(DType::I32, 2147483648.0), Scalar::Int(i32::MIN.into()));
    assert_eq!(f(DType::I32, -2147483648.9), Scalar::Int(i32::MIN.into()));
    assert_eq!(f(DType::U8, 300.0), Scalar::Uint(44));
    assert_eq!(f(DType::U8, -1.0), Scalar::Uint(255));
    assert_eq!(f(DType::U8, 3e9), Scalar::Uint(0));
    assert_eq!(f(DType::U32, 3e9), Scalar::Uint(3_000_000_000));
    assert_eq!(f(DType::U32, -1.0), Scalar::Uint(u32::MAX.into()));
    assert_eq!(f(DType::U64, 1.2e19), Scalar::Uint(12_000_000_000_000_000_000));
    assert_eq!(f(DType::U64, 1.9e19), Scalar::Uint(1 << 63));
    assert_eq!(f(DType::U64, -2.0), Scalar::Uint(u64::MAX - 1));
    assert_eq!(f(DType::I64, -1e30), Scalar::Int(i64::MIN));
    assert_eq!(f(DType::Bool, f64::NAN), Scalar::Bool(true));
    assert_eq!(i(DType::I8, 200), Scalar::Int(-56));
    assert_eq!(i(DType::U16, -1), Scalar::Uint(65535));
    assert_eq!(i(DType::F32, (1 << 24) + 1), Scalar::F32(16777216.0));
    assert_eq!(scalar::cast(DType::F32, Scalar::Bool(true)), Scalar::F32(1.0));
    assert_eq!(scalar::cast(DType::BF16, Scalar::F32(1.01)), Scalar::F32(1.0078125));
    assert_eq!(scalar::bits(DType::F32, DType::I32, Scalar::F32(-0.0)), Scalar::Int(i32::MIN.into()));
    assert_eq!(scalar::bits(DType::U16, DType::BF16, Scalar::Uint(0x3f80)), Scalar::F32(1.0));
}

#[test]
fn shifts_and_extremes_follow_the_definition() {
    let f = |f, a, b| scalar::binary(f, DType::I8, Scalar::Int(a), Scalar::Int(b)).unwrap();
    assert_eq!(f(BinaryFn::Shl, 1, 8), Scalar::Int(0));
    assert_eq!(f(BinaryFn::Shl, 3, -5), Scalar::Int(3));
    assert_eq!(f(BinaryFn::Shl, 1, 7), Scalar::Int(-128));
    assert_eq!(f(BinaryFn::Shr, -128, 100), Scalar::Int(-1));
    assert_eq!(f(BinaryFn::Div, -128, -1), Scalar::Int(-128));
    assert_eq!(f(BinaryFn::Rem, -128, -1), Scalar::Int(0));
    assert_eq!(f(BinaryFn::Pow, -3, 5), Scalar::Int(13));
    let g = |f, a, b| scalar::binary(f, DType::F32, Scalar::F32(a), Scalar::F32(b)).unwrap();
    assert!(g(BinaryFn::Max, 0.0, -0.0).same_bits(Scalar::F32(0.0)));
    assert!(g(BinaryFn::Max, -0.0, 0.0).same_bits(Scalar::F32(-0.0)));
    assert!(g(BinaryFn::Min, 1.0, f32::NAN).as_f64().is_some_and(f64::is_nan));
    assert_eq!(g(BinaryFn::Rem, -7.5, 2.0), Scalar::F32(-1.5));
}

#[test]
fn updates_happen_in_order() {
    let check = |f: &str, values: [f32; 3], expected: f32| {
        let text = format!(
            "buffer b0 in f32[3]\nbuffer b1 out f32[2]\n%0: f32 = b0[0]\nb1[1] = %0\nfor i0 in 2 seq {{\n%1: f32 = b0[i0+1]\n\
             b1[1] {f}= %1\n}}"
        );
        let out = run_text(&text, &floats(&values), 8, &Bindings::new()).unwrap();
        assert_eq!(out[..4], [0; 4]);
        let found = f32::from_le_bytes(out[4..].try_into().unwrap());
        assert!(
            found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
            "{f} {values:?}: {found}"
        );
    };
    let nan = f32::NAN;
    check("set", [1.0, 2.0, 3.0], 3.0);
    check("add", [1.0, 2.0, 4.0], 7.0);
    check("sub", [1.0, 2.0, 4.0], -5.0);
    check("mul", [3.0, 2.0, 4.0], 24.0);
    check("max", [1.0, 4.0, 2.0], 4.0);
    check("max", [1.0, nan, 2.0], 2.0);
    check("max", [nan, 1.0, 2.0], nan);
    check("max", [0.0, -0.0, -0.0], 0.0);
    check("min", [1.0, nan, 2.0], 1.0);
    check("last_max", [4.0, nan, 2.0], 2.0);
    check("last_max", [4.0, 2.0, nan], nan);
    check("last_max", [0.0, -0.0, -1.0], -0.0);
    check("last_min", [1.0, nan, 2.0], 2.0);
    check("last_min", [1.0, 4.0, 0.5], 0.5);
}
