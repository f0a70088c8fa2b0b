//! Which operators do more than compute: those that change a variable, a table or the outside world.

use crate::saved::op_defs::op_def;

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
    "TensorArrayGradV3",
    "TensorArrayWriteV3",
    "TensorArrayReadV3",
    "TensorArrayGatherV3",
    "TensorArrayScatterV3",
    "TensorArrayConcatV3",
    "TensorArraySplitV3",
    "TensorArraySizeV3",
    "TensorArrayCloseV3",
    "EmptyTensorMap",
    "StackV2",
    "FIFOQueueV2",
    "IteratorV2",
    "OneShotIterator",
    "GeneratorDataset",
    "AnonymousRandomSeedGenerator",
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

/// Whether the operator writes through a reference to a variable: `Assign`, `ScatterAdd`, `ApplyGradientDescent` ...
pub fn writes_ref(op: &str) -> bool {
    const READS: [&str; 8] =
        ["RefIdentity", "RefEnter", "RefExit", "RefMerge", "RefNextIteration", "RefSelect", "RefSwitch", "CountUpTo"];
    let takes_ref = op_def(op).is_some_and(|def| def.inputs.iter().any(|arg| arg.is_ref));
    takes_ref && (!READS.contains(&op) || op == "CountUpTo") && !is_listed_harmless(op)
}

fn is_listed_harmless(op: &str) -> bool {
    HARMLESS.contains(&op)
}

/// Whether running the operator changes something besides its results. Unknown operators count as such, so that they
/// are reported and never dropped in silence. For functional control flow the bodies decide, not this.
pub fn has_effect(op: &str) -> bool {
    if is_listed_harmless(op) || is_functional(op) {
        return false;
    }
    op_def(op).is_none_or(|def| def.stateful) || writes_ref(op)
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
