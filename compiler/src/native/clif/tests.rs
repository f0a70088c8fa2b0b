//! Lowering at every width gives functions that verify, and of which the wide ones can be selected.

use super::*;
use crate::{
    loops::random,
    plan::{Isa, TargetInfo},
};

/// The functions of random kernels at a level, lowered for a machine.
fn functions(cpu: &str, info: &TargetInfo, seeds: std::ops::Range<u64>) -> Vec<cranelift_codegen::ir::Function> {
    let target = Target::new(Some("x86_64-unknown-linux-gnu"), Some(cpu)).unwrap();
    let level = target.best();
    let lower = |seed| {
        let case = random::case(seed, random::Options { size: 12, exact: true });
        let machine = if info.is_wide() { level.machine() } else { level.machine().narrow() };
        let kernel = elementary::expand(&case.kernel, machine);
        let bases = (0..kernel.buffers.len()).map(|n| Base::Slot(n as u32)).collect();
        let symbols = case.bind.keys().enumerate().map(|(n, s)| (s.clone(), 1000 + n as u32)).collect();
        let function = kernel::lower(level, info, &kernel, bases, symbols, &[]).unwrap();
        if let Err(errors) = cranelift_codegen::verify_function(&function, &**level.isa()) {
            panic!("{} bytes: {errors}\n{kernel}\n{}", info.vector_bytes, function.display());
        }
        function
    };
    seeds.map(lower).collect()
}

#[test]
fn random_kernels_verify_at_every_width() {
    let mut intrinsics = 0;
    for vector_bytes in [16, 32, 64] {
        let info = TargetInfo { vector_bytes, ..TargetInfo::new(Isa::X64V4) };
        for function in functions("x86-64-v4", &info, 0..200) {
            intrinsics += function.display().to_string().matches("u2:").count();
        }
    }
    assert!(intrinsics > 100, "{intrinsics} intrinsics");
}
