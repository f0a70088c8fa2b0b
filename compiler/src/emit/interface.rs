//! The interface of a compiled model: what its header declares, its descriptor describes and its entry code checks.
//!
//! One place decides the C names and the layout of the io structs, so that the three agree. Within a signature all
//! member names differ; within a model all function names differ; none means something else in C or C++
//! ([`super::names`]).

use std::collections::BTreeSet;

use smc_runtime::abi::SLOT_BYTES;

use super::{
    load::Functions,
    names::is_reserved,
    state::{Layout, Slot},
};
use crate::{
    base::{Bindings, Dim, Symbol},
    graph::Call,
    plan::Access,
    tensor::TensorType,
};

/// A compiled model.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The prefix of the exported symbols; a C identifier.
    pub name: String,
    /// Name and version of the compiler.
    pub compiler: String,
    /// SHA-256 of the model.
    pub fingerprint: [u8; 32],
    /// The CPU levels that there is code for, ascending.
    pub levels: Vec<Level>,
    /// Whether the caller binds the weights, which are in a file of their own.
    pub binds_weights: bool,
    /// In the order of the numbers that `invoke` takes.
    pub signatures: Vec<Signature>,
    /// What outlives calls, if something does.
    pub state: Option<State>,
    /// The custom operators: each function that the object calls and does not have.
    pub operators: Vec<Operator>,
}

/// A function that whoever links the model has.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Its calls, each other one once: they have one symbol and one struct of attributes.
    pub calls: Vec<Call>,
}

impl Operator {
    pub fn symbol(&self) -> &str {
        &self.calls[0].symbol
    }
    /// The operators that programs call.
    pub fn of<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Vec<Operator> {
        let mut all: Vec<Operator> = vec![];
        for call in calls {
            match all.iter_mut().find(|known| known.symbol() == call.symbol) {
                Some(known) if !known.calls.contains(call) => known.calls.push(call.clone()),
                Some(_) => {}
                None => all.push(Operator { calls: vec![call.clone()] }),
            }
        }
        all
    }
    /// What the functions are in this process, where they are known.
    pub fn functions(all: &[Operator]) -> Functions {
        let function = |operator: &Operator| {
            Some((operator.symbol().to_owned(), operator.calls.iter().find_map(|c| c.function.as_ref())?.address()))
        };
        all.iter().filter_map(function).collect()
    }
}

/// The block of memory that outlives calls.
#[derive(Clone, Debug)]
pub struct State {
    pub layout: Layout,
    /// By variable, the function that finds it is the model's name, an underscore and this.
    pub c_names: Vec<String>,
}

impl Interface {
    /// The signatures that have functions of their own.
    pub fn originals(&self) -> impl Iterator<Item = &Signature> {
        self.signatures.iter().filter(|s| s.same_as.is_none())
    }
    /// The signatures that are others of the model under another name: of each of those, in order.
    pub fn aliases(&self) -> Vec<Vec<&Signature>> {
        let of = |n: usize| self.signatures.iter().filter(move |s| s.same_as == Some(n)).collect();
        let originals = self.signatures.iter().enumerate().filter(|(_, s)| s.same_as.is_none());
        originals.map(|(n, _)| of(n)).collect()
    }
}

/// A CPU level.
#[derive(Clone, Debug)]
pub struct Level {
    /// As `--cpu` takes it.
    pub name: String,
    /// What the io struct's `cpu` asks for.
    pub number: u32,
}

impl Level {
    /// The name as a part of an upper-case constant.
    pub fn c_name(&self) -> String {
        c_identifier(&self.name).to_uppercase()
    }
}

/// An entry point.
#[derive(Clone, Debug)]
pub struct Signature {
    /// As the model's author named it.
    pub key: String,
    /// The exported function is the model's name, an underscore and this.
    pub c_name: String,
    /// The number of the signature whose function this one's is, under another name.
    pub same_as: Option<usize>,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    pub symbols: Vec<Dimension>,
    /// What it does with the block that outlives calls, and the member of the io struct that points to it.
    pub state: Option<(Access, String)>,
    /// What must hold for every call.
    pub guards: Vec<Guard>,
    /// What must hold of sizes that data decide, as people read it, behind `where`.
    pub found_guards: Vec<String>,
    /// Bytes of the workspace.
    pub workspace: Dim,
    /// Bytes of strings that a call may make; none where it makes none.
    pub strings: Option<u64>,
    /// An upper bound of the stack that a call uses on the calling thread.
    pub stack_bytes: u64,
}

/// An input or an output.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub key: String,
    /// The member of the io struct.
    pub c_name: String,
    pub ty: TensorType,
    /// The elements that its memory has room for: those of its shape, or the most where data decide.
    pub room: Dim,
}

/// A symbolic dimension.
#[derive(Clone, Debug)]
pub struct Dimension {
    pub symbol: Symbol,
    /// The member of the io struct.
    pub c_name: String,
    /// Of a size that data decide, the most that it can be, in the other symbols: the call writes the member.
    pub bound: Option<Dim>,
}

