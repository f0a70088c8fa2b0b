//! Where buffers lie in the workspace.
//!
//! The bytes of a buffer are an integer times a polynomial of the symbols that has no common factor, such as
//! 3136 x `batch`. Buffers of one polynomial share an arena, planned with integers: the integers are multiples of 64, so
//! that every offset keeps alignment whatever the symbols are. The arenas follow one another.
//!
//! Buffers whose lives overlap never overlap in memory; a life is a closed range of launches.

use std::collections::BTreeMap;

use super::fuse::estimate;
use crate::base::Dim;

/// One buffer: its size and the launches that first and last touch it.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    pub bytes: Dim,
    pub first: usize,
    pub last: usize,
}

/// The offset of each buffer, the size of the workspace, and the bytes that any plan needs at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub offsets: Vec<Dim>,
    pub total: Dim,
    pub bound: Dim,
}

/// Beyond this many buffers only the strategies that follow time are tried.
const MAX_PAIRWISE: usize = 2048;

/// Places all buffers.
pub fn plan(lives: &[Life]) -> Layout {
    let mut arenas: BTreeMap<Dim, Vec<usize>> = BTreeMap::new();
    let mut sizes = vec![0u64; lives.len()];
    for (n, life) in lives.iter().enumerate() {
        let (factor, polynomial) = split(&life.bytes);
        sizes[n] = factor.next_multiple_of(64);
        arenas.entry(polynomial).or_default().push(n);
    }
    let mut layout = Layout { offsets: vec![Dim::zero(); lives.len()], total: Dim::zero(), bound: bound(lives) };
    for (polynomial, members) in arenas {
        let blocks: Vec<Block> = members
            .iter()
            .map(|&n| Block { size: sizes[n], first: lives[n].first, last: lives[n].last })
            .filter(|b| b.size > 0)
            .collect();
        let (places, size) = best(&blocks);
        let mut places = places.into_iter();
        for n in members {
            if sizes[n] > 0
                && let Some(place) = places.next()
            {
                layout.offsets[n] = &layout.total + integer(place) * &polynomial;
            }
        }
        layout.total = layout.total + integer(size) * &polynomial;
    }
    layout
}

fn integer(n: u64) -> Dim {
    Dim::from(i64::try_from(n).unwrap_or(i64::MAX))
}

/// An integer and a polynomial without a common factor, whose product the dim is.
fn split(bytes: &Dim) -> (u64, Dim) {
    let factor = bytes.content();
    if factor == 0 {
        return (0, Dim::one());
    }
    let terms = bytes.terms().iter().cloned().map(|mut t| {
        t.k /= factor;
        t
    });
    (factor as u64, Dim::from_terms(terms))
}

/// The bytes that are live at the fullest moment, guessing at symbols.
fn bound(lives: &[Life]) -> Dim {
    let end = lives.iter().map(|l| l.last + 1).max().unwrap_or(0);
    let (mut begins, mut ends) = (vec![vec![]; end], vec![vec![]; end]);
    for life in lives {
        begins[life.first].push(&life.bytes);
        ends[life.last].push(&life.bytes);
    }
    let (mut live, mut fullest) = (Dim::zero(), Dim::zero());
    for (begins, ends) in begins.into_iter().zip(ends) {
        live = begins.into_iter().fold(live, |live, bytes| live + bytes);
        if estimate(&live) > estimate(&fullest) {
            fullest = live.clone();
        }
        live = ends.into_iter().fold(live, |live, bytes| live - bytes);
    }
    fullest
}

#[derive(Clone, Copy, Debug)]
struct Block {
    size: u64,
    first: usize,
    last: usize,
}

