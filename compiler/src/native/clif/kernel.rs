//! A kernel's statements, in order. Loops are in `looping`, expressions in `expr`.

use std::{collections::HashMap, sync::Arc};

use cranelift_codegen::ir::{
    self, AbiParam, FuncRef, InstBuilder, MemFlagsData, Signature, Type, UserFuncName, Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::{
    Base, Field, address::Key, arena::Arena, expr::Val, lanes::Analysis, local::Registers, parallel_extent, wide::Wide,
};
use crate::{
    base::{
        Diagnostic, Dim, Problems, Symbol,
        dim::{Atom, Formula},
    },
    loops::{Bound, BufferId, ExprId, Fault, Kernel, Stmt, VarId},
    native::{Level, intrinsic::Intrinsic},
    plan::TargetInfo,
    tensor::DType,
};

/// What is known of an integer variable at the place where code is being written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bind {
    Unbound,
    /// In an expanded loop.
    Const(i64),
    /// At run time; the level is the number of loops around the place where it changes.
    Run(Value, u32),
}

/// What to forget when a scope ends.
pub(super) enum Undo {
    Memo(Key),
    Var(VarId),
}

/// A function under construction.
pub(super) struct Lower<'a, 'f> {
    pub b: FunctionBuilder<'f>,
    pub k: &'a Kernel,
    pub target: &'a Level,
    /// What the code is for: the level's machine, or its narrow view.
    pub info: &'a TargetInfo,
    pub bases: &'a [Base],
    /// The kernel's `begin..end`.
    pub range: (Value, Value),
    pub frame: Value,
    /// Where it makes strings, if it does.
    pub arena: Option<Arena>,
    pub buffers: HashMap<BufferId, Value>,
    pub symbols: HashMap<Symbol, Value>,
    pub formulas: HashMap<Arc<Formula>, Value>,
    pub binds: Vec<Bind>,
    /// How many variables are bound to constants.
    pub constants: usize,
    pub values: Vec<Option<Val>>,
    /// Values that hold in the open scopes.
    pub memo: HashMap<Key, Value>,
    pub undo: Vec<Undo>,
    pub locals: Vec<Registers>,
    /// The number of loops around the current place.
    pub level: u32,
    /// The vector loop that is being run by lanes.
    pub wide: Option<Wide>,
    /// A variable that stands for a value so much greater than it is bound to.
    pub later: Option<(VarId, i64)>,
    pub parallel: bool,
    pub analysis: Analysis,
    /// The intrinsics that were named, with the types of their operands.
    pub intrinsics: HashMap<(Intrinsic, Vec<Type>, Option<Type>), FuncRef>,
}

/// The function of a kernel whose buffers lie at `bases` and whose symbols are in slots of the io struct.
pub(super) fn lower(
    target: &Level,
    info: &TargetInfo,
    k: &Kernel,
    bases: Vec<Base>,
    symbols: Vec<(Symbol, u32)>,
    formulas: &[Arc<Formula>],
) -> Result<ir::Function, Problems> {
    supported(k)?;
    let mut signature = Signature::new(target.isa.default_call_conv());
    signature.params.extend([AbiParam::new(types::I64); 3]);
    let mut function = ir::Function::with_name_signature(UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let &[frame, begin, end] = b.block_params(entry) else { unreachable!("the signature has three parameters") };
    let mut lower = Lower {
        b,
        k,
        target,
        info,
        bases: &bases,
        range: (begin, end),
        frame,
        arena: None,
        buffers: HashMap::new(),
        symbols: HashMap::new(),
        formulas: HashMap::new(),
        binds: vec![Bind::Unbound; k.vars.len()],
        constants: 0,
        values: vec![None; k.vars.len()],
        memo: HashMap::new(),
        undo: vec![],
        locals: vec![],
        level: 0,
        wide: None,
        later: None,
        parallel: parallel_extent(k).is_some(),
        analysis: Analysis::new(k, info),
        intrinsics: HashMap::new(),
    };
    lower.load_formulas(formulas);
    lower.load_bases(&symbols);
    lower.declare_locals();
    if k.makes_strings() {
        lower.open_arena();
    }
    lower.hoist_addresses(&k.body);
    lower.block(&k.body);
    if k.makes_strings() {
        lower.close_arena();
    }
    lower.b.ins().return_(&[]);
    lower.b.seal_all_blocks();
    lower.b.finalize(target.isa.frontend_config());
    Ok(function)
}

/// Complex numbers have no machine code yet.
fn supported(k: &Kernel) -> Result<(), Problems> {
    let mut dtypes = k.exprs.iter().map(|(_, e)| e.dtype).chain(k.buffers.iter().map(|(_, b)| b.dtype));
    match dtypes.find(|d| d.is_complex()) {
        Some(dtype) => {
            Err(Diagnostic::error(format!("`{}` computes with {dtype}, which cannot be compiled yet", k.name)).into())
        }
        None => Ok(()),
    }
}

/// Memory operations never fault, and have the target's byte order.
pub(super) fn plain() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}
/// Loads of what nothing stores to while the kernel runs.
pub(super) fn constant_memory() -> MemFlagsData {
    plain().with_readonly().with_can_move()
}

