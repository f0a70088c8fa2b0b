//! What a plan is: kernels in order, their buffers, and the shared weights.

use std::{fmt, ops::Range, sync::Arc};

use super::WeightId;
use crate::{
    base::{Arena, Bindings, Dim, Id, Symbol, dim::Formula},
    graph::Call,
    loops::{BufferId, Kernel},
    tensor::{DType, TensorType},
};

/// A buffer of a program.
pub type StorageId = Id<Storage>;

/// One entry of a model, ready for machine code.
#[derive(Clone, Debug)]
pub struct Program {
    /// The signature's name, as the model's author wrote it.
    pub name: String,
    pub inputs: Vec<IoPort>,
    pub outputs: Vec<IoPort>,
    /// The unknown extents, in the order of the call's dimension fields; last those of `found`, in their order.
    pub symbols: Vec<Symbol>,
    /// The symbols among them that launches of this program bind, in the order in which they do.
    pub found: Vec<Found>,
    /// What is computed of them at entry, once per call: each behind those that it is made of.
    pub formulas: Vec<Arc<Formula>>,
    /// Checked at entry, before anything else is computed from the symbols; those of found symbols when the last of these
    /// is bound.
    pub guards: Vec<Guard>,
    /// What it does with what outlives calls, if anything.
    pub state: Option<Access>,
    pub storage: Arena<Storage>,
    /// In execution order.
    pub launches: Vec<Launch>,
    /// Launches that run slice by slice, in their order.
    pub chains: Vec<Chain>,
    /// Branches, loops and calls, in their order.
    pub flows: Vec<Flow>,
    /// Bytes of the workspace, a multiple of 64 where known; 0 when none is needed.
    pub workspace: Dim,
    /// The bytes that are live at the fullest moment: no plan can need less.
    pub workspace_bound: Dim,
    /// Bytes of strings that a call may make, those of programs within it included; none where it makes no strings, or is
    /// within another program.
    pub strings: Option<u64>,
}

/// Bytes of strings that a call may make where nobody says how many.
pub const STRINGS: u64 = 1 << 20;

/// A size that data decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub symbol: Symbol,
    /// In symbols that the program does not bind: the value is at most that, and memory is there for so much.
    pub bound: Dim,
}

/// An input or output of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct IoPort {
    pub name: String,
    pub ty: TensorType,
}

/// What an entry does with the block of memory that outlives its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Reads,
    Changes,
}

/// A value that outlives calls: an input, and an output where the entry changes it. Such ports are the last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident {
    pub input: usize,
    pub output: Option<usize>,
    /// Bytes from the block's start, a multiple of 64.
    pub at: u64,
}

/// A condition on the symbols; every symbol is at least 0 besides.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    Equal(Dim, Dim),
    /// The first is 1 or the second.
    Repeated(Dim, Dim),
    /// The dim is at least 0.
    Nonneg(Dim),
}

impl Guard {
    /// The dims that it is about.
    pub fn dims(&self) -> Vec<&Dim> {
        match self {
            Guard::Equal(a, b) | Guard::Repeated(a, b) => vec![a, b],
            Guard::Nonneg(a) => vec![a],
        }
    }
    /// Whether it holds for these values; not where one is unknown or overflows.
    pub fn holds(&self, bind: &Bindings) -> bool {
        let value = |dim: &Dim| dim.eval(bind);
        let equal = |a: &Dim, b: &Dim| value(a).is_some() && value(a) == value(b);
        match self {
            Guard::Equal(a, b) => equal(a, b),
            Guard::Repeated(from, to) => value(from) == Some(1) || equal(from, to),
            Guard::Nonneg(a) => value(a).is_some_and(|n| n >= 0),
        }
    }
}

/// What an entry runs: a program for each level of the target.
#[derive(Clone, Debug)]
pub struct Bodies {
    /// For every call.
    pub open: Vec<Program>,
    /// Better ones for the calls of which all of these hold. They have the same inputs, outputs and symbols.
    pub equal: Option<(Vec<Guard>, Vec<Program>)>,
}

impl Bodies {
    /// All programs: those for every call, by level, and then the others.
    pub fn programs(&self) -> impl Iterator<Item = &Program> + Clone {
        self.open.iter().chain(self.equal.iter().flat_map(|(_, programs)| programs))
    }
    /// The same, to be changed.
    pub fn programs_mut(&mut self) -> impl Iterator<Item = &mut Program> {
        self.open.iter_mut().chain(self.equal.iter_mut().flat_map(|(_, programs)| programs))
    }
    /// Every program with the number of the level it is for: those of [`Bodies::programs`], and then those within them.
    pub fn all(&self) -> Vec<(&Program, usize)> {
        let top: Vec<_> = self.programs().enumerate().map(|(n, program)| (program, n % self.open.len())).collect();
        let inner = top.iter().flat_map(|&(program, level)| program.all().into_iter().skip(1).map(move |p| (p, level)));
        let inner: Vec<_> = inner.collect();
        [top, inner].concat()
    }
}

