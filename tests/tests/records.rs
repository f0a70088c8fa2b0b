//! Serialized records, valid and damaged: kernels give what the evaluator does, and a compiled model gives what TensorFlow does or a
//! status, and never reads outside of a record.

use smc::{
    base::{Bindings, Rng, Symbol},
    driver::{self, Options},
    emit::load::Loaded,
    graph::{Graph, random::records},
    loops::{
        self, Fault,
        interp::{Bytes, Stop, run_part},
    },
    op::{self, Facts, Features, Find, ListCount, ListKind, ListValues, Op, Part, Perfect},
    saved::Variable,
    tensor::{DType, Scalar, Tensor, TensorType, Text},
    tf,
};
use smc_tests::{
    cases::{Open, one_node, read_cases},
    fenced::{self, SIDES, doing},
};

/// What an operator's kernel gives for operands in memory of their own, or its fault.
fn by_kernel(op: &Op, inputs: &[&Tensor], out: &TensorType) -> Result<Tensor, Fault> {
    let types: Vec<TensorType> = inputs.iter().map(|t| t.ty()).collect();
    let kernel = op::kernel(op, &types.iter().collect::<Vec<_>>(), out);
    loops::verify(&kernel).unwrap();
    let mut text = Text::default();
    let placed: Vec<Tensor> = inputs.iter().map(|t| text.place(t)).collect();
    let shape = out.concrete(&Bindings::new()).unwrap();
    let mut bytes = vec![0; shape.iter().product::<usize>() * out.dtype.size()];
    let mut buffers: Vec<Bytes<'_>> = placed.iter().map(|t| Bytes::In(t.bytes())).collect();
    buffers.push(Bytes::Out(&mut bytes));
    match run_part(&kernel, &mut buffers, &Bindings::new(), None, &mut text) {
        Ok(()) => Ok(text.read(&Tensor::from_bytes(out.dtype, shape, bytes)).expect("strings are parts of records")),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(other) => panic!("{other:?}\n{kernel}"),
    }
}

/// Evaluator and kernel agree; whether there was no fault.
fn check(op: impl Into<Op>, inputs: &[&Tensor]) -> bool {
    let op = op.into();
    let types: Vec<TensorType> = inputs.iter().map(|t| t.ty()).collect();
    let out = op.infer(&types.iter().collect::<Vec<_>>(), &Facts::default()).unwrap();
    let expected = op.eval(inputs, &out.concrete(&Bindings::new()).unwrap(), &Bindings::new());
    let found = by_kernel(&op, inputs, &out);
    let bits = |result: &Result<Tensor, Fault>| match result {
        Ok(t) if t.has_strings() => Ok((t.strings().to_vec(), vec![])),
        Ok(t) => Ok((vec![], t.bytes().to_vec())),
        Err(fault) => Err(*fault),
    };
    assert_eq!(bits(&found), bits(&expected), "{op:?} {inputs:?}");
    expected.is_ok()
}

/// The same bytes but for one, or some are missing or there twice.
fn damaged(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![rng.bits() as u8];
    }
    let at = rng.below(bytes.len());
    match rng.below(6) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.pick(&[0, 1, 0x0a, 0x7f, 0x80, 0xff]),
        2 => bytes.truncate(at),
        3 => drop(bytes.remove(at)),
        4 => bytes.splice(at..at, std::iter::repeat_n(0xff, rng.below(12))).for_each(drop),
        _ => bytes.extend_from_within(at..),
    }
    bytes
}

fn strings(all: Vec<Vec<u8>>) -> Tensor {
    Tensor::from_strings([all.len()], all)
}

#[test]
fn features_are_found_in_records_of_every_kind() {
    let mut rng = Rng::new(1);
    let keys = strings(["a", "age", "", "a name of some length"].map(|key| key.as_bytes().to_vec()).to_vec());
    let Perfect { op: Find { seed }, displacements, slots } = Perfect::new(&keys).unwrap();
    let mut fine = 0;
    for n in 0..500 {
        let part = rng.pick(&[Part::Features, Part::Lists]);
        let mut bytes = records::record(&mut rng, part);
        (0..n % 3).for_each(|_| bytes = damaged(&mut rng, std::mem::take(&mut bytes)));
        let op = Features { part, firm: rng.range(0, 4), seed };
        fine += check(op, &[&strings(vec![bytes]), &keys, &displacements, &slots]) as usize;
    }
    assert!((150..470).contains(&fine), "{fine}");
}