/// Two dimensions that are equal in every call that is served.
#[derive(Clone, Debug)]
pub struct Guard {
    pub left: Dim,
    pub right: Dim,
    /// The condition as people read it, behind `where`.
    pub text: String,
}

/// A signature as the model's author named it: key, inputs and outputs with theirs.
pub type Named = (String, Vec<(String, TensorType)>, Vec<(String, TensorType)>);

/// Chooses the C names. The symbols are those of the inputs' and outputs' shapes, in order of appearance; guards,
/// workspace and stack are filled in by who knows them.
///
/// The header makes constants of upper-case names, so names that differ in case alone count as the same, and so do
/// those of tensors together with their signature's.
pub fn signatures(named: Vec<Named>) -> Vec<Signature> {
    signatures_beside(named, None).0
}

/// The same for a model with a state of these variables, and the names of the functions that find them.
pub fn signatures_beside(named: Vec<Named>, variables: Option<&[Slot]>) -> (Vec<Signature>, Vec<String>) {
    let mut functions = Names::reserved(["workspace_bytes", "descriptor", "invoke", "bind_weights", "weights_bytes"]);
    if variables.is_some() {
        let own = ["state", "state_bytes", "state_init", "state_save", "state_load", "state_seed"];
        own.iter().for_each(|name| functions.take(name));
    }
    let mut constants = Names::default();
    let mut signatures = vec![];
    for (key, inputs, outputs) in named {
        let c_name =
            functions.choose(&key, |name| ["", "_workspace", "_io"].map(|suffix| format!("{name}{suffix}")).into());
        let mut members = Names::reserved(["threads", "cpu"]);
        let mut tensors = |list: Vec<(String, TensorType)>| -> Vec<Tensor> {
            let mut named = vec![];
            for (key, ty) in list {
                let member = members.choose_where(&key, |name| constants.is_free(&format!("{c_name}_{name}")));
                constants.take(&format!("{c_name}_{member}"));
                named.push(Tensor { key, c_name: member, room: ty.count(), ty });
            }
            named
        };
        let (inputs, outputs) = (tensors(inputs), tensors(outputs));
        let mut symbols: Vec<Dimension> = vec![];
        for symbol in inputs.iter().chain(&outputs).flat_map(|t| &t.ty.shape).flat_map(Dim::symbols) {
            if symbols.iter().all(|known| known.symbol != symbol) {
                symbols.push(Dimension { c_name: members.choose_where(symbol.name(), |_| true), symbol, bound: None });
            }
        }
        signatures.push(Signature {
            key,
            c_name,
            same_as: None,
            inputs,
            outputs,
            symbols,
            state: None,
            guards: vec![],
            found_guards: vec![],
            workspace: Dim::zero(),
            strings: None,
            stack_bytes: 0,
        });
    }
    let mut find = |slot: &Slot| functions.choose_where(&format!("state_{}", slot.name), |_| true);
    let found = variables.into_iter().flatten().map(&mut find).collect();
    (signatures, found)
}

impl Signature {
    /// Adds a symbol that no input or output shape names, behind the others; nothing to do for one that is there.
    pub fn add_symbol(&mut self, symbol: &Symbol) {
        if self.symbols.iter().all(|known| known.symbol != *symbol) {
            let tensors = self.inputs.iter().chain(&self.outputs).map(|t| t.c_name.as_str());
            let mut members = Names::reserved(["threads", "cpu"]);
            tensors.chain(self.symbols.iter().map(|d| d.c_name.as_str())).for_each(|name| members.take(name));
            let c_name = members.choose_where(symbol.name(), |_| true);
            self.symbols.push(Dimension { symbol: symbol.clone(), c_name, bound: None });
        }
    }
    /// Adds the member that points to the block which outlives calls. Symbols are complete.
    pub fn use_state(&mut self, access: Access) {
        let mut members = Names::reserved(["threads", "cpu"]);
        let tensors = self.inputs.iter().chain(&self.outputs).map(|t| t.c_name.as_str());
        tensors.chain(self.symbols.iter().map(|d| d.c_name.as_str())).for_each(|name| members.take(name));
        self.state = Some((access, members.choose_where("state", |_| true)));
    }
    /// Gives the symbols the order in which they are listed.
    pub fn order(&mut self, listed: &[Symbol]) {
        self.symbols.sort_by_key(|known| listed.iter().position(|symbol| *symbol == known.symbol));
    }
    /// Says that data decide about a symbol.
    pub fn find(&mut self, symbol: &Symbol, bound: &Dim) {
        let found = self.symbols.iter_mut().filter(|known| known.symbol == *symbol);
        found.for_each(|known| known.bound = Some(bound.clone()));
    }
    /// The symbols that a caller gives, and those that data decide.
    pub fn given(&self) -> impl Iterator<Item = &Dimension> {
        self.symbols.iter().filter(|symbol| symbol.bound.is_none())
    }
    pub fn found(&self) -> impl Iterator<Item = (&Dimension, &Dim)> {
        self.symbols.iter().filter_map(|symbol| Some((symbol, symbol.bound.as_ref()?)))
    }
    /// The same values with the greatest of sizes that data decide.
    pub fn with_bounds(&self, bind: &Bindings) -> Bindings {
        let found = self.found().filter_map(|(d, bound)| Some((d.symbol.clone(), bound.eval(bind)?)));
        bind.clone().into_iter().chain(found.collect::<Vec<_>>()).collect()
    }
    pub fn input_slot(&self, index: usize) -> usize {
        index * SLOT_BYTES
    }
    pub fn output_slot(&self, index: usize) -> usize {
        self.input_slot(self.inputs.len() + index)
    }
    pub fn symbol_slot(&self, index: usize) -> usize {
        self.output_slot(self.outputs.len() + index)
    }
    /// Where the pointer to the block stands, in signatures that use it.
    pub fn state_slot(&self) -> usize {
        self.symbol_slot(self.symbols.len())
    }
    pub fn threads_slot(&self) -> usize {
        self.state_slot() + if self.state.is_some() { SLOT_BYTES } else { 0 }
    }
    pub fn cpu_slot(&self) -> usize {
        self.threads_slot() + SLOT_BYTES
    }
    pub fn io_bytes(&self) -> usize {
        self.cpu_slot() + SLOT_BYTES
    }
}

