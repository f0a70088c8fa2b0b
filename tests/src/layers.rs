//! Dense layers by their definition, and what tests of models with other layers look at.

use smc::{
    saved::{Model, Variable, revise::Revised},
    tensor::Tensor,
};

/// Writes a model for TensorFlow, which scripts beside the models let read it.
pub fn write(revised: &Revised, folder: &str) {
    for path in revised.paths() {
        let to = std::path::Path::new(folder).join(&path);
        std::fs::create_dir_all(to.parent().unwrap()).expect("the folder is writable");
        let mut file = std::fs::File::create(to).expect("the file is writable");
        revised.copy(&path, &mut file).expect("the file is written");
    }
}

/// The variables of a signature with their values, in order of their keys.
pub fn variables(model: &Model) -> Vec<(Variable, Tensor)> {
    let graph = model.graph(&model.signature("serving_default").expect("a signature")).expect("a graph");
    let mut found: Vec<Variable> = graph.variables.into_values().collect();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found.dedup_by(|a, b| a.key == b.key);
    found.into_iter().map(|variable| (variable.clone(), model.read(&variable).expect("a value"))).collect()
}

/// The elements.
pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.scalars().map(|x| x.as_f64().expect("a number")).collect()
}

/// `f(x kernel + bias)` for each row.
pub fn dense(x: &[f64], kernel: &Tensor, bias: Option<&Tensor>, f: impl Fn(&mut [f64])) -> Vec<f64> {
    let &[inputs, units] = &kernel.shape[..] else { panic!("a kernel is a matrix") };
    let (kernel, bias) = (numbers(kernel), bias.map_or(vec![0.0; units], numbers));
    let row = |row: &[f64]| {
        let sum = |unit: usize| (0..inputs).map(|n| row[n] * kernel[n * units + unit]).sum::<f64>() + bias[unit];
        let mut sums: Vec<f64> = (0..units).map(sum).collect();
        f(&mut sums);
        sums
    };
    x.chunks(inputs).flat_map(row).collect()
}

/// The same for each number.
pub fn each(f: impl Fn(f64) -> f64) -> impl Fn(&mut [f64]) {
    move |row| row.iter_mut().for_each(|x| *x = f(*x))
}

/// Shares of a row.
pub fn softmax(row: &mut [f64]) {
    row.iter_mut().for_each(|x| *x = x.exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

/// Rounding of single precision apart.
pub fn assert_near(ours: &Tensor, theirs: &[f64], who: &str) {
    let ours = numbers(ours);
    assert_eq!(ours.len(), theirs.len(), "{who}");
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(0.1), "{who}: {ours:?}, not {theirs:?}");
    }
}

/// What maps the sums of a row in place.
pub type Map = Box<dyn Fn(&mut [f64])>;

/// An activation by Keras's name.
pub fn activated(name: &str) -> Map {
    match name {
        "relu" => Box::new(each(|x| x.max(0.0))),
        "tanh" => Box::new(each(f64::tanh)),
        "sigmoid" => Box::new(each(|x| 1.0 / (1.0 + (-x).exp()))),
        // As Keras has it by default, with the error function; this one is good to 1.5e-7.
        "gelu" => Box::new(each(|x| 0.5 * x * (1.0 + erf(x / 2f64.sqrt())))),
        "softmax" => Box::new(softmax),
        _ => Box::new(|_: &mut [f64]| ()),
    }
}

/// Abramowitz and Stegun, 7.1.26.
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.3275911 * x.abs());
    let terms = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429];
    let polynomial = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    x.signum() * (1.0 - polynomial * (-x * x).exp())
}
