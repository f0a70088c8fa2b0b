//! The main file with another last layer: shapes, the activation, first values. Whatever is not named here keeps its bytes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use smc_proto::{
    AttrValue, DataType, NodeDef, TensorProto, TensorShapeProto, attr_value::Value, tensor_shape_proto::Dim,
};

use super::{
    activation::Activation,
    cells::Cells,
    spread::{Found, Kind, Marks, Scopes},
};
use crate::saved::{
    graph::{Library, Reference},
    op_defs::op_def,
    wire::{Malformed, Message},
};

/// What is written.
pub struct Rewrite<'a, 'm> {
    pub library: &'a Library<'m>,
    pub cells: &'a Cells,
    pub scopes: &'a Scopes<Found>,
    pub marks: &'a Marks,
    pub units: usize,
    /// By the variable that a node assigns a first value to: type and new extents.
    pub extents: BTreeMap<String, (DataType, Vec<usize>)>,
    /// Another activation than the model's.
    pub activation: Option<New>,
}

/// How the activation changes.
#[derive(Clone, Copy, Debug)]
pub enum New {
    /// Its nodes, of this operator, become another's.
    Instead(&'static str, Activation),
    /// There is none yet.
    Behind(Activation),
}

type Fallible = Result<(), Malformed>;

/// Numbers of fields.
mod field {
    pub const META_GRAPHS: u32 = 2;
    pub mod meta {
        pub const GRAPH: u32 = 2;
        pub const COLLECTIONS: u32 = 4;
        pub const SIGNATURES: u32 = 5;
        pub const OBJECTS: u32 = 7;
    }
    pub mod graph {
        pub const NODE: u32 = 1;
        pub const LIBRARY: u32 = 2;
        pub const FUNCTION: u32 = 1;
    }
    pub mod function {
        pub const SIGNATURE: u32 = 1;
        pub const NODE: u32 = 3;
        pub const RETURNS: u32 = 4;
        pub const ATTR: u32 = 5;
        pub const ARG_ATTR: u32 = 7;
        pub const INPUT_ARG: u32 = 2;
        pub const HANDLE_DATA: u32 = 7;
        pub const HANDLE_SHAPE: u32 = 2;
    }
    pub mod node {
        pub const NAME: u32 = 1;
        pub const OP: u32 = 2;
        pub const INPUT: u32 = 3;
        pub const ATTR: u32 = 5;
    }
    pub mod attr {
        pub const LIST: u32 = 1;
        pub const SHAPE: u32 = 7;
        pub const LIST_SHAPE: u32 = 7;
    }
    pub mod shape {
        pub const DIM: u32 = 2;
        pub const SIZE: u32 = 1;
    }
    pub mod object {
        pub const NODES: u32 = 1;
        pub const FUNCTIONS: u32 = 2;
        pub const VARIABLE: u32 = 7;
        pub const VARIABLE_SHAPE: u32 = 2;
        pub const INPUTS: u32 = 3;
        pub const OUTPUTS: u32 = 4;
        pub const USER_OBJECT: u32 = 4;
        pub const METADATA: u32 = 3;
    }
}

impl Rewrite<'_, '_> {
    /// The file whose chosen meta graph has the new layer; others, which would keep the old one, are left out.
    pub fn file(&self, bytes: Bytes, chosen: usize) -> Result<Bytes, Malformed> {
        let mut file = Message::parse(bytes)?;
        file.retain(field::META_GRAPHS, |nth, _| nth == chosen);
        file.edit(field::META_GRAPHS, |_, meta| self.meta(meta))?;
        Ok(file.encode())
    }

