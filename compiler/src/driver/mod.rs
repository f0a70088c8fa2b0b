//! The compiler as a story: a model's bytes become an object and its header, stage by stage.
//!
//! No stage is explained here, only why it stands where it stands. Everything is a function of the model's bytes and
//! the [`Options`]; reading arguments and writing files is the program's.

mod bind;
mod conditions;
pub mod docs;
mod drawn;
mod dump;
mod execute;
mod export;
mod layers;
mod initial;
mod listing;
pub mod machine;
pub mod memory;
mod options;
mod outputs;
mod profile;
pub mod random;
mod reference;
mod report;
mod source;
mod state;
pub mod train;
mod twins;
mod uses;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use smc_runtime::{abi::Status, descriptor::Order};

pub use bind::{bind, check_assumptions};
use conditions::conditions;
pub use drawn::unseeded_outputs;
pub use execute::{Block, Call, Executable};
pub use export::{Exported, exported};
pub use layers::{Layer, layers};
pub use options::{Bytes, Dump, InputShape, Options, SizeBound};
pub use profile::{Kernels, Profile, Step, Steps};
pub use reference::{Reference, coarsest};
pub use report::{EntryReport, Report};
pub use state::at_first;
use state::{Keys, State};
pub use train::{BatchNorm, Graft, L2, Loss, Memory, Optimizer, Training, grafted, with_head};
use twins::{Twins, twins};
pub use uses::{Found, Seeded, Size, Use, found, uses};
pub use values::Values;

use crate::{
    base::{Diagnostic, Problems, Severity, layer::Scopes, names::advice},
    emit::{
        self,
        descriptor::descriptor,
        header::header,
        interface::{self, Interface, Operator},
        object::{Object, Parts},
        shared,
        weights::{self, Stored},
    },
    entry::{self, Reach},
    graph::{Graph, Port},
    loops::Fault,
    native::{self, Target},
    opt,
    plan::{self, Bodies, Program, Resident, Weights},
    saved::{Model, Signature, TfGraph, Variable, held_type},
    tensor::Tensor,
    tf,
};

/// Refuses to evaluate a graph that calls functions which are not in this process.
pub fn check_functions(graph: &Graph) -> Result<(), Diagnostic> {
    execute::has_functions(graph.missing_functions())
}

/// One signature as a graph, before and after the passes.
#[derive(Debug)]
pub struct Entry {
    pub key: String,
    /// The keys of signatures that compute the same from the same.
    pub aliases: Vec<String>,
    /// Empty, unless [`Options::keep_imported`] asks for it: it holds the weights as they were before they were folded.
    pub imported: Graph,
    /// Empty in what [`compile`] leaves.
    pub optimised: Graph,
    /// A simpler graph for the calls of which these hold, optimised; empty in what [`compile`] leaves.
    pub equal: Option<(Vec<plan::Guard>, Graph)>,
    /// The variables among the last inputs and outputs of the graphs, which outlive calls.
    pub state: Vec<tf::Kept>,
    /// Where in the block these are, in the same order; empty in what is not compiled.
    pub residents: Vec<Resident>,
    /// The sizes that data decide in the model; passes may leave out some of them.
    pub sizes: BTreeSet<String>,
    /// What variables hold at first that no model stores, by key.
    pub fresh: BTreeMap<String, Tensor>,
    /// What the import assumed or left out.
    pub notes: Vec<Diagnostic>,
    /// Where the model's variables are, by which its layers are known.
    pub scopes: Scopes,
}

impl Entry {
    /// The inputs and outputs of one of its graphs that callers see: those of variables come behind them.
    pub fn ports<'g>(&self, graph: &'g Graph) -> (&'g [Port], &'g [Port]) {
        let changed = self.state.iter().filter(|kept| kept.output.is_some()).count();
        let [inputs, outputs] = [graph.inputs.len() - self.state.len(), graph.outputs.len() - changed];
        (&graph.inputs[..inputs], &graph.outputs[..outputs])
    }
}

