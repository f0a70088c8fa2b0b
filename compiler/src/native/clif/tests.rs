//! Lowering at every width gives functions that verify.

use super::*;
use crate::{loops::random, plan::TargetInfo};

#[test]
fn random_kernels_verify_at_every_width() {
    let level = Target::new(Some("x86_64-unknown-linux-gnu"), Some("x86-64-v4")).unwrap();
    let level = level.best();
    let mut masked = 0;
    for seed in 0..300 {
        let case = random::case(seed, random::Options { size: 12, exact: true });
        for vector_bytes in [16, 32, 64] {
            let info = TargetInfo { vector_bytes, ..level.info.clone() };
            let kernel = elementary::expand(&case.kernel, level.machine());
            let bases = (0..kernel.buffers.len()).map(|n| Base::Slot(8 * n as i32)).collect();
            let symbols = case.bind.keys().enumerate().map(|(n, s)| (s.clone(), 1000 + 8 * n as i32)).collect();
            let function = kernel::lower(level, &info, &kernel, bases, symbols).unwrap();
            if let Err(errors) = cranelift_codegen::verify_function(&function, &**level.isa()) {
                panic!("{vector_bytes} bytes: {errors}\n{kernel}\n{}", function.display());
            }
            masked += function.display().to_string().matches("u2:").count();
        }
    }
    assert!(masked > 100, "{masked} intrinsics");
}
