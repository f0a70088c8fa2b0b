//! Graphs in the text form of the file go in, flat graphs come out in their own text form.

use smc_proto::{DataType, GraphDef, OpList};

use super::{Builder, Library, TfGraph};
use crate::saved::{
    text,
    types::{TfShape, TfType},
};

/// Builds from the main graph of a model, whose inputs and outputs are named `KEY` or `KEY=TENSOR`.
fn build(model: &str, inputs: &[&str], outputs: &[&str]) -> Result<TfGraph, String> {
    build_with(model, "", inputs, outputs)
}

/// The same for a model that brings definitions of operators with it.
fn build_with(model: &str, ops: &str, inputs: &[&str], outputs: &[&str]) -> Result<TfGraph, String> {
    let graph: GraphDef = text::decode(model.as_bytes(), "tensorflow.GraphDef").unwrap();
    let ops: OpList = text::decode(ops.as_bytes(), "tensorflow.OpList").unwrap();
    let library = Library::new(Some(&graph), crate::saved::custom::Operators::default().beside(&ops.op), model.len());
    let mut builder = Builder::new(&library);
    let split =
        |text: &str| text.split_once('=').map_or((text.to_string(), text.to_string()), |(k, t)| (k.into(), t.into()));
    let ty = || TfType { dtype: DataType::DtFloat, shape: TfShape(Some(vec![None])) };
    let build = || {
        let fed = inputs.iter().map(|i| split(i)).map(|(key, tensor)| builder.feed(&key, &tensor, ty()));
        let inputs = fed.collect::<Result<Vec<_>, _>>()?;
        let fetched = outputs
            .iter()
            .map(|o| split(o))
            .map(|(key, tensor)| Ok(super::Port { key, source: builder.fetch(&tensor)?, ty: ty() }));
        let outputs = fetched.collect::<Result<Vec<_>, crate::base::Diagnostic>>()?;
        builder.finish(inputs, outputs)
    };
    build().map_err(|e| e.to_string())
}

fn check(model: &str, inputs: &[&str], outputs: &[&str], expected: &str) {
    let trim = |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(trim(&build(model, inputs, outputs).map_or_else(|e| e, |graph| graph.to_string())), trim(expected));
}

