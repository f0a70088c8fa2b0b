//! At the end of a loop's body: its counters step behind the last use of their old values, so that both share a register
//! and the way back is a jump alone; and the comparison stands before its jump, with which the machine makes it one.
//!
//! What moves neither reads nor writes flags, but for the comparison, which is the last to set them.

use super::{
    function::{Block, Function},
    inst::{Access, Inst, Op, Operand, Reg},
    rows::Form,
    schedule::touches_flags,
};

pub fn sink(f: &mut Function) {
    for id in f.blocks.ids() {
        let back = f.blocks[id].end.edges().find(|e| e.target <= id);
        let Some(edge) = back else { continue };
        let counters: Vec<(Reg, Reg)> =
            f.blocks[edge.target].params.iter().copied().zip(edge.args.iter().copied()).collect();
        let block = &mut f.blocks[id];
        compare(block);
        counters.into_iter().for_each(|(old, new)| step(block, old, new));
    }
}

/// Moves the step from `old` to `new` behind what else reads `old`.
fn step(block: &mut Block, old: Reg, new: Reg) {
    let insts = &mut block.insts;
    let Some(at) = insts.iter().position(|i| i.op == Op::Lea && i.def() == Some(new) && reads(i, old)) else { return };
    let Some(last) = insts.iter().rposition(|i| i.def() != Some(new) && reads(i, old)) else { return };
    if last > at && !insts[at + 1..=last].iter().any(|i| reads(i, new)) {
        insts[at..=last].rotate_left(1);
    }
}

/// Moves the comparison that the block ends by to its end.
fn compare(block: &mut Block) {
    let insts = &mut block.insts;
    if let Some(at) = insts.iter().rposition(touches_flags)
        && matches!(insts[at].op.row().form, Form::AluFlags(_))
        && !insts[at].operands.iter().any(|o| matches!(o, Operand::Mem(_)))
    {
        insts[at..].rotate_left(1);
    }
}

fn reads(inst: &Inst, r: Reg) -> bool {
    let mut found = false;
    inst.visit(|used, access| found |= used == r && access == Access::Use);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Id,
        native::x86::{
            function::{Convention, Edge, End, Level, Test},
            inst::{Class, Cond, Mem, Size},
        },
    };

    #[test]
    fn a_counter_steps_behind_its_last_use_and_the_comparison_stands_last() {
        let mut f = Function::new(Level::Avx2, Convention::SystemV);
        let [entry, body, exit] = [f.block(0), f.block(1), f.block(0)];
        let [start, old, new] = [(); 3].map(|()| f.register(Class::Int, 8));
        let v = f.register(Class::Vec, 32);
        f.blocks[entry].params = vec![start];
        f.blocks[entry].end = End::Jump(Edge { target: body, args: vec![start] });
        f.blocks[body].params = vec![old];
        f.blocks[body].insts = vec![
            Inst::new(Op::Lea, Size::B8, [new.into(), Mem::new(old, 32).into()]),
            Inst::new(Op::Cmp, Size::B8, [new.into(), 640.into()]),
            Inst::new(Op::Movups, Size::B32, [v.into(), Mem::new(old, 0).into()]),
            Inst::new(Op::MovupsStore, Size::B32, [Mem::new(start, 0).into(), v.into()]),
        ];
        let back = Edge { target: body, args: vec![new] };
        f.blocks[body].end = End::Branch(Test::If(Cond::L), back, Edge { target: exit, args: vec![] });
        sink(&mut f);
        // The step may not pass what reads the new value: the comparison has moved before it.
        let ops = |f: &Function| f.blocks[Id::new(1)].insts.iter().map(|i| i.op).collect::<Vec<_>>();
        assert_eq!(ops(&f), [Op::Movups, Op::Lea, Op::MovupsStore, Op::Cmp]);
    }
}
