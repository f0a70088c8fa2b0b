//! Which operators do more than compute: those that change a variable, a table or the outside world.

use std::{collections::HashSet, sync::LazyLock};

use crate::saved::op_defs::{OpDef, op_def, op_defs};

/// Stateful operators that only make or read something: dropping one whose result nobody needs changes nothing.
const HARMLESS: &[&str] = &[
    "VarHandleOp",
    "_VarHandlesOp",
    "ReadVariableOp",
    "_ReadVariablesOp",
    "ResourceGather",
    "ResourceGatherNd",
    "VariableShape",
    "VarIsInitializedOp",
    "IsVariableInitialized",
    "Variable",
    "VariableV2",
    "TemporaryVariable",
    "DisableCopyOnRead",
    "HashTable",
    "HashTableV2",
    "AnonymousHashTable",
    "MutableHashTable",
    "MutableHashTableV2",
    "MutableHashTableOfTensors",
    "MutableHashTableOfTensorsV2",
    "MutableDenseHashTable",
    "MutableDenseHashTableV2",
    "AnonymousMutableHashTable",
    "AnonymousMutableHashTableOfTensors",
    "AnonymousMutableDenseHashTable",
    "LookupTableFind",
    "LookupTableFindV2",
    "LookupTableSize",
    "LookupTableSizeV2",
    "LookupTableExport",
    "LookupTableExportV2",
    "RandomUniform",
    "RandomUniformInt",
    "RandomStandardNormal",
    "ParameterizedTruncatedNormal",
    "TruncatedNormal",
    "RandomShuffle",
    "Multinomial",
    "RandomGamma",
    "RandomPoisson",
    "RandomPoissonV2",
    "RandomCrop",
    "SampleDistortedBoundingBox",
    "SampleDistortedBoundingBoxV2",
    "Placeholder",
    "ReadFile",
    "MatchingFiles",
    "Restore",
    "RestoreSlice",
    "RestoreV2",
    "TensorArray",
    "TensorArrayV2",
    "TensorArrayV3",
    "TensorArrayReadV3",
    "TensorArrayGatherV3",
    "TensorArrayConcatV3",
    "TensorArraySizeV3",
    "TensorArrayCloseV3",
    "TensorArrayGrad",
    "TensorArrayGradV2",
    "TensorArrayGradV3",
    "TensorArrayGradWithShape",
    "EmptyTensorMap",
    "StackV2",
    "FIFOQueueV2",
    "IteratorV2",
    "OneShotIterator",
    "GeneratorDataset",
    "AnonymousRandomSeedGenerator",
    "SimpleMLCreateModelResource",
    "SimpleMLInferenceOp",
    "SimpleMLInferenceOpWithHandle",
    "SimpleMLInferenceLeafIndexOpWithHandle",
    "PartitionedCall",
    "StatefulPartitionedCall",
    "If",
    "While",
    "Case",
];

/// Operators whose work is done by functions named in their attributes and which stay in the graph.
pub fn is_functional(op: &str) -> bool {
    matches!(op, "If" | "StatelessIf" | "While" | "StatelessWhile" | "Case" | "StatelessCase" | "For" | "MapDefun")
}

/// Operators that call one of several functions, by their first operand.
pub fn is_branch(op: &str) -> bool {
    matches!(op, "If" | "StatelessIf" | "Case" | "StatelessCase")
}

/// Operators that take a reference to a variable and only read or hand it on.
const REF_READS: &[&str] = &[
    "RefIdentity",
    "RefEnter",
    "RefExit",
    "RefMerge",
    "RefNextIteration",
    "RefSelect",
    "RefSwitch",
    "IsVariableInitialized",
    "TensorArrayRead",
    "TensorArrayGather",
    "TensorArrayPack",
    "TensorArrayConcat",
    "TensorArraySize",
    "TensorArrayClose",
];

/// Operators that write to an array which they name by a text, and that TensorFlow does not call stateful.
const TEXT_WRITES: &[&str] = &["TensorArrayWriteV2", "TensorArrayScatterV2", "TensorArraySplitV2"];

/// The known operators with an effect: the stateful ones, and those that write through a reference to a variable, such
/// as `Assign`, `ScatterAdd` and `ApplyGradientDescent`.
static EFFECTS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let writes_ref = |op: &str, def: &OpDef| def.inputs.iter().any(|a| a.is_ref) && !REF_READS.contains(&op);
    let has_effect = |op: &str, def: &OpDef| def.stateful || writes_ref(op, def) || TEXT_WRITES.contains(&op);
    let known = op_defs().filter(|(op, def)| has_effect(op, def) && !HARMLESS.contains(op) && !is_functional(op));
    known.map(|(op, _)| op).collect()
});

/// Whether running the operator changes something besides its results. Unknown operators count as such, so that they
/// are reported and never dropped in silence. For functional control flow the bodies decide, not this.
pub fn has_effect(op: &str) -> bool {
    EFFECTS.contains(op) || op_def(op).is_none()
}

/// Whether an operator with an effect tells something, or fails, and changes nothing.
pub fn only_tells(op: &str) -> bool {
    matches!(op, "Assert" | "Print" | "PrintV2")
}

/// Whether the order in which the operator runs matters: it has an effect, or reads what others change.
pub fn is_stateful(op: &str) -> bool {
    has_effect(op) || op_def(op).is_some_and(|def| def.stateful)
}

#[test]
fn effects_are_told_from_reads() {
    for op in [
        "AssignVariableOp",
        "Assign",
        "AssignAdd",
        "ScatterAdd",
        "Assert",
        "InitializeTableV2",
        "Custom>Op",
        "CountUpTo",
        "TensorArrayWrite",
        "TensorArrayScatterV2",
        "TensorArraySplitV3",
    ] {
        assert!(has_effect(op), "{op}");
    }
    for op in ["MatMul", "VarHandleOp", "ReadVariableOp", "RandomUniform", "RefIdentity", "NoOp", "Identity", "While"] {
        assert!(!has_effect(op), "{op}");
    }
    assert!(is_stateful("ReadVariableOp") && !is_stateful("MatMul"));
}

#[test]
fn the_list_names_real_operators() {
    let unknown: Vec<_> = HARMLESS.iter().filter(|op| op_def(op).is_none() && !op.starts_with('_')).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
