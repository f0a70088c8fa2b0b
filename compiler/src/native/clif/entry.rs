//! Machine code of routines, statement by statement.

use cranelift_codegen::ir::{
    self, AbiParam, BlockArg, ExtFuncData, ExternalName, Function, GlobalValueData, InstBuilder, Signature,
    StackSlotData, StackSlotKind, UserExternalName, UserFuncName,
    condcodes::{FloatCC, IntCC},
    types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};

use super::kernel::plain;
use crate::{
    entry::{
        Callee, Compare, Datum, Field, Model, Op, RealCompare, RealOp, Routine, Stmt, Type, Value, VarId, What, WordOp,
    },
    native::{
        Level, Symbol,
        code::{self, Code, DATA, DATA_SYMBOLS, FOREIGN, FUNCTIONS},
    },
};

/// The code of a routine of the model, for any processor of the level.
pub fn lower(level: &Level, model: &Model, routine: &Routine) -> Code {
    let isa = level.isa();
    let mut function = Function::with_name_signature(UserFuncName::default(), signature(level, routine));
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let first = b.create_block();
    b.append_block_params_for_function_params(first);
    b.switch_to_block(first);
    let exit = b.create_block();
    routine.returns.iter().for_each(|&ty| {
        b.append_block_param(exit, type_of(ty));
    });
    let vars = routine.vars.iter().map(|(_, var)| b.declare_var(type_of(var.ty))).collect();
    let params = b.block_params(first).to_vec();
    let mut writer = Writer { b, level, model, routine, vars, exit, ends: vec![] };
    for (n, (&param, value)) in routine.params.iter().zip(params).enumerate() {
        let value = if n == 0 && routine.numbered { writer.b.ins().uextend(types::I64, value) } else { value };
        writer.define(param, value);
    }
    if !writer.block(&routine.body) {
        writer.b.ins().jump(exit, &[]);
    }
    writer.b.switch_to_block(exit);
    let results = writer.b.block_params(exit).to_vec();
    writer.b.ins().return_(&results);
    writer.b.seal_all_blocks();
    writer.b.finalize(isa.frontend_config());
    let code = code::finish(level, function);
    // Loops in it are short.
    Code { align: code.align.min(16), ..code }
}

fn type_of(ty: Type) -> ir::Type {
    match ty {
        Type::Word | Type::Address => types::I64,
        Type::Flag => types::I8,
        Type::Real => types::F64,
        Type::Status => types::I32,
    }
}

fn signature(level: &Level, routine: &Routine) -> Signature {
    let mut signature = Signature::new(level.isa().default_call_conv());
    signature.params.extend(routine.params.iter().map(|&p| AbiParam::new(type_of(routine.vars[p].ty))));
    if routine.numbered {
        signature.params[0] = AbiParam::new(types::I32);
    }
    signature.returns.extend(routine.returns.map(|ty| AbiParam::new(type_of(ty))));
    signature
}

struct Writer<'a> {
    b: FunctionBuilder<'a>,
    level: &'a Level,
    model: &'a Model,
    routine: &'a Routine,
    /// By number of the routine's variable.
    vars: Vec<Variable>,
    /// Returns its parameters: the one end of all ways out.
    exit: ir::Block,
    /// What comes behind the loops that are open.
    ends: Vec<ir::Block>,
}

