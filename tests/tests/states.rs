//! Blocks of state: in memory between pages that nobody may touch, on threads of their own, by interpreters, and as plans
//! that change large variables where they lie.

use std::ffi::c_void;

use smc::{
    base::Bindings,
    driver::{self, Compiled, Executable, Options, Values},
    emit::load::Loaded,
    entry::{self, Entry, Reach, Setting, interp},
    graph::{Graph, evaluate, text},
    native::Target,
    plan::{self, Bodies, Place, Program, Resident, Weights},
    saved::{self, Model},
    tensor::{DType, Tensor},
};
use smc_runtime::{
    Error, Model as Called, Status,
    abi::{Invoke, WorkspaceBytes},
    state::{Functions, Saved, State},
};
use smc_tests::{
    fenced::{Fenced, SIDES, doing},
    programs::root,
};

fn open(path: &str) -> Model {
    Model::open(root().join(path), &saved::Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn compile(path: &str, signatures: &[&str]) -> Compiled {
    let options = Options {
        name: "m".into(),
        signatures: signatures.iter().map(|s| s.to_string()).collect(),
        cpu: Some(smc_tests::cpu()),
        keep_imported: true,
        ..Options::default()
    };
    driver::compile(&open(path), &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"))
}

type Init = unsafe extern "C" fn(*mut c_void, usize) -> i32;
type Save = unsafe extern "C" fn(*const c_void, *mut c_void, usize) -> i32;
type Load = unsafe extern "C" fn(*mut c_void, usize, *const c_void, usize) -> i32;
type Seed = unsafe extern "C" fn(*mut c_void, u64) -> i32;

fn functions(code: &Loaded) -> Functions {
    let symbol = |name: &str| code.symbol(&format!("m_state_{name}")).unwrap_or_else(|| panic!("{name} is exported"));
    // SAFETY: the object's functions have these types.
    unsafe {
        Functions {
            bytes: std::mem::transmute::<*const u8, unsafe extern "C" fn() -> usize>(symbol("bytes")),
            init: std::mem::transmute::<*const u8, Init>(symbol("init")),
            save: std::mem::transmute::<*const u8, Save>(symbol("save")),
            load: std::mem::transmute::<*const u8, Load>(symbol("load")),
            seed: std::mem::transmute::<*const u8, Seed>(symbol("seed")),
        }
    }
}

/// Init, calls, save and load touch nothing outside of what they were lent, and give what the evaluator gives.
#[test]
fn nothing_beside_a_block_is_touched() {
    for (path, signature) in [
        ("tests/models/state", "scatters__add"),
        ("tests/models/state", "types__step"),
        ("tests/models/state", "loop_over_rows__add"),
        ("tests/models/state_v1", "rows__nd_sub"),
    ] {
        let compiled = compile(path, &[signature]);
        let (interface, entry) = (&compiled.interface, &compiled.entries[0]);
        let layout = &interface.state.as_ref().expect("it has a state").layout;
        let s = &interface.signatures[0];
        for side in SIDES {
            doing(format!("{signature} with pages {side:?}"));
            let code = Loaded::fenced(&compiled.object.bytes(), side).unwrap();
            let functions = functions(&code);
            let bytes = layout.bytes as usize;
            let [block, copy] = [(); 2].map(|()| Fenced::new(bytes, 64, side));
            let saved = Fenced::new(bytes, 8, side);
            let pointer = |memory: &Fenced| memory.address().cast();
            // SAFETY: all of them have so many bytes.
            unsafe {
                assert_eq!((functions.bytes)(), bytes);
                assert_eq!((functions.init)(pointer(&block), bytes), 0);
                assert_eq!((functions.save)(pointer(&block), pointer(&saved), bytes), 0);
                assert_eq!((functions.load)(pointer(&copy), bytes, pointer(&saved), bytes), 0);
                assert_eq!((functions.seed)(pointer(&copy), 9), 0);
            }
            assert!(block.bytes() == copy.bytes(), "{signature}: a copy is another one");
            let named: Vec<_> = Saved::new(saved.bytes()).expect("it is whole").variables().map(|v| v.name).collect();
            assert_eq!(named, layout.slots.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>());
            let bind: Bindings = s.symbols.iter().map(|d| (d.symbol.clone(), 3)).collect();
            let mut rng = smc::base::Rng::new(7);
            let inputs: Vec<Tensor> = s
                .inputs
                .iter()
                .map(|t| {
                    let shape = t.ty.concrete(&bind).unwrap();
                    let count = shape.iter().product::<usize>();
                    let numbers: Vec<i64> = (0..count).map(|_| rng.range(0, 1)).collect();
                    Tensor::from_scalars(
                        t.ty.dtype,
                        shape,
                        numbers.into_iter().map(|n| smc::tensor::Scalar::from_i64(t.ty.dtype, n)),
                    )
                })
                .collect();
            let executable = Executable::new(&compiled.object.bytes(), interface.clone()).unwrap();
            let mut values = Values::of(interface, executable.state().unwrap().as_ref());
            for _ in 0..2 {
                let status = smc_tests::fenced::call_on(&code, interface, 0, &inputs, &bind, side, &block);
                let results = status.unwrap_or_else(|status| panic!("{signature}: status {status}"));
                let expected = evaluate(&entry.imported, &values.complete(entry, &inputs), &bind).unwrap();
                let expected = values.take(entry, expected);
                for (ours, theirs) in results.iter().zip(&expected) {
                    let tolerance = smc_tests::compare::Tolerance { ulps: 4.0, units: 4.0, signed_zeros: false };
                    assert_eq!(smc_tests::compare::difference(ours, theirs, tolerance), None, "{signature}");
                }
            }
        }
    }
}

/// Threads with states of their own never meet.
#[test]
fn threads_have_states_of_their_own() {
    let compiled = compile("examples/mean/model", &["feed", "get"]);
    let code = Loaded::new(&compiled.object.bytes()).unwrap();
    let functions = functions(&code);
    let symbol = |name: &str| code.symbol(name).unwrap();
    // SAFETY: descriptor and functions are of one object, and the code stays as long as they are used.
    let model = unsafe {
        Called::new(
            symbol("m_descriptor"),
            std::mem::transmute::<*const u8, Invoke>(symbol("m_invoke")),
            std::mem::transmute::<*const u8, WorkspaceBytes>(symbol("m_workspace_bytes")),
        )
    };
    let model = model.unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let mut memory = smc_runtime::GrowingWorkspace::new();
                // SAFETY: the functions are those of the model.
                let bytes = unsafe { State::bytes(functions) };
                let room = smc_runtime::Workspace::reserve(&mut memory, bytes).unwrap();
                // SAFETY: as above.
                let mut state = unsafe { State::new(functions, room) }.unwrap();
                let mut workspace = smc_runtime::GrowingWorkspace::new();
                for n in 0..1000 {
                    let (x, mut mean) = ([(thread * 1000) as f32 + n as f32], [0f32]);
                    let mut call = model.signature("feed").unwrap().call().unwrap();
                    call.input("x", &x, &[]).unwrap().output("mean", &mut mean).unwrap().state(&mut state).unwrap();
                    call.run(&mut workspace).unwrap();
                    let expected = (thread * 1000) as f32 + n as f32 / 2.0;
                    assert!((mean[0] - expected).abs() < 1e-3 * expected.max(1.0), "{} is not {expected}", mean[0]);
                }
                let mut saved = vec![0u64; bytes / 8];
                // SAFETY: the bytes of words.
                let saved = unsafe { std::slice::from_raw_parts_mut(saved.as_mut_ptr().cast::<u8>(), bytes) };
                state.save(saved).unwrap();
                let counts = |v: smc_runtime::state::Variable<'_>| (v.name == "count").then(|| v.data[..2].to_vec());
                let saved = Saved::new(saved).unwrap();
                assert_eq!(saved.variables().find_map(counts), Some(1000u16.to_ne_bytes().to_vec()));
            });
        }
    });
    // A call without a state is refused.
    let (x, mut mean) = ([1f32], [0f32]);
    let feed = model.signature("feed").unwrap();
    assert!(feed.uses_state());
    let mut call = feed.call().unwrap();
    call.input("x", &x, &[]).unwrap().output("mean", &mut mean).unwrap();
    let refused = call.run(&mut smc_runtime::GrowingWorkspace::new());
    assert_eq!(refused, Err(Error::Status(Status::NullPointer)));
}