/// What a compilation leaves.
pub struct Compiled {
    /// A relocatable object of the target, to be written as one or as a shared library.
    pub object: Object,
    /// What a file of weights for this code has in its header.
    pub fingerprint: [u8; 32],
    /// Its C header.
    pub header: String,
    pub interface: Interface,
    /// By signature of the interface.
    pub entries: Vec<Entry>,
    /// By signature, its kernels in order, as the best level runs them.
    pub steps: Vec<Steps>,
    pub report: Report,
    /// Notes and warnings for the user.
    pub notes: Problems,
}

/// What a compilation tells while it goes on.
pub enum News<'t> {
    /// What it begins to do.
    Stage(&'t str),
    /// A form of the program that was asked for, as soon as there is one.
    Form { title: &'t str, text: &'t str },
}

/// Compiles the signatures that `options` names, or all that can be served. `heard` hears what is being done.
pub fn compile(model: &Model, options: &Options, heard: &mut dyn FnMut(News)) -> Result<Compiled, Problems> {
    let mut clock = Clock::default();
    // The target first: a triple that is not supported should not cost the time to find out.
    let target = target(options)?;

    heard(News::Stage("importing"));
    let (entries, notes) = entries(model, options)?;
    clock.lap("import and optimise");
    let fresh = |variable: &Variable| entries.iter().find_map(|entry| entry.fresh.get(&variable.key)).cloned();
    let read = |variable: &Variable| fresh(variable).map_or_else(|| initial::at_first(model, variable), Ok);
    let state = State::of(&entries, &read)?;
    let compiled = back_end((entries, state), model.digest()?, &target, options, heard, clock)?;
    Ok(Compiled { notes: Problems([notes.0, compiled.notes.0].concat()), ..compiled })
}

/// Compiles what was imported elsewhere, such as in a test, as an entry of this name. Variables that outlive calls are zeros
/// at first.
pub fn compile_imported(key: &str, imported: tf::Imported, options: &Options) -> Result<Compiled, Problems> {
    let zeros = |variable: &Variable| {
        let dtype = held_type(variable.ty.dtype).expect("the import takes no others");
        Ok(Tensor::zeros(dtype, variable.ty.shape.fixed().unwrap_or_default()))
    };
    let entries = vec![from_import(key.into(), imported, options)];
    let state = State::of(&entries, &zeros)?;
    back_end((entries, state), [0; 32], &target(options)?, options, &mut |_| (), Clock::default())
}

/// Compiles graphs that come from elsewhere, such as a test: each is an entry of this name.
pub fn compile_graphs(graphs: Vec<(String, Graph)>, options: &Options) -> Result<Compiled, Problems> {
    let imported = |graph| tf::Imported { graph, equal: None, state: vec![], sizes: BTreeSet::new(), notes: vec![] };
    let entry = |(key, graph)| from_import(key, imported(graph), options);
    let entries = graphs.into_iter().map(entry).collect();
    back_end((entries, State::default()), [0; 32], &target(options)?, options, &mut |_| (), Clock::default())
}

fn target(options: &Options) -> Result<Target, Problems> {
    let mut target = Target::new(options.target.as_deref(), options.cpu.as_deref())?;
    if options.dumps.iter().any(|d| matches!(d, Dump::Clif | Dump::Asm)) {
        target.keep_listings();
    }
    Ok(target)
}

/// Refuses custom operators that the output has no place for.
fn check_operators(operators: &[Operator], options: &Options) -> Result<(), Diagnostic> {
    let Some(first) = operators.first() else { return Ok(()) };
    if options.shared.is_some() {
        let what =
            format!("a shared library of smc's holds all that it calls, and `{}` is somewhere else", first.symbol());
        let help =
            "write an object, and let a linker make the library: `cc -shared model.o operators.o -o libmodel.so`";
        return Err(Diagnostic::error(what).help(help));
    }
    let own = |symbol: &str| symbol.strip_prefix(&options.name).is_some_and(|rest| rest.starts_with('_'));
    match operators.iter().find(|operator| own(operator.symbol())) {
        Some(taken) => {
            let what = format!("the custom operator `{}` is called like functions of the model", taken.symbol());
            Err(Diagnostic::error(what).help("choose another prefix for the model: `--name`"))
        }
        None => Ok(()),
    }
}