impl Block {
    fn meets(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// The smaller result of the strategies: offsets in the order of the blocks, and the end.
fn best(blocks: &[Block]) -> (Vec<u64>, u64) {
    let mut tried = vec![sweep(blocks, 0), sweep(blocks, fullest(blocks))];
    if blocks.len() <= MAX_PAIRWISE {
        tried.extend(orders(blocks).iter().map(|order| greedy(blocks, order)));
    }
    tried.into_iter().min_by_key(|(_, end)| *end).unwrap_or_default()
}

/// The orders in which blocks are placed one by one.
fn orders(blocks: &[Block]) -> [Vec<usize>; 2] {
    let mut by_size: Vec<usize> = (0..blocks.len()).collect();
    by_size.sort_by_key(|&n| (std::cmp::Reverse(blocks[n].size), n));
    // Who has many bytes beside it is placed first.
    let crowd = |b: &Block| blocks.iter().filter(|o| o.meets(b)).map(|o| o.size).sum::<u64>();
    let crowds: Vec<u64> = blocks.iter().map(crowd).collect();
    let mut by_conflict = by_size.clone();
    by_conflict.sort_by_key(|&n| std::cmp::Reverse(crowds[n]));
    [by_size, by_conflict]
}

/// Places blocks in this order, each in the lowest gap between those it meets in time.
fn greedy(blocks: &[Block], order: &[usize]) -> (Vec<u64>, u64) {
    let mut places = vec![0; blocks.len()];
    // Ascending by place.
    let mut placed: Vec<usize> = vec![];
    let mut end = 0;
    for &n in order {
        let block = &blocks[n];
        let mut place = 0;
        for &other in placed.iter().filter(|&&o| blocks[o].meets(block)) {
            if place + block.size <= places[other] {
                break;
            }
            place = place.max(places[other] + blocks[other].size);
        }
        places[n] = place;
        end = end.max(place + block.size);
        placed.insert(placed.partition_point(|&o| places[o] <= place), n);
    }
    (places, end)
}

/// Places blocks as they come into life, each in the smallest gap that fits, and frees them as they die. Below
/// `ceiling` a block lies at that end of its gap whose neighbour lives longer, so that gaps grow together.
fn sweep(blocks: &[Block], ceiling: u64) -> (Vec<u64>, u64) {
    let mut places = vec![0; blocks.len()];
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&n| (blocks[n].first, std::cmp::Reverse(blocks[n].size), n));
    // Live blocks by place, and by the end of their lives.
    let mut live: BTreeMap<u64, usize> = BTreeMap::new();
    let mut deaths: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let mut end = 0;
    for n in order {
        let block = &blocks[n];
        while let Some((&key, &place)) = deaths.first_key_value()
            && key.0 < block.first
        {
            deaths.remove(&key);
            live.remove(&place);
        }
        let mut best: Option<(u64, u64)> = None;
        // The end of the last neighbour, and of its life; walls live forever.
        let (mut at, mut below) = (0, usize::MAX);
        let neighbours = live.iter().map(|(&place, &n)| (place, blocks[n].size, blocks[n].last));
        for (place, size, last) in neighbours.chain([(ceiling, 0, usize::MAX)]) {
            let gap = place.saturating_sub(at);
            if gap >= block.size && best.is_none_or(|(size, _)| gap < size) {
                best = Some((gap, if below >= last { at } else { place - block.size }));
            }
            if size > 0 {
                (at, below) = (place + size, last);
            }
        }
        let place = best.map_or(at, |(_, place)| place);
        places[n] = place;
        end = end.max(place + block.size);
        live.insert(place, n);
        deaths.insert((block.last, n), place);
    }
    (places, end)
}

/// The bytes that are live at the fullest moment.
fn fullest(blocks: &[Block]) -> u64 {
    let mut changes: Vec<(usize, bool, u64)> = vec![];
    blocks.iter().for_each(|b| changes.extend([(b.first, true, b.size), (b.last + 1, false, b.size)]));
    // What ends makes room for what begins at the same moment.
    changes.sort();
    let (mut live, mut most) = (0, 0);
    for (_, begins, size) in changes {
        live = if begins { live + size } else { live - size };
        most = most.max(live);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(bytes: &str, first: usize, last: usize) -> Life {
        Life { bytes: bytes.parse().unwrap(), first, last }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let layout = plan(&[life("256*N", 0, 1), life("256*N", 1, 2), life("256*N", 2, 3), life("0", 0, 3)]);
        assert_eq!(layout.total.to_string(), "512*N");
        assert_eq!(layout.bound.to_string(), "512*N");
        assert_eq!(layout.offsets[0], layout.offsets[2]);
    }

    #[test]
    fn each_polynomial_has_an_arena() {
        let layout = plan(&[life("100", 0, 1), life("12*N", 0, 1), life("4*N*T+4*T", 0, 1)]);
        assert_eq!(layout.total.to_string(), "128+64*N+64*N*T+64*T".parse::<Dim>().unwrap().to_string());
    }

    #[test]
    fn blocks_that_meet_do_not_overlap() {
        let mut state = 1u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        for _ in 0..200 {
            let blocks: Vec<Block> = (0..random(24))
                .map(|_| {
                    let first = random(20) as usize;
                    Block { size: (random(9) + 1) * 64, first, last: first + random(6) as usize }
                })
                .collect();
            for (places, end) in [sweep(&blocks, 0), sweep(&blocks, fullest(&blocks)), best(&blocks)] {
                assert!(end >= fullest(&blocks));
                for (n, a) in blocks.iter().enumerate() {
                    assert!(places[n] % 64 == 0 && places[n] + a.size <= end);
                    for (m, b) in blocks.iter().enumerate().filter(|(m, b)| *m != n && b.meets(a)) {
                        assert!(places[n] + a.size <= places[m] || places[m] + b.size <= places[n]);
                    }
                }
            }
        }
    }
}