/// An entry with values that outlive calls, planned from a graph in which they are the last inputs and outputs.
struct Planned {
    graph: Graph,
    residents: Vec<Resident>,
    bodies: Bodies,
    weights: Weights,
    target: Target,
    block: entry::StateBlock,
    layout: smc::emit::state::Layout,
}

impl Planned {
    /// `kept` says for each variable whether it changes.
    fn new(text: &str, kept: &[bool]) -> Planned {
        let graph = text::parse(text, &Default::default()).unwrap();
        let inputs = graph.inputs.len() - kept.len();
        let ty = |n: usize| graph.ty(graph.inputs[inputs + n].node).clone();
        let variables: Vec<smc::emit::state::Variable> = (0..kept.len())
            .map(|n| {
                let (ty, count) = (ty(n), ty(n).count().as_int().unwrap());
                let numbers = (0..count).map(|n| smc::tensor::Scalar::from_i64(ty.dtype, n % 100 + 1));
                let initial = Tensor::from_scalars(ty.dtype, ty.concrete(&Bindings::new()).unwrap(), numbers);
                smc::emit::state::Variable { name: format!("v{n}"), initial, unseeded: false }
            })
            .collect();
        Planned::of(graph, &variables, kept)
    }
    /// The same of a graph whose variables begin so.
    fn of(graph: Graph, variables: &[smc::emit::state::Variable], kept: &[bool]) -> Planned {
        let (inputs, outputs) = (graph.inputs.len() - kept.len(), kept.iter().filter(|k| **k).count());
        let layout = smc::emit::state::layout(variables, cfg!(target_endian = "big"));
        let mut next = graph.outputs.len() - outputs;
        let residents = kept.iter().enumerate().map(|(n, &changes)| {
            let output = changes.then_some(next);
            next += usize::from(changes);
            Resident { input: inputs + n, output, at: layout.slots[n].at }
        });
        let residents: Vec<Resident> = residents.collect();
        let target = Target::new(None, None).unwrap();
        let mut weights = Weights::default();
        let prepared = plan::prepare(graph.clone(), &Default::default());
        let plan = |level: &smc::native::Level| plan::plan_on("main", &prepared, &residents, &level.info, &mut weights);
        let open: Vec<Program> = target.levels.iter().map(plan).collect();
        let block = layout.block(variables, cfg!(target_endian = "big"), &mut weights);
        Planned { graph, residents, bodies: Bodies { open, equal: None }, weights, target, block, layout }
    }
    /// The kernels that bring values to their places.
    fn moves(&self) -> usize {
        let program = self.bodies.open.last().unwrap();
        let brings = |launch: &&plan::Launch| ["keep", "aside"].iter().any(|what| launch.kernel.name.contains(what));
        program.launches.iter().filter(brings).count()
    }
    /// Calls by the interpreter of entry programs, and compares with the evaluator.
    fn check(&self, calls: &[Vec<Tensor>]) {
        self.check_seeded(None, calls);
    }
    /// The same of a state that is seeded first. Returns the block behind the calls.
    fn check_seeded(&self, seed: Option<u64>, calls: &[Vec<Tensor>]) -> Vec<u8> {
        let levels = self.target.entry_levels();
        let (weight_offsets, weight_bytes) = self.weights.layout();
        let state = Some(&self.block);
        let setting = Setting {
            name: "m",
            levels: &levels,
            reach: Reach::Near,
            weight_offsets: &weight_offsets,
            weight_bytes,
            state,
        };
        let entries = [Entry { c_name: "main", aliases: &[], bodies: &self.bodies }];
        let model = entry::compose(setting, &entries);
        entry::verify(&model).unwrap_or_else(|violation| panic!("{violation}\n{model}"));
        for member in &model.members {
            if let entry::What::Routine(routine) = &member.what {
                assert_eq!(entry::parse(&routine.to_string()).as_ref(), Ok(routine), "{}", member.name);
            }
        }
        let level = self.target.levels.last().unwrap().number;
        let mut last = vec![];
        for threads in [None, Some(3)] {
            let mut block = interp::state(&model, &entries, &self.weights).unwrap_or_else(|stop| panic!("{stop:?}"));
            if let Some(seed) = seed {
                let status = interp::seed(&model, &entries, &self.weights, &mut block, seed);
                assert_eq!(status.unwrap_or_else(|stop| panic!("{stop:?}")), Some(0));
            }
            let mut values: Vec<Tensor> = self.layout.slots.iter().map(|slot| self.value(&block, slot)).collect();
            for inputs in calls {
                let complete: Vec<Tensor> = inputs.iter().cloned().chain(values.iter().cloned()).collect();
                let before = block.clone();
                let options = interp::Options { level, threads };
                let (weights, bind) = (&self.weights, Bindings::new());
                let ours = interp::call_on(&model, &entries, weights, 0, (inputs, &mut block), &bind, options);
                let ours = ours.unwrap_or_else(|stop| panic!("{stop:?}\n{model}"));
                match (evaluate(&self.graph, &complete, &bind), ours) {
                    (Ok(expected), Ok(ours)) => {
                        let tolerance = smc_tests::compare::Tolerance { ulps: 2.0, units: 2.0, signed_zeros: false };
                        let differ = |(a, b)| smc_tests::compare::difference(a, b, tolerance).is_some();
                        assert!(!ours.iter().zip(&expected).any(differ), "{ours:?} is not {expected:?}");
                        for (resident, slot) in self.residents.iter().zip(&self.layout.slots) {
                            let n = resident.input - (self.graph.inputs.len() - values.len());
                            if let Some(output) = resident.output {
                                values[n] = expected[output].clone();
                            }
                            assert!(self.value(&block, slot) == values[n], "{}", slot.name);
                        }
                    }
                    (Err(_), Err(_)) => assert!(block == before, "a call that failed changed the block"),
                    (expected, ours) => panic!("{ours:?} is not {expected:?}"),
                }
            }
            last = block;
        }
        last
    }
    fn value(&self, block: &[u8], slot: &smc::emit::state::Slot) -> Tensor {
        let bytes = block[slot.at as usize..][..slot.bytes as usize].to_vec();
        Tensor::from_bytes(slot.ty.dtype, slot.shape(), bytes)
    }
}

