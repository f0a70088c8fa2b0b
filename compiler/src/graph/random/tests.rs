use super::*;

#[test]
fn cases_are_well_typed_varied_and_print() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..2000 {
        let case = case(seed, 12);
        case.graph.verify().unwrap();
        for (value, (_, node)) in case.values().iter().zip(case.graph.iter()) {
            seen.insert(node.op.kind());
            if let Some(value) = value {
                assert_eq!((value.dtype, Some(&value.shape)), (node.ty.dtype, node.ty.concrete(&case.bind).as_ref()));
            }
        }
        let (text, constants) = text::print(&case.graph);
        let parsed = text::parse(&text, &constants).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert!(parsed == case.graph, "seed {seed}\n{text}");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), crate::op::Kind::ALL);
}
