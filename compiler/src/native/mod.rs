//! Machine code: loop kernels and the entry points around them, for every target that Cranelift has.
//!
//! [`compile`] turns planned programs into position-independent functions that refer to each other and to the weights
//! by [`Symbol`]; nothing else is referred to but the functions of custom operators, so what is made of models without these has
//! no undefined symbols. Knows no object formats.

mod clif;
mod code;
pub mod elementary;
mod intrinsic;
mod riscv64;
mod stack;
mod target;
mod x86;

pub use code::{Code, Fixup, Function, Listing, Saved, Symbol, Unwind};
pub use riscv64::GUARD_BYTES;
pub use target::{Known, Level, Target, known};

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    base::Problems,
    entry::{self, Entry, Member, Model, Reach, Setting, StateBlock, What},
    plan::Weights,
};

/// A model's machine code.
#[derive(Debug)]
pub struct Compiled {
    /// In the order in which [`Symbol::Function`] counts.
    pub functions: Vec<Function>,
    /// By entry, program and launch: the number of the kernel's function; behind them by chain. Kernels with the same
    /// code share one.
    pub kernels: Vec<Vec<Vec<usize>>>,
    /// For each entry: no call uses more stack on the calling thread, but for what a thread pool uses.
    pub stack_bytes: Vec<u64>,
    /// The functions that the code calls and does not have, as [`Symbol::Foreign`] counts them.
    pub foreign: Vec<String>,
    /// How the code finds the weights.
    pub reach: Reach,
    /// What the functions were made from, before any of them was shared.
    pub model: Model,
}

impl Compiled {
    /// Whether code refers to `symbol`.
    pub fn refers_to(&self, symbol: Symbol) -> bool {
        self.functions.iter().any(|f| f.code.fixups.iter().any(|fixup| fixup.symbol == symbol))
    }
}

/// Compiles the entries of the model `name`, whose symbols start with its name. The order of the result depends on
/// nothing but the arguments, however many threads work on it.
pub fn compile(
    target: &Target,
    name: &str,
    entries: &[Entry<'_>],
    weights: &Weights,
    reach: Reach,
    state: Option<&StateBlock>,
) -> Result<Compiled, Problems> {
    let (weight_offsets, weight_bytes) = weights.layout();
    let levels = target.entry_levels();
    let model = entry::compose(
        Setting { name, levels: &levels, reach, weight_offsets: &weight_offsets, weight_bytes, state },
        entries,
    );
    entry::verify(&model).unwrap_or_else(|violation| panic!("routine {violation}"));
    let kernels = clif::Kernels { target, entries, weight_offsets };
    let twins = twins(&model, &kernels);
    let make = |n: usize| twins[n].is_none().then(|| code(target, &model, &kernels, &model.members[n]));
    let own = model.own();
    let made = by_threads(own.len(), &make)?;
    // A twin comes after what it is a copy of, and `share` leaves it out again.
    let function = |(n, member): (usize, &Member)| Function {
        name: member.name.clone(),
        exported: member.exported,
        aliases: member.aliases.clone(),
        level: member.level,
        code: made[&twins[n].unwrap_or(n)].clone(),
    };
    let functions: Vec<Function> = own.iter().enumerate().map(function).collect();
    let foreign: Vec<String> = model.members[own.len()..].iter().map(|member| member.name.clone()).collect();
    let stack_bytes = stack::bytes(&model, &functions);
    let (mut functions, now) = share(functions);
    tell_apart(&mut functions, &foreign);
    let numbers = |range: &std::ops::Range<usize>| range.clone().map(|n| now[n]).collect();
    let kernels = model.kernels.iter().map(|programs| programs.iter().map(numbers).collect()).collect();
    Ok(Compiled { functions, kernels, stack_bytes, foreign, reach, model })
}

/// What `make` gives for each number below `count`, where it gives anything; or all problems, in their order.
fn by_threads(
    count: usize,
    make: &(dyn Fn(usize) -> Option<Result<Code, Problems>> + Sync),
) -> Result<HashMap<usize, Code>, Problems> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = vec![];
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return done;
            }
            done.extend(make(n).map(|result| (n, result)));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(count);
    let mut results: Vec<(usize, Result<Code, Problems>)> = thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for worker in workers {
            results.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    });
    results.sort_by_key(|(n, _)| *n);
    let (mut problems, mut made) = (Problems::default(), HashMap::new());
    for (n, result) in results {
        match result {
            Ok(code) => {
                made.insert(n, code);
            }
            Err(more) => problems.extend(more),
        }
    }
    problems.or(made)
}

/// The code of a function of the model.
fn code(target: &Target, model: &Model, kernels: &clif::Kernels<'_>, member: &Member) -> Result<Code, Problems> {
    match &member.what {
        What::Kernel(entry, program, launch) => kernels.lower(*entry, *program, *launch),
        What::Routine(routine) => Ok(clif::lower(target.lowest(), model, routine)),
        What::Choose => Ok(x86::choose(target)),
        What::Foreign(_) => unreachable!("the model does not have it"),
    }
}

/// By function, an earlier one that has the same code.
fn twins(model: &Model, kernels: &clif::Kernels<'_>) -> Vec<Option<usize>> {
    let twin = |member: &Member| match member.what {
        What::Kernel(entry, program, launch) => {
            let (entry, program, launch) = kernels.twin(entry, program, launch)?;
            Some(model.kernels[entry][program].start + launch)
        }
        _ => None,
    };
    model.own().iter().map(twin).collect()
}

/// Gives functions that only this object sees another name where one has theirs, such as a signature that is called
/// like a kernel of another.
fn tell_apart(functions: &mut [Function], foreign: &[String]) {
    let exported = functions.iter().filter(|f| f.exported).map(|f| &f.name);
    let mut taken: HashSet<String> = exported.chain(foreign).cloned().collect();
    for function in functions.iter_mut().filter(|f| !f.exported) {
        let first = function.name.clone();
        let mut number = 1;
        while !taken.insert(function.name.clone()) {
            number += 1;
            function.name = format!("{first}.{number}");
        }
    }
}

/// Leaves out the functions of a level that are, byte for byte, those of another: what comes first stays. The second
/// result is the number that each function, or what stands for it, has now.
fn share(mut functions: Vec<Function>) -> (Vec<Function>, Vec<usize>) {
    let mut now: Vec<usize> = (0..functions.len()).collect();
    loop {
        let mut known: HashMap<&[u8], Vec<usize>> = HashMap::new();
        // By function: which one stands for it.
        let mut stands: Vec<usize> = vec![];
        for (n, f) in functions.iter().enumerate() {
            let equal = if f.level.is_some() { known.entry(&f.code.bytes).or_default() } else { &mut vec![] };
            let before = equal.iter().find(|&&m| functions[m].code.fixups == f.code.fixups);
            stands.push(*before.unwrap_or(&n));
            equal.push(n);
        }
        let kept = |n: usize| stands[n] == n;
        if (0..functions.len()).all(kept) {
            return (functions, now);
        }
        let mut numbers = vec![0; functions.len()];
        (0..functions.len()).filter(|&n| kept(n)).enumerate().for_each(|(new, n)| numbers[n] = new);
        let mut n = 0..;
        functions.retain(|_| n.next().is_some_and(kept));
        for fixup in functions.iter_mut().flat_map(|f| &mut f.code.fixups) {
            if let Symbol::Function(n) = &mut fixup.symbol {
                *n = numbers[stands[*n]];
            }
        }
        now.iter_mut().for_each(|n| *n = numbers[stands[*n]]);
        // What called different functions may now call the same one.
    }
}