const TABLE: &str = r#"
    input "i" %i
    input "x" %x
    input "v" %v
    %i = input : i32[2,1]
    %x = input : f32[2,4]
    %v = input : f32[50,4]
    %at = within {"extents":[50],"fault":"index_out_of_range"} %i
    %new = scatter {"f":"add","depth":1,"below":"drop","above":"drop"} %v %at %x
"#;

fn rows(at: [i64; 2]) -> Vec<Tensor> {
    let indices = Tensor::from_scalars(DType::I32, [2, 1], at.map(smc::tensor::Scalar::Int));
    vec![indices, Tensor::from_f32([2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])]
}

/// A table is changed where it lies: nothing as large as it is in the workspace, and nothing is copied.
#[test]
fn a_scatter_changes_its_table_in_place() {
    let table = Planned::new(&format!("{TABLE}output \"v\" %new\n"), &[true]);
    let program = table.bodies.open.last().unwrap();
    assert_eq!(table.moves(), 0);
    assert!(program.workspace.as_int().unwrap() < 50 * 4 * 4, "{}", program.workspace);
    // The updates alone count: eight numbers.
    let flops: Vec<_> = program.launches.iter().filter_map(|launch| launch.flops.as_int()).collect();
    assert!(flops.iter().all(|&flops| (0..=16).contains(&flops)), "{flops:?}");
    let large = |(_, s): (_, &plan::Storage)| (s.len == 200.into()).then(|| s.place.clone());
    assert!(program.storage.iter().filter_map(large).all(|place| matches!(place, Place::State(_))));
    table.check(&[rows([3, 49]), rows([3, 3]), rows([50, 0]), rows([0, -1]), rows([1, 2])]);
}

