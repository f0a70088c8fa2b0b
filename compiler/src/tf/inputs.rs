//! The inputs of a graph and the names of their open extents.
//!
//! The leading open axis of the first input that has one is `batch`; every other open extent is named after its input
//! and axis. Names are C identifiers and never those of kernel variables. All start as different symbols; the import
//! makes those one that an operator needs to be equal.

use std::collections::BTreeMap;

use super::{
    Import, Options, Stop,
    import::{Done, replace},
};
use crate::{
    base::{Diagnostic, Dim, Problems, Symbol},
    saved::{Port, TfType},
    tensor::TensorType,
};

impl Import<'_> {
    /// Adds every input of the signature, used or not, under what is known of the symbols.
    pub(super) fn declare_inputs(&mut self, options: &Options, known: &BTreeMap<Symbol, Dim>) -> Result<(), Stop> {
        if let Some(key) = options.shapes.keys().find(|key| self.tf.inputs.iter().all(|p| p.key != **key)) {
            let keys: Vec<_> = self.tf.inputs.iter().map(|p| format!("`{}`", p.key)).collect();
            let problem = Diagnostic::error(format!("a shape is given for `{key}`, which is not an input"));
            return Err(problem.help(format!("the inputs are {}", keys.join(", "))).into());
        }
        let (mut names, mut problems) = (Names::default(), Problems::default());
        for port in &self.tf.inputs {
            match self.declare_input(port, options, known, &mut names) {
                Err(Stop::Fault(more)) => problems.extend(more),
                other => other?,
            }
        }
        let extents = self.graph.inputs.iter().flat_map(|port| self.graph.shape(port.node));
        self.found.names = extents.flat_map(Dim::symbols).map(|symbol| symbol.name().to_owned()).collect();
        self.found.stated = options.bounds.clone();
        problems.or(()).map_err(Stop::Fault)?;
        self.declare_state(options.state.as_ref())
    }

    fn declare_input(
        &mut self,
        port: &Port,
        options: &Options,
        known: &BTreeMap<Symbol, Dim>,
        names: &mut Names,
    ) -> Result<(), Stop> {
        let Some(dtype) = port.ty.host() else {
            let problem = format!("input `{}` is of type {}, which is not supported", port.key, port.ty);
            return Err(problem.into());
        };
        if dtype.is_complex() {
            return Err(format!("input `{}` takes complex numbers, which are not supported yet", port.key).into());
        }
        let shape = input_shape(&port.key, &port.ty, options, names)?;
        let shape: Vec<Dim> =
            shape.iter().map(|d| known.iter().fold(d.clone(), |d, (s, by)| replace(&d, s, by))).collect();
        let name = self.tf.nodes[port.source.node].name.as_str();
        self.graph.set_origin(Some(name.into()));
        let id = self.graph.input(&port.key, TensorType::new(dtype, shape));
        // Of several keys that feed one tensor the last one counts, as in a feed of TensorFlow's.
        let before = self.done[port.source.node.index()].replace(Done::Values(vec![id.into()]));
        if before.is_some() {
            let first = self.tf.inputs.iter().find(|p| p.source == port.source).map_or("", |p| &p.key);
            let note =
                format!("inputs `{first}` and `{}` feed one tensor: `{}` is the one that counts", port.key, port.key);
            self.notes.push(Diagnostic::warning(note));
        }
        Ok(())
    }
}

/// Gives unknown extents their names.
#[derive(Default)]
struct Names {
    batch: bool,
    used: Vec<String>,
}

impl Names {
    /// `batch` for the first leading axis, otherwise `KEY_AXIS`; never a kernel variable such as `i0`.
    fn fresh(&mut self, key: &str, axis: usize) -> Dim {
        if axis == 0 && !self.batch {
            self.batch = true;
            return Dim::sym("batch");
        }
        let mut name = format!("{}_{axis}", identifier(key));
        while self.used.contains(&name) {
            name.push('_');
        }
        self.used.push(name.clone());
        Dim::sym(&name)
    }
}

/// The key as a C identifier.
pub(super) fn identifier(key: &str) -> String {
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("x{name}") } else { name }
}

fn input_shape(key: &str, ty: &TfType, options: &Options, names: &mut Names) -> Result<Vec<Dim>, Stop> {
    let declared = &ty.shape.0;
    let given = options.shapes.get(key);
    let extents: Vec<Option<u64>> = match (declared, given) {
        (None, None) => {
            let problem = Diagnostic::error(format!("the rank of input `{key}` is unknown"));
            return Err(problem
                .help(format!("give its shape by `--input {key}=SHAPE`, such as `--input {key}=?,28,28`"))
                .into());
        }
        (Some(declared), None) => declared.clone(),
        (None, Some(given)) => given.clone(),
        (Some(declared), Some(given)) => {
            let fits = |(d, g): (&Option<u64>, &Option<u64>)| d.is_none() || g.is_none() || d == g;
            if declared.len() != given.len() || !declared.iter().zip(given).all(fits) {
                let given = crate::saved::TfShape(Some(given.clone()));
                let problem =
                    format!("the shape {given} given for input `{key}` does not fit the model's {}", ty.shape);
                let help = format!("give {} axes, and other extents only where the model has `?`", declared.len());
                return Err(Diagnostic::error(problem).help(help).into());
            }
            declared.iter().zip(given).map(|(d, g)| d.or(*g)).collect()
        }
    };
    let dim = |(axis, n): (usize, &Option<u64>)| match n {
        Some(n) => Ok(*n),
        None if axis == 0 && options.batch.is_some() => Ok(options.batch.unwrap_or_default()),
        None => Err(axis),
    };
    extents
        .iter()
        .enumerate()
        .map(|at| match dim(at) {
            Ok(n) => i64::try_from(n).map(Dim::from).map_err(|_| Stop::from(format!("input `{key}` is too large"))),
            Err(axis) => Ok(names.fresh(key, axis)),
        })
        .collect()
}