/// From graphs to an object and its header.
fn back_end(
    (mut entries, state): (Vec<Entry>, State),
    fingerprint: [u8; 32],
    target: &Target,
    options: &Options,
    heard: &mut dyn FnMut(News),
    mut clock: Clock,
) -> Result<Compiled, Problems> {
    // A graph holds its weights: what is not needed any more is let go, so that they are in memory once.
    dump::graphs(&options.dumps, &entries, heard);
    if !options.keep_imported {
        entries.iter_mut().for_each(|e| e.imported = Graph::default());
    }

    heard(News::Stage("planning"));
    let mut weights = Weights::default();
    let layout = (!state.variables.is_empty()).then(|| emit::state::layout(&state.variables, target.big_endian()));
    let (bodies, planned) = plan_all(&mut entries, &state, layout.as_ref(), target, options, &mut weights)?;
    let block = layout.as_ref().map(|layout| layout.block(&state.variables, target.big_endian(), &mut weights));
    clock.lap("plan");

    // The interface is fixed before code is made, because the entries' code follows its layout.
    let mut interface = describe(options, target, fingerprint, &entries, &bodies, layout);
    check_operators(&interface.operators, options)?;

    heard(News::Stage("generating code"));
    let aliases: Vec<Vec<&str>> =
        interface.aliases().iter().map(|list| list.iter().map(|s| s.c_name.as_str()).collect()).collect();
    let named = interface.originals().zip(&aliases).zip(&bodies);
    let named: Vec<_> =
        named.map(|((s, aliases), bodies)| entry::Entry { c_name: &s.c_name, aliases, bodies }).collect();
    let reach = reach(options, target, weights.layout().1)?;
    dump::programs(&options.dumps, target, &interface, &bodies, heard);
    let code = native::compile(target, &options.name, &named, &weights, reach, block.as_ref())?;
    dump::code(&options.dumps, target, &interface, &bodies, &code, heard);
    let of_entry = numbers(&entries);
    for (signature, &n) in interface.signatures.iter_mut().zip(&of_entry) {
        signature.stack_bytes = code.stack_bytes[n];
    }
    clock.lap("generate code");

    heard(News::Stage("writing"));
    let order = if target.big_endian() { Order::Big } else { Order::Little };
    let descriptor = descriptor(&interface, order).map_err(Diagnostic::error)?;
    let fingerprint = weights::fingerprint(&code, &weights, &unmarked(&interface, order)?);
    let weight_bytes = weights.layout().1;
    let parts = Parts { name: &options.name, descriptor: &descriptor, fingerprint };
    let object =
        Object::new(target, &code, Stored::new(weights, target.big_endian()), &parts, options.shared.is_some());
    let texts: Vec<String> = entries.iter().flat_map(|e| &e.notes).map(|d| d.message.clone()).collect();
    let header = header(&interface, &texts);
    clock.lap("write");

    let notes = Problems([target.notes.clone(), planned].concat());
    let size = match &options.shared {
        Some(soname) => shared::size(&object, soname).map_err(|e| Diagnostic::error(e.to_string()))?,
        None => object.size(),
    };
    let report = report::report(target, &interface, &bodies, weight_bytes, &code, size, clock.laps);
    let steps = |&n: &usize| profile::steps(&bodies[n], &code.kernels[n], &code, &entries[n].scopes);
    let steps = of_entry.iter().map(steps).collect();
    let entries = twins::apart(entries);
    Ok(Compiled { object, fingerprint, header, interface, entries, steps, report, notes })
}

