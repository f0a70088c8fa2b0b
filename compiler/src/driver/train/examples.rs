//! What a model is trained with: arrays whose rows are examples.

use crate::{
    base::{Diagnostic, Dim, Problems, Symbol},
    driver::{Call, bind::bind},
    emit::interface::Signature,
    tensor::{DType, Tensor, TensorType},
};

/// An array for each input of a step, in their order; each has a row for each example.
#[derive(Clone, Debug)]
pub struct Examples {
    arrays: Vec<Tensor>,
    /// The number of rows that the entry takes, where it takes no other.
    fixed: Option<usize>,
    /// Which of the arrays holds the targets.
    target: usize,
}

impl Examples {
    /// Arrays of the types that an entry declares, `target` of them the targets. All have as many rows, one at least.
    pub fn new(entry: &Signature, target: usize, arrays: Vec<Tensor>) -> Result<Examples, Problems> {
        if let Some(t) = entry.inputs.iter().find(|t| t.ty.dtype == DType::Str) {
            let what = format!("input `{}` takes strings, which are no examples yet", t.key);
            let help = "train a signature that begins behind its tables, or compile the step with `smc compile --train` and call it";
            return Err(Diagnostic::error(what).help(help).into());
        }
        let leading = leading(entry)?;
        let symbol = Dim::from(&Symbol::new("examples"));
        let of_all = |ty: &TensorType| {
            let rest = ty.shape[1..].iter().cloned();
            TensorType::new(ty.dtype, std::iter::once(symbol.clone()).chain(rest).collect::<Vec<_>>())
        };
        let types: Vec<TensorType> = entry.inputs.iter().map(|t| of_all(&t.ty)).collect();
        let declared: Vec<(&str, &TensorType)> = entry.inputs.iter().map(|t| t.key.as_str()).zip(&types).collect();
        bind(&declared, &arrays)?;
        let examples = Examples { arrays, fixed: leading.as_int().map(|n| n as usize), target };
        match examples.rows() {
            _ if examples.fixed == Some(0) => Err(Diagnostic::error("the model takes no examples at a time").into()),
            0 => Err(Diagnostic::error("there are no examples: the arrays have no rows").into()),
            rows if examples.fixed.is_some_and(|fixed| rows < fixed) => Err(examples.too_few(rows).into()),
            _ => Ok(examples),
        }
    }
    pub fn rows(&self) -> usize {
        self.arrays.first().and_then(|array| array.shape.first()).copied().unwrap_or(0)
    }
    /// How many batches of this size there are; the last one may be smaller, unless the model fixes the size.
    pub fn batches(&self, batch: usize) -> usize {
        if self.fixed.is_some() { self.rows() / batch } else { self.rows().div_ceil(batch) }
    }
    /// The rows that are in no batch.
    pub fn left_over(&self, batch: usize) -> usize {
        self.fixed.map_or(0, |_| self.rows() % batch)
    }
    /// The last part of the examples apart, as Keras holds it back: `rows * (1 - share)`, rounded down, stay.
    pub fn split(&self, share: f64) -> Result<(Examples, Examples), Diagnostic> {
        let rows = self.rows();
        let stay = (rows as f64 * (1.0 - share)).floor() as usize;
        if stay == 0 || stay == rows {
            let what = format!("a part of {share} of {rows} examples leaves nothing to train or to validate with");
            return Err(Diagnostic::error(what));
        }
        let part = |from: usize, to: usize| {
            let rows: Vec<usize> = (from..to).collect();
            let part = Examples { arrays: self.take(&rows), ..*self };
            if part.fixed.is_some_and(|fixed| rows.len() < fixed) { Err(part.too_few(rows.len())) } else { Ok(part) }
        };
        Ok((part(0, stay)?, part(stay, rows)?))
    }
    /// What tells these examples from others.
    pub fn checksum(&self) -> u32 {
        self.arrays.iter().fold(0, |sum, array| crc32c::crc32c_append(sum, array.bytes()))
    }
    fn too_few(&self, rows: usize) -> Diagnostic {
        let fixed = self.fixed.unwrap_or(1);
        Diagnostic::error(format!("the model takes {fixed} examples at a time, and there are {rows}"))
            .help("give more, or export the model with a batch size that is open")
    }
    /// Some rows of each array.
    pub(super) fn take(&self, rows: &[usize]) -> Vec<Tensor> {
        let of = |array: &Tensor| {
            let shape = [&[rows.len()], &array.shape[1..]].concat();
            let mut bytes = Vec::with_capacity(rows.len() * row_bytes(array));
            rows.iter().for_each(|&row| bytes.extend_from_slice(row_of(array, row)));
            Tensor::from_bytes(array.dtype, shape, bytes)
        };
        self.arrays.iter().map(of).collect()
    }
    /// Gives a call these rows for inputs; it was prepared for as many.
    pub(super) fn fill(&self, rows: &[usize], call: &mut Call<'_>) {
        for (n, array) in self.arrays.iter().enumerate() {
            let size = row_bytes(array);
            let memory = call.input(n);
            rows.iter().enumerate().for_each(|(at, &row)| {
                memory[at * size..][..size].copy_from_slice(row_of(array, row));
            });
        }
    }
    /// Says of a call that failed what its targets are, where they are classes.
    pub(super) fn explain(&self, problem: Diagnostic) -> Diagnostic {
        let targets = &self.arrays[self.target];
        let range = targets.to_i64s().filter(|_| targets.dtype == DType::I64 && problem.help.is_none());
        let ends = range.and_then(|all| Some((*all.iter().min()?, *all.iter().max()?)));
        match ends {
            Some((least, most)) => {
                problem.help(format!("the targets are from {least} to {most}; classes count from 0"))
            }
            None => problem,
        }
    }
    /// What is said of a loss that is no number: the row of the arrays that explains it, if one does.
    pub(super) fn diverged(&self, at: String, loss: f64, rows: &[usize]) -> Diagnostic {
        let bad = rows.iter().find(|&&row| self.take(&[row]).iter().any(|part| !part.is_finite()));
        let what = Diagnostic::error(format!("{at}: the loss is {loss}"));
        match bad {
            Some(row) => what.help(format!("row {row} of the arrays holds what is not finite; rows count from 0")),
            None => what.help(super::fit::SMALLER),
        }
    }
}

/// The first extent of each input of an entry, which is one for all.
fn leading(entry: &Signature) -> Result<Dim, Diagnostic> {
    let mut first: Option<(&str, &Dim)> = None;
    for t in &entry.inputs {
        let Some(rows) = t.ty.shape.first() else {
            return Err(Diagnostic::error(format!("input `{}` is {}, which has no axis of examples", t.key, t.ty))
                .help("make it a constant of the model, or export the model without it"));
        };
        let &mut (key, known) = first.get_or_insert((&t.key, rows));
        if rows != known {
            let (a, b) = (format!("`{key}` has {known} rows"), format!("`{}` {rows}", t.key));
            return Err(Diagnostic::error(format!("{a} and {b}: they are not rows of the same examples")));
        }
    }
    Ok(first.map_or_else(Dim::one, |(_, rows)| rows.clone()))
}

/// The number of rows that an entry takes at a time, where it takes no other.
pub fn fixed_batch(entry: &Signature) -> Option<usize> {
    leading(entry).ok()?.as_int().and_then(|n| usize::try_from(n).ok())
}

fn row_bytes(array: &Tensor) -> usize {
    array.shape[1..].iter().product::<usize>() * array.dtype.size()
}

fn row_of(array: &Tensor, row: usize) -> &[u8] {
    let size = row_bytes(array);
    &array.bytes()[row * size..][..size]
}