    fn meta(&self, meta: &mut Message) -> Fallible {
        meta.edit(field::meta::GRAPH, |_, graph| {
            self.nodes("", graph, field::graph::NODE)?;
            graph.edit(field::graph::LIBRARY, |_, library| {
                library.edit(field::graph::FUNCTION, |_, function| self.function(function))
            })
        })?;
        meta.edit(field::meta::COLLECTIONS, |_, entry| {
            entry.edit(2, |_, kind| kind.edit(1, |_, list| self.names(list)))
        })?;
        meta.edit(field::meta::SIGNATURES, |_, entry| {
            entry.edit(2, |_, signature| signature.edit(2, |_, output| output.edit(2, |_, info| self.info(info))))
        })?;
        meta.edit(field::meta::OBJECTS, |_, objects| self.objects(objects))
    }

    /// Leaves out of a collection the nodes that are gone.
    fn names(&self, list: &mut Message) -> Fallible {
        list.retain(1, |_, name| {
            let name = String::from_utf8_lossy(name);
            let at = Reference::parse(&name).and_then(|reference| self.library.main.find(reference.name));
            at.is_none_or(|at| !self.marks.removed.contains(&at))
        });
        Ok(())
    }

    fn info(&self, info: &mut Message) -> Fallible {
        let name = info.text(1).to_string();
        let Some(reference) = Reference::parse(&name) else { return Ok(()) };
        let Some(at) = self.library.main.find(reference.name) else { return Ok(()) };
        let kind = self.scopes[""].outputs.get(&(at, reference.index.unwrap_or(0)));
        if kind.is_some_and(|kind| kind.has_units()) {
            info.edit(3, |_, shape| self.shape(shape))?;
        }
        if let Some(new) = self.renamed("", &name) {
            info.set(1, new);
        }
        Ok(())
    }

    fn objects(&self, objects: &mut Message) -> Fallible {
        objects.edit(field::object::NODES, |number, object| {
            // What Keras noted beside an object tells of the old layer.
            object.edit(field::object::USER_OBJECT, |_, user| {
                user.retain(field::object::METADATA, |_, _| false);
                Ok(())
            })?;
            match self.cells.objects.contains_key(&number) {
                true => object.edit(field::object::VARIABLE, |_, variable| {
                    variable.edit(field::object::VARIABLE_SHAPE, |_, shape| self.shape(shape))
                }),
                false => Ok(()),
            }
        })?;
        objects.edit(field::object::FUNCTIONS, |_, entry| {
            let Some(found) = self.scopes.get(entry.text(1)) else { return Ok(()) };
            let with_units = |kinds: &[Option<Kind>]| -> BTreeSet<usize> {
                let has_units = |kind: &Option<Kind>| kind.is_some_and(Kind::has_units);
                (0..kinds.len()).filter(|&n| has_units(&kinds[n])).collect()
            };
            let (inputs, outputs) = (with_units(&found.args), with_units(&found.results));
            entry.edit(2, |_, function| {
                function.edit(field::object::INPUTS, |_, nest| self.nest(nest, &inputs, true))?;
                function.edit(field::object::OUTPUTS, |_, nest| self.nest(nest, &outputs, false))
            })
        })
    }

    /// The leaves of a nest of values, by number.
    fn nest(&self, nest: &mut Message, which: &BTreeSet<usize>, tensors_alone: bool) -> Fallible {
        if which.is_empty() {
            return Ok(());
        }
        let mut number = 0;
        self.leaf(nest, which, tensors_alone, &mut number)
    }

