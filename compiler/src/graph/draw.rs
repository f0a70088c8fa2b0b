//! A picture of a graph for Graphviz: one box per node, one arrow per operand, labelled with its type.

use std::fmt::Write;

use super::*;

/// The graph in the language of `dot`.
pub fn draw(graph: &Graph) -> String {
    let mut text = String::from("digraph {\n  node [shape=box];\n");
    let quote = |s: &str| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    for (id, node) in graph.iter() {
        let operator = match &node.op {
            Op::Input => "input".into(),
            Op::Const(t) if t.count() == 1 && t.dtype != DType::Str => format!("const {:?}", t.get(0)),
            Op::Const(_) => "const".into(),
            Op::Extent(dim) => format!("extent {dim}"),
            op if op.attrs() == "{}" => op.name().into(),
            op => format!("{} {}", op.name(), op.attrs()),
        };
        let origin = graph.origin(id).map_or("", |name| name);
        let label = format!("%{} {operator}\n{}\n{origin}", id.index(), node.ty);
        writeln!(text, "  n{} [label={}];", id.index(), quote(label.trim_end())).expect("a string takes everything");
        for input in &node.inputs {
            let ty = quote(&graph.ty(*input).to_string());
            writeln!(text, "  n{} -> n{} [label={ty}];", input.index(), id.index()).expect("a string takes everything");
        }
    }
    for (ports, ends) in [(&graph.inputs, "in"), (&graph.outputs, "out")] {
        for (n, port) in ports.iter().enumerate() {
            let (end, node) = (format!("{ends}{n}"), format!("n{}", port.node.index()));
            let (from, to) = if ends == "in" { (&end, &node) } else { (&node, &end) };
            writeln!(text, "  {end} [shape=oval, label={}];\n  {from} -> {to};", quote(&port.name))
                .expect("a string takes everything");
        }
    }
    text.push_str("}\n");
    text
}

#[test]
fn every_node_and_port_is_drawn() {
    let mut g = Graph::default();
    let x = g.input("say \"x\"", "f32[N]".parse().unwrap());
    let y = g.add(crate::op::Unary { f: crate::loops::UnaryFn::Exp }, &[x]).unwrap();
    g.output("y", y);
    assert_eq!(
        draw(&g),
        r#"digraph {
  node [shape=box];
  n0 [label="%0 input\nf32[N]"];
  n1 [label="%1 unary {\"f\":\"exp\"}\nf32[N]"];
  n0 -> n1 [label="f32[N]"];
  in0 [shape=oval, label="say \"x\""];
  in0 -> n0;
  out0 [shape=oval, label="y"];
  n1 -> out0;
}
"#
    );
}
