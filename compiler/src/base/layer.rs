//! Layers: what an author calls the parts of a model, read off the names of nodes.
//!
//! A node is named `CALL/../SCOPE/../OP`. Calls of functions are no layers; the scopes are the layer's path. Keras adds
//! numbers to scopes when it traces a layer again: those that the names of the variables do not have are taken off.

use std::collections::BTreeSet;

/// `sequential/dense` for `StatefulPartitionedCall/sequential_1/sequential/dense/MatMul`: the name without calls and its
/// last part; `None` for a node that stands alone.
pub fn layer_of(name: &str) -> Option<String> {
    // A weight is read inside the scope of the operation that uses it.
    let used_by = name.strip_suffix("/ReadVariableOp").unwrap_or(name);
    let (scopes, _) = used_by.rsplit_once('/')?;
    let is_call = |part: &str| {
        let stem = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        matches!(stem, "StatefulPartitionedCall" | "PartitionedCall")
    };
    let parts: Vec<_> = scopes.split('/').filter(|p| !p.is_empty() && !is_call(p)).collect();
    let mut kept: Vec<&str> = Vec::new();
    for part in parts {
        // Keras repeats a model's name as `sequential_1/sequential`; the last spelling is the one the author knows.
        if let Some(last) = kept.last()
            && let Some(number) = last.strip_prefix(part)
            && (number.is_empty() || number.strip_prefix('_').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())))
        {
            kept.pop();
        }
        kept.push(part);
    }
    (!kept.is_empty()).then(|| kept.join("/"))
}

/// The scopes that a model's variables are in, such as `net` and `net/dense` for `net/dense/kernel_1`.
#[derive(Clone, Debug, Default)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// From the variables' names.
    pub fn new<'a>(variables: impl IntoIterator<Item = &'a str>) -> Scopes {
        let prefixes = |name: &'a str| name.match_indices('/').map(|(at, _)| name[..at].to_string());
        Scopes(variables.into_iter().flat_map(prefixes).collect())
    }
    /// The layer of a node as its author knows it.
    pub fn layer(&self, node: &str) -> Option<String> {
        let traced = layer_of(node)?;
        let mut path = String::new();
        let mut numbered = false;
        for part in traced.split('/') {
            let join = |part: &str| if path.is_empty() { part.to_string() } else { format!("{path}/{part}") };
            let bare = without_number(part).map(join);
            // Layers are numbered as the model around them is.
            path = match bare {
                Some(bare) if numbered || (self.0.contains(&bare) && !self.0.contains(&join(part))) => {
                    numbered = true;
                    bare
                }
                _ => join(part),
            };
        }
        Some(path)
    }
}

/// `dense` for `dense_1`.
pub fn without_number(part: &str) -> Option<&str> {
    let (stem, number) = part.rsplit_once('_')?;
    (!stem.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(stem)
}

#[test]
fn layers_are_read_off_names() {
    let cases = [
        (
            "StatefulPartitionedCall/StatefulPartitionedCall/sequential_1/sequential/dense/MatMul",
            Some("sequential/dense"),
        ),
        ("model/conv1/Conv2D/ReadVariableOp", Some("model/conv1")),
        ("StatefulPartitionedCall_1", None),
        ("StatefulPartitionedCall_12/MatMul", None),
        ("dense/BiasAdd", Some("dense")),
    ];
    cases.into_iter().for_each(|(name, layer)| assert_eq!(layer_of(name).as_deref(), layer, "{name}"));
}

#[test]
fn numbers_of_a_second_trace_are_taken_off() {
    let keras3 = Scopes::new(["net/hidden/kernel_1", "net/hidden_1/kernel_1", "net/hidden_1/bias_1"]);
    for (node, layer) in [
        ("StatefulPartitionedCall_1/StatefulPartitionedCall/net_1/hidden_1/MatMul", "net/hidden"),
        ("StatefulPartitionedCall/net_1/hidden_1_1/MatMul", "net/hidden_1"),
        ("StatefulPartitionedCall/net_1/activation_1_1/Relu", "net/activation_1"),
    ] {
        assert_eq!(keras3.layer(node).as_deref(), Some(layer), "{node}");
    }
    let keras2 = Scopes::new(["dense/kernel", "dense_1/kernel"]);
    assert_eq!(keras2.layer("StatefulPartitionedCall/model/dense_1/MatMul").as_deref(), Some("model/dense_1"));
    assert_eq!(keras2.layer("StatefulPartitionedCall/dense_1/MatMul").as_deref(), Some("dense_1"));
}
