//! Blocks of space that become batch or depth, and back.

use super::{Import, Outputs, Stop, TfOp, build::one};
use crate::{base::Dim, graph::NodeId};

type Result<T> = std::result::Result<T, Stop>;

pub(super) const OPS: &[TfOp] = &[
    TfOp {
        name: "SpaceToBatchND",
        import: |cx| {
            let b = cx.ints(1, "the block shape")?;
            to_batch(cx, b, 2)
        },
    },
    TfOp {
        name: "SpaceToBatch",
        import: |cx| {
            let b = cx.node.attr_int("block_size")?;
            to_batch(cx, vec![b; 2], 1)
        },
    },
    TfOp {
        name: "BatchToSpaceND",
        import: |cx| {
            let b = cx.ints(1, "the block shape")?;
            to_space(cx, b, 2)
        },
    },
    TfOp {
        name: "BatchToSpace",
        import: |cx| {
            let b = cx.node.attr_int("block_size")?;
            to_space(cx, vec![b; 2], 1)
        },
    },
    TfOp { name: "SpaceToDepth", import: |cx| depth(cx, true) },
    TfOp { name: "DepthToSpace", import: |cx| depth(cx, false) },
];

/// Pairs of paddings or crops in operand `n`, one for each axis of a block.
fn pairs(cx: &mut Import, n: usize, block: &[i64], rank: usize) -> Result<Vec<(Dim, Dim)>> {
    if block.len() + 1 > rank || block.iter().any(|&b| b < 1) {
        return Err(format!("blocks {block:?} do not fit rank {rank}").into());
    }
    let dims = cx.dims(n, "the paddings")?;
    if dims.len() != 2 * block.len() {
        return Err(format!("{} paddings do not fit {} axes", dims.len(), block.len()).into());
    }
    for padding in &dims {
        cx.require_at_most(&Dim::zero(), padding, "a padding is negative")?;
    }
    Ok(dims.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

/// The place in the block is the major part of the batch.
fn to_batch(cx: &mut Import, block: Vec<i64>, operand: usize) -> Outputs {
    let x = cx.arg(0)?;
    let rank = cx.rank(x);
    let pads = pairs(cx, operand, &block, rank)?;
    let (mut low, mut high) = (vec![Dim::zero(); rank], vec![Dim::zero(); rank]);
    for (a, (l, h)) in pads.into_iter().enumerate() {
        (low[a + 1], high[a + 1]) = (l, h);
    }
    let zero = cx.scalar_like(x, 0.0)?;
    let x = cx.pad(x, zero, &low, &high)?;
    let shape = cx.shape(x);
    let m = block.len();
    let (mut apart, mut result) = (vec![shape[0].clone()], vec![Dim::from(block.iter().product::<i64>()) * &shape[0]]);
    for (n, &b) in shape[1..].iter().zip(&block) {
        let places = divided(cx, n, b)?;
        apart.extend([places.clone(), Dim::from(b)]);
        result.push(places);
    }
    apart.extend_from_slice(&shape[m + 1..]);
    result.extend_from_slice(&shape[m + 1..]);
    let x = cx.reshape(x, &apart)?;
    let inner = (0..m).map(|i| 2 * i + 2);
    let perm: Vec<usize> = inner.chain([0]).chain((0..m).map(|i| 2 * i + 1)).chain(2 * m + 1..m + rank).collect();
    let x = cx.transpose(x, &perm)?;
    one(cx.reshape(x, &result)?)
}

/// `n / by`, which has to be exact.
fn divided(cx: &mut Import, n: &Dim, by: i64) -> Result<Dim> {
    let places = n.floor_div(&Dim::from(by));
    cx.require_equal(n, &(&places * by), "an extent and a multiple of its block")?;
    Ok(places)
}

fn to_space(cx: &mut Import, block: Vec<i64>, operand: usize) -> Outputs {
    let x = cx.arg(0)?;
    let rank = cx.rank(x);
    let crops = pairs(cx, operand, &block, rank)?;
    let shape = cx.shape(x);
    let m = block.len();
    let batch = divided(cx, &shape[0], block.iter().product())?;
    let apart: Vec<Dim> =
        block.iter().map(|&b| Dim::from(b)).chain([batch.clone()]).chain(shape[1..].iter().cloned()).collect();
    let x = cx.reshape(x, &apart)?;
    let perm: Vec<usize> =
        [m].into_iter().chain((0..m).flat_map(|i| [m + 1 + i, i])).chain(2 * m + 1..m + rank).collect();
    let x = cx.transpose(x, &perm)?;
    let mut whole = vec![batch];
    whole.extend(shape[1..=m].iter().zip(&block).map(|(n, &b)| n * b));
    whole.extend_from_slice(&shape[m + 1..]);
    let x = cx.reshape(x, &whole)?;
    let mut start = vec![Dim::zero(); rank];
    for (a, (low, high)) in crops.into_iter().enumerate() {
        let cropped = &low + &high;
        cx.require_at_most(&cropped, &whole[a + 1], "the crops and the extent")?;
        whole[a + 1] = &whole[a + 1] - cropped;
        start[a + 1] = low;
    }
    one(cx.slice(x, start, vec![1; rank], whole)?)
}

/// The place in the block is the major part of the depth.
fn depth(cx: &mut Import, down: bool) -> Outputs {
    let x = cx.arg(0)?;
    let block = cx.node.attr_int("block_size")?;
    if cx.rank(x) != 4 || block < 1 {
        return Err(format!("blocks of {block} do not fit rank {}", cx.rank(x)).into());
    }
    let layout = super::conv::Layout::of(cx.node.attr_str("data_format")?, 4)?;
    let x = cx.transpose(x, &layout.channels_last())?;
    let shape = cx.shape(x);
    let b = Dim::from(block);
    let [n, h, w, c] = &shape[..] else { return Err("expected rank 4".into()) };
    let y: NodeId = if down {
        let (h, w) = (divided(cx, h, block)?, divided(cx, w, block)?);
        let x = cx.reshape(x, &[n.clone(), h.clone(), b.clone(), w.clone(), b.clone(), c.clone()])?;
        let x = cx.transpose(x, &[0, 1, 3, 2, 4, 5])?;
        cx.reshape(x, &[n.clone(), h, w, c * (block * block)])?
    } else {
        let c = divided(cx, c, block * block)?;
        let x = cx.reshape(x, &[n.clone(), h.clone(), w.clone(), b.clone(), b.clone(), c.clone()])?;
        let x = cx.transpose(x, &[0, 1, 3, 2, 4, 5])?;
        cx.reshape(x, &[n.clone(), h * block, w * block, c])?
    };
    one(cx.transpose(y, &layout.back())?)
}
