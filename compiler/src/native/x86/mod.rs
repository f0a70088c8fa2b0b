//! AVX2 and AVX-512 machine code, which Cranelift has not: its functions over wide vectors become machine instructions
//! over virtual registers, then over physical ones, then bytes.

#![expect(dead_code, reason = "nothing selects these instructions yet")]

mod allocate;
mod encode;
mod function;
mod inst;
mod rows;
mod select;

#[cfg(test)]
pub(super) fn declines(f: &cranelift_codegen::ir::Function, isa: crate::plan::Isa) -> Option<String> {
    let level = if isa == crate::plan::Isa::X64V4 { function::Level::Avx512 } else { function::Level::Avx2 };
    match select::select(f, level, function::Convention::SystemV) {
        Ok(_) => None,
        Err(what) => Some(what),
    }
}
#[cfg(test)]
pub(super) fn show(f: &cranelift_codegen::ir::Function, isa: crate::plan::Isa) -> String {
    let level = if isa == crate::plan::Isa::X64V4 { function::Level::Avx512 } else { function::Level::Avx2 };
    select::select(f, level, function::Convention::SystemV).unwrap().to_string()
}