    /// In TensorFlow's order: that of lists, of named tuples, and of a dictionary's keys.
    fn leaf(&self, nest: &mut Message, which: &BTreeSet<usize>, tensors_alone: bool, number: &mut usize) -> Fallible {
        const NONE: u32 = 1;
        const TENSORS: [u32; 2] = [33, 35];
        const LISTS: [u32; 2] = [51, 52];
        const DICT: u32 = 53;
        const NAMED: u32 = 54;
        for list in LISTS {
            if nest.bytes(list).is_some() {
                return nest
                    .edit(list, |_, list| list.edit(1, |_, value| self.leaf(value, which, tensors_alone, number)));
            }
        }
        if nest.bytes(DICT).is_some() {
            return nest.edit(DICT, |_, dict| {
                let parse = |entry: &Bytes| Message::parse(entry.clone()).map(|entry| entry.text(1).to_string());
                let keys: BTreeSet<String> = dict.all(1).map(parse).collect::<Result<_, _>>()?;
                for key in keys {
                    dict.edit_entry(1, &key, |value| self.leaf(value, which, tensors_alone, number))?;
                }
                Ok(())
            });
        }
        if nest.bytes(NAMED).is_some() {
            return nest.edit(NAMED, |_, tuple| {
                tuple.edit(2, |_, pair| pair.edit(2, |_, value| self.leaf(value, which, tensors_alone, number)))
            });
        }
        if nest.is_empty() || nest.bytes(NONE).is_some() {
            return Ok(());
        }
        let tensor = TENSORS.into_iter().find(|spec| nest.bytes(*spec).is_some());
        if tensor.is_none() && tensors_alone {
            return Ok(());
        }
        *number += 1;
        match tensor {
            Some(spec) if which.contains(&(*number - 1)) => {
                nest.edit(spec, |_, spec| spec.edit(2, |_, shape| self.shape(shape)))
            }
            _ => Ok(()),
        }
    }

    fn function(&self, function: &mut Message) -> Fallible {
        let mut name = String::new();
        function.edit(field::function::SIGNATURE, |_, signature| {
            name = signature.text(1).to_string();
            let Some(found) = self.scopes.get(&name) else { return Ok(()) };
            signature.edit(field::function::INPUT_ARG, |nth, arg| match found.args.get(nth).copied().flatten() {
                Some(Kind::Handle(_)) => arg.edit(field::function::HANDLE_DATA, |_, data| {
                    data.edit(field::function::HANDLE_SHAPE, |_, shape| self.shape(shape))
                }),
                _ => Ok(()),
            })
        })?;
        let Some(found) = self.scopes.get(&name) else { return Ok(()) };
        self.nodes(&name, function, field::function::NODE)?;
        function.edit(field::function::RETURNS, |_, entry| {
            let text = entry.text(2).to_string();
            if let Some(new) = self.renamed(&name, &text) {
                entry.set(2, new);
            }
            Ok(())
        })?;
        let kind = |nth: usize| found.args.get(nth).copied().flatten();
        function.edit_entry(field::function::ATTR, "_input_shapes", |value| {
            value.edit(field::attr::LIST, |_, list| {
                list.edit(field::attr::LIST_SHAPE, |nth, shape| match kind(nth) {
                    Some(kind) if kind.has_units() => self.shape(shape),
                    _ => Ok(()),
                })
            })
        })?;
        function.edit(field::function::ARG_ATTR, |_, entry| {
            let Some(kind) = kind(entry.varint(1) as usize) else { return Ok(()) };
            let attr = if matches!(kind, Kind::Handle(_)) { "_handle_shapes" } else { "_output_shapes" };
            if kind == Kind::Class {
                return Ok(());
            }
            entry.edit(2, |_, attrs| {
                attrs.edit_entry(1, attr, |value| {
                    value.edit(field::attr::LIST, |_, list| {
                        list.edit(field::attr::LIST_SHAPE, |_, shape| self.shape(shape))
                    })
                })
            })
        })
    }

    /// The nodes of a scope, which are the fields of a number.
    fn nodes(&self, scope: &str, graph: &mut Message, number: u32) -> Fallible {
        let found = &self.scopes[scope];
        let mut new: Vec<NodeDef> = vec![];
        graph.edit(number, |nth, node| self.node(scope, found, nth, node, &mut new))?;
        if scope.is_empty() {
            graph.retain(number, |nth, _| !self.marks.removed.contains(&nth));
        }
        new.into_iter().for_each(|node| graph.push(number, node.encode_to_vec()));
        Ok(())
    }