/// New rows that are computed from the old ones are computed before the table changes.
#[test]
fn rows_that_follow_from_old_ones_are_changed_in_place() {
    let text = r#"
        input "i" %i
        input "x" %x
        input "v" %v
        %i = input : i32[2,1]
        %x = input : f32[2,4]
        %v = input : f32[50,4]
        %at = within {"extents":[50],"fault":"index_out_of_range"} %i
        %flat = reshape {"shape":[2]} %at
        %old = gather {"axis":0,"batch":0,"checked":false} %v %flat
        %product = binary {"f":"mul"} %old %x
        %sum = binary {"f":"add"} %product %x
        %new = scatter {"f":"set","depth":1,"below":"drop","above":"drop"} %v %at %sum
        output "v" %new
    "#;
    let table = Planned::new(text, &[true]);
    let program = table.bodies.open.last().unwrap();
    assert_eq!(table.moves(), 0);
    assert!(program.workspace.as_int().unwrap() < 50 * 4 * 4, "{}", program.workspace);
    table.check(&[rows([3, 49]), rows([49, 3]), rows([3, 3]), rows([50, 0]), rows([3, 2])]);
}

/// Where the old table is read too, or something may fail behind the change, a copy is made.
#[test]
fn what_others_need_is_not_changed_in_place() {
    let read =
        "%old = slice {\"start\":[3,0],\"stride\":[1,1],\"shape\":[1,4]} %v\noutput \"old\" %old\noutput \"v\" %new\n";
    let table = Planned::new(&format!("{TABLE}{read}"), &[true]);
    table.check(&[rows([3, 49]), rows([3, 3]), rows([50, 0])]);
    let late = "%j = const [7] : i32[1]\n%sum = binary {\"f\":\"add\"} %i %jj\n"
        .replace("%sum", "%jj = broadcast {\"shape\":[2,1]} %jr\n%sum");
    let late = late.replace("%jj = ", "%jr = reshape {\"shape\":[1,1]} %j\n%jj = ");
    let gather = "%flat = reshape {\"shape\":[2]} %sum\n\
                  %some = gather {\"axis\":0,\"batch\":0,\"checked\":true} %new %flat\n\
                  output \"some\" %some\noutput \"v\" %new\n";
    let table = Planned::new(&format!("{TABLE}{late}{gather}"), &[true]);
    // The gather fails for rows from 43 on, behind the scatter.
    table.check(&[rows([3, 42]), rows([3, 45]), rows([1, 2])]);
}

