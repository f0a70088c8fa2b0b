//! The exported functions: they check a call's arguments, compute sizes and run the kernels in order.
//!
//! Sizes are computed with every overflow noticed, so an accepted call has no size that wraps: kernels compute their
//! addresses without a check. All checks come before the first kernel.

mod chains;
mod checked;
mod formula;
mod weights;

use std::{collections::BTreeMap, ops::Range};

pub(super) use chains::{chain, part};
use checked::{Checked, SYMBOL_BITS, fits};
use cranelift_codegen::ir::{
    self, AbiParam, Block, BlockArg, ExtFuncData, ExternalName, Function, InstBuilder, Signature, StackSlotData,
    StackSlotKind, Type, UserExternalName, UserFuncName, Value, condcodes::IntCC, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use smc_runtime::abi::{Status, WORKSPACE_ALIGN};
pub(super) use weights::{bind_weights, weights_bytes};

use super::{Frame, Plan, Slots, can_fail, kernel::plain};
use crate::{
    base::{Dim, dim::NoVars},
    native::{
        self, Entry,
        code::{self, Code, FUNCTIONS},
        launch::{iterations, may_be_crowded, may_be_few},
    },
    plan::{Bodies, Guard, Program, Unit, WORTH_SHARING},
    tensor::{DType, TensorType, count},
};

/// Offsets of `smc_threads`.
const POOL: i32 = 0;
const PARALLEL_FOR: i32 = 8;
const WIDTH: i32 = 16;

/// A function that checks and calls.
struct Writer<'f> {
    b: FunctionBuilder<'f>,
    plan: &'f Plan<'f>,
    params: Vec<Value>,
    /// Returns its parameters: the one end of all ways out.
    exit: Block,
}