    fn node(&self, scope: &str, found: &Found, nth: usize, node: &mut Message, new: &mut Vec<NodeDef>) -> Fallible {
        let outputs =
            found.outputs.range((nth, 0)..=(nth, u32::MAX)).chain(found.restored.range((nth, 0)..=(nth, u32::MAX)));
        let kinds: BTreeMap<usize, Kind> = outputs.map(|(&(_, index), kind)| (index as usize, *kind)).collect();
        if kinds.values().any(|kind| kind.has_units()) {
            node.edit_entry(field::node::ATTR, "_output_shapes", |value| {
                value.edit(field::attr::LIST, |_, list| {
                    list.edit(field::attr::LIST_SHAPE, |index, shape| match kinds.get(&index) {
                        Some(kind) if kind.has_units() => self.shape(shape),
                        _ => Ok(()),
                    })
                })
            })?;
        }
        let here = (scope.to_string(), nth);
        if scope.is_empty() && self.cells.handles.contains_key(node.text(field::node::NAME)) {
            node.edit_entry(field::node::ATTR, "shape", |value| {
                value.edit(field::attr::SHAPE, |_, shape| self.shape(shape))
            })?;
        }
        node.map(field::node::INPUT, |input| {
            let text = std::str::from_utf8(input).ok()?;
            self.renamed(scope, text).map(Bytes::from)
        });
        if self.marks.initial.contains(&here) {
            self.begin(node, new);
        }
        if self.marks.activations.contains(&here)
            && let Some(New::Instead(old, activation)) = self.activation
            && node.text(field::node::OP) == old
        {
            node.set(field::node::OP, activation.0.unwrap_or("Identity"));
            node.retain(field::node::ATTR, |_, entry| {
                let key = Message::parse(entry.clone()).map(|entry| entry.text(1).to_string()).unwrap_or_default();
                key == "T" || key.starts_with('_')
            });
        }
        if self.marks.sums.contains(&here)
            && let Some(New::Behind(Activation(Some(op)))) = self.activation
        {
            new.push(self.behind(scope, nth, op));
        }
        Ok(())
    }

    /// The node of an activation where there was none.
    fn behind(&self, scope: &str, sum: usize, op: &str) -> NodeDef {
        let node = &self.nodes_of(scope)[sum];
        let mut attr: BTreeMap<String, AttrValue> = BTreeMap::new();
        attr.extend(node.attr.get("T").map(|ty| ("T".into(), ty.clone())));
        if let Some(Value::List(list)) = node.attr.get("_output_shapes").and_then(|attr| attr.value.clone()) {
            let mut list = list;
            list.shape.iter_mut().for_each(|shape| with_units(shape, self.units));
            attr.insert("_output_shapes".into(), AttrValue { value: Some(Value::List(list)) });
        }
        let input = match scope {
            "" => node.name.clone(),
            _ => format!("{}:{}:0", node.name, output_of(&node.op)),
        };
        NodeDef { name: self.name_behind(scope, &node.name), op: op.into(), input: vec![input], attr }
    }

    fn nodes_of(&self, scope: &str) -> &[NodeDef] {
        match scope {
            "" => self.library.main.nodes,
            name => self.library.function(name).map_or(&[], |scope| scope.nodes),
        }
    }

    fn name_behind(&self, scope: &str, sum: &str) -> String {
        let taken = |name: &str| self.nodes_of(scope).iter().any(|node| node.name == name);
        let mut name = format!("{sum}/Activation");
        while taken(&name) {
            name.push('_');
        }
        name
    }

