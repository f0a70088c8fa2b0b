//! The activations of a layer that are one node each.

use std::{fmt, str::FromStr};

use crate::base::names::advice;

/// What a layer applies to its sums; none is `linear`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation(pub Option<&'static str>);

/// Keras's names with TensorFlow's operators.
const NAMES: &[(&str, Option<&str>)] = &[
    ("linear", None),
    ("softmax", Some("Softmax")),
    ("log_softmax", Some("LogSoftmax")),
    ("sigmoid", Some("Sigmoid")),
    ("tanh", Some("Tanh")),
    ("relu", Some("Relu")),
    ("relu6", Some("Relu6")),
    ("elu", Some("Elu")),
    ("selu", Some("Selu")),
    ("softplus", Some("Softplus")),
    ("softsign", Some("Softsign")),
    ("exponential", Some("Exp")),
];

impl Activation {
    /// The name of an operator that is an activation of one node.
    pub fn one(op: &str) -> Option<&'static str> {
        let known = NAMES.iter().filter_map(|(_, own)| *own).chain(["LeakyRelu"]);
        known.into_iter().find(|own| *own == op)
    }
}

impl FromStr for Activation {
    type Err = String;
    fn from_str(text: &str) -> Result<Activation, String> {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let known = NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, op)| Activation(*op)).ok_or_else(|| advice(text, "activations", &names))
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(_, op)| *op == self.0).map_or("", |(name, _)| name))
    }
}
