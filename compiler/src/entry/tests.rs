//! The law of routines holds for what is right and names what is wrong; text is read as it is written.

use super::*;

/// Every kind of statement and operation; f0 is a kernel, f1 chooses the level, f2 is this.
const ALL: &str = "\
routine(v0: address, v1: word) -> status {
  v2: flag = is_null v0
  if v2 {
    return 3
  }
  v3: word = add v1 4
  v3: word = sub v3 v1
  v4: word = mul_wraps v3 -9223372036854775808
  v5: word = add_wraps v4 1
  v6: flag = lt v5 0
  v7: flag = below v1 7
  v8: flag = both v6 v7
  v8: flag = either v8 v2
  v8: flag = not v8
  v9: word = bit v8
  v10: word = select v8 v9 -1
  v11: real = to_real v10
  v12: real = real -0.1
  v13: real = fadd v11 v12
  v14: flag = unordered v13 v12
  v15: real = select v14 v13 v12
  v15: real = negative v15
  v15: real = magnitude v15
  v15: real = single v15
  v16: word = to_word v15
  v17: address = stack 64
  store v17.io = v0
  store v17.status = 0
  store v17.first = v16
  v18: address = load v17.io
  v19: word = load v18.number3
  v20: address = load v18.pointer12
  v21: word = load v18.word0
  v22: address = offset v20 v21
  v23: word = bits v22 63
  v24: address = datum weights
  v25: address = load v24.shared
  v26: address = null
  v27: word = call f1(v23)
  v28: address = function f0
  v33: flag = same v28 v26
  each v29 in 0..v27 {
    call f0(v17, 0, v29)
    call v28(v17, v29, 5)
    if v33 {
      break
    }
  }
  if v8 {
    v30: word = copy 1
  } else {
    v30: word = copy v19
  }
  v31: flag = eq v30 v27
  if v31 {
    return v30
  } else {
    v32: status = call f2(v25, v30)
    return v32
  }
}
";

fn member(what: What) -> Member {
    Member { name: "f".into(), exported: false, aliases: vec![], level: None, what }
}

fn model(text: &str) -> Model {
    let routine = parse(text).unwrap_or_else(|e| panic!("{e}"));
    let members = vec![member(What::Kernel(0, 0, 0)), member(What::Choose), member(What::Routine(routine))];
    Model { members, kernels: vec![], entries: vec![2], invoke: 2 }
}

#[test]
fn what_is_printed_is_read_again() {
    let routine = parse(ALL).unwrap();
    assert_eq!(routine.to_string(), ALL);
    assert_eq!(verify(&model(ALL)), Ok(()));
}