/// A function of one argument `x` and one result `y`.
fn function(name: &str, body: &str, result: &str) -> String {
    format!(
        "library {{ function {{ signature {{ name: \"{name}\" input_arg {{ name: \"x\" type: DT_FLOAT }}
         output_arg {{ name: \"y\" type: DT_FLOAT }} }} {body} ret {{ key: \"y\" value: \"{result}\" }} }} }}"
    )
}

fn call(name: &str, function: &str, input: &str) -> String {
    format!(
        "node {{ name: \"{name}\" op: \"StatefulPartitionedCall\" input: \"{input}\"
         attr {{ key: \"f\" value {{ func {{ name: \"{function}\" }} }} }} }}"
    )
}

const X: &str = r#"node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }"#;

#[test]
fn the_unneeded_is_left_out() {
    let model = format!(
        r#"{X} node {{ name: "bad" op: "Relu" input: "missing" }}
        node {{ name: "mid" op: "Split" input: "bad" input: "x" attr {{ key: "num_split" value {{ i: 2 }} }} }}
        node {{ name: "y" op: "Relu" input: "mid:1" input: "^x" }}"#
    );
    let expected = "input m float32[?] = mid_1
        mid_1 = Placeholder() {dtype=float32 shape=[?]}
        y = Relu(mid_1)
        output y float32[?] = y";
    check(&model, &["m=mid:1"], &["y"], expected);
    assert_eq!(build(&model, &["x"], &["y"]), Err("error: there is no node `missing`\n  node: bad".into()));
    let unfed = build(&format!("{X} node {{ name: \"y\" op: \"Relu\" input: \"x\" }}"), &[], &["y"]).unwrap_err();
    assert!(unfed.contains("does not feed") && unfed.contains("node: x"), "{unfed}");
}

#[test]
fn calls_leave_no_node_behind() {
    let body = r#"node_def { name: "a" op: "Relu" input: "x" }
        node_def { name: "s" op: "Split" input: "a:activations:0" input: "x" attr { key: "num_split" value { i: 3 } } }
        node_def { name: "b" op: "AddN" input: "s:output" attr { key: "N" value { i: 3 } } }"#;
    let model = format!(
        "{X} {} {} {} node {{ name: \"d\" op: \"f\" input: \"c:0\" }} node {{ name: \"y\" op: \"Neg\" input: \"d\" }}",
        function("f", body, "b:sum:0"),
        function("pass", "", "x"),
        call("c", "pass", "x"),
    );
    let expected = "input x float32[?] = x
        x = Placeholder() {dtype=float32 shape=[?]}
        d/a = Relu(x)
        d/s = Split(d/a, x) {num_split=3}
        d/b = AddN(d/s, d/s:1, d/s:2) {N=3}
        y = Neg(d/b)
        output y float32[?] = y";
    check(&model, &["x"], &["y"], expected);
}

#[test]
fn attributes_of_functions_are_filled_in() {
    let body = r#"node_def { name: "a" op: "Cast" input: "x" attr { key: "DstT" value { placeholder: "T" } } }"#;
    let model = format!(
        "{X} {} node {{ name: \"y\" op: \"f\" input: \"x\" attr {{ key: \"T\" value {{ type: DT_INT64 }} }} }}",
        function("f", body, "a:y:0")
    );
    let expected = "input x float32[?] = x
        x = Placeholder() {dtype=float32 shape=[?]}
        y/a = Cast(x) {DstT=int64}
        output y float32[?] = y/a";
    check(&model, &["x"], &["y"], expected);
}

#[test]
fn effects_stay_and_keep_their_order() {
    let body = r#"node_def { name: "v" op: "VarHandleOp" attr { key: "shared_name" value { s: "v" } } }
        node_def { name: "read" op: "ReadVariableOp" input: "v:resource:0" input: "^set" }
        node_def { name: "set" op: "AssignVariableOp" input: "v:resource:0" input: "x" }
        node_def { name: "idle" op: "NoOp" input: "^set" }
        control_ret { key: "idle" value: "idle" }"#;
    let model = format!(
        r#"{X} {} {} node {{ name: "w" op: "VarHandleOp" }}
        node {{ name: "after" op: "NoOp" input: "^c" }}
        node {{ name: "last" op: "AssignVariableOp" input: "w" input: "x" input: "^after" }}
        node {{ name: "y" op: "Relu" input: "x" input: "^last" }}"#,
        function("f", body, "read:value:0"),
        call("c", "f", "x"),
    );
    let expected = "input x float32[?] = x
        x = Placeholder() {dtype=float32 shape=[?]}
        c/v = VarHandleOp() {shared_name=\"v\"}
        c/set = AssignVariableOp(c/v, x)
        w = VarHandleOp()
        last = AssignVariableOp(w, x) ^c/set
        y = Relu(x) ^last
        output y float32[?] = y";
    check(&model, &["x"], &["y"], expected);
    let expected = "input x float32[?] = x
        x = Placeholder() {dtype=float32 shape=[?]}
        c/v = VarHandleOp() {shared_name=\"v\"}
        c/set = AssignVariableOp(c/v, x)
        c/read = ReadVariableOp(c/v) ^c/set
        output z float32[?] = c/read";
    check(&model, &["x"], &["z=c"], expected);
}

#[test]
fn loops_of_version_1_close_backwards() {
    let model = format!(
        r#"{X} node {{ name: "e" op: "Enter" input: "x" }} node {{ name: "m" op: "Merge" input: "e" input: "n" }}
        node {{ name: "c" op: "LoopCond" input: "m" }} node {{ name: "s" op: "Switch" input: "m" input: "c" }}
        node {{ name: "n" op: "NextIteration" input: "s:1" }} node {{ name: "y" op: "Exit" input: "s" }}"#
    );
    let text = build(&model, &["x"], &["y"]).unwrap().to_string();
    assert!(text.contains("m = Merge(e, n)") && text.contains("n = NextIteration(s:1)"), "{text}");
    let cycle = r#"node { name: "a" op: "Relu" input: "b" } node { name: "b" op: "Relu" input: "a" }"#;
    assert!(build(cycle, &[], &["a"]).unwrap_err().contains("cycle"));
}

/// An output that a node does not have is refused where it is named: by a signature, a node, a function, a feed.
#[test]
fn outputs_that_do_not_exist_are_refused() {
    let split = r#"node_def { name: "s" op: "Split" input: "x" input: "x" attr { key: "num_split" value { i: 2 } } }"#;
    let model = format!(
        r#"{X} {} {} {} node {{ name: "idle" op: "NoOp" }} node {{ name: "a" op: "Relu" input: "x" }}
        node {{ name: "s" op: "Split" input: "x" input: "x" attr {{ key: "num_split" value {{ i: 3 }} }} }}
        node {{ name: "b" op: "Relu" input: "a:1" }} node {{ name: "c" op: "Relu" input: "s:3" }}
        node {{ name: "uncounted" op: "Split" input: "x" input: "x" }}
        node {{ name: "if" op: "If" input: "x" input: "x" attr {{ key: "Tout" value {{ list {{ type: DT_FLOAT }} }} }} }}"#,
        function("f", split, "s:output:2"),
        function("g", "", "x"),
        call("f1", "f", "x") + &call("g1", "g", "x"),
    );
    for (output, what) in [
        ("a:1", "node `a` (Relu) has no output 1"),
        ("idle", "node `idle` (NoOp) has no output 0"),
        ("s:3", "node `s` (Split) has no output 3"),
        ("b", "node `a` (Relu) has no output 1"),
        ("c", "node `s` (Split) has no output 3"),
        ("if:1", "node `if` (If) has no output 1"),
        ("uncounted", "lacks the attribute that counts its `output`"),
        ("f1", "node `s` (Split) has no output 2 of `output`"),
        ("g1:1", "function `g` has no result 1"),
    ] {
        let message = build(&model, &["x"], &[output]).unwrap_err();
        assert!(message.contains(what), "{output}: {message}");
    }
    assert!(build(&model, &["x"], &["b"]).unwrap_err().contains("node: b"), "the reader is named");
    assert!(build(&model, &["x", "m=a:1"], &["a"]).unwrap_err().contains("has no output 1"));
    assert!(build(&model, &["x"], &["s:2", "if", "g1"]).is_ok());
}

/// The outputs of an operator of another library are those that the model defines, or taken as they are named.
#[test]
fn custom_operators_stand_for_themselves() {
    let body = r#"node_def { name: "c" op: "My>Op" input: "x" attr { key: "n" value { i: 2 } } }
        node_def { name: "r" op: "Neg" input: "c:rest:0" }"#;
    let model = format!("{X} {} {}", function("f", body, "r:y:0"), call("y", "f", "x"));
    let read = |ops: &str| build_with(&model, ops, &["x"], &["y"]).map(|g| g.to_string().contains("y/r = Neg(y/c:2)"));
    assert_eq!(read(""), Ok(false), "nothing is known of it");
    let def = |rest: &str| {
        format!(
            "op {{ name: \"My>Op\" output_arg {{ name: \"first\" number_attr: \"n\" }}
             output_arg {{ name: \"{rest}\" type: DT_FLOAT }} }}"
        )
    };
    assert_eq!(read(&def("rest")), Ok(true));
    assert!(read(&def("other")).unwrap_err().contains("node `c` (My>Op) has no output `rest`"));
}

#[test]
fn hostile_functions_are_refused() {
    let recursive = format!(
        "{X} {} {}",
        function("f", &call("n", "f", "x").replace("node ", "node_def "), "n:output:0"),
        call("c", "f", "x")
    );
    let recursive =
        recursive.replace("input: \"x\"\n", "input: \"x\" attr { key: \"Tout\" value { list { type: DT_FLOAT } } }\n");
    assert!(build(&recursive, &["x"], &["c"]).unwrap_err().contains("calls itself"));

    let own_result = format!("{} {}", function("pass", "", "x"), call("c", "pass", "c"));
    assert!(build(&own_result, &[], &["c"]).unwrap_err().contains("without end"));

    // Each function calls the next one ten times.
    let mut doubling = format!("{X} {}", call("c", "f0", "x"));
    for level in 0..12 {
        let body: String = (0..10)
            .map(|n| {
                let input = if n == 0 { "x".to_string() } else { format!("n{}:y:0", n - 1) };
                format!("node_def {{ name: \"n{n}\" op: \"f{}\" input: \"{input}\" }}", level + 1)
            })
            .collect();
        doubling += &function(&format!("f{level}"), &body, "n9:y:0");
    }
    doubling += &function("f12", "node_def { name: \"a\" op: \"Relu\" input: \"x\" }", "a:activations:0");
    assert!(build(&doubling, &["x"], &["c"]).unwrap_err().contains("beyond reason"));

    let mut chain =
        format!("{X} {}", function("f", "node_def { name: \"a\" op: \"Print\" input: \"x\" }", "a:output:0"));
    for n in 0..3000 {
        chain += &call(&format!("c{n}"), "f", &format!("x\" input: \"^c{}", n + 1));
    }
    chain += "node { name: \"c3000\" op: \"NoOp\" }";
    assert!(build(&chain, &["x"], &["c0"]).is_ok(), "no recursion along chains of calls");
}

#[test]
fn calls_of_one_function_are_twins() {
    let library = function("f", r#"node_def { name: "r" op: "Relu" input: "x" }"#, "r:activations:0");
    let table = |name: &str| {
        format!(
            r#"node {{ name: "{name}" op: "HashTableV2" attr {{ key: "key_dtype" value {{ type: DT_INT64 }} }}
            attr {{ key: "value_dtype" value {{ type: DT_INT64 }} }} }}
            node {{ name: "{name}_size" op: "LookupTableSizeV2" input: "{name}" }}"#
        )
    };
    let model = [
        X,
        &call("a", "f", "x"),
        &call("b", "f", "x"),
        r#"node { name: "leaky" op: "LeakyRelu" input: "x" }"#,
        r#"node { name: "leakier" op: "LeakyRelu" input: "x" attr { key: "alpha" value { f: 0.5 } } }"#,
        &table("t"),
        &table("u"),
        &library,
    ]
    .concat();
    let content = |input: &str, output: &str| build(&model, &[input], &[output]).unwrap().content();
    assert_eq!(content("x", "y=a"), content("x", "y=b"), "only the names of nodes differ");
    assert_ne!(content("x", "y=a"), content("x", "z=a"), "keys differ");
    assert_ne!(content("x", "y=leaky"), content("x", "y=leakier"), "attributes differ");
    assert_ne!(content("x", "y=t_size"), content("x", "y=u_size"), "the tables may hold other values");
}