/// A buffer of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    pub dtype: DType,
    /// Elements, at most where data decide.
    pub len: Dim,
    pub place: Place,
}

/// Where a buffer lies.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// The caller's memory for the n-th input; any alignment of its element type.
    Input(usize),
    Output(usize),
    /// Bytes from the start of the block that outlives calls, a multiple of 64.
    State(u64),
    /// Read-only, 64-byte aligned, shared by all entries.
    Weights(WeightId),
    /// Bytes from the workspace's start, a multiple of 64.
    Workspace(Dim),
    /// Bytes from the start of a chain's slice, a multiple of 64.
    Slice(i64),
}

/// One kernel with its buffers: `args[n]` is the n-th buffer of the kernel.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its name is unique in the program and says what it computes; it becomes a symbol.
    pub kernel: Kernel,
    pub args: Vec<StorageId>,
    /// What part of its buffer the result is; none when it is all of it.
    pub part: Option<Part>,
    /// The source nodes it computes, for profiles and reports.
    pub origin: Option<String>,
    /// Floating-point operations (a multiply-add counts as two), for profiles and for splitting work.
    pub flops: Dim,
    /// Picoseconds on one core, roughly: whether it is worth splitting, and waking threads.
    pub work: Dim,
    /// The symbol whose value is the result, an i64: what comes later may depend on it.
    pub binds: Option<Symbol>,
}

/// Kernels that run in turns: a slice of the first one's outermost loop, the same slice of the next one's, and so on for
/// every slice. Slices depend on nothing that others do.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Parallel ones.
    pub launches: Range<usize>,
    pub slices: Dim,
    /// For each launch, the iterations of its outermost loop that a slice is.
    pub per_slice: Vec<i64>,
    /// The slices are cut into so many tasks, one at least, each of which runs on one thread.
    pub tasks: Dim,
    /// What is in [`Place::Slice`]: as many bytes for each task, all of them in this buffer of the workspace.
    pub slice_bytes: i64,
    pub scratch: StorageId,
}

/// What runs before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Launch(usize),
    Chain(usize),
    Flow(usize),
}

/// A branch, a loop or a call within a program. Regions are programs of their own: their inputs and outputs are buffers of the
/// program around, and their symbols those of that one and the number of the iteration. A call has none.
#[derive(Clone, Debug)]
pub struct Flow {
    /// A name that no kernel has; it becomes a symbol.
    pub name: String,
    /// It runs before this launch.
    pub at: usize,
    pub kind: FlowKind,
    /// The inputs of the regions.
    pub operands: Vec<StorageId>,
    pub results: Vec<StorageId>,
    /// The workspace of whatever region runs.
    pub scratch: StorageId,
    /// The source node, for profiles and reports.
    pub origin: Option<String>,
}

#[derive(Clone, Debug)]
pub enum FlowKind {
    /// The number in a buffer of one i64 chooses a branch, the last one where it names none. Outputs are the results.
    If {
        which: StorageId,
        branches: Vec<Program>,
    },
    Loop(Box<LoopPlan>),
    /// A function of the user's, which gets the operands and gives the results. By attribute: the constant that holds it, where
    /// it is no number.
    Call(Box<Call>, Vec<Option<StorageId>>),
}

/// A loop. The first operands are the carried values before the first iteration; the outputs of the body are those after
/// one. Of two places that each has, iterations write the one that they do not read, and the last one the result.
#[derive(Clone, Debug)]
pub struct LoopPlan {
    /// Iterations, at most where there is a condition.
    pub count: Option<Dim>,
    /// The symbol that is the number of the iteration.
    pub step: Symbol,
    /// Its output is not 0 where there is an iteration, in a buffer of one i64.
    pub condition: Option<(Program, StorageId)>,
    pub body: Program,
    pub carried: Vec<Carried>,
    /// From operands to results, before the first iteration: what is changed in place.
    pub begin: Program,
    /// From wherever the other carried values are to the results, where the last iteration did not write them there.
    pub end: Program,
}

/// Where the carried values of iterations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// In the result, where the body changes it.
    InPlace,
    /// In the result and this buffer by turns.
    ByTurns(StorageId),
}

impl LoopPlan {
    /// The numbers of the carried values that are changed in place, or by turns.
    pub fn carried_in_place(&self, in_place: bool) -> impl Iterator<Item = usize> + '_ {
        let is = move |carried: &Carried| matches!(carried, Carried::InPlace) == in_place;
        (0..self.carried.len()).filter(move |&n| is(&self.carried[n]))
    }
}