/// What all entries run: they share one set of weights, whose layout comes before any is emitted. Each entry is planned once
/// per CPU level, because tiles follow the vectors; the weights are packed alike. What comes beside tells how memory was limited.
fn plan_all(
    entries: &mut [Entry],
    state: &State,
    layout: Option<&emit::state::Layout>,
    target: &Target,
    options: &Options,
    weights: &mut Weights,
) -> Result<(Vec<Bodies>, Vec<Diagnostic>), Problems> {
    let prepare = |graph: &mut Graph| plan::prepare(std::mem::take(graph), &plan::Choices { direct: options.direct });
    let levels: Vec<_> = target.levels.iter().map(|level| &level.info).collect();
    let memory = options.training.as_ref().and_then(|training| training.memory);
    let (mut bodies, mut notes) = (vec![], vec![]);
    for e in entries {
        e.residents = state.residents(e, layout);
        let plan = |graph: &mut Graph, weights: &mut Weights| -> Vec<Program> {
            let graph = prepare(graph);
            levels.iter().map(|level| plan::plan_on(&e.key, &graph, &e.residents, level, weights)).collect()
        };
        let open = match memory.filter(|_| e.key == train::STEP) {
            Some(memory) => {
                let (open, note) = memory.plan(&prepare(&mut e.optimised), &e.residents, &levels, weights)?;
                e.notes.extend(note.clone());
                notes.extend(note);
                open
            }
            None => plan(&mut e.optimised, weights),
        };
        let equal = e.equal.as_mut().map(|(when, graph)| special(std::mem::take(when), plan(graph, weights), &open[0]));
        bodies.push(Bodies { open, equal });
    }
    if let Some(Bytes(bytes)) = options.strings {
        let programs = bodies.iter_mut().flat_map(Bodies::programs_mut);
        let rooms = programs.filter_map(|program| program.strings.as_mut());
        if rooms.map(|room| *room = bytes).count() == 0 {
            notes.push(Diagnostic::warning("no call makes strings: `--strings` changes nothing"));
        }
    }
    Ok((bodies, notes))
}

/// How code finds so many bytes of weights.
fn reach(options: &Options, target: &Target, bytes: u64) -> Result<Reach, Problems> {
    if options.weights_apart {
        return Ok(Reach::Bound);
    }
    weights::reach(bytes, &target.triple, options.shared.is_some()).map_err(|message| {
        Diagnostic::error(message).help("`--weights FILE` keeps them in a file of their own, of any size").into()
    })
}

/// The description of a model, whatever the values of its weights are.
fn unmarked(interface: &Interface, order: Order) -> Result<Vec<u8>, Problems> {
    let unmarked = Interface { fingerprint: [0; 32], ..interface.clone() };
    Ok(descriptor(&unmarked, order).map_err(Diagnostic::error)?)
}

/// Programs for the calls of which `when` and their own guards hold. They get their extents as the others do.
fn special(when: Vec<plan::Guard>, mut programs: Vec<Program>, open: &Program) -> (Vec<plan::Guard>, Vec<Program>) {
    let own = programs[0].guards.iter().filter(|guard| programs[0].last_found(guard.dims()).is_none());
    let when = when.into_iter().chain(own.cloned()).collect();
    for program in &mut programs {
        program.symbols = open.symbols.clone();
        program.found = open.found.clone();
    }
    (when, programs)
}

