//! A function of the user's that does what a custom operator means: what it gets, and how it is called from this process.

use std::{
    any::Any,
    ffi::c_void,
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use smc_runtime::operator::{self, Operand};

use crate::tensor::{DType, Tensor, addressed, read_strings};

/// The value of an attribute, in the form in which the function gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attribute {
    /// `int64_t`; a truth value is 0 or 1, a type the number that its elements have.
    Int(i64),
    /// `double`.
    Real(f64),
    /// `struct smc_string`.
    Text(Vec<u8>),
    /// `const int64_t *` and their number.
    Ints(Vec<i64>),
    /// `const double *` and their number.
    Reals(Vec<f64>),
}

impl Attribute {
    /// The words of the struct of attributes that it takes.
    pub fn words(&self) -> usize {
        match self {
            Attribute::Int(_) | Attribute::Real(_) => 1,
            Attribute::Text(_) | Attribute::Ints(_) | Attribute::Reals(_) => 2,
        }
    }
    /// What the first word is, where it is no address.
    pub fn word(&self) -> Option<i64> {
        match self {
            Attribute::Int(n) => Some(*n),
            Attribute::Real(x) => Some(x.to_bits() as i64),
            _ => None,
        }
    }
    /// What the first word is the address of, where it is one.
    pub fn table(&self) -> Option<Tensor> {
        match self {
            Attribute::Int(_) | Attribute::Real(_) => None,
            Attribute::Text(text) => Some(Tensor::from_bytes(DType::U8, [text.len()], text.clone())),
            Attribute::Ints(all) => Some(Tensor::from_i64([all.len()], all)),
            Attribute::Reals(all) => {
                let bytes = all.iter().flat_map(|x| x.to_le_bytes()).collect();
                Some(Tensor::from_bytes(DType::F64, [all.len()], bytes))
            }
        }
    }
}

/// A function in this process, of the type [`operator::Function`].
#[derive(Clone)]
pub struct Function {
    address: operator::Function,
    /// Keeps the code where it is.
    _library: Library,
}

/// What has the code of a function.
pub type Library = Arc<dyn Any + Send + Sync + UnwindSafe + RefUnwindSafe>;

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function")
    }
}

impl Function {
    /// # Safety
    /// The function stays as long as `library` does, and does what the documentation of custom operators asks of it.
    pub unsafe fn new(address: operator::Function, library: Library) -> Function {
        Function { address, _library: library }
    }
    pub fn address(&self) -> *const u8 {
        self.address as *const u8
    }
    /// The outputs, of these types and shapes, and what the function says of the first extent of each; or what it returned.
    /// Strings are no spans.
    pub fn call(
        &self,
        inputs: &[&Tensor],
        outputs: &[(DType, Vec<usize>)],
        attributes: &[Attribute],
    ) -> Result<Vec<(Tensor, i64)>, i32> {
        let mut texts = vec![];
        let mut inputs: Vec<Given> = inputs.iter().map(|t| Given::new(&addressed(t, &mut texts))).collect();
        let empty = |(dtype, shape): &(DType, Vec<usize>)| {
            let bytes = shape.iter().product::<usize>() * dtype.size();
            Given::new(&Tensor::from_bytes(*dtype, shape.clone(), vec![0; bytes]))
        };
        let mut results: Vec<Given> = outputs.iter().map(empty).collect();
        let tables: Vec<Vec<u128>> =
            attributes.iter().map(|a| aligned(a.table().as_ref().map_or(&[], Tensor::bytes))).collect();
        let mut words: Vec<i64> = vec![];
        for (attribute, table) in attributes.iter().zip(&tables) {
            words.push(attribute.word().unwrap_or(table.as_ptr() as i64));
            words.extend(attribute.table().map(|table| table.count() as i64));
        }
        let given: Vec<Operand> = inputs.iter_mut().map(Given::operand).collect();
        let made: Vec<Operand> = results.iter_mut().map(Given::operand).collect();
        let pointer = |all: &[Operand]| if all.is_empty() { std::ptr::null() } else { all.as_ptr() };
        let words = if words.is_empty() { std::ptr::null() } else { words.as_ptr().cast::<c_void>() };
        // SAFETY: who made `self` promised what the function does; each operand points to memory of its size.
        let code = unsafe { (self.address)(pointer(&given), pointer(&made), words) };
        if code != 0 {
            return Err(code);
        }
        let tensor = |(given, (dtype, shape)): (&Given, &(DType, Vec<usize>))| {
            let count = shape.iter().product::<usize>() * dtype.size();
            let bytes = given.data.iter().flat_map(|word| word.to_ne_bytes()).take(count).collect();
            // SAFETY: the function wrote spans that may be read, and elsewhere they are empty.
            let tensor = unsafe { read_strings(&Tensor::from_bytes(*dtype, shape.clone(), bytes)) };
            (tensor, given.extents.first().copied().unwrap_or(0))
        };
        Ok(results.iter().zip(outputs).map(tensor).collect())
    }
}

/// Bytes at an address that suits every type.
fn aligned(bytes: &[u8]) -> Vec<u128> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 16];
        word[..chunk.len()].copy_from_slice(chunk);
        u128::from_ne_bytes(word)
    };
    bytes.chunks(16).map(word).collect()
}

/// A tensor as a function finds it.
struct Given {
    data: Vec<u128>,
    extents: Vec<i64>,
    element: i64,
}

impl Given {
    fn new(tensor: &Tensor) -> Given {
        let extents = tensor.shape.iter().map(|&n| n as i64).collect();
        Given { data: aligned(tensor.bytes()), extents, element: tensor.dtype.number() }
    }
    fn operand(&mut self) -> Operand {
        Operand {
            data: self.data.as_mut_ptr().cast(),
            extents: self.extents.as_mut_ptr(),
            rank: self.extents.len() as i64,
            element: self.element,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins nothing: gives the strings that begin with the letter of the first attribute, and 7 where there are none.
    unsafe extern "C" fn beginning(inputs: *const Operand, outputs: *const Operand, attributes: *const c_void) -> i32 {
        // SAFETY: the test passes what the function takes.
        let (x, y) = unsafe { (&*inputs, &*outputs) };
        // SAFETY: strings are two words.
        let (from, to) = unsafe { (x.elements::<[usize; 2]>(), y.elements_mut::<[usize; 2]>()) };
        // SAFETY: the struct has one string.
        let letter = unsafe { **attributes.cast::<*const u8>() };
        // SAFETY: the strings are in memory.
        let begins = |s: &&[usize; 2]| s[1] > 0 && unsafe { *(s[0] as *const u8) } == letter;
        let found: Vec<[usize; 2]> = from.iter().filter(begins).copied().collect();
        to[..found.len()].copy_from_slice(&found);
        // SAFETY: the output has an axis.
        unsafe { y.set_rows(found.len() as i64) };
        if found.is_empty() { 7 } else { 0 }
    }

    #[test]
    fn strings_and_attributes_reach_a_function() {
        // SAFETY: the function stays.
        let function = unsafe { Function::new(beginning, Arc::new(())) };
        let strings = Tensor::from_strings([3], vec![b"ab".to_vec(), vec![], b"ac".to_vec()]);
        let call =
            |letter: &[u8]| function.call(&[&strings], &[(DType::Str, vec![3])], &[Attribute::Text(letter.to_vec())]);
        let (found, rows) = call(b"a").unwrap().remove(0);
        assert_eq!((rows, found.strings()), (2, &[b"ab".to_vec(), b"ac".to_vec(), vec![]][..]));
        assert_eq!(call(b"z").unwrap_err(), 7);
    }
}
