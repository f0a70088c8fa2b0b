//! AVX2 and AVX-512 machine code, which Cranelift has not: its functions over wide vectors become machine instructions
//! over virtual registers, then over physical ones, then bytes.

#![expect(dead_code, reason = "nothing selects these instructions yet")]

mod allocate;
mod encode;
mod function;
mod inst;
mod rows;
