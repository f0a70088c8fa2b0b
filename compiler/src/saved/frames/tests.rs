//! Graphs of `Enter`, `Switch` and their kin go in, functional ones come out in their own text form, with their bodies.

use smc_proto::{DataType, GraphDef};

use super::functional;
use crate::saved::{
    graph::{Builder, Library, Port, TfGraph},
    text,
    types::{TfShape, TfType},
};

/// A graph of lines `NAME = OP(INPUT, ..)` with inputs `x` and `p`, whose outputs are these. Each `Enter` is of frame `f`,
/// `EnterConstant` of one that is constant, `EnterG` of frame `g`; each `Const` is a scalar.
fn graph(lines: &str, outputs: &[&str]) -> Result<TfGraph, String> {
    let node = |line: &str| {
        let (name, rest) = line.split_once(" = ").expect("a line is NAME = OP(INPUT, ..)");
        let (op, inputs) = rest.trim_end_matches(')').split_once('(').expect("an operator has operands");
        let inputs: String = inputs.split(", ").filter(|i| !i.is_empty()).map(|i| format!(" input: \"{i}\"")).collect();
        let frame = |frame: &str, constant: bool| {
            format!(
                "attr {{ key: \"frame_name\" value {{ s: \"{frame}\" }} }}
                 attr {{ key: \"is_constant\" value {{ b: {constant} }} }}"
            )
        };
        let (op, attrs) = match op {
            "Enter" => ("Enter", frame("f", false)),
            "EnterG" => ("Enter", frame("g", false)),
            "EnterConstant" => ("Enter", frame("f", true)),
            "Merge" => ("Merge", format!("attr {{ key: \"N\" value {{ i: {} }} }}", inputs.matches("input").count())),
            "Const" => {
                (op, "attr { key: \"value\" value { tensor { dtype: DT_INT32 tensor_shape { } int_val: 1 } } }".into())
            }
            "StackV2" | "StackPopV2" => (op, "attr { key: \"elem_type\" value { type: DT_FLOAT } }".into()),
            "TensorArrayGradV3" => (op, "attr { key: \"source\" value { s: \"gradients\" } }".into()),
            "StackPushV2" => (op, "attr { key: \"T\" value { type: DT_FLOAT } }".into()),
            op => (op, String::new()),
        };
        format!("node {{ name: \"{name}\" op: \"{op}\"{inputs} {attrs} }}\n")
    };
    let placeholders = "x = Placeholder()\np = Placeholder()\n";
    let all: String =
        placeholders.lines().chain(lines.lines().map(str::trim)).filter(|l| !l.is_empty()).map(node).collect();
    let def: GraphDef = text::decode(all.as_bytes(), "tensorflow.GraphDef").unwrap();
    let library = Library::new(Some(&def), Default::default(), all.len());
    let mut builder = Builder::new(&library);
    let ty = TfType { dtype: DataType::DtFloat, shape: TfShape::UNKNOWN };
    let mut build = || {
        let inputs = ["x", "p"].map(|key| builder.feed(key, key, ty.clone()));
        let inputs = inputs.into_iter().collect::<Result<Vec<_>, _>>()?;
        let fetched =
            outputs.iter().map(|key| Ok(Port { key: (*key).into(), source: builder.fetch(key)?, ty: ty.clone() }));
        let outputs = fetched.collect::<Result<Vec<_>, crate::base::Diagnostic>>()?;
        std::mem::replace(&mut builder, Builder::new(&library)).finish(inputs, outputs)
    };
    build().and_then(functional).map_err(|e| e.to_string())
}

/// A graph and its bodies, without attributes and types.
fn print(graph: &TfGraph) -> String {
    let plain = |line: &str| match line.split_once(' ') {
        Some((port @ ("input" | "output"), rest)) => {
            let (key, source) =
                (rest.split(' ').next().unwrap_or_default(), rest.rsplit(' ').next().unwrap_or_default());
            format!("{port} {key} = {source}\n")
        }
        _ => line.split(" {").next().unwrap_or(line).to_string() + "\n",
    };
    let plain = |text: String| text.lines().map(plain).collect::<String>();
    let mut printed = plain(graph.to_string());
    for (&(id, which), body) in &graph.bodies {
        let body = print(body.as_ref().expect("there is a body"));
        printed += &format!("{} {which}:\n{body}", graph.nodes[id].name);
    }
    printed
}

fn check(lines: &str, outputs: &[&str], expected: &str) {
    let trim = |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(trim(&graph(lines, outputs).map_or_else(|e| e, |graph| print(&graph))), trim(expected));
}

const LOOP: &str = "
    e = Enter(x)
    m = Merge(e, n)
    l = LoopCond(c)
    s = Switch(m, l)
    r = Exit(s)
    c = Less(m, k)
    k = EnterConstant(p)
    a = Add(s:1, k)
    n = NextIteration(a)";

#[test]
fn a_loop_becomes_while() {
    check(
        LOOP,
        &["r"],
        "input x = x
         input p = p
         x = Placeholder()
         p = Placeholder()
         f = StatelessWhile(x, p)
         r = Identity(f)
         output r = r
         f 0:
         input e = e
         input k = k
         e = Placeholder()
         k = Placeholder()
         c = Less(e, k)
         output result0 = c
         f 1:
         input e = e
         input k = k
         e = Placeholder()
         k = Placeholder()
         a = Add(e, k)
         output result0 = a
         output result1 = k",
    );
}

#[test]
fn a_branch_becomes_if() {
    check(
        "s = Switch(x, p)
         a = Neg(s)
         b = Abs(s:1)
         m = Merge(a, b)
         r = Add(m, m:1)",
        &["r"],
        "input x = x
         input p = p
         x = Placeholder()
         p = Placeholder()
         m = StatelessIf(p, x)
         m_1 = IdentityN(m, m:1)
         r = Add(m_1, m_1:1)
         output r = r
         m 0:
         input x = x
         x = Placeholder()
         a = Neg(x)
         value_index_1 = Const()
         output result0 = a
         output result1 = value_index_1
         m 1:
         input x = x
         x = Placeholder()
         b = Abs(x)
         value_index_1 = Const()
         output result0 = b
         output result1 = value_index_1",
    );
}

/// A branch within a branch, and the same predicates again on what it gave: one `If` of two within for each.
#[test]
fn nested_branches_one_behind_the_other() {
    check(
        "q = Less(x, x)
         t = Switch(q, p)
         s = Switch(x, p)
         i = Switch(s:1, t:1)
         j = Merge(i, i:1)
         m = Merge(s, j)
         s2 = Switch(m, p)
         i2 = Switch(s2:1, t:1)
         j2 = Merge(i2, i2:1)
         m2 = Merge(s2, j2)",
        &["m2"],
        "input x = x
         input p = p
         x = Placeholder()
         p = Placeholder()
         q = Less(x, x)
         m = StatelessIf(p, x, q)
         m_1 = Identity(m)
         m2 = StatelessIf(p, m_1, q)
         m2_1 = Identity(m2)
         output m2 = m2_1
         m 0:
         input x = x
         input q = q
         x = Placeholder()
         q = Placeholder()
         output result0 = x
         m 1:
         input x = x
         input q = q
         x = Placeholder()
         q = Placeholder()
         j = StatelessIf(q, x)
         j_1 = Identity(j)
         output result0 = j_1
         j 0:
         input s = s
         s = Placeholder()
         output result0 = s
         j 1:
         input s = s
         s = Placeholder()
         output result0 = s
         m2 0:
         input m = m
         input q = q
         m = Placeholder()
         q = Placeholder()
         output result0 = m
         m2 1:
         input m = m
         input q = q
         m = Placeholder()
         q = Placeholder()
         j2 = StatelessIf(q, m)
         j2_1 = Identity(j2)
         output result0 = j2_1
         j2 0:
         input s2 = s2
         s2 = Placeholder()
         output result0 = s2
         j2 1:
         input s2 = s2
         s2 = Placeholder()
         output result0 = s2",
    );
}

#[test]
fn a_stack_becomes_a_list() {
    let pushing = LOOP.replace("n = NextIteration(a)", "n = NextIteration(a, ^u)");
    check(
        &format!("{pushing}\nh = StackV2(p)\ni = EnterConstant(h)\nu = StackPushV2(i, s:1)\no = StackPopV2(h, ^r)"),
        &["o"],
        "input x = x
         input p = p
         x = Placeholder()
         p = Placeholder()
         h/element_shape = Const()
         h = EmptyTensorList(h/element_shape, p)
         f = While(x, p, h)
         r = Identity(f)
         o/element_shape = Const()
         o = TensorListPopBack(f:2, o/element_shape) ^r
         output o = o:1
         f 0:
         input e = e
         input k = k
         input i = i
         e = Placeholder()
         k = Placeholder()
         i = Placeholder()
         c = Less(e, k)
         output result0 = c
         f 1:
         input e = e
         input k = k
         input i = i
         e = Placeholder()
         k = Placeholder()
         i = Placeholder()
         a = Add(e, k)
         u = TensorListPushBack(i, e)
         output result0 = a
         output result1 = k
         output result2 = u",
    );
}

#[test]
fn a_stack_that_nobody_reads_goes() {
    let pushing = LOOP.replace("n = NextIteration(a)", "n = NextIteration(a, ^u)");
    let lines = format!("{pushing}\nh = StackV2(p)\ni = EnterConstant(h)\nu = StackPushV2(i, s:1)");
    let text = print(&graph(&lines, &["r"]).unwrap());
    assert!(!text.contains("Stack") && !text.contains("TensorList"), "{text}");
}

#[test]
fn stacks_without_an_order_are_refused() {
    let check = |lines: &str, said: &str| {
        let text = graph(lines, &["o"]).map_or_else(|e| e, |g| print(&g));
        assert!(text.contains(said), "{said} is not in\n{text}");
    };
    check(
        "h = StackV2(p)\nu = StackPushV2(h, x)\nq = StackPopV2(h)\no = Add(q, u)",
        "nothing says whether it runs before",
    );
    let closed = "h = StackV2(p)\nu = StackPushV2(h, x)\nc = StackCloseV2(h, ^u)\no = StackPopV2(h, ^c)";
    check(closed, "the stack that this node uses was closed by `c`");
}

#[test]
fn gradients_of_arrays_without_an_order_are_refused() {
    let array = "h = TensorArrayV3(x)\ng = TensorArrayGradV3(h, h:1)\nw = TensorArrayWriteV3(g, p, x, g:1)";
    let read = |flow: &str| {
        let lines = format!("{array}\no = TensorArrayReadV3(g, p, {flow})");
        graph(&lines, &["o", "w"]).map_or_else(|e| e, |g| print(&g))
    };
    let refused = read("g:1");
    assert!(refused.contains("nothing says whether it runs before `o`"), "{refused}");
    let ordered = read("w");
    assert!(ordered.contains("o = TensorArrayReadV3(w, p, w)"), "{ordered}");
}

#[test]
fn what_cannot_be_paired_stays() {
    let text = print(&graph("s = Switch(x, p)\nt = Switch(x, x)\nm = Merge(s, t:1)", &["m"]).unwrap());
    assert!(text.contains("m = Merge(s, t:1)"), "{text}");
    // Both operands are of one side.
    let text = print(&graph("s = Switch(x, p)\na = Neg(s)\nm = Merge(s, a)", &["m"]).unwrap());
    assert!(text.contains("m = Merge(s, a)"), "{text}");
}

#[test]
fn malformed_loops_are_refused_by_name() {
    let changed = |from: &str, to: &str| graph(&LOOP.replace(from, to), &["r"]).map_or_else(|e| e, |g| print(&g));
    for (from, to, said) in [
        ("l = LoopCond(c)", "l = Identity(c)", "the loop of frame `f` has no LoopCond"),
        ("c = Less(m, k)", "c = LoopCond(o)\no = Less(m, k)", "the loop of frame `f` has a second LoopCond"),
        ("e = Enter(x)", "e = EnterConstant(x)", "begins as a value that the loop calls constant"),
        ("e = Enter(x)", "e = EnterG(x)", "reads values of two loops"),
        ("k = EnterConstant(p)", "k = Enter(p)", "the first value of a loop's variable is read beside the Merge"),
        ("m = Merge(e, n)", "m = Merge(e, n, x)", "but this Merge has other operands"),
        ("m = Merge(e, n)", "m = Merge(x, n)", "this Switch by a loop's condition is of no variable of the loop"),
        ("s = Switch(m, l)", "s = Switch(e, l)", "by a loop's condition is of no variable of the loop"),
        ("r = Exit(s)", "r = Exit(s:1)", "this Exit is of no variable of the loop of frame `f`"),
        ("r = Exit(s)", "q = Exit(s)\nv = Exit(x)\nr = Add(q, v)", "Exit leads out of no loop"),
        ("r = Exit(s)", "r = Neg(s)", "a value inside of the loop of frame `f` is read outside of it"),
        ("a = Add(s:1, k)", "a = Add(s, k)", "what a loop ends with is read before its Exit"),
        ("a = Add(s:1, k)", "a = Add(m:1, k)", "which operand a loop's Merge took"),
        ("a = Add(s:1, k)", "a = Add(n, k)", "the graph has a cycle through this node"),
        ("n = NextIteration(a)", "n = NextIteration()", "goes on with one NextIteration of that loop"),
    ] {
        let text = changed(from, to);
        assert!(text.contains(said) && text.contains("node: "), "{to}: {said} is not in\n{text}");
    }
}

#[test]
fn deep_nests_are_refused() {
    let mut lines = String::from("e0 = Enter(x)\n");
    (1..40).for_each(|n| lines += &format!("e{n} = Enter(e{})\n", n - 1));
    let text = graph(&lines, &["e39"]).map_or_else(|e| e, |g| print(&g));
    assert!(text.contains("loops are nested more than 30 deep"), "{text}");
}