fn write(plan: &Plan<'_>, params: &[Type], returns: &[Type], f: impl FnOnce(&mut Writer<'_>)) -> Code {
    let isa = plan.target.lowest().isa();
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.extend(params.iter().map(|t| AbiParam::new(*t)));
    signature.returns.extend(returns.iter().map(|t| AbiParam::new(*t)));
    let mut function = Function::with_name_signature(UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let exit = b.create_block();
    for &ty in returns {
        b.append_block_param(exit, ty);
    }
    let mut writer = Writer { b, plan, params, exit };
    f(&mut writer);
    writer.b.switch_to_block(exit);
    let results = writer.b.block_params(exit).to_vec();
    writer.b.ins().return_(&results);
    writer.b.seal_all_blocks();
    writer.b.finalize(isa.frontend_config());
    let code = code::finish(plan.target.lowest(), function);
    // No loop is in it.
    Code { align: code.align.min(16), ..code }
}

/// The bytes of the workspace when nothing about a call's dimensions is open: no symbol, no condition, no size that
/// overflows.
pub(super) fn settled(entry: &Entry<'_>) -> Option<i64> {
    let program = entry.shared();
    let known = |dtype: DType, len: &Dim| (len * dtype.size() as i64).as_int().is_some_and(|n| n < i64::MAX);
    let mut ports = program.inputs.iter().chain(&program.outputs);
    let mut buffers = entry.programs().flat_map(|p| p.storage.iter());
    let open = !program.symbols.is_empty()
        || !program.guards.is_empty()
        || !ports.all(|port| known(port.ty.dtype, &count(&port.ty.shape)))
        || !buffers.all(|(_, s)| known(s.dtype, &s.len));
    if open { None } else { native::workspace(entry.programs()).as_int() }
}

/// `int64_t dimensions(symbols...)`: the bytes of the workspace, or a negated status.
pub(super) fn dimensions(plan: &Plan<'_>, entry: usize) -> Code {
    let Bodies { open, equal } = plan.entries[entry].bodies;
    let program = plan.entries[entry].shared();
    write(plan, &vec![types::I64; program.symbols.len()], &[types::I64], |w| {
        let symbols = w.params.clone();
        // A bit above the allowed ones in any of them, such as a sign.
        if let Some(all) = symbols.iter().copied().reduce(|a, b| w.b.ins().bor(a, b)) {
            let bad = w.b.ins().ushr_imm_u(all, i64::from(SYMBOL_BITS));
            w.leave_if(bad, Status::BadDimension);
        }
        let mut sizes = Checked { program, symbols, formulas: vec![], wrapped: None };
        sizes.compute_formulas(w);
        sizes.leave_if_wrapped(w);
        for guard in &program.guards {
            let holds = w.holds(guard, &mut sizes);
            sizes.leave_if_wrapped(w);
            let broken = w.b.ins().bxor_imm_u(holds, 1);
            w.leave_if(broken, Status::BrokenGuard);
        }
        let ports = program.inputs.iter().chain(&program.outputs);
        for extent in ports.clone().flat_map(|port| &port.ty.shape).filter(|d| !d.is_nonneg(&NoVars)) {
            let extent = sizes.dim(w, extent);
            let negative = w.b.ins().icmp_imm_s(IntCC::SignedLessThan, extent, 0);
            w.leave_if(negative, Status::BadDimension);
        }
        let mut seen = vec![];
        w.check_sizes(ports.map(|port| (port.ty.dtype, count(&port.ty.shape))), &mut seen, &mut sizes);
        if let Some((when, equal)) = equal {
            sizes.leave_if_wrapped(w);
            let (mut special, otherwise) = w.when(when, &equal[0], &sizes.symbols);
            w.leave_with_workspace(equal, seen.clone(), &mut special);
            w.b.switch_to_block(otherwise);
        }
        w.leave_with_workspace(open, seen, &mut sizes);
    })
}

/// `size_t NAME_SIGNATURE_workspace(symbols...)`: the bytes of the workspace, or all ones for broken dimensions.
pub(super) fn workspace(plan: &Plan<'_>, entry: usize) -> Code {
    let symbols = plan.entries[entry].shared().symbols.len();
    write(plan, &vec![types::I64; symbols], &[types::I64], |w| {
        if let Some(bytes) = settled(&plan.entries[entry]) {
            let bytes = w.b.ins().iconst(types::I64, bytes);
            return w.leave(&[bytes]);
        }
        let params = w.params.clone();
        let bytes = w.call(plan.dimensions(entry), &params, types::I64);
        let none = w.b.ins().iconst(types::I64, -1);
        let broken = w.b.ins().icmp_imm_s(IntCC::SignedLessThan, bytes, 0);
        let result = w.b.ins().select(broken, none, bytes);
        w.leave(&[result]);
    })
}

/// `int NAME_SIGNATURE(const io *, void *workspace, size_t bytes)`.
pub(super) fn entry(plan: &Plan<'_>, entry: usize) -> Code {
    let program = plan.entries[entry].shared();
    write(plan, &[types::I64; 3], &[types::I32], |w| {
        let &[io, memory, bytes] = &w.params[..] else { unreachable!("the function has three parameters") };
        let null = w.b.ins().icmp_imm_s(IntCC::Equal, io, 0);
        w.leave_if(null, Status::NullPointer);
        let symbols = w.symbols(program, io);
        let needed = match settled(&plan.entries[entry]) {
            Some(bytes) => w.b.ins().iconst(types::I64, bytes),
            None => {
                let needed = w.call(plan.dimensions(entry), &symbols, types::I64);
                let broken = w.b.ins().icmp_imm_s(IntCC::SignedLessThan, needed, 0);
                let status = w.b.ins().ineg(needed);
                w.leave_if_with(broken, status);
                needed
            }
        };
        let inputs = program.inputs.iter().enumerate().map(|(n, p)| (Slots(program).input(n), &p.ty));
        let outputs = program.outputs.iter().enumerate().map(|(n, p)| (Slots(program).output(n), &p.ty));
        let mut sizes = Checked { program, symbols, formulas: vec![], wrapped: None };
        sizes.compute_formulas(w);
        // The check of the dimensions has seen them all.
        sizes.wrapped = None;
        w.check_pointers(io, inputs.chain(outputs), &mut sizes);
        if !native::workspace(plan.entries[entry].programs()).is(0) {
            w.check_workspace(memory, bytes, needed, settled(&plan.entries[entry]));
        }
        let wanted = w.slot(io, Slots(program).cpu());
        if let Some((when, equal)) = &plan.entries[entry].bodies.equal {
            let (mut special, otherwise) = w.when(when, &equal[0], &sizes.symbols);
            let frame = w.frame(io, memory, &special.formulas);
            w.run_best(entry, equal.len(), [io, wanted, frame], &mut special);
            w.b.switch_to_block(otherwise);
        }
        let frame = w.frame(io, memory, &sizes.formulas);
        w.run_best(entry, 0, [io, wanted, frame], &mut sizes);
    })
}

/// `int run(frame)`: the kernels of one program in order. Returns a status.
pub(super) fn run_program(plan: &Plan<'_>, entry: usize, number: usize) -> Code {
    let program = plan.program(entry, number);
    write(plan, &[types::I64], &[types::I32], |w| {
        let frame = w.params[0];
        let io = w.b.ins().load(types::I64, plain(), frame, Frame::IO);
        let mut sizes = w.sizes(program, io, frame);
        w.run(entry, number, io, frame, &mut sizes);
    })
}

/// Whether threads may take parts of a unit: it is parallel, and not known to be too little work.
pub(super) fn is_shared(program: &Program, unit: Unit) -> bool {
    iterations(program, unit).is_some_and(|(_, work)| work.as_int().is_none_or(|work| work >= WORTH_SHARING))
}

/// `void share(task, frame, extent, work, threads)`: one parallel kernel, by threads when the caller gave some and there
/// is enough for them to do.
pub(super) fn share(plan: &Plan<'_>) -> Code {
    write(plan, &[types::I64; 5], &[], |w| {
        let &[task, frame, extent, work, threads] = &w.params[..] else {
            unreachable!("the function has five parameters")
        };
        let [given, several, together, alone] = [(); 4].map(|()| w.b.create_block());
        w.b.ins().brif(threads, given, &[], alone, &[]);
        w.b.switch_to_block(given);
        let one = w.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, extent, 1);
        w.b.ins().brif(one, alone, &[], several, &[]);
        w.b.switch_to_block(several);
        let few = w.b.ins().icmp_imm_s(IntCC::SignedLessThan, work, WORTH_SHARING);
        w.b.ins().brif(few, alone, &[], together, &[]);
        w.b.switch_to_block(together);
        let pool = w.slot(threads, POOL);
        let parallel_for = w.slot(threads, PARALLEL_FOR);
        let nanoseconds = w.b.ins().sdiv_imm_s(work, 1000);
        let signature = w.signature(&[types::I64; 5], &[]);
        w.b.ins().call_indirect(signature, parallel_for, &[pool, task, frame, extent, nanoseconds]);
        w.leave(&[]);
        w.b.switch_to_block(alone);
        let zero = w.b.ins().iconst(types::I64, 0);
        let signature = w.signature(&[types::I64; 3], &[]);
        w.b.ins().call_indirect(signature, task, &[frame, zero, extent]);
        w.leave(&[]);
    })
}

