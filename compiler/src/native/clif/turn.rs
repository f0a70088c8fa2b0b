//! A parallel loop that is run backwards every other time.

use cranelift_codegen::ir::{InstBuilder, condcodes::IntCC, types};

use super::kernel::{Bind, Lower};
use crate::{
    base::Dim,
    loops::{Stmt, VarId},
};

impl Lower<'_, '_> {
    /// Runs `body` for the kernel's range, from its end to its beginning where `turn` is odd.
    pub(super) fn there_and_back(&mut self, var: VarId, body: &[Stmt], turn: &Dim) {
        let (begin, end) = self.range;
        let [before, block, after] = [(); 3].map(|()| self.b.create_block());
        let runs = self.b.ins().icmp(IntCC::SignedLessThan, begin, end);
        self.b.ins().brif(runs, before, &[], after, &[]);
        self.b.switch_to_block(before);
        self.b.seal_block(before);
        // The index is `from + way * number`.
        let turn = self.dim(turn);
        let odd = self.b.ins().band_imm_s(turn, 1);
        let last = self.b.ins().iadd_imm_s(end, -1);
        let from = self.b.ins().select(odd, last, begin);
        let twice = self.b.ins().iadd(odd, odd);
        let one = self.b.ins().iconst(types::I64, 1);
        let way = self.b.ins().isub(one, twice);
        let count = self.b.ins().isub(end, begin);
        self.scoped(|l| {
            l.hoist_addresses(body);
            l.hoist_values(body);
            l.level += 1;
            let [index, left] = [(); 2].map(|()| l.b.declare_var(types::I64));
            l.b.def_var(index, from);
            l.b.def_var(left, count);
            l.b.ins().jump(block, &[]);
            l.b.switch_to_block(block);
            let (now, remain) = (l.b.use_var(index), l.b.use_var(left));
            l.scoped(|l| {
                l.bind(var, Bind::Run(now, l.level));
                l.hoist_addresses(body);
                l.block(body);
            });
            let (next, fewer) = (l.b.ins().iadd(now, way), l.b.ins().iadd_imm_s(remain, -1));
            l.b.def_var(index, next);
            l.b.def_var(left, fewer);
            l.b.ins().brif(fewer, block, &[], after, &[]);
            l.b.seal_block(block);
            l.level -= 1;
        });
        self.b.switch_to_block(after);
        self.b.seal_block(after);
    }
}
