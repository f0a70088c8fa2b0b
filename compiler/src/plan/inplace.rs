//! Results that take the place of an operand: a kernel that reads an operand at exactly the element that it then writes
//! may write over it, when nothing reads the operand afterwards.
//!
//! Every element of a result is stored once. So it is enough that each load of the operand stands in one block with the
//! only store of that block, before it, at the same index: nothing that is still to be read is lost, in whatever order,
//! by however many lanes or threads the blocks are executed. What is updated afterwards has been read before all updates,
//! or before all of the same iteration, where iterations update apart. Stores to other buffers take no part in this: no
//! two results take the place of one operand.

use super::program::{Flow, Launch, Place, Storage, StorageId, is_in_flow};
use crate::{
    base::{Arena, Dim},
    loops::{Buffer, BufferId, Expr, ExprId, Kernel, Stmt, statements, updates_apart},
};

/// Puts rows that were written and reduced by one kernel, and that another makes an output from, element by element, into
/// that output's memory: it is in a near cache by then. Nothing else reads them later, and no branch or loop touches either.
pub fn settle_in_outputs(launches: &[Launch], flows: &[Flow], storage: &mut Arena<Storage>) {
    let touches = |id: StorageId| launches.iter().enumerate().filter(move |(_, launch)| launch.args.contains(&id));
    for (n, launch) in launches.iter().enumerate() {
        let Launch { kernel, args, .. } = launch;
        let buffers = || kernel.buffers.iter().zip(args);
        let out = launch.result();
        if !matches!(storage[out].place, Place::Output(_)) || touches(out).count() > 1 || is_in_flow(flows, out) {
            continue;
        }
        let takes = |&((buffer, _), &arg): &((BufferId, &Buffer), &StorageId)| {
            let [from, to] = [arg, out].map(|id| &storage[id]);
            matches!(from.place, Place::Workspace(_))
                && (from.dtype.size(), &from.len) == (to.dtype.size(), &to.len)
                && touches(arg).next_back().is_some_and(|(last, _)| last == n)
                && touches(arg).next().is_some_and(|(_, writer)| writer.kernel.reduces_along())
                && !is_in_flow(flows, arg)
                && may_overwrite(kernel, buffer, launch.result_buffer())
        };
        if let Some((_, &arg)) = buffers().find(takes) {
            storage[arg].place = storage[out].place.clone();
        }
    }
}

/// Whether the kernel may write the buffer `result` over the buffer `read`.
pub fn may_overwrite(kernel: &Kernel, read: BufferId, result: BufferId) -> bool {
    let mut found = 0;
    in_block(kernel, &kernel.body, (read, result), &mut found)
        && found > 0
        && before_updates(kernel, &kernel.body, read)
}

/// Whether a block reads `read` before it updates anything.
fn before_updates(kernel: &Kernel, block: &[Stmt], read: BufferId) -> bool {
    let mut updated = false;
    block.iter().all(|stmt| {
        let all = || std::iter::once(stmt).chain(stmt.blocks().into_iter().flat_map(statements));
        let updates = all().any(|s| matches!(s, Stmt::Update { .. }));
        let reads = all().filter_map(Stmt::value).any(|value| !loads(kernel, value, read).is_empty());
        let in_turn = |var, body| updates_apart(kernel, var, body) && before_updates(kernel, body, read);
        let fine = match stmt {
            _ if !reads => true,
            Stmt::For { var, body, .. } if updates => !updated && in_turn(*var, body),
            _ => !updated && !updates,
        };
        updated |= updates;
        fine
    })
}

/// Checks all loads of `read` within a block; counts them.
fn in_block(kernel: &Kernel, block: &[Stmt], (read, result): (BufferId, BufferId), found: &mut usize) -> bool {
    let stores: Vec<(usize, &Dim)> = block
        .iter()
        .enumerate()
        .filter_map(|(n, stmt)| match stmt {
            Stmt::Store { buffer, index, .. } if *buffer == result => Some((n, index)),
            _ => None,
        })
        .collect();
    let store = match stores[..] {
        [store] => Some(store),
        _ => None,
    };
    block.iter().enumerate().all(|(n, stmt)| {
        let loads = stmt.value().map_or(vec![], |value| loads(kernel, value, read));
        *found += loads.len();
        loads.iter().all(|index| store.is_some_and(|(at, to)| n <= at && *index == to))
            && stmt.blocks().into_iter().all(|inner| in_block(kernel, inner, (read, result), found))
    })
}

/// The indices at which a value loads from a buffer.
pub(super) fn loads(kernel: &Kernel, value: ExprId, read: BufferId) -> Vec<&Dim> {
    let index = |e: ExprId| match &kernel.exprs[e].expr {
        Expr::Load(buffer, index) if *buffer == read => Some(index),
        _ => None,
    };
    kernel.reach(value).filter_map(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Id, loops::parse};

    fn check(body: &str) -> bool {
        let text = format!("kernel \"k\" {{\n  buffer b0 out f32[64]\n  buffer b1 in f32[64]\n{body}}}\n");
        may_overwrite(&parse(&text).unwrap(), Id::new(1), Id::new(0))
    }

    #[test]
    fn only_what_is_read_where_it_is_written_is_overwritten() {
        assert!(check(
            "  for i0 in 64 vector {\n    %0: f32 = b1[i0]\n    set v1: f32 = %0\n    %1: f32 = v1\n    b0[i0] = %1\n  }\n"
        ));
        assert!(!check("  for i0 in 63 vector {\n    %0: f32 = b1[i0+1]\n    b0[i0] = %0\n  }\n"));
        // Read again for every element of the row.
        assert!(!check(
            "  for i0 in 8 seq {\n    %0: f32 = b1[8*i0]\n    set v1: f32 = %0\n    for i2 in 8 vector {\n      %1: f32 = v1\n      \
             b0[8*i0+i2] = %1\n    }\n  }\n"
        ));
        assert!(!check("  %0: f32 = const 0.0\n  b0[0] = %0\n"));
    }

    #[test]
    fn what_is_updated_was_read_before() {
        let copy = "  for i0 in 64 vector {\n    %0: f32 = b1[i0]\n    b0[i0] = %0\n  }\n";
        let update = "  for i1 in 8 seq {\n    %1: f32 = const 1.0\n    b0[7] add= %1\n  }\n";
        assert!(check(&format!("{copy}{update}")));
        assert!(!check(&format!("{update}{copy}")));
        // Rows of their own, and one element for all of them.
        let rows = |place: &str| {
            format!(
                "  for i0 in 8 seq {{\n    for i1 in 8 vector {{\n      %0: f32 = b1[8*i0+i1]\n      b0[8*i0+i1] = %0\n    }}\n    \
                 %1: f32 = const 1.0\n    b0[{place}] add= %1\n  }}\n"
            )
        };
        assert!(check(&rows("8*i0")));
        assert!(!check(&rows("8")));
    }
}