impl Writer<'_> {
    fn define(&mut self, var: VarId, value: ir::Value) {
        self.b.def_var(self.vars[var.index()], value);
    }
    fn var(&mut self, var: VarId) -> ir::Value {
        self.b.use_var(self.vars[var.index()])
    }
    fn value(&mut self, value: Value) -> ir::Value {
        match value {
            Value::Var(var) => self.var(var),
            Value::Int(int) => self.b.ins().iconst(types::I64, int),
        }
    }

    /// Whether the block ends the routine.
    fn block(&mut self, block: &[Stmt]) -> bool {
        block.iter().any(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> bool {
        match stmt {
            Stmt::Set(var, op) => {
                let value = self.op(op);
                self.define(*var, value);
            }
            Stmt::Store { to, field, value } => {
                let (to, value) = (self.var(*to), self.value(*value));
                match field {
                    Field::Shared => self.b.ins().atomic_store(plain(), value, to),
                    field => self.b.ins().store(plain(), value, to, field.offset()),
                };
            }
            Stmt::Call { callee, args, result } => self.call(*callee, args, *result),
            Stmt::If { when, then, otherwise } => return self.choose(*when, then, otherwise),
            Stmt::Each { var, from, to, body } => self.each(*var, *from, *to, body),
            Stmt::Break => {
                let behind = *self.ends.last().expect("a loop is around");
                self.b.ins().jump(behind, &[]);
                return true;
            }
            Stmt::Return(value) => {
                let results = self.results(*value);
                self.b.ins().jump(self.exit, &results);
                return true;
            }
        }
        false
    }

    /// What a return hands over.
    fn results(&mut self, value: Option<Value>) -> Vec<BlockArg> {
        let value = value.map(|value| match (value, self.routine.returns) {
            (Value::Int(int), Some(Type::Status)) => self.b.ins().iconst(types::I32, int),
            (Value::Var(var), Some(Type::Status)) if self.routine.vars[var].ty == Type::Word => {
                let word = self.var(var);
                self.b.ins().ireduce(types::I32, word)
            }
            (value, _) => self.value(value),
        });
        value.into_iter().map(BlockArg::Value).collect()
    }

    fn choose(&mut self, when: VarId, then: &[Stmt], otherwise: &[Stmt]) -> bool {
        let flag = self.var(when);
        // A way that only leaves needs no block of its own.
        if let ([Stmt::Return(value)], []) = (then, otherwise) {
            let (results, stay) = (self.results(*value), self.b.create_block());
            self.b.ins().brif(flag, self.exit, &results, stay, &[]);
            self.b.switch_to_block(stay);
            return false;
        }
        let [yes, no, done] = [(); 3].map(|()| self.b.create_block());
        self.b.ins().brif(flag, yes, &[], no, &[]);
        let mut left = true;
        for (block, stmts) in [(yes, then), (no, otherwise)] {
            self.b.switch_to_block(block);
            if !self.block(stmts) {
                self.b.ins().jump(done, &[]);
                left = false;
            }
        }
        self.b.switch_to_block(done);
        if left {
            self.b.ins().trap(ir::TrapCode::unwrap_user(1));
        }
        left
    }

    fn each(&mut self, var: VarId, from: Value, to: Value, body: &[Stmt]) {
        let [head, inside, done] = [(); 3].map(|()| self.b.create_block());
        let (first, end) = (self.value(from), self.value(to));
        let n = self.b.append_block_param(head, types::I64);
        self.b.ins().jump(head, &[BlockArg::Value(first)]);
        self.b.switch_to_block(head);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, n, end);
        self.b.ins().brif(more, inside, &[], done, &[]);
        self.b.switch_to_block(inside);
        self.define(var, n);
        self.ends.push(done);
        let left = self.block(body);
        self.ends.pop();
        if !left {
            let next = self.b.ins().iadd_imm_s(n, 1);
            self.b.ins().jump(head, &[BlockArg::Value(next)]);
        }
        self.b.switch_to_block(done);
    }

    fn call(&mut self, callee: Callee, args: &[Value], result: Option<VarId>) {
        let values: Vec<ir::Value> = args.iter().map(|&arg| self.value(arg)).collect();
        let mut signature = Signature::new(self.level.isa().default_call_conv());
        signature.params.extend(values.iter().map(|_| AbiParam::new(types::I64)));
        signature.returns.extend(result.map(|var| AbiParam::new(type_of(self.routine.vars[var].ty))));
        let call = match callee {
            Callee::Member(n) => {
                let function = self.function(n, signature);
                self.b.ins().call(function, &values)
            }
            Callee::At(var) => {
                let (signature, function) = (self.b.import_signature(signature), self.var(var));
                self.b.ins().call_indirect(signature, function, &values)
            }
        };
        if let Some(result) = result {
            let value = self.b.inst_results(call)[0];
            self.define(result, value);
        }
    }

    fn function(&mut self, number: usize, signature: Signature) -> ir::FuncRef {
        let signature = self.b.import_signature(signature);
        // A linker leads the call on where the function is far away.
        let own = self.model.own().len();
        let name = match number.checked_sub(own) {
            Some(foreign) => UserExternalName { namespace: FOREIGN, index: foreign as u32 },
            None => UserExternalName { namespace: FUNCTIONS, index: number as u32 },
        };
        let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
        self.b.import_function(ExtFuncData { name, signature, colocated: true, patchable: false })
    }

    fn op(&mut self, op: &Op) -> ir::Value {
        match op {
            Op::Copy(x) => self.value(*x),
            Op::Word(op, a, b) => {
                let (a, b) = (self.value(*a), self.value(*b));
                self.word(*op, a, b)
            }
            Op::Compare(op, a, b) => {
                let (a, b) = (self.value(*a), self.value(*b));
                self.b.ins().icmp(int_cc(*op), a, b)
            }
            Op::And(a, b) => {
                let (a, b) = (self.var(*a), self.var(*b));
                self.b.ins().band(a, b)
            }
            Op::Or(a, b) => {
                let (a, b) = (self.var(*a), self.var(*b));
                self.b.ins().bor(a, b)
            }
            Op::Not(a) => {
                let a = self.var(*a);
                self.b.ins().bxor_imm_u(a, 1)
            }
            Op::Code(a) => {
                let a = self.var(*a);
                self.b.ins().sextend(types::I64, a)
            }
            Op::Bit(a) => {
                let a = self.var(*a);
                self.b.ins().uextend(types::I64, a)
            }
            Op::Select(flag, a, b) => {
                let (flag, a, b) = (self.var(*flag), self.value(*a), self.value(*b));
                self.b.ins().select(flag, a, b)
            }
            Op::Real(_)
            | Op::RealOf(..)
            | Op::CompareReal(..)
            | Op::Negative(_)
            | Op::Magnitude(_)
            | Op::ToReal(_)
            | Op::ToWord(_)
            | Op::Single(_) => self.real(op),
            Op::Load(from, field) => {
                let from = self.var(*from);
                match field {
                    Field::Shared => self.b.ins().atomic_load(types::I64, plain(), from),
                    field => self.b.ins().load(types::I64, plain(), from, field.offset()),
                }
            }
            Op::Offset(from, Value::Int(by)) => {
                let from = self.var(*from);
                self.b.ins().iadd_imm_s(from, *by)
            }
            Op::Offset(from, by) => {
                let (from, by) = (self.var(*from), self.value(*by));
                self.b.ins().iadd(from, by)
            }
            Op::Bits(a, mask) => {
                let a = self.var(*a);
                self.b.ins().band_imm_u(a, *mask)
            }
            Op::Same(a, b) => {
                let (a, b) = (self.var(*a), self.var(*b));
                self.b.ins().icmp(IntCC::Equal, a, b)
            }
            Op::IsNull(a) => {
                let a = self.var(*a);
                self.b.ins().icmp_imm_s(IntCC::Equal, a, 0)
            }
            Op::Stack(bytes) => {
                let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, *bytes, 3);
                let slot = self.b.create_sized_stack_slot(slot);
                self.b.ins().stack_addr(types::I64, slot, 0)
            }
            Op::Null => self.b.ins().iconst(types::I64, 0),
            Op::Datum(datum) => self.datum(*datum),
            Op::Function(n) => self.address(*n),
        }
    }

    fn word(&mut self, op: WordOp, a: ir::Value, b: ir::Value) -> ir::Value {
        let ins = self.b.ins();
        match op {
            WordOp::Add => ins.iadd(a, b),
            WordOp::Sub => ins.isub(a, b),
            WordOp::Mul => ins.imul(a, b),
            WordOp::Div => ins.sdiv(a, b),
            WordOp::Rem => ins.srem(a, b),
            WordOp::And => ins.band(a, b),
            WordOp::Or => ins.bor(a, b),
            WordOp::Xor => ins.bxor(a, b),
            WordOp::Shl => ins.ishl(a, b),
            WordOp::Shr => ins.sshr(a, b),
            WordOp::Ushr => ins.ushr(a, b),
            WordOp::AddWraps => {
                // The sign differs from both operands' signs.
                let sum = ins.iadd(a, b);
                let (x, y) = (self.b.ins().bxor(a, sum), self.b.ins().bxor(b, sum));
                self.b.ins().band(x, y)
            }
            WordOp::MulWraps => {
                // The high half is nothing but the low half's sign.
                let low = ins.imul(a, b);
                let high = self.b.ins().smulhi(a, b);
                let sign = self.b.ins().sshr_imm_u(low, 63);
                let wraps = self.b.ins().icmp(IntCC::NotEqual, high, sign);
                let wraps = self.b.ins().uextend(types::I64, wraps);
                self.b.ins().ineg(wraps)
            }
        }
    }

    /// An operation on floats.
    fn real(&mut self, op: &Op) -> ir::Value {
        match *op {
            Op::Real(x) => self.b.ins().f64const(x),
            Op::RealOf(op, a, b) => {
                let (a, b) = (self.var(a), self.var(b));
                match op {
                    RealOp::Add => self.b.ins().fadd(a, b),
                    RealOp::Sub => self.b.ins().fsub(a, b),
                    RealOp::Mul => self.b.ins().fmul(a, b),
                    RealOp::Div => self.b.ins().fdiv(a, b),
                }
            }
            Op::CompareReal(op, a, b) => {
                let (a, b) = (self.var(a), self.var(b));
                self.b.ins().fcmp(float_cc(op), a, b)
            }
            Op::Negative(a) => {
                let a = self.var(a);
                self.b.ins().fneg(a)
            }
            Op::Magnitude(a) => {
                let a = self.var(a);
                self.b.ins().fabs(a)
            }
            Op::ToReal(a) => {
                let a = self.value(a);
                self.b.ins().fcvt_from_sint(types::F64, a)
            }
            Op::ToWord(a) => {
                let a = self.var(a);
                self.b.ins().fcvt_to_sint_sat(types::I64, a)
            }
            Op::Single(a) => {
                let a = self.var(a);
                let single = self.b.ins().fdemote(types::F32, a);
                self.b.ins().fpromote(types::F64, single)
            }
            ref other => unreachable!("`{other}` is not of floats"),
        }
    }

    /// Where a function is that someone else calls.
    fn address(&mut self, number: usize) -> ir::Value {
        let signature = match &self.model.members[number].what {
            What::Routine(routine) => signature(self.level, routine),
            What::Kernel(..) | What::Choose | What::Foreign(_) => {
                let mut signature = Signature::new(self.level.isa().default_call_conv());
                signature.params.extend([AbiParam::new(types::I64); 3]);
                signature
            }
        };
        let function = self.function(number, signature);
        self.b.ins().func_addr(types::I64, function)
    }

    fn datum(&mut self, datum: Datum) -> ir::Value {
        let symbol = match datum {
            Datum::Weights => Symbol::Weights,
            Datum::Distance => Symbol::Distance,
            Datum::Bound => Symbol::Bound,
            Datum::Fingerprint => Symbol::Fingerprint,
        };
        let index = DATA_SYMBOLS.iter().position(|s| *s == symbol).expect("a datum that Cranelift's code refers to");
        let name = UserExternalName { namespace: DATA, index: index as u32 };
        let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
        let datum = GlobalValueData::Symbol { name, offset: 0.into(), colocated: true, tls: false };
        let datum = self.b.create_global_value(datum);
        self.b.ins().symbol_value(types::I64, datum)
    }
}

fn int_cc(compare: Compare) -> IntCC {
    match compare {
        Compare::Eq => IntCC::Equal,
        Compare::Ne => IntCC::NotEqual,
        Compare::Lt => IntCC::SignedLessThan,
        Compare::Le => IntCC::SignedLessThanOrEqual,
        Compare::Gt => IntCC::SignedGreaterThan,
        Compare::Ge => IntCC::SignedGreaterThanOrEqual,
        Compare::Below => IntCC::UnsignedLessThan,
    }
}

fn float_cc(compare: RealCompare) -> FloatCC {
    match compare {
        RealCompare::Eq => FloatCC::Equal,
        RealCompare::Lt => FloatCC::LessThan,
        RealCompare::Le => FloatCC::LessThanOrEqual,
        RealCompare::Gt => FloatCC::GreaterThan,
        RealCompare::Ge => FloatCC::GreaterThanOrEqual,
        RealCompare::Unordered => FloatCC::Unordered,
    }
}