/// The signatures as optimised graphs, twins as one. Of those that are not asked for by name, the ones that cannot be
/// served are left out with a warning.
pub fn entries(model: &Model, options: &Options) -> Result<(Vec<Entry>, Problems), Problems> {
    let by_name = !options.signatures.is_empty();
    let trained = match &options.training {
        Some(training) => Some((training, train::prepare(model, options, training)?)),
        None => None,
    };
    let chosen = signatures(model, options)?;
    let several = chosen.len() > 1;
    let (mut entries, mut notes, mut failures) = (vec![], Problems::default(), vec![]);
    let learning = trained.iter().flat_map(|(_, trained)| trained.keys.clone()).collect();
    let (verdicts, state) = judged(model, chosen, options, &learning);
    let compiled = verdicts.iter().filter(|v| v.entry.is_ok()).flat_map(|v| &v.signatures);
    let others = state::of_others(model, &compiled.map(|s| s.name.clone()).collect(), options);
    for Verdict { signatures, entry } in verdicts {
        let keys = twins::keys(&signatures);
        let place = |p: Problems| if several { p.map(|d| d.in_signature(&keys)) } else { p };
        match entry {
            Ok(mut entry) => {
                if !others.is_empty() {
                    let import = source::import_options(&signatures[0], options, &state);
                    let graph = source::graph(model, &signatures[0], &import)?;
                    entry.notes.splice(0..0, state::left_out(&graph, &state, &others));
                }
                entry.notes = place(Problems(entry.notes)).0;
                notes.0.extend(entry.notes.iter().cloned());
                entries.push(entry);
            }
            Err(problems) => failures.push((signatures, place(problems))),
        }
    }
    if let Some((training, trained)) = &trained {
        let made = trained.entries(model, options, training)?;
        if let Some(taken) = entries.iter().find(|entry| made.iter().any(|own| own.key == entry.key)) {
            let what = format!("the model has a signature `{}`, which is the name of what training adds", taken.key);
            return Err(Diagnostic::error(what).help("leave it out: `--signature` names the others").into());
        }
        for entry in made {
            notes.0.extend(entry.notes.iter().cloned());
            entries.push(entry);
        }
    }
    if entries.is_empty() || (by_name && !failures.is_empty()) {
        return Err(failures.into_iter().flat_map(|(_, problems)| problems.0).collect());
    }
    notes.0.extend(failures.iter().map(|(signatures, problems)| left_out(signatures, problems)));
    let slips = unknown_inputs(&entries, options).0.into_iter().chain(unknown_sizes(&entries, options).0);
    slips.collect::<Problems>().or((entries, notes))
}

/// A signature with its twins, and its graph or why there is none.
pub struct Verdict {
    pub signatures: Vec<Signature>,
    pub entry: Result<Entry, Problems>,
}

/// What would be compiled of these signatures, and what stands in the way of the rest.
pub fn verdicts(model: &Model, chosen: &[Signature], options: &Options) -> Vec<Verdict> {
    judged(model, chosen.to_vec(), &Options { keep_imported: true, ..options.clone() }, &Keys::new()).0
}

/// The signatures that `options` names, or all, with the outputs that it names, or all.
pub fn signatures(model: &Model, options: &Options) -> Result<Vec<Signature>, Problems> {
    outputs::keep(choose(model, &options.signatures)?, &options.outputs)
}

/// The verdicts, and the variables that are state; those that are `learning` are.
fn judged(model: &Model, chosen: Vec<Signature>, options: &Options, learning: &Keys) -> (Vec<Verdict>, Keys) {
    let mut keys = state::assigned(model, &chosen, options);
    keys.extend(learning.iter().cloned());
    loop {
        let verdict = |Twins { signatures, graph }: Twins| {
            let entry = graph.and_then(|graph| entry(model, &signatures, graph, &keys, options));
            Verdict { signatures, entry }
        };
        let verdicts: Vec<Verdict> = twins(model, chosen.clone(), options, &keys).into_iter().map(verdict).collect();
        let mut changed = state::changed(verdicts.iter().filter_map(|verdict| verdict.entry.as_ref().ok()));
        changed.extend(learning.iter().cloned());
        // Without an entry there is nothing to make again.
        if changed == keys || verdicts.iter().all(|verdict| verdict.entry.is_err()) {
            return (verdicts, keys);
        }
        keys = changed;
    }
}

/// One graph of primitives, simplified.
fn entry(
    model: &Model,
    twins: &[Signature],
    source: TfGraph,
    state: &Keys,
    options: &Options,
) -> Result<Entry, Problems> {
    let signature = &twins[0];
    let import = source::import_options(signature, options, state);
    let imported = tf::import(&source, &|variable| initial::read(model, variable), &import)?;
    let aliases = twins[1..].iter().map(|s| s.name.clone()).collect();
    let scopes = Scopes::new(source.variables.values().map(|v| v.name.as_str()));
    Ok(Entry { aliases, scopes, ..from_import(signature.name.clone(), imported, options) })
}

