//! Writes routines, one statement after the other.

use smc_runtime::abi::Status;

use super::{
    Arena, Block, Callee, Compare, Field, Op, RealCompare, RealOp, Routine, Stmt, Type, Value, Var, VarId, WordOp,
    compose::Numbers,
};

/// A routine that is being written.
pub(super) struct Writer<'a> {
    pub model: &'a Numbers<'a>,
    routine: Routine,
    /// What statements are added to.
    block: Block,
}

/// Writes a routine with these parameters.
pub(super) fn write(
    model: &Numbers<'_>,
    params: &[Type],
    returns: Option<Type>,
    body: impl FnOnce(&mut Writer<'_>, &[VarId]),
) -> Routine {
    let mut vars = Arena::default();
    let params: Vec<VarId> = params.iter().map(|&ty| vars.push(Var { ty })).collect();
    let routine = Routine { params: params.clone(), numbered: false, returns, vars, body: vec![] };
    let mut writer = Writer { model, routine, block: vec![] };
    body(&mut writer, &params);
    Routine { body: writer.block, ..writer.routine }
}

impl Writer<'_> {
    /// A new variable that is set to the value.
    pub fn set(&mut self, ty: Type, op: Op) -> VarId {
        let var = self.routine.vars.push(Var { ty });
        self.assign(var, op);
        var
    }
    /// Sets a variable that may have a value.
    pub fn assign(&mut self, var: VarId, op: Op) {
        self.block.push(Stmt::Set(var, op));
    }
    pub fn word(&mut self, op: WordOp, a: impl Into<Value>, b: impl Into<Value>) -> Value {
        self.set(Type::Word, Op::Word(op, a.into(), b.into())).into()
    }
    pub fn add(&mut self, a: impl Into<Value>, b: impl Into<Value>) -> Value {
        self.word(WordOp::Add, a, b)
    }
    pub fn mul(&mut self, a: impl Into<Value>, b: impl Into<Value>) -> Value {
        self.word(WordOp::Mul, a, b)
    }
    pub fn is(&mut self, compare: Compare, a: impl Into<Value>, b: impl Into<Value>) -> VarId {
        self.set(Type::Flag, Op::Compare(compare, a.into(), b.into()))
    }
    pub fn both(&mut self, a: VarId, b: VarId) -> VarId {
        self.set(Type::Flag, Op::And(a, b))
    }
    pub fn either(&mut self, a: VarId, b: VarId) -> VarId {
        self.set(Type::Flag, Op::Or(a, b))
    }
    pub fn bit(&mut self, flag: VarId) -> Value {
        self.set(Type::Word, Op::Bit(flag)).into()
    }
    pub fn select(&mut self, flag: VarId, a: impl Into<Value>, b: impl Into<Value>) -> Value {
        self.set(Type::Word, Op::Select(flag, a.into(), b.into())).into()
    }
    pub fn real(&mut self, value: f64) -> VarId {
        self.set(Type::Real, Op::Real(value))
    }
    pub fn real_of(&mut self, op: RealOp, a: VarId, b: VarId) -> VarId {
        self.set(Type::Real, Op::RealOf(op, a, b))
    }
    pub fn is_real(&mut self, compare: RealCompare, a: VarId, b: VarId) -> VarId {
        self.set(Type::Flag, Op::CompareReal(compare, a, b))
    }
    pub fn select_real(&mut self, flag: VarId, a: VarId, b: VarId) -> VarId {
        self.set(Type::Real, Op::Select(flag, a.into(), b.into()))
    }
    pub fn load(&mut self, from: VarId, field: Field) -> VarId {
        self.set(field.ty(), Op::Load(from, field))
    }
    pub fn store(&mut self, to: VarId, field: Field, value: impl Into<Value>) {
        self.block.push(Stmt::Store { to, field, value: value.into() });
    }
    pub fn offset(&mut self, from: VarId, by: impl Into<Value>) -> VarId {
        self.set(Type::Address, Op::Offset(from, by.into()))
    }
    pub fn is_null(&mut self, address: VarId) -> VarId {
        self.set(Type::Flag, Op::IsNull(address))
    }
    pub fn function(&mut self, number: usize) -> VarId {
        self.set(Type::Address, Op::Function(number))
    }

    pub fn call(&mut self, number: usize, args: &[Value]) {
        self.block.push(Stmt::Call { callee: Callee::Member(number), args: args.to_vec(), result: None });
    }
    /// The result of a function that returns one of this type.
    pub fn result(&mut self, ty: Type, number: usize, args: &[Value]) -> VarId {
        let result = self.routine.vars.push(Var { ty });
        let callee = Callee::Member(number);
        self.block.push(Stmt::Call { callee, args: args.to_vec(), result: Some(result) });
        result
    }
    pub fn call_at(&mut self, function: VarId, args: &[Value]) {
        self.block.push(Stmt::Call { callee: Callee::At(function), args: args.to_vec(), result: None });
    }

    /// What a part of the routine does, for a block inside another statement.
    fn inside(&mut self, body: impl FnOnce(&mut Self)) -> Block {
        let outer = std::mem::take(&mut self.block);
        body(self);
        std::mem::replace(&mut self.block, outer)
    }
    pub fn when(&mut self, flag: VarId, then: impl FnOnce(&mut Self)) {
        let then = self.inside(then);
        self.block.push(Stmt::If { when: flag, then, otherwise: vec![] });
    }
    /// One of two ways; both are written with the same state.
    pub fn choose<S>(
        &mut self,
        state: &mut S,
        when: VarId,
        then: impl FnOnce(&mut Self, &mut S),
        otherwise: impl FnOnce(&mut Self, &mut S),
    ) {
        let then = self.inside(|w| then(w, state));
        let otherwise = self.inside(|w| otherwise(w, state));
        self.block.push(Stmt::If { when, then, otherwise });
    }
    pub fn each(&mut self, from: impl Into<Value>, to: impl Into<Value>, body: impl FnOnce(&mut Self, VarId)) {
        let var = self.routine.vars.push(Var { ty: Type::Word });
        let body = self.inside(|w| body(w, var));
        self.block.push(Stmt::Each { var, from: from.into(), to: to.into(), body });
    }
    pub fn leave_loop(&mut self) {
        self.block.push(Stmt::Break);
    }
    /// Returns nothing.
    pub fn end(&mut self) {
        self.block.push(Stmt::Return(None));
    }
    pub fn leave(&mut self, value: impl Into<Value>) {
        self.block.push(Stmt::Return(Some(value.into())));
    }

    /// Returns a status when the flag is true: as it is where a status is returned, negated where a word is.
    pub fn leave_if(&mut self, flag: VarId, status: Status) {
        let sign = if self.routine.returns == Some(Type::Word) { -1 } else { 1 };
        self.leave_if_with(flag, sign * i64::from(status.code()));
    }
    pub fn leave_if_with(&mut self, flag: VarId, status: impl Into<Value>) {
        self.when(flag, |w| w.leave(status));
    }
}