/// `int NAME_invoke(uint32_t signature, const void *io, void *workspace, size_t bytes)`.
pub(super) fn invoke(plan: &Plan<'_>) -> Code {
    write(plan, &[types::I32, types::I64, types::I64, types::I64], &[types::I32], |w| {
        let &[signature, io, memory, bytes] = &w.params[..] else { unreachable!("the function has four parameters") };
        for entry in 0..plan.entries.len() {
            w.when_signature(signature, plan.signatures(entry), |w| {
                let status = w.call(plan.entry(entry), &[io, memory, bytes], types::I32);
                w.leave(&[status]);
            });
        }
        let status = w.b.ins().iconst(types::I32, i64::from(Status::NoSuchSignature.code()));
        w.leave(&[status]);
    })
}

/// `int64_t NAME_workspace_bytes(uint32_t signature, const void *io)`.
pub(super) fn workspace_bytes(plan: &Plan<'_>) -> Code {
    write(plan, &[types::I32, types::I64], &[types::I64], |w| {
        let &[signature, io] = &w.params[..] else { unreachable!("the function has two parameters") };
        for (entry, e) in plan.entries.iter().enumerate() {
            w.when_signature(signature, plan.signatures(entry), |w| {
                if !e.shared().symbols.is_empty() {
                    let null = w.b.ins().icmp_imm_s(IntCC::Equal, io, 0);
                    w.leave_if(null, Status::NullPointer);
                }
                let symbols = w.symbols(e.shared(), io);
                let bytes = match settled(e) {
                    Some(bytes) => w.b.ins().iconst(types::I64, bytes),
                    None => w.call(plan.dimensions(entry), &symbols, types::I64),
                };
                w.leave(&[bytes]);
            });
        }
        let status = w.b.ins().iconst(types::I64, -i64::from(Status::NoSuchSignature.code()));
        w.leave(&[status]);
    })
}

