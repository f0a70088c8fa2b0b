//! Parts of the documentation that are made from the tables.

use std::fmt::Write;

use crate::tf;

/// The supported operators in Markdown, one paragraph for each initial.
pub fn operators() -> String {
    let mut names: Vec<&str> = tf::ops().map(|op| op.name).collect();
    names.sort();
    let mut out = format!("{} operators of TensorFlow:", names.len());
    let mut initial = None;
    for name in names {
        let first = name.chars().next();
        let lead = if first == initial { ", " } else { "\n\n" };
        // Writing to a string does not fail.
        let _ = write!(out, "{lead}{name}");
        initial = first;
    }
    out.push('\n');
    out
}