fn from_import(key: String, imported: tf::Imported, options: &Options) -> Entry {
    let tf::Imported { graph, equal, state, sizes, notes } = imported;
    let keep = options.keep_imported || !options.dumps.is_empty();
    let imported = if keep { graph.clone() } else { Graph::default() };
    let optimised = optimise(graph);
    // Both have the same dimension fields.
    let found = |graph: &Graph| graph.binds().map(|(_, bind)| bind.symbol.clone()).collect::<Vec<_>>();
    let equal = equal.map(|equal| (optimise(equal.graph), equal.when)).and_then(|(graph, when)| {
        let when = when.into_iter().map(|(a, b)| plan::Guard::Equal(a, b)).collect();
        (found(&graph) == found(&optimised)).then_some((when, graph))
    });
    Entry {
        key,
        aliases: vec![],
        imported,
        optimised,
        equal,
        state,
        residents: vec![],
        sizes,
        fresh: BTreeMap::new(),
        notes,
        scopes: Scopes::default(),
    }
}

/// The flat graph of a signature, in which the branches are taken whose predicates are known.
pub fn source(model: &Model, signature: &Signature) -> Result<TfGraph, Problems> {
    source::graph(model, signature, &tf::Options::default())
}

/// A signature as the passes get it, where nothing else is chosen than by these options.
pub fn import(model: &Model, signature: &Signature, options: &tf::Options) -> Result<tf::Imported, Problems> {
    let graph = source::graph(model, signature, options)?;
    tf::import(&graph, &|variable| initial::read(model, variable), options)
}

/// All passes. An error is a fault of a pass, not of the model.
fn optimise(graph: Graph) -> Graph {
    opt::optimise(graph, opt::Options::default(), &mut |_, _| ()).unwrap_or_else(|e| panic!("{e}"))
}

/// The signatures (or exported functions) with these names, or all signatures.
fn choose(model: &Model, names: &[String]) -> Result<Vec<Signature>, Problems> {
    if names.is_empty() {
        return match model.signatures() {
            [] => Err(model.no_signature().into()),
            all => Ok(all.to_vec()),
        };
    }
    let (mut chosen, mut problems) = (vec![], Problems::default());
    for name in names {
        match model.signature(name) {
            Ok(signature) => chosen.push(signature),
            Err(problem) => problems.push(problem),
        }
    }
    problems.or(chosen)
}

fn left_out(twins: &[Signature], problems: &Problems) -> Diagnostic {
    let errors: Vec<_> = problems.0.iter().filter(|d| d.severity == Severity::Error).collect();
    let first = errors.first().map_or("it cannot be compiled", |d| d.message.as_str());
    let more = if errors.len() > 1 { format!(" (and {} more)", errors.len() - 1) } else { String::new() };
    let (what, is) = if twins.len() == 1 { ("signature", "is") } else { ("signatures", "are") };
    Diagnostic::warning(format!("{what} {} {is} left out: {first}{more}", twins::keys(twins)))
        .help(format!("`--signature {}` shows all of its problems", twins[0].name))
}

/// A shape for an input that no entry has is a slip of the user's.
fn unknown_inputs(entries: &[Entry], options: &Options) -> Problems {
    let known: BTreeSet<&str> = entries.iter().flat_map(|e| &e.optimised.inputs).map(|p| p.name.as_str()).collect();
    let unknown = options.shapes.iter().filter(|shape| !known.contains(&shape.input[..]));
    let names: Vec<_> = known.iter().copied().collect();
    let problem = |shape: &InputShape| {
        Diagnostic::error(format!("no signature has an input `{}`", shape.input)).help(advice(
            &shape.input,
            "inputs",
            &names,
        ))
    };
    unknown.map(problem).collect()
}

