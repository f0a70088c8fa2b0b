//! What kernels are called: the layer, then what the kernel computes; `conv2d_1_conv`, `dense_dot`, `softmax_reduce`.
//!
//! Names are identifiers of C and unique within a program.

use std::collections::HashMap;

use crate::{
    base::layer::layer_of,
    graph::{Graph, NodeId},
};

/// Longer names are cut in the middle of the layer's part.
const MAX_LAYER: usize = 40;

/// Hands out unique names.
#[derive(Default)]
pub struct Names {
    taken: HashMap<String, usize>,
}

impl Names {
    /// A name for the kernel that computes `root` within `tip`; `what` says how.
    pub fn kernel(&mut self, graph: &Graph, tip: NodeId, root: NodeId, what: &str) -> String {
        let origin = [root, tip].into_iter().find_map(|id| graph.origin(id));
        let layer = origin.map(|origin| layer(origin)).filter(|layer| !layer.is_empty());
        let base = match layer {
            Some(layer) if layer.ends_with(what) => layer,
            Some(layer) => format!("{layer}_{what}"),
            None => what.to_owned(),
        };
        self.unique(base)
    }
    fn unique(&mut self, base: String) -> String {
        let mut name = base.clone();
        while self.taken.contains_key(&name) {
            let n = self.taken.get_mut(&base).expect("the base is taken first");
            *n += 1;
            name = format!("{base}_{n}");
        }
        self.taken.insert(name.clone(), 1);
        name
    }
}

/// The last part of a source node's layer, or the name of a node that stands alone.
fn layer(origin: &str) -> String {
    let path = layer_of(origin);
    let path = path.as_deref().unwrap_or(origin);
    let part = path.rsplit('/').find(|p| !p.is_empty()).unwrap_or_default();
    let mut name: String = part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    name.truncate(MAX_LAYER);
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name.to_ascii_lowercase(),
    }
}

#[test]
fn names_are_unique_identifiers() {
    let mut names = Names::default();
    let taken: Vec<String> = ["a", "a", "a_2", "a"].map(|n| names.unique(n.into())).into();
    assert_eq!(taken, ["a", "a_2", "a_2_2", "a_3"]);
    assert_eq!(layer("model/Conv2D-1/BiasAdd"), "conv2d_1");
    assert_eq!(layer("3d"), "_3d");
}