impl Lower<'_, '_> {
    /// Loads the values of the formulas, which the entry has computed.
    fn load_formulas(&mut self, formulas: &[Arc<Formula>]) {
        if formulas.is_empty() {
            return;
        }
        let values = self.b.ins().load(types::I64, constant_memory(), self.frame, Field::Formulas.offset());
        for (n, formula) in formulas.iter().enumerate() {
            let value = self.b.ins().load(types::I64, constant_memory(), values, n as i32 * 8);
            self.formulas.insert(formula.clone(), value);
        }
    }

    /// Loads the buffers' pointers and the symbols that occur.
    fn load_bases(&mut self, slots: &[(Symbol, u32)]) {
        let io = self.b.ins().load(types::I64, constant_memory(), self.frame, Field::Io.offset());
        for (symbol, slot) in slots {
            let value = self.b.ins().load(types::I64, constant_memory(), io, Field::Number(*slot).offset());
            self.symbols.insert(symbol.clone(), value);
        }
        let workspace = self.b.ins().load(types::I64, constant_memory(), self.frame, Field::Workspace.offset());
        let weights = self.b.ins().load(types::I64, constant_memory(), self.frame, Field::Weights.offset());
        for (id, base) in self.k.buffers.ids().zip(self.bases) {
            let pointer = match base {
                Base::Slot(slot) => {
                    self.b.ins().load(types::I64, constant_memory(), io, Field::Pointer(*slot).offset())
                }
                Base::State(slot, at) => {
                    let state = self.b.ins().load(types::I64, constant_memory(), io, Field::Pointer(*slot).offset());
                    self.b.ins().iadd_imm_s(state, *at as i64)
                }
                Base::Weights(0) => weights,
                Base::Weights(offset) => self.b.ins().iadd_imm_s(weights, *offset as i64),
                Base::Slice(at) => {
                    let slice = self.b.ins().load(types::I64, constant_memory(), self.frame, Field::Slice.offset());
                    self.b.ins().iadd_imm_s(slice, *at)
                }
                Base::Workspace(at) if at.is(0) => workspace,
                Base::Workspace(at) => {
                    let at = self.dim(at);
                    self.b.ins().iadd(workspace, at)
                }
            };
            self.buffers.insert(id, pointer);
        }
    }

    pub fn block(&mut self, block: &[Stmt]) {
        for stmt in block {
            match stmt {
                Stmt::For { var, kind, body } => self.run_loop(*var, *kind, body),
                Stmt::Set { var, value } => self.set(*var, *value),
                Stmt::Assign { local, index, value } => {
                    let value = self.eval(*value);
                    self.write_local(*local, index, value);
                }
                Stmt::Accumulate { local, index, f, value } => self.accumulate(*local, index, *f, *value),
                Stmt::Store { buffer, index, value } => self.store(*buffer, index, *value),
                Stmt::Update { buffer, index, f, value } => self.update(*buffer, index, *f, *value),
                Stmt::Prefetch { buffer, index, near } => self.prefetch(*buffer, index, *near),
                Stmt::If { bounds, then, otherwise } => self.branch(bounds, then, otherwise),
                Stmt::Check { cond, fault } => self.check(*cond, *fault),
                Stmt::Append { value } => self.append(*value),
                Stmt::Take { var } => self.take(*var),
            }
        }
    }

    fn set(&mut self, var: VarId, value: ExprId) {
        let value = self.eval(value);
        self.name(var, value);
    }

    /// Lets a variable stand for a value until the scope ends.
    pub fn name(&mut self, var: VarId, value: Val) {
        self.undo.push(Undo::Var(var));
        match &self.k.vars[var] {
            crate::loops::Var::Index { .. } => {
                let value = self.narrow(value, DType::I64);
                self.binds[var.index()] = Bind::Run(value, self.level);
            }
            _ => self.values[var.index()] = Some(value),
        }
    }

    fn branch(&mut self, bounds: &[Bound], then: &[Stmt], otherwise: &[Stmt]) {
        let mut holds = None;
        for bound in bounds {
            let (index, extent) = (self.resolve(&bound.index), self.resolve(&bound.extent));
            if let (Some(i), Some(n)) = (index.as_int(), extent.as_int()) {
                if (0..n).contains(&i) {
                    continue;
                }
                return self.scoped(|l| l.block(otherwise));
            }
            let one = self.bound(&index, &extent);
            holds = Some(match holds {
                None => one,
                Some(all) => self.b.ins().band(all, one),
            });
        }
        let Some(holds) = holds else { return self.scoped(|l| l.block(then)) };
        let [yes, no, after] = [(); 3].map(|()| self.b.create_block());
        self.b.ins().brif(holds, yes, &[], no, &[]);
        for (block, body) in [(yes, then), (no, otherwise)] {
            self.b.switch_to_block(block);
            self.b.seal_block(block);
            self.scoped(|l| l.block(body));
            self.b.ins().jump(after, &[]);
        }
        self.b.switch_to_block(after);
        self.b.seal_block(after);
    }