impl Writer<'_> {
    fn slot(&mut self, io: Value, offset: i32) -> Value {
        self.b.ins().load(types::I64, plain(), io, offset)
    }
    fn symbols(&mut self, program: &Program, io: Value) -> Vec<Value> {
        (0..program.symbols.len()).map(|n| self.slot(io, Slots(program).symbol(n))).collect()
    }

    /// What a frame knows of a call's sizes.
    fn sizes<'p>(&mut self, program: &'p Program, io: Value, frame: Value) -> Checked<'p> {
        let symbols = self.symbols(program, io);
        let mut formulas = vec![];
        if !program.formulas.is_empty() {
            let values = self.slot(frame, Frame::FORMULAS);
            formulas = (0..program.formulas.len()).map(|n| self.slot(values, 8 * n as i32)).collect();
        }
        Checked { program, symbols, formulas, wrapped: None }
    }

    /// Returns a status when the condition holds: as it is from an `int` function, negated from an `int64_t` one.
    fn leave_if(&mut self, condition: Value, status: Status) {
        let sign = if self.returns() == types::I64 { -1 } else { 1 };
        let status = self.b.ins().iconst(types::I64, sign * i64::from(status.code()));
        self.leave_if_with(condition, status);
    }
    fn leave_if_with(&mut self, condition: Value, status: Value) {
        let ty = self.returns();
        let status = if ty == types::I64 { status } else { self.b.ins().ireduce(ty, status) };
        let stay = self.b.create_block();
        self.b.ins().brif(condition, self.exit, &[BlockArg::Value(status)], stay, &[]);
        self.b.switch_to_block(stay);
    }
    /// Ends the function.
    fn leave(&mut self, results: &[Value]) {
        let results: Vec<BlockArg> = results.iter().copied().map(BlockArg::Value).collect();
        self.b.ins().jump(self.exit, &results);
    }
    fn returns(&self) -> Type {
        self.b.func.signature.returns[0].value_type
    }

    /// What to do for signatures of these numbers, where those of smaller numbers are dealt with.
    fn when_signature(&mut self, signature: Value, numbers: Range<usize>, body: impl FnOnce(&mut Self)) {
        let [same, other] = [(); 2].map(|()| self.b.create_block());
        let is = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, signature, numbers.end as i64);
        self.b.ins().brif(is, same, &[], other, &[]);
        self.b.switch_to_block(same);
        body(self);
        self.b.switch_to_block(other);
    }

    fn signature(&mut self, params: &[Type], returns: &[Type]) -> ir::SigRef {
        let mut signature = Signature::new(self.plan.target.lowest().isa().default_call_conv());
        signature.params.extend(params.iter().map(|t| AbiParam::new(*t)));
        signature.returns.extend(returns.iter().map(|t| AbiParam::new(*t)));
        self.b.import_signature(signature)
    }
    fn function(&mut self, number: usize, params: &[Type], returns: &[Type]) -> ir::FuncRef {
        let signature = self.signature(params, returns);
        let name = UserExternalName { namespace: FUNCTIONS, index: number as u32 };
        let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
        self.b.import_function(ExtFuncData { name, signature, colocated: true, patchable: false })
    }
    fn call(&mut self, function: usize, args: &[Value], returns: Type) -> Value {
        let function = self.function(function, &vec![types::I64; args.len()], &[returns]);
        let call = self.b.ins().call(function, args);
        self.b.inst_results(call)[0]
    }

    /// A null pointer is an error unless the tensor has no elements. Tensors that have none together are checked
    /// together.
    fn check_pointers<'t>(
        &mut self,
        io: Value,
        tensors: impl Iterator<Item = (i32, &'t TensorType)>,
        sizes: &mut Checked<'_>,
    ) {
        let mut groups: BTreeMap<Dim, Vec<i32>> = BTreeMap::new();
        for (slot, ty) in tensors {
            let elements = count(&ty.shape);
            let content = elements.content();
            if content != 0 {
                groups.entry(elements.floor_div(&content.into())).or_default().push(slot);
            }
        }
        for (elements, slots) in groups {
            let mut null = None;
            for slot in slots {
                let pointer = self.slot(io, slot);
                let zero = self.b.ins().icmp_imm_s(IntCC::Equal, pointer, 0);
                null = Some(null.map_or(zero, |null| self.b.ins().bor(null, zero)));
            }
            let Some(mut null) = null else { continue };
            if elements.as_int().is_none() {
                let elements = sizes.dim(self, &elements);
                let some = self.b.ins().icmp_imm_s(IntCC::NotEqual, elements, 0);
                null = self.b.ins().band(null, some);
            }
            self.leave_if(null, Status::NullPointer);
        }
    }

    /// The bytes that are needed are settled as a number above 0, or may be none.
    fn check_workspace(&mut self, memory: Value, bytes: Value, needed: Value, settled: Option<i64>) {
        let [some, done] = [(); 2].map(|()| self.b.create_block());
        match settled {
            Some(_) => self.b.ins().jump(some, &[]),
            None => self.b.ins().brif(needed, some, &[], done, &[]),
        };
        self.b.switch_to_block(some);
        let null = self.b.ins().icmp_imm_s(IntCC::Equal, memory, 0);
        self.leave_if(null, Status::NullPointer);
        let low = self.b.ins().band_imm_u(memory, WORKSPACE_ALIGN as i64 - 1);
        self.leave_if(low, Status::MisalignedWorkspace);
        let short = self.b.ins().icmp(IntCC::UnsignedLessThan, bytes, needed);
        self.leave_if(short, Status::ShortWorkspace);
        self.b.ins().jump(done, &[]);
        self.b.switch_to_block(done);
    }

    /// A new frame, as kernels expect it.
    fn frame(&mut self, io: Value, memory: Value, formulas: &[Value]) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, Frame::BYTES, 3);
        let slot = self.b.create_sized_stack_slot(slot);
        let frame = self.b.ins().stack_addr(types::I64, slot, 0);
        let weights = self.weights();
        let zero = self.b.ins().iconst(types::I64, 0);
        let formulas = if formulas.is_empty() { zero } else { self.kept(formulas) };
        for (value, offset) in [
            (io, Frame::IO),
            (memory, Frame::WORKSPACE),
            (weights, Frame::WEIGHTS),
            (zero, Frame::STATUS),
            (formulas, Frame::FORMULAS),
        ] {
            self.b.ins().store(plain(), value, frame, offset);
        }
        frame
    }

    /// The address of values on the stack.
    fn kept(&mut self, values: &[Value]) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8 * values.len() as u32, 3);
        let slot = self.b.create_sized_stack_slot(slot);
        let address = self.b.ins().stack_addr(types::I64, slot, 0);
        for (n, value) in values.iter().enumerate() {
            self.b.ins().store(plain(), *value, address, 8 * n as i32);
        }
        address
    }

    /// Refuses a call that asks for another level than the only one.
    fn check_level(&mut self, wanted: Value) {
        let number = i64::from(self.plan.target.lowest().number);
        let any = self.b.ins().icmp_imm_s(IntCC::NotEqual, wanted, 0);
        let other = self.b.ins().icmp_imm_s(IntCC::NotEqual, wanted, number);
        let refused = self.b.ins().band(any, other);
        self.leave_if(refused, Status::NoSuchCpu);
    }

    /// Whether a guard holds, where nothing overflows.
    fn holds(&mut self, guard: &Guard, sizes: &mut Checked<'_>) -> Value {
        match guard {
            Guard::Equal(a, b) => {
                let (a, b) = (sizes.dim(self, a), sizes.dim(self, b));
                self.b.ins().icmp(IntCC::Equal, a, b)
            }
            Guard::Repeated(from, to) => {
                let (from, to) = (sizes.dim(self, from), sizes.dim(self, to));
                let one = self.b.ins().icmp_imm_s(IntCC::Equal, from, 1);
                let equal = self.b.ins().icmp(IntCC::Equal, from, to);
                self.b.ins().bor(one, equal)
            }
            Guard::Nonneg(d) => {
                let d = sizes.dim(self, d);
                self.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, d, 0)
            }
        }
    }
    /// Goes on where all guards hold, with the sizes of that program; where one does not, or something has no value or
    /// overflows, the block that is returned does.
    fn when<'p>(&mut self, guards: &[Guard], program: &'p Program, symbols: &[Value]) -> (Checked<'p>, Block) {
        let otherwise = self.b.create_block();
        let mut sizes = Checked { program, symbols: symbols.to_vec(), formulas: vec![], wrapped: None };
        sizes.compute_formulas(self);
        for guard in guards {
            let mut holds = self.holds(guard, &mut sizes);
            if let Some(wrapped) = sizes.wrapped.take() {
                let fine = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, wrapped, 0);
                holds = self.b.ins().band(holds, fine);
            }
            let next = self.b.create_block();
            self.b.ins().brif(holds, next, &[], otherwise, &[]);
            self.b.switch_to_block(next);
        }
        (sizes, otherwise)
    }
    /// Refuses sizes that overflow or are negative. `seen` holds what needs no other look.
    fn check_sizes(
        &mut self,
        buffers: impl Iterator<Item = (DType, Dim)>,
        seen: &mut Vec<Dim>,
        sizes: &mut Checked<'_>,
    ) {
        for (dtype, len) in buffers {
            let bytes = len * dtype.size() as i64;
            if bytes.as_int().is_some_and(|n| n < i64::MAX) || seen.contains(&bytes) {
                continue;
            }
            if !(fits(&bytes) && bytes.is_nonneg(&NoVars)) {
                let size = sizes.dim(self, &bytes);
                let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, size, 0);
                self.leave_if(negative, Status::BadDimension);
            }
            seen.push(bytes);
        }
    }
    /// Checks the buffers of programs and returns the bytes of their workspace.
    fn leave_with_workspace(&mut self, programs: &[Program], mut seen: Vec<Dim>, sizes: &mut Checked<'_>) {
        let buffers = programs.iter().flat_map(|p| p.storage.iter().map(|(_, s)| (s.dtype, s.len.clone())));
        self.check_sizes(buffers, &mut seen, sizes);
        let workspace = sizes.dim(self, &native::workspace(programs));
        sizes.leave_if_wrapped(self);
        self.leave(&[workspace]);
    }

    /// Runs the best of the programs from `first` on, one for each level, and returns.
    fn run_best(&mut self, entry: usize, first: usize, [io, wanted, frame]: [Value; 3], sizes: &mut Checked<'_>) {
        if self.plan.chooses() {
            self.run_chosen(entry, first, wanted, frame);
        } else {
            self.check_level(wanted);
            self.run(entry, first, io, frame, sizes);
        }
    }

    /// Runs the level that is wanted, or else the best that the machine has, and returns. The programs of the levels
    /// have the numbers from `first` on.
    fn run_chosen(&mut self, entry: usize, first: usize, wanted: Value, frame: Value) {
        let chosen = self.call(self.plan.choose(), &[wanted], types::I64);
        for (l, level) in self.plan.target.levels.iter().enumerate().rev() {
            let [here, below] = [(); 2].map(|()| self.b.create_block());
            let number = i64::from(level.number);
            let fits = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, chosen, number);
            self.b.ins().brif(fits, here, &[], below, &[]);
            self.b.switch_to_block(here);
            let status = self.call(self.plan.run_program(entry, first + l), &[frame], types::I32);
            self.leave(&[status]);
            self.b.switch_to_block(below);
        }
        let status = self.b.ins().iconst(types::I32, i64::from(Status::NoSuchCpu.code()));
        self.leave(&[status]);
    }

    /// The kernels of a program in order.
    fn run(&mut self, entry: usize, number: usize, io: Value, frame: Value, sizes: &mut Checked<'_>) {
        let program = self.plan.program(entry, number);
        for unit in program.units() {
            let (function, fails) = match unit {
                Unit::Launch(k) => (self.plan.first(entry, number) + k, can_fail(&program.launches[k].kernel)),
                Unit::Chain(c) => {
                    let launches = &program.launches[program.chains[c].launches.clone()];
                    (self.plan.chain(entry, number, c), launches.iter().any(|launch| can_fail(&launch.kernel)))
                }
            };
            let done = match unit {
                Unit::Chain(c) if may_be_few(&program.chains[c]) || may_be_crowded(&program.chains[c]) => {
                    Some(self.shared_slices([entry, number, c], io, frame, sizes))
                }
                _ => None,
            };
            match iterations(program, unit) {
                Some((extent, work)) if is_shared(program, unit) => {
                    let kernel = self.function(function, &[types::I64; 3], &[]);
                    let task = self.b.ins().func_addr(types::I64, kernel);
                    let extent = sizes.dim(self, &extent);
                    let work = sizes.dim(self, &work);
                    let threads = self.slot(io, Slots(program).threads());
                    let share = self.function(self.plan.share(), &[types::I64; 5], &[]);
                    self.b.ins().call(share, &[task, frame, extent, work, threads]);
                }
                Some((extent, _)) => {
                    let kernel = self.function(function, &[types::I64; 3], &[]);
                    let zero = self.b.ins().iconst(types::I64, 0);
                    let extent = sizes.dim(self, &extent);
                    self.b.ins().call(kernel, &[frame, zero, extent]);
                }
                // Who is not parallel does not read the other parameters.
                None => {
                    let kernel = self.function(function, &[types::I64], &[]);
                    self.b.ins().call(kernel, &[frame]);
                }
            }
            if fails {
                let status = self.b.ins().load(types::I64, plain(), frame, Frame::STATUS);
                let failed = self.b.ins().icmp_imm_s(IntCC::NotEqual, status, 0);
                self.leave_if_with(failed, status);
            }
            if let Some(done) = done {
                self.b.ins().jump(done, &[]);
                self.b.switch_to_block(done);
                // What one way noted is not known on the other; the checks have seen all sizes before.
                sizes.wrapped = None;
            }
        }
        let ok = self.b.ins().iconst(types::I32, i64::from(Status::Ok.code()));
        self.leave(&[ok]);
    }
}