/// Whole numbers are divided as they come; a division by zero, also behind others, leaves all as it was.
#[test]
fn a_division_by_zero_changes_nothing() {
    let text = TABLE.replace("f32", "i32").replace("\"add\"", "\"div\"");
    let table = Planned::new(&format!("{text}output \"v\" %new\n"), &[true]);
    let by = |at: [i64; 2], x: [i64; 8]| {
        let ints = |shape: [usize; 2], x: &[i64]| {
            Tensor::from_scalars(DType::I32, shape, x.iter().copied().map(smc::tensor::Scalar::Int))
        };
        vec![ints([2, 1], &at), ints([2, 4], &x)]
    };
    let fine = [2, -1, 3, 1, -2, 5, 1, 7];
    table.check(&[by([3, 49], fine), by([3, 3], fine), by([3, 4], [2, 2, 2, 2, 2, 2, 2, 0]), by([3, 4], fine)]);
}

/// New values that are computed element by element lie where the old ones did; values that change places do not.
#[test]
fn values_settle_where_nobody_reads_the_old_ones() {
    let count = Planned::new(
        "input \"x\" %x\ninput \"a\" %a\ninput \"b\" %b\n%x = input : f32[8]\n%a = input : f32[8]\n%b = input : f32[8]\n\
         %c = binary {\"f\":\"add\"} %a %x\n%d = binary {\"f\":\"mul\"} %b %c\noutput \"a\" %c\noutput \"b\" %d\n",
        &[true, true],
    );
    assert_eq!(count.moves(), 0);
    let x = || vec![Tensor::from_f32([8], &[1.0, 0.5, 2.0, 1.0, -1.0, 1.0, 0.25, 3.0])];
    count.check(&[x(), x(), x()]);
    let swap = Planned::new(
        "input \"x\" %x\ninput \"a\" %a\ninput \"b\" %b\n%x = input : f32[8]\n%a = input : f32[8]\n%b = input : f32[8]\n\
         %c = binary {\"f\":\"add\"} %a %x\noutput \"y\" %c\noutput \"a\" %b\noutput \"b\" %a\n",
        &[true, true],
    );
    // One goes aside; then the other one goes where it was.
    assert_eq!(swap.moves(), 3);
    swap.check(&[x(), x(), x()]);
    let turned = Planned::new(
        "input \"a\" %a\n%a = input : f32[8]\n%b = slice {\"start\":[7],\"stride\":[-1],\"shape\":[8]} %a\n\
         %c = binary {\"f\":\"add\"} %a %b\noutput \"a\" %c\n",
        &[true],
    );
    assert_eq!(turned.moves(), 1);
    turned.check(&[vec![], vec![], vec![]]);
}