#[test]
fn a_breach_of_the_law_is_named() {
    let cases = [
        ("routine() -> word {\n}", "it ends without a result"),
        ("routine() -> word {\nreturn\n}", "it returns what it does not have"),
        ("routine() {\nreturn 0\n}", "it returns what it does not have"),
        ("routine() -> flag {\nreturn 0\n}", "a routine returns a word, a status or nothing"),
        ("routine() numbered {\n}", "the first parameter is no number"),
        ("routine() {\nreturn\nreturn\n}", "something follows a return or break"),
        ("routine() {\nbreak\n}", "no loop is there to end"),
        ("routine() -> word {\nreturn v0\n}", "v0 is not declared"),
        ("routine(v0: word) {\nv1: word = add v0 v2\nv2: word = copy 0\n}", "v2 may not be set"),
        ("routine(v0: flag) -> word {\nif v0 {\nv1: word = copy 0\n}\nreturn v1\n}", "v1 may not be set"),
        ("routine(v0: word) -> word {\neach v1 in 0..v0 {\nv2: word = copy v1\n}\nreturn v2\n}", "v2 may not be set"),
        ("routine(v0: word) {\nv1: flag = not v0\n}", "v0 is a word, not a flag"),
        ("routine(v0: word) {\nv1: flag = copy v0\n}", "v1 is a flag and is set to a word"),
        ("routine(v0: address) {\nstore v0.status = v0\n}", "v0 is a address, not a word"),
        ("routine(v0: address) {\nstore v0.io = 0\n}", "0 stands for a address"),
        ("routine() {\ncall f3()\n}", "there is no f3"),
        ("routine() {\nv0: address = function f9\n}", "there is no f9"),
        ("routine() {\ncall f0()\n}", "0 arguments for 3"),
        ("routine(v0: word) {\ncall f0(v0)\n}", "v0 is a word, not a address"),
        ("routine(v0: word) {\ncall f1(v0)\n}", "a result is taken that there is not, or left"),
        ("routine(v0: address) {\nv1: word = call v0()\n}", "a call of an address has no result"),
        ("routine() {\nv0: address = stack 12\n}", "12 bytes of its own"),
        ("routine() {\nv0: address = stack 8388608\n}", "8388608 bytes of its own"),
        ("routine(v0: word) {\neach v1 in 0..v0 {\nv2: address = stack 8\n}\n}", "asked for in a loop"),
    ];
    for (text, expected) in cases {
        let Err(Violation(message)) = verify(&model(text)) else { panic!("nothing is wrong with {text}") };
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn text_that_is_no_routine_is_refused_with_its_line() {
    let cases = [
        ("", "the routine does not end"),
        ("routine() {", "the routine does not end"),
        ("routine() {\n}\n}", "line 3: the routine has ended"),
        ("hello", "line 1: expected `routine(`"),
        ("routine(v0: number) {\n}", "line 1: `number` is no type"),
        ("routine() {\nv99999999: word = copy 1\n}", "line 2: v99999999 is too many"),
        ("routine() {\nv0: word = jump 1\n}", "line 2: `jump 1` is no operation"),
        ("routine() {\nv0: word = add 1\n}", "line 2: `add 1` is no operation"),
        ("routine() {\nv0: word = copy 1\nv0: flag = copy 1\n}", "line 3: v0 was a word"),
        ("routine() {\nwhile v0 {\n}\n}", "line 2: `while v0` begins no block"),
        ("routine() {\n} else {\n}", "line 2: `} else {` closes nothing"),
        ("routine() {\nstore v0.place = 1\n}", "line 2: expected `word`"),
    ];
    for (text, expected) in cases {
        let message = parse(text).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
    }
    let deep = format!("routine(v0: flag) {{\n{}", "if v0 {\n".repeat(1000));
    assert!(parse(&deep).unwrap_err().contains("blocks nest too deep"));
}

/// The result of a routine of one word.
fn run(text: &str, word: i64) -> Result<Option<i64>, crate::loops::interp::Stop> {
    let model = model(text);
    verify(&model).unwrap_or_else(|e| panic!("{e}"));
    interp::run(&model, 2, &[word])
}

#[test]
fn operations_mean_what_they_say() {
    let of = |op: &str, x: i64| run(&format!("routine(v0: word) -> word {{\nv1: word = {op}\nreturn v1\n}}"), x);
    let value = |op: &str, x: i64| of(op, x).unwrap().unwrap();
    assert_eq!([value("div v0 2", -7), value("rem v0 2", -7)], [-3, -1]);
    assert_eq!([value("shr v0 1", -7), value("ushr v0 60", -7), value("shl v0 63", 3)], [-4, 15, i64::MIN]);
    assert_eq!(value("add v0 1", i64::MAX), i64::MIN);
    for (op, x, wraps) in [
        ("add_wraps v0 1", i64::MAX, true),
        ("add_wraps v0 1", 5, false),
        ("add_wraps v0 -1", i64::MIN, true),
        ("mul_wraps v0 3", i64::MAX / 3, false),
        ("mul_wraps v0 3", i64::MAX / 3 + 1, true),
        ("mul_wraps v0 -1", i64::MIN, true),
    ] {
        assert_eq!(value(op, x) < 0, wraps, "{op} of {x}");
    }
    assert!(of("div 1 v0", 0).is_err() && of("shl 1 v0", 64).is_err());
    let sum =
        "routine(v0: word) -> word {\nv1: word = copy 0\neach v2 in 0..v0 {\nv1: word = add v1 v2\n}\nreturn v1\n}";
    assert_eq!([5, 0, -3].map(|n| run(sum, n).unwrap().unwrap()), [10, 0, 0]);
}
