//! Whether a regular expression matches all of a string.

use regex_automata::{Anchored, Input, nfa::thompson::pikevm::PikeVM};
use regex_syntax::hir::{Hir, Look};
use serde::{Deserialize, Serialize};

use super::{
    super::{super::*, check_strings},
    automaton::{Net, check_size, nfa},
    syntax::parse,
};
use crate::{
    loops::{BinaryFn, CompareFn},
    tensor::{DType, Scalar},
};

/// Whether the pattern, in the syntax of RE2, matches each string as a whole; a bool. Operand 1 is by byte its class, u8, and
/// operand 2 the transitions that [`TextMatches::tables`] makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextMatches {
    pub pattern: String,
}

fn anchored(pattern: &str) -> Infer<Hir> {
    let inner = parse(pattern)?.hir;
    Ok(Hir::concat(vec![Hir::look(Look::Start), inner, Hir::look(Look::End)]))
}

impl TextMatches {
    /// Operands 1 and 2. The transitions are rows, one for each state from the first on: whether the text may end here, and behind
    /// it where each class of bytes leads, as the place behind the first cell of that row. u16, or i32 where places need it.
    pub fn tables(&self) -> Infer<[Tensor; 2]> {
        let net = Net::new(nfa(&[anchored(&self.pattern)?], false)?);
        let whole = net.whole()?;
        let row = net.class_count() + 1;
        let cells = whole.matches.len() * row;
        let dtype = if cells <= 1 << 16 { DType::U16 } else { DType::I32 };
        check_size(cells * dtype.size())?;
        let rows = whole.next.chunks(row - 1).zip(&whole.matches);
        let transitions = rows.flat_map(|(next, &ends)| {
            std::iter::once(i64::from(ends)).chain(next.iter().map(move |&to| i64::from(to) * row as i64 + 1))
        });
        let classes = net.classes.iter().map(|&class| Scalar::Uint(class.into()));
        Ok([
            Tensor::from_scalars(DType::U8, [256], classes),
            Tensor::from_scalars(dtype, [cells], transitions.map(|cell| Scalar::from_i64(dtype, cell))),
        ])
    }
}

/// Refuses operands that are no table by byte and no transitions.
pub fn check_table(table: &TensorType, dtypes: &[DType]) -> Infer<()> {
    if dtypes.contains(&table.dtype) && table.rank() == 1 { Ok(()) } else { Err(format!("{table} is no table")) }
}

impl Primitive for TextMatches {
    const NAME: &'static str = "text_matches";
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let [x, classes, transitions] = operands(inputs)?;
        check_strings(x)?;
        check_table(classes, &[DType::U8])?;
        check_table(transitions, &[DType::U16, DType::I32])?;
        parse(&self.pattern)?;
        Ok(TensorType::new(DType::Bool, x.shape.clone()))
    }
    /// By a machine that follows all threads of the automaton at once.
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let nfa = anchored(&self.pattern).and_then(|pattern| nfa(&[pattern], false)).expect("the pattern is fine");
        let machine = PikeVM::new_from_nfa(nfa).expect("a machine for each automaton");
        let mut cache = machine.create_cache();
        let matches = |s: &Vec<u8>| machine.is_match(&mut cache, Input::new(s).anchored(Anchored::Yes));
        let matches = inputs[0].strings().iter().map(matches).map(Scalar::Bool);
        Ok(Tensor::from_scalars(DType::Bool, out, matches))
    }
    fn element(&self, at: &mut Emit<'_>, ix: &[Dim]) -> ExprId {
        let x = at.read(0, ix);
        let x = at.w.set(x);
        let cells = at.shape(2)[0].clone();
        let state = at.w.local(DType::I64, []);
        let first = at.w.int(DType::I64, 1);
        at.w.assign(state, &[], first);
        let length = at.w.length(x);
        let length = at.w.set_index(length, None);
        let read = |at: &mut Emit<'_>, column: ExprId| {
            let place = at.w.read(state, &[]);
            let place = at.w.binary(BinaryFn::Add, place, column);
            let place = at.w.set_index(place, Some(cells.clone()));
            let cell = at.read(2, &[place]);
            at.w.cast(DType::I64, cell)
        };
        at.each(&length, LoopKind::Seq, |at, n| {
            let n = at.w.index(n.clone());
            let byte = at.w.byte(x, n);
            let byte = at.w.cast(DType::I64, byte);
            let byte = at.w.set_index(byte, Some(256.into()));
            let class = at.read(1, &[byte]);
            let class = at.w.cast(DType::I64, class);
            let next = read(at, class);
            at.w.assign(state, &[], next);
        });
        let before = at.w.int(DType::I64, -1);
        let ends = read(at, before);
        let ends = at.w.set(ends);
        let zero = at.w.int(DType::I64, 0);
        at.w.compare(CompareFn::Ne, ends, zero)
    }
}