/// What a call is refused for, before anything is computed.
#[test]
fn other_blocks_are_refused() {
    let [mean, other] = [("examples/mean/model", "feed"), ("tests/models/state", "counter__bump")]
        .map(|(path, signature)| compile(path, &[signature]));
    let [code, foreign] =
        [&mean, &other].map(|compiled| Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap());
    let mut state = foreign.state().unwrap().unwrap();
    let x = Tensor::from_f32([], &[1.0]);
    let mut call = code.prepare(0, &[x]).unwrap();
    let refused = call.run_on(&mut state, None).unwrap_err().to_string();
    assert!(refused.contains("this is no state of the model"), "{refused}");
    assert!(code.load(&foreign.save(&state).unwrap()).is_err());
    let mut own = code.state().unwrap().unwrap();
    assert!(call.run_on(&mut own, None).is_ok());
    let again = code.load(&code.save(&own).unwrap()).unwrap();
    assert!(again.bytes() == own.bytes());
}

/// A seed is what all executions make of it: by the interpreter of entry programs, by the evaluator and by machine code.
#[test]
fn seeds_begin_streams_alike() {
    let model = open("tests/models/unseeded");
    let compiled = compile("tests/models/unseeded", &["bodies"]);
    let entry = &compiled.entries[0];
    let layout = &compiled.interface.state.as_ref().expect("it has a state").layout;
    assert!(layout.is_seeded_by_caller() && layout.slots.iter().all(|slot| slot.unseeded));
    let kept: Vec<bool> = entry.state.iter().map(|kept| kept.output.is_some()).collect();
    assert!(kept.iter().all(|changes| *changes), "a generator moves on");
    let code = Executable::new(&compiled.object.bytes(), compiled.interface.clone()).unwrap();
    let calls: Vec<Vec<Tensor>> =
        [3, 0, 5].map(|n| vec![Tensor::from_scalars(DType::I32, [], [smc::tensor::Scalar::Int(n)])]).into();
    let mut places = vec![];
    for seed in [0, 1, u64::MAX] {
        let first = driver::at_first(&model, entry, seed).unwrap_or_else(|e| panic!("{e}"));
        let variable = |n: usize, initial: &Tensor| {
            let slot = layout.slots.iter().find(|slot| slot.at == entry.residents[n].at).expect("it has a place");
            smc::emit::state::Variable { name: slot.name.clone(), initial: initial.clone(), unseeded: true }
        };
        let variables: Vec<_> = first.iter().enumerate().map(|(n, initial)| variable(n, initial)).collect();
        let planned = Planned::of(entry.imported.clone(), &variables, &kept);
        let by_interpreter = planned.check_seeded(Some(seed), &calls);
        let mut block = code.state().unwrap().unwrap();
        code.seed(&mut block, seed).unwrap();
        let mut values = Values::of(&compiled.interface, Some(&block));
        assert_eq!(values.complete(entry, &[]), first);
        for inputs in &calls {
            let mut call = code.prepare(0, inputs).unwrap();
            call.run_on(&mut block, None).unwrap();
            let expected = evaluate(&entry.imported, &values.complete(entry, inputs), call.bindings()).unwrap();
            let expected = values.take(entry, expected);
            let tolerance = smc_tests::compare::Tolerance { ulps: 2.0, units: 2.0, signed_zeros: false };
            for (ours, theirs) in call.results().iter().zip(&expected) {
                assert_eq!(smc_tests::compare::difference(ours, theirs, tolerance), None, "seed {seed}");
            }
        }
        let behind = Values::of(&compiled.interface, Some(&block));
        for (n, slot) in planned.layout.slots.iter().enumerate() {
            assert_eq!(planned.value(&by_interpreter, slot), behind.complete(entry, &[])[n], "{}", slot.name);
        }
        places.push(first);
    }
    // The key is the seed, and the stream follows from the node.
    let word = |place: &Tensor, n: usize| place.get(n).as_i64().unwrap();
    assert!(places[2].iter().all(|place| (word(place, 0), word(place, 2)) == (0, -1)));
    let streams: std::collections::BTreeSet<i64> = places[0].iter().map(|place| word(place, 1)).collect();
    assert_eq!(streams.len(), 3, "three operators draw from streams of their own");
}