/// `text` as a C identifier: other characters become underscores, and so does what C or C++ reserves.
pub fn c_identifier(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    while name.contains("__") {
        name = name.replace("__", "_");
    }
    let name = name.trim_start_matches('_');
    if name.is_empty() {
        "unnamed".into()
    } else if name.starts_with(|c: char| c.is_ascii_digit()) || is_reserved(name) {
        format!("x_{name}")
    } else {
        name.into()
    }
}

/// Identifiers in use, without regard to case.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn reserved<const N: usize>(names: [&str; N]) -> Names {
        Names(names.map(str::to_owned).into())
    }
    fn is_free(&self, name: &str) -> bool {
        !self.0.contains(&name.to_lowercase())
    }
    fn take(&mut self, name: &str) {
        self.0.insert(name.to_lowercase());
    }
    /// An identifier for `text` such that everything that `derived` makes of it is free; takes all of that.
    fn choose(&mut self, text: &str, derived: impl Fn(&str) -> Vec<String>) -> String {
        let name = numbered(text, |name| derived(name).iter().all(|d| self.is_free(d)));
        derived(&name).iter().for_each(|d| self.take(d));
        name
    }
    /// An identifier for `text` that is free and that the caller likes.
    fn choose_where(&mut self, text: &str, likes: impl Fn(&str) -> bool) -> String {
        let name = numbered(text, |name| self.is_free(name) && likes(name));
        self.take(&name);
        name
    }
}

/// `text` as an identifier, with the least number behind it that makes `good` hold; names are finite, so there is one.
fn numbered(text: &str, good: impl Fn(&str) -> bool) -> String {
    let name = c_identifier(text);
    let mut candidate = name.clone();
    for n in 2u32.. {
        if good(&candidate) {
            break;
        }
        candidate = format!("{name}_{n}");
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_valid_and_differ() {
        for (text, name) in [
            ("x", "x"),
            ("serving default", "serving_default"),
            ("3d", "x_3d"),
            ("int", "x_int"),
            ("__a//b", "a_b"),
            ("é", "unnamed"),
        ] {
            assert_eq!(c_identifier(text), name);
        }
        let f32 = |shape: &str| format!("f32[{shape}]").parse::<TensorType>().unwrap();
        let inputs = vec![("a:0".into(), f32("batch,3")), ("a/0".into(), f32("n,batch")), ("threads".into(), f32(""))];
        let outputs = vec![("batch".into(), f32("n"))];
        let named = vec![("s".into(), inputs, outputs), ("s_workspace".into(), vec![], vec![])];
        let [s, t] = signatures(named).try_into().unwrap();
        let members: Vec<_> = s.inputs.iter().chain(&s.outputs).map(|t| t.c_name.as_str()).collect();
        assert_eq!(members, ["a_0", "a_0_2", "threads_2", "batch"]);
        let symbols: Vec<_> = s.symbols.iter().map(|d| (d.symbol.name(), d.c_name.as_str())).collect();
        assert_eq!(symbols, [("batch", "batch_2"), ("n", "n")]);
        assert_eq!((s.symbol_slot(1), s.cpu_slot(), s.io_bytes()), (40, 56, 64));
        assert_eq!(t.c_name, "s_workspace_2");
    }

    #[test]
    fn upper_case_constants_differ() {
        let x = |key: &str| vec![(key.to_owned(), "f32[2]".parse::<TensorType>().unwrap())];
        let named = vec![
            ("a_workspace".into(), x("x"), x("X")),
            ("a".into(), x("b_x"), vec![]),
            ("A".into(), vec![], vec![]),
            ("c".into(), x("b_x"), vec![]),
            ("c_b".into(), x("x"), vec![]),
        ];
        let signatures = signatures(named);
        let names: Vec<_> = signatures.iter().map(|s| s.c_name.as_str()).collect();
        assert_eq!(names, ["a_workspace", "a_2", "A_3", "c", "c_b"]);
        assert_eq!(signatures[0].outputs[0].c_name, "X_2");
        assert_eq!(signatures[4].inputs[0].c_name, "x_2");
    }
}