#[test]
fn values_are_those_of_lists_of_every_kind() {
    let mut rng = Rng::new(2);
    let mut fine = 0;
    for n in 0..800 {
        let kind = rng.pick(&ListKind::ALL);
        let mut bytes = records::message(&mut rng, kind);
        (0..n % 3).for_each(|_| bytes = damaged(&mut rng, std::mem::take(&mut bytes)));
        let messages = strings(vec![bytes]);
        let of = if rng.once_in(4) { 2 } else { 1 };
        fine += check(ListCount { kind, of }, &[&messages]) as usize;
        let room = if rng.once_in(4) { rng.below(4) } else { 500 };
        let rest = Tensor::zeros(kind.dtype(), [room]);
        let place = Tensor::from_scalars(DType::I64, [1], [Scalar::Int(rng.range(-1, 9))]);
        let each = rng.once_in(6).then(|| rng.range(0, 3));
        let op = ListValues { kind, each, required: rng.once_in(6) };
        fine += check(op, &[&messages, &place, &rest]) as usize;
    }
    assert!((450..1450).contains(&fine), "{fine}");
}

/// What TensorFlow parses of a record: `a`, two i64; the strings of `b` in hexadecimal; the bits of the f32 of `c`.
type Parsed = (Vec<i64>, Vec<String>, Vec<u32>);

/// A node that parses `a` densely, `b` sparsely and `c` as ragged values, of any number of records.
fn model() -> Graph {
    let file = read_cases().into_iter().find(|file| file.op == "ParseExampleV2").expect("it has cases");
    let case = file.cases.iter().find(|case| case.name == "of damaged records").expect("the case is there");
    let graph = one_node(&file.op, case, Open::Leading).unwrap();
    let none = |_: &Variable| Err(smc::base::Diagnostic::error("there are no variables").into());
    tf::import(&graph, &none, &tf::Options::default()).unwrap().graph
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|n| u8::from_str_radix(&text[n..n + 2], 16).unwrap()).collect()
}

/// Where TensorFlow raises there is a status, and where it does not the same values or a status: that of broken records. Every
/// record lies against a page that nobody may touch.
#[test]
fn damaged_records_give_what_tensorflow_does_or_a_status() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/records/damaged.json");
    let all: Vec<(String, Option<Parsed>)> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let graph = model();
    let first = |port: &smc::graph::Port| graph.shape(port.node)[0].as_symbol().expect("records are open").clone();
    let symbols: Vec<Symbol> = graph.inputs.iter().map(first).collect();
    let options = Options { name: "m".into(), cpu: Some(smc_tests::cpu()), ..Options::default() };
    let compiled = driver::compile_graphs(vec![("main".into(), graph)], &options).unwrap();
    let object = compiled.object.bytes();
    let (mut taken, mut strict) = (0, vec![]);
    for side in SIDES {
        let loaded = Loaded::fenced(&object, side).unwrap();
        for (record, expected) in &all {
            doing(format!("{record}, pages {side:?}"));
            let inputs = [strings(vec![unhex(record)])];
            let bind = symbols.iter().map(|symbol| (symbol.clone(), 1)).collect();
            let found = fenced::call(&loaded, &compiled.interface, 0, &inputs, &bind, 0, side);
            let broken = smc_runtime::abi::Status::BrokenRecord.code();
            match (found, expected) {
                (Err(status), _) => {
                    assert_eq!(status, broken, "{record}");
                    strict.extend(expected.as_ref().map(|_| record));
                }
                (Ok(_), None) => panic!("{record}: TensorFlow raises"),
                (Ok(outputs), Some((a, b, c))) => {
                    let [_, texts, _, dense, floats, _] = &outputs[..] else { panic!("{} outputs", outputs.len()) };
                    let texts: Vec<String> = texts.strings().iter().map(|s| hex(s)).collect();
                    let bits = floats.bytes().as_chunks::<4>().0.iter();
                    let bits: Vec<u32> = bits.map(|bytes| u32::from_le_bytes(*bytes)).collect();
                    assert_eq!((&dense.to_i64s().unwrap(), &texts, &bits), (a, b, c), "{record}");
                    taken += 1;
                }
            }
        }
    }
    let count = all.len() * SIDES.len();
    println!("{taken} of {count} have values, {} have a status where TensorFlow has values", strict.len());
    assert!(taken > count / 20 && strict.len() < count / 5, "{taken} {} {strict:?}", strict.len());
}