    /// What a reference to a node becomes whose operator or place is another one now.
    fn renamed(&self, scope: &str, text: &str) -> Option<String> {
        let change = self.activation?;
        let reference = Reference::parse(text).filter(|reference| !reference.control)?;
        let nodes = self.nodes_of(scope);
        let at = match scope {
            "" => self.library.main.find(reference.name)?,
            name => self.library.function(name)?.find(reference.name)?,
        };
        let here = (scope.to_string(), at);
        match change {
            New::Behind(Activation(Some(op))) if self.marks.sums.contains(&here) => {
                let name = self.name_behind(scope, &nodes[at].name);
                Some(if scope.is_empty() { format!("{name}:0") } else { format!("{name}:{}:0", output_of(op)) })
            }
            New::Instead(old, Activation(op)) if self.marks.activations.contains(&here) && nodes[at].op == old => {
                reference.output?;
                Some(format!("{}:{}:0", reference.name, output_of(op.unwrap_or("Identity"))))
            }
            _ => None,
        }
    }

    /// Lets an assignment of a first value, which no served model runs, assign zeros of the new extents.
    fn begin(&self, node: &mut Message, new: &mut Vec<NodeDef>) {
        let name = node.text(field::node::NAME).to_string();
        let inputs: Vec<String> =
            node.all(field::node::INPUT).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        let variable = inputs.first().and_then(|text| super::cells::behind(self.library, text));
        let Some((dtype, extents)) = variable.and_then(|variable| self.extents.get(&variable.name)) else { return };
        let ty = |dtype: DataType| AttrValue { value: Some(Value::Type(dtype as i32)) };
        let constant = |name: String, dtype: DataType, extents: &[usize], content: Vec<u8>| {
            let shape = TensorShapeProto { dim: extents.iter().map(|&n| dim(n)).collect(), unknown_rank: false };
            let tensor = TensorProto {
                dtype: dtype as i32,
                tensor_shape: Some(shape),
                tensor_content: content.into(),
                ..Default::default()
            };
            let value = AttrValue { value: Some(Value::Tensor(tensor)) };
            let attr = BTreeMap::from([("dtype".to_string(), ty(dtype)), ("value".to_string(), value)]);
            NodeDef { name, op: "Const".into(), input: vec![], attr }
        };
        let taken = |name: &str| self.nodes_of("").iter().any(|node| node.name.starts_with(name));
        let mut zeros = format!("{name}/zeros");
        while taken(&zeros) {
            zeros.push('_');
        }
        let (dims, zero) = (format!("{zeros}/dims"), format!("{zeros}/value"));
        let content = extents.iter().flat_map(|&n| (n as i32).to_le_bytes()).collect();
        new.push(constant(dims.clone(), DataType::DtInt32, &[extents.len()], content));
        let size = crate::saved::types::host_type(*dtype).map_or(4, |ty| ty.size());
        new.push(constant(zero.clone(), *dtype, &[], vec![0; size]));
        let attr = BTreeMap::from([("T".to_string(), ty(*dtype)), ("index_type".to_string(), ty(DataType::DtInt32))]);
        new.push(NodeDef { name: zeros.clone(), op: "Fill".into(), input: vec![dims, zero], attr });
        let mut data = 0;
        node.map(field::node::INPUT, |text| {
            data += usize::from(!text.starts_with(b"^"));
            (data == 2 && !text.starts_with(b"^")).then(|| Bytes::from(zeros.clone()))
        });
    }

    /// A shape whose last extent is that of the units.
    fn shape(&self, shape: &mut Message) -> Fallible {
        let last = shape.all(field::shape::DIM).count();
        shape.edit(field::shape::DIM, |nth, dim| {
            if nth + 1 == last {
                dim.set_varint(field::shape::SIZE, self.units as u64);
            }
            Ok(())
        })
    }
}

fn dim(size: usize) -> Dim {
    Dim { size: size as i64 }
}

fn with_units(shape: &mut TensorShapeProto, units: usize) {
    if let Some(last) = shape.dim.last_mut() {
        last.size = units as i64;
    }
}

/// The name of an operator's only output, by which nodes of functions refer to it.
fn output_of(op: &str) -> &'static str {
    op_def(op).and_then(|def| def.outputs.first()).map_or("output", |arg| arg.name)
}
