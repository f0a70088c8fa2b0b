//! The body of a function as a graph of its own: what functional control flow computes from its operands.

use smc_proto::{DataType, NameAttrList, attr_value::Value};

use super::{
    graph::{Builder, Library, NodeOutput, Port, TfGraph},
    types::{TfShape, TfType, data_type},
};
use crate::base::{Diagnostic, Problems};

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
