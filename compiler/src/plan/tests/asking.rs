//! Weights that are asked for ahead of their use: which are, and that nothing changes by it.

use super::{networks::Net, *};

fn dense(rows: &str, depth: usize, columns: usize) -> Graph {
    let mut net = Net::default();
    let x = net.input(&format!("{rows},{depth}"));
    let y = net.dot(x, columns);
    net.done(&[y])
}

/// Lines that the kernels ask for, soon and later.
fn asked(graph: &Graph, isa: Isa) -> [usize; 2] {
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(isa), &mut Weights::default());
    let text: String = program.launches.iter().map(|l| l.kernel.to_string()).collect();
    ["prefetch soon", "prefetch later"].map(|hint| text.matches(hint).count())
}

#[test]
fn few_rows_ask_for_large_weights() {
    assert_eq!(asked(&dense("4", 256, 256), Isa::X64V3), [1, 1]);
    // A strip of two lines. Each tile asks for the next panel where all columns stay in the cache, one of four for half a
    // line of each two where they do not.
    assert_eq!(asked(&dense("56", 250, 256), Isa::X64V4), [2, 2]);
    assert_eq!(asked(&dense("56", 250, 1024), Isa::X64V4), [2, 1]);
    // Whole panels, one row, many rows, small weights, panels that leave the cache, machines that are not asked.
    assert_eq!(asked(&dense("4", 256, 256), Isa::X64V4), [0, 0]);
    assert_eq!(asked(&dense("1", 256, 256), Isa::X64V3), [0, 0]);
    assert_eq!(asked(&dense("960", 256, 256), Isa::X64V3), [0, 0]);
    assert_eq!(asked(&dense("4", 16, 64), Isa::X64V3), [0, 0]);
    assert_eq!(asked(&dense("4", 4608, 256), Isa::X64V3), [0, 0]);
    for isa in [Isa::X64, Isa::Aarch64, Isa::Riscv64, Isa::S390x] {
        assert_eq!(asked(&dense("4", 256, 256), isa), [0, 0]);
    }
    // An unknown number of rows asks for what leaves the cache.
    assert_eq!(asked(&dense("batch", 256, 256), Isa::X64V3), [0, 0]);
    assert_ne!(asked(&dense("batch", 1024, 256), Isa::X64V3), [0, 0]);
}

#[test]
fn asking_changes_nothing() {
    for (rows, depth, columns) in [(5, 131, 197), (13, 67, 128), (31, 64, 192), (2, 97, 64)] {
        let graph = dense(&rows.to_string(), depth, columns);
        for isa in [Isa::X64V3, Isa::X64V4] {
            let input = random_tensor(DType::F32, &[rows, depth], 7);
            check(&format!("{rows} x {depth} x {columns}"), &graph, isa, &[input], &Bindings::new());
        }
    }
}