/// A bound of a size that no entry has is a slip too.
fn unknown_sizes(entries: &[Entry], options: &Options) -> Problems {
    let known: BTreeSet<&str> = entries.iter().flat_map(|e| &e.sizes).map(String::as_str).collect();
    let names: Vec<_> = known.iter().copied().collect();
    let unknown = options.bounds.iter().filter(|bound| !known.contains(&bound.name[..]));
    let problem = |bound: &SizeBound| {
        Diagnostic::error(format!("data decide about no size `{}`", bound.name)).help(advice(
            &bound.name,
            "sizes",
            &names,
        ))
    };
    unknown.map(problem).collect()
}

/// By signature, the number of its entry: an entry's aliases come behind it.
fn numbers(entries: &[Entry]) -> Vec<usize> {
    entries.iter().enumerate().flat_map(|(n, e)| vec![n; 1 + e.aliases.len()]).collect()
}

/// Names and layouts of everything that a caller sees.
fn describe(
    options: &Options,
    target: &Target,
    fingerprint: [u8; 32],
    entries: &[Entry],
    bodies: &[Bodies],
    layout: Option<emit::state::Layout>,
) -> Interface {
    let ports = |ports: &[plan::IoPort]| ports.iter().map(|p| (p.name.clone(), p.ty.clone())).collect();
    // What callers see is the same at every level.
    let of_entry = numbers(entries);
    let lowest = |n: usize| &bodies[n].open[0];
    let keys = entries.iter().flat_map(|e| std::iter::once(&e.key).chain(&e.aliases));
    let named = |(key, &n): (&String, &usize)| (key.clone(), ports(&lowest(n).inputs), ports(&lowest(n).outputs));
    let slots = layout.as_ref().map(|layout| &layout.slots[..]);
    let (mut signatures, c_names) = interface::signatures_beside(keys.zip(&of_entry).map(named).collect(), slots);
    for (signature, &n) in signatures.iter_mut().zip(&of_entry) {
        let program = lowest(n);
        program.symbols.iter().for_each(|symbol| signature.add_symbol(symbol));
        signature.order(&program.symbols);
        program.found.iter().for_each(|found| signature.find(&found.symbol, &found.bound));
        signature.inputs.iter_mut().chain(&mut signature.outputs).for_each(|t| t.room = program.most(&t.ty.count()));
        program.state.iter().for_each(|access| signature.use_state(*access));
        signature.workspace = entry::workspace(bodies[n].programs());
        signature.strings = bodies[n].programs().filter_map(|program| program.strings).max();
        let (found, given): (Vec<_>, Vec<_>) =
            program.guards.iter().cloned().partition(|guard| program.last_found(guard.dims()).is_some());
        signature.guards = conditions(&given);
        signature.found_guards = conditions(&found).into_iter().map(|guard| guard.text).collect();
        signature.same_as = of_entry.iter().position(|first| *first == n);
    }
    // The first of equal ones is none's alias.
    for (n, signature) in signatures.iter_mut().enumerate() {
        signature.same_as = signature.same_as.filter(|first| *first != n);
    }
    let level = |l: &native::Level| interface::Level { name: l.cpu.into(), number: l.number };
    Interface {
        name: options.name.clone(),
        compiler: concat!("smc ", env!("CARGO_PKG_VERSION")).into(),
        fingerprint,
        levels: target.levels.iter().map(level).collect(),
        binds_weights: options.weights_apart,
        signatures,
        state: layout.map(|layout| interface::State { layout, c_names }),
        operators: Operator::of(bodies.iter().flat_map(Bodies::programs).flat_map(Program::calls)),
    }
}

/// Times of the stages.
struct Clock {
    last: Instant,
    laps: Vec<(&'static str, f64)>,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { last: Instant::now(), laps: vec![] }
    }
}

impl Clock {
    fn lap(&mut self, stage: &'static str) {
        self.laps.push((stage, self.last.elapsed().as_secs_f64() * 1e3));
        self.last = Instant::now();
    }
}

/// A fault of a running model in words.
pub fn fault_text(fault: Fault) -> &'static str {
    Status::from_code(fault as i32).map_or("unknown fault", Status::text)
}
