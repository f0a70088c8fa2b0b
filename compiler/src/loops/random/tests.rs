//! Random kernels verify, print, parse back and run.

use super::*;
use crate::loops::interp::{self, Bytes, Stop};

/// Runs a case on a copy of its buffers, which is returned.
fn run(case: &Case) -> (Result<(), Stop>, Vec<Vec<u8>>) {
    let mut data = case.buffers.clone();
    let mut buffers: Vec<Bytes<'_>> = data.iter_mut().map(|b| Bytes::Out(b)).collect();
    let result = interp::run(&case.kernel, &mut buffers, &case.bind);
    (result, data)
}

#[test]
fn every_kernel_verifies_prints_parses_and_runs() {
    let (mut faults, mut fine, mut stores) = (0, 0, 0);
    for seed in 0..1500 {
        let options = Options { size: (seed % 30) as usize, exact: seed % 2 == 0 };
        let case = case(seed, options);
        verify(&case.kernel).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{}", case.kernel));
        let text = case.kernel.to_string();
        let parsed = parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(parsed.to_string(), text, "seed {seed}");
        // NaN constants are not equal to themselves; their bits are in the text.
        assert!(parsed == case.kernel || text.contains("nan:"), "seed {seed}");
        match run(&case) {
            (Ok(()), data) => {
                fine += 1;
                stores += data.iter().zip(&case.buffers).filter(|(a, b)| a != b).count();
            }
            (Err(Stop::Fault(_)), _) => faults += 1,
            (Err(Stop::Bug(bug)), _) => panic!("seed {seed}: {bug}\n{text}"),
        }
    }
    assert!(fine > 1000 && faults > 10 && stores > 2000, "{fine} {faults} {stores}");
}

/// Every form of statement, expression and type occurs.
#[test]
fn the_generator_covers_the_language() {
    let text: String = (0..400).map(|s| case(s, Options { size: 30, exact: false }).kernel.to_string()).collect();
    let words = [
        "seq {",
        "unroll {",
        "vector {",
        "parallel {",
        "} else {",
        "check",
        "set i",
        "set v",
        " add= ",
        " max= ",
        " and= ",
        " set= ",
        " sub= ",
        " last_max= ",
        "mul_add",
        "scale",
        "exponent",
        "mantissa",
        "table",
        "select",
        "cast",
        "bits",
        "index",
        "floor(",
        "pow",
        "atan2",
        "rem",
        "shl",
        "shr",
        "erfc",
        "ne",
    ];
    for word in words.into_iter().chain(DTYPES.map(DType::name)) {
        assert!(text.contains(word), "no {word}");
    }
}

#[test]
fn a_smaller_size_gives_a_smaller_kernel() {
    let length = |size| (0..50).map(|s| case(s, Options { size, exact: true }).kernel.to_string().len()).sum::<usize>();
    assert!(length(0) < length(10) && length(10) < length(40));
}
