//! The body of a function as a graph of its own: what functional control flow computes from its operands.

use std::{collections::HashMap, sync::Arc};

use prost::Message;
use smc_proto::{DataType, NameAttrList, attr_value::Value};

use super::{
    graph::{Builder, Library, NodeOutput, Port, TfGraph},
    types::{TfShape, TfType, data_type},
};
use crate::base::{Diagnostic, Problems};

/// How deep control flow may be nested in control flow.
pub(super) const MAX_NESTING: usize = 30;
/// Nodes that all bodies of one graph may have.
const MAX_NODES: usize = 1_000_000;

/// A body, or why there is none: that concerns only those who need it.
pub type Body = Result<Arc<TfGraph>, Problems>;

/// The bodies made so far, each once for all nodes that name it.
#[derive(Default)]
pub(super) struct Bodies {
    made: HashMap<Vec<u8>, Body>,
    open: Vec<String>,
    nodes: usize,
}

impl Bodies {
    /// The body of a function; `finish` does to it what is done to every graph, bodies of its own included.
    pub fn body(
        &mut self,
        library: &Library,
        function: &NameAttrList,
        finish: impl FnOnce(&mut Bodies, TfGraph) -> Result<TfGraph, Problems>,
    ) -> Body {
        let key = function.encode_to_vec();
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        if self.open.contains(&function.name) {
            let what = format!("function `{}` calls itself, which is not supported", function.name);
            return Err(Diagnostic::error(what).into());
        }
        if self.open.len() >= MAX_NESTING {
            return Err(Diagnostic::error(format!("control flow is nested more than {MAX_NESTING} deep")).into());
        }
        if self.nodes > MAX_NODES {
            return Err(Diagnostic::error("the bodies of branches and loops have nodes beyond reason").into());
        }
        self.open.push(function.name.clone());
        let made = body(library, function).and_then(|graph| {
            self.nodes += graph.nodes.len();
            finish(self, graph)
        });
        self.open.pop();
        let made = made.map(Arc::new);
        self.made.insert(key, made.clone());
        made
    }
}

/// A function's body as a graph, with its arguments as inputs.
pub(super) fn body(library: &Library, function: &NameAttrList) -> Result<TfGraph, Problems> {
    let unknown = || Diagnostic::error(format!("the model has no function `{}`", function.name));
    let scope = library.function(&function.name).ok_or_else(unknown)?;
    let def = scope.function.ok_or_else(unknown)?;
    let signature = def.signature.as_ref().ok_or_else(unknown)?;
    let mut builder = Builder::new(library);
    let mut inputs = Vec::new();
    for (at, arg) in signature.input_arg.iter().enumerate() {
        let lists = || Diagnostic::error(format!("function `{}` takes lists, which is not supported", function.name));
        if !arg.number_attr.is_empty() || !arg.type_list_attr.is_empty() {
            return Err(lists().into());
        }
        let by_attr = || match function.attr.get(&arg.type_attr)?.value.as_ref()? {
            Value::Type(t) => Some(data_type(*t)),
            _ => None,
        };
        let dtype = if arg.type_attr.is_empty() { Some(data_type(arg.r#type)) } else { by_attr() };
        let shapes = def.arg_attr.get(&(at as u32)).and_then(|a| a.attr.get("_output_shapes")?.value.as_ref());
        let shape = match shapes {
            Some(Value::List(list)) => TfShape::from_proto(list.shape.first()),
            _ => TfShape::UNKNOWN,
        };
        let ty = TfType { dtype: dtype.unwrap_or(DataType::DtInvalid), shape };
        inputs.push(builder.input(&arg.name, &arg.name, ty));
    }
    let args: Vec<_> = inputs.iter().map(|port| port.source).collect();
    let results = builder.call(function, args)?;
    if results.len() != signature.output_arg.len() {
        let what = format!("function `{}` returns lists, which is not supported", function.name);
        return Err(Diagnostic::error(what).into());
    }
    let keys = signature.output_arg.iter().map(|arg| (arg.name.clone(), data_type(arg.r#type)));
    let port = |((key, dtype), source): ((String, DataType), NodeOutput)| Port {
        key,
        source,
        ty: TfType { dtype, shape: TfShape::UNKNOWN },
    };
    let outputs = keys.zip(results).map(port).collect();
    builder.finish(inputs, outputs)
}