impl Flow {
    /// The programs that it runs.
    pub fn programs(&self) -> Vec<&Program> {
        match &self.kind {
            FlowKind::If { branches, .. } => branches.iter().collect(),
            FlowKind::Loop(plan) => {
                let condition = plan.condition.iter().map(|(program, _)| program);
                condition.chain([&plan.body, &plan.begin, &plan.end]).collect()
            }
            FlowKind::Call(..) => vec![],
        }
    }
    /// The call that it is, if it is one.
    pub fn call(&self) -> Option<&Call> {
        match &self.kind {
            FlowKind::Call(call, _) => Some(call),
            _ => None,
        }
    }
    /// The buffers that it touches, but for those of its programs.
    pub fn buffers(&self) -> Vec<StorageId> {
        let mut own = vec![self.scratch];
        match &self.kind {
            FlowKind::If { which, .. } => own.push(*which),
            FlowKind::Loop(plan) => {
                own.extend(plan.condition.iter().map(|(_, flag)| *flag));
                own.extend(plan.carried.iter().filter_map(|carried| match carried {
                    Carried::InPlace => None,
                    Carried::ByTurns(other) => Some(*other),
                }));
            }
            FlowKind::Call(_, tables) => own.extend(tables.iter().flatten()),
        }
        [&self.operands[..], &self.results, &own].concat()
    }
}

/// Whether a branch or loop touches a buffer.
pub fn is_in_flow(flows: &[Flow], id: StorageId) -> bool {
    flows.iter().any(|flow| flow.buffers().contains(&id))
}

impl Launch {
    /// The buffer that the kernel writes, the first if there are several.
    pub fn result(&self) -> StorageId {
        self.args[self.result_buffer().index()]
    }
    /// The kernel's own number of the first buffer that it writes.
    pub fn result_buffer(&self) -> BufferId {
        let mut written = self.kernel.buffers.iter().filter(|(_, buffer)| buffer.written);
        written.next().expect("a kernel has a result").0
    }
    /// The kernel's own number of a buffer that it writes.
    pub fn writes(&self, id: StorageId) -> Option<BufferId> {
        let mut buffers = self.kernel.buffers.iter().zip(&self.args);
        buffers.find(|((_, buffer), arg)| buffer.written && **arg == id).map(|((number, _), _)| number)
    }
}

impl Program {
    /// The symbols that a caller gives.
    pub fn given(&self) -> &[Symbol] {
        &self.symbols[..self.symbols.len() - self.found.len()]
    }
    /// The number of the last found symbol on which one of these depends.
    pub fn last_found<'d>(&self, dims: impl IntoIterator<Item = &'d Dim>) -> Option<usize> {
        if self.found.is_empty() {
            return None;
        }
        let symbols = dims.into_iter().flat_map(Dim::symbols);
        symbols.filter_map(|symbol| self.found.iter().position(|found| found.symbol == symbol)).max()
    }
    /// What a size is at most, before anything is found.
    pub fn most(&self, dim: &Dim) -> Dim {
        if self.last_found([dim]).is_none() { dim.clone() } else { most(&self.found, dim) }
    }
    /// Whether it makes strings, or a program within it.
    pub fn makes_strings(&self) -> bool {
        self.all().into_iter().any(|program| program.launches.iter().any(|launch| launch.kernel.makes_strings()))
    }
    /// All launches in execution order, those of a chain as one.
    pub fn units(&self) -> Vec<Unit> {
        units(self.launches.len(), &self.chains, &self.flows)
    }
    /// This program and those within it, each before its own.
    pub fn all(&self) -> Vec<&Program> {
        let inner = self.flows.iter().flat_map(Flow::programs).flat_map(Program::all);
        [self].into_iter().chain(inner).collect()
    }
    /// The calls of functions of the user's, in the program and those within it.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.all().into_iter().flat_map(|program| program.flows.iter().filter_map(Flow::call))
    }
}

/// What a size is at most where data decide about some symbols. Without a limit it is more than memory has.
pub fn most(found: &[Found], dim: &Dim) -> Dim {
    let bound = |symbol: &Symbol| found.iter().find(|f| f.symbol == *symbol).map(|f| f.bound.clone());
    dim.greatest(&bound).unwrap_or_else(|| Dim::from(i64::MAX))
}

/// The units of so many launches.
pub fn units(launches: usize, chains: &[Chain], flows: &[Flow]) -> Vec<Unit> {
    let mut units = vec![];
    let (mut chains, mut flows) = (chains.iter().enumerate().peekable(), flows.iter().enumerate().peekable());
    let mut at = 0;
    while at <= launches {
        while let Some((n, _)) = flows.next_if(|(_, flow)| flow.at <= at) {
            units.push(Unit::Flow(n));
        }
        match chains.next_if(|(_, chain)| chain.launches.start == at) {
            Some((n, chain)) => {
                units.push(Unit::Chain(n));
                at = chain.launches.end;
            }
            None => {
                units.extend((at < launches).then_some(Unit::Launch(at)));
                at += 1;
            }
        }
    }
    units
}

/// A box within a tensor: of what a buffer holds, or of what lies in such a tensor in turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub extents: Vec<Dim>,
    pub at: Vec<Dim>,
    /// The shape of the whole.
    pub of: Vec<Dim>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |dims: &[Dim]| dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(",");
        write!(f, "[{}] at [{}] of [{}]", show(&self.extents), show(&self.at), show(&self.of))
    }
}
