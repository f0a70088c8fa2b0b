//! What saves and restores the variables of a graph, as TensorFlow 1 has it.

use smc_proto::{DataType, NodeDef, SaverDef, TensorProto, VariableDef, attr_value::ListValue, attr_value::Value};

use super::{
    names::Names,
    nodes::{ASSIGN, READ, READ_REFERENCE, ZEROS, assignment, attr, constant, node, ty},
};
use crate::saved::bundle::Content;

/// A variable of the new model.
pub struct Kept {
    /// Of its node.
    pub name: String,
    /// In the checkpoint.
    pub key: String,
    pub dtype: DataType,
    /// Whether its node gives references, as the variables of TensorFlow 1 were at first.
    pub is_reference: bool,
    /// Whether training changes it, unless its layer is frozen, and whether it does.
    pub trainable: bool,
    pub learns: bool,
    pub content: Content,
}

impl Kept {
    /// Where it is read for the checkpoint.
    fn read(&self) -> String {
        format!("{}{}", self.name, if self.is_reference { READ_REFERENCE } else { READ })
    }

    /// What the collections of variables say.
    pub fn definition(&self) -> VariableDef {
        VariableDef {
            variable_name: format!("{}:0", self.name),
            initializer_name: format!("{}{ASSIGN}", self.name),
            snapshot_name: format!("{}:0", self.read()),
            is_resource: !self.is_reference,
            initial_value_name: format!("{}{ZEROS}:0", self.name),
            trainable: self.trainable,
        }
    }
}

/// The nodes that write all variables to a checkpoint and read them from one, each under its key.
pub fn saver(defs: &mut Vec<NodeDef>, variables: &[Kept], names: &mut Names) -> SaverDef {
    let scope = names.scope("save", |_| false);
    let at = |name: &str| format!("{scope}/{name}");
    let strings = |name: &str, values: Vec<String>| {
        let string_val = values.iter().map(|value| value.clone().into_bytes().into()).collect();
        constant(&at(name), DataType::DtString, &[values.len()], TensorProto { string_val, ..Default::default() })
    };
    let keys = || variables.iter().map(|kept| kept.key.clone()).collect();
    let wholes = || variables.iter().map(|_| String::new()).collect();
    let types = ListValue { r#type: variables.iter().map(|kept| kept.dtype as i32).collect(), ..Default::default() };
    let types = || ("dtypes", attr(Value::List(types.clone())));
    let text = || ("dtype", ty(DataType::DtString));
    let any = || ("shape", attr(Value::Shape(Default::default())));

    let model = TensorProto { string_val: vec!["model".into()], ..Default::default() };
    defs.push(constant(&at("filename/input"), DataType::DtString, &[], model));
    defs.push(node(&at("filename"), "PlaceholderWithDefault", vec![at("filename/input")], vec![text(), any()]));
    defs.push(node(&at("Const"), "PlaceholderWithDefault", vec![at("filename")], vec![text(), any()]));

    defs.push(strings("SaveV2/tensor_names", keys()));
    defs.push(strings("SaveV2/shape_and_slices", wholes()));
    let mut input = vec![at("Const"), at("SaveV2/tensor_names"), at("SaveV2/shape_and_slices")];
    input.extend(variables.iter().map(Kept::read));
    defs.push(node(&at("SaveV2"), "SaveV2", input, vec![types()]));
    let input = vec![at("Const"), format!("^{}", at("SaveV2"))];
    defs.push(node(&at("control_dependency"), "Identity", input, vec![("T", ty(DataType::DtString))]));

    defs.push(strings("RestoreV2/tensor_names", keys()));
    defs.push(strings("RestoreV2/shape_and_slices", wholes()));
    let input = vec![at("Const"), at("RestoreV2/tensor_names"), at("RestoreV2/shape_and_slices")];
    defs.push(node(&at("RestoreV2"), "RestoreV2", input, vec![types()]));
    let mut all = vec![];
    for (n, kept) in variables.iter().enumerate() {
        let restored = if n == 0 { at("RestoreV2") } else { format!("{}:{n}", at("RestoreV2")) };
        let (value, name) = (at(&format!("Identity_{n}")), at(&format!("Assign_{n}")));
        defs.push(node(&value, "Identity", vec![restored], vec![("T", ty(kept.dtype))]));
        defs.push(assignment(&name, &kept.name, value, kept.dtype, kept.is_reference));
        all.push(format!("^{name}"));
    }
    defs.push(node(&at("restore_all"), "NoOp", all, vec![]));
    SaverDef {
        filename_tensor_name: format!("{}:0", at("Const")),
        save_tensor_name: format!("{}:0", at("control_dependency")),
        restore_op_name: at("restore_all"),
        max_to_keep: 5,
        version: smc_proto::saver_def::CheckpointFormatVersion::V2 as i32,
    }
}