    /// `0 <= index < extent`: one unsigned comparison where the extent is not negative.
    fn bound(&mut self, index: &Dim, extent: &Dim) -> Value {
        use cranelift_codegen::ir::condcodes::IntCC;
        let (i, n) = (self.dim(index), self.dim(extent));
        if extent.is_nonneg(&self.k.vars) {
            return self.b.ins().icmp(IntCC::UnsignedLessThan, i, n);
        }
        let below = self.b.ins().icmp(IntCC::SignedLessThan, i, n);
        let above = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, i, 0);
        self.b.ins().band(below, above)
    }

    fn check(&mut self, cond: ExprId, fault: Fault) {
        let cond = self.eval(cond);
        let cond = self.narrow(cond, DType::Bool);
        self.leave_unless(cond, fault);
    }

    /// Ends the kernel with a fault unless the condition holds.
    pub fn leave_unless(&mut self, cond: Value, fault: Fault) {
        let [fine, failed] = [(); 2].map(|()| self.b.create_block());
        self.b.set_cold_block(failed);
        self.b.ins().brif(cond, fine, &[], failed, &[]);
        self.b.switch_to_block(failed);
        self.b.seal_block(failed);
        let code = self.b.ins().iconst(types::I64, fault as i64);
        self.b.ins().store(plain(), code, self.frame, Field::Status.offset());
        self.b.ins().return_(&[]);
        self.b.switch_to_block(fine);
        self.b.seal_block(fine);
    }

    /// Runs `f` and forgets the values that it named, which hold nowhere else.
    pub fn scoped<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.undo.len();
        let result = f(self);
        for undo in self.undo.split_off(mark).into_iter().rev() {
            match undo {
                Undo::Memo(key) => drop(self.memo.remove(&key)),
                Undo::Var(var) => self.unbind(var),
            }
        }
        result
    }

    /// Runs `f`, one iteration of an expanded loop: what follows runs after it, so the values that it computed hold on,
    /// but for those that depend on a variable of its own.
    pub fn inlined(&mut self, f: impl FnOnce(&mut Self)) {
        let mark = self.undo.len();
        f(self);
        let undo = self.undo.split_off(mark);
        let own: Vec<VarId> = undo.iter().filter_map(|u| if let Undo::Var(v) = u { Some(*v) } else { None }).collect();
        for &var in own.iter().rev() {
            self.unbind(var);
        }
        for undo in undo {
            match undo {
                Undo::Memo(key) if own.iter().any(|v| key.mentions(*v)) => drop(self.memo.remove(&key)),
                Undo::Memo(key) => self.undo.push(Undo::Memo(key)),
                Undo::Var(_) => {}
            }
        }
    }

    fn unbind(&mut self, var: VarId) {
        if matches!(self.binds[var.index()], Bind::Const(_)) {
            self.constants -= 1;
        }
        self.binds[var.index()] = Bind::Unbound;
        self.values[var.index()] = None;
    }

    /// Binds a variable until the scope ends.
    pub fn bind(&mut self, var: VarId, bind: Bind) {
        self.undo.push(Undo::Var(var));
        self.constants += usize::from(matches!(bind, Bind::Const(_)));
        self.binds[var.index()] = bind;
    }

    /// The dim with the variables of expanded loops replaced by their values.
    pub fn resolve(&self, dim: &Dim) -> Dim {
        if let Some((var, by)) = self.later
            && dim.mentions_var(var.index() as u32)
        {
            let later =
                |atom: &Atom| (*atom == Atom::Var(var.index() as u32)).then(|| Dim::var(var.index() as u32) + by);
            return self.replace_constants(&dim.substitute(&later));
        }
        self.replace_constants(dim)
    }

    fn replace_constants(&self, dim: &Dim) -> Dim {
        if self.constants == 0 || dim.as_int().is_some() {
            return dim.clone();
        }
        let constant = |atom: &Atom| match atom {
            Atom::Var(v) => match self.binds[*v as usize] {
                Bind::Const(n) => Some(n),
                _ => None,
            },
            _ => None,
        };
        let mut found = false;
        dim.for_each_atom(&mut |atom| found |= constant(atom).is_some());
        if found { dim.substitute(&|atom| constant(atom).map(Dim::from)) } else { dim.clone() }
    }
}
