//! Code for FarmHash's `Fingerprint64`, as `base::farm` defines it.

use super::super::words::Words;
use crate::{
    base::{
        Dim,
        farm::{K0, K1, K2},
    },
    loops::{Emit, ExprId, LocalId, LoopKind},
    tensor::DType,
};

/// The hash of a string: one piece of code for each range of lengths.
pub fn emit(w: &mut Words<'_, '_>, x: ExprId) -> ExprId {
    let (length, n) = w.length(x);
    let up_to = |w: &mut Words<'_, '_>,
                 most: i64,
                 few: &dyn Fn(&mut Words<'_, '_>) -> ExprId,
                 many: &dyn Fn(&mut Words<'_, '_>) -> ExprId| {
        w.at.within(
            Words::below(&length, most + 1),
            |at: &mut Emit<'_>| few(&mut Words { at }),
            |at: &mut Emit<'_>| many(&mut Words { at }),
        )
    };
    up_to(
        w,
        16,
        &|w| {
            up_to(
                w,
                7,
                &|w| {
                    up_to(w, 3, &|w| up_to(w, 0, &|w| w.number(K2), &|w| bytes(w, x, &length, n)), &|w| {
                        up_to_7(w, x, &length, n)
                    })
                },
                &|w| up_to_16(w, x, &length, n),
            )
        },
        &|w| {
            up_to(w, 64, &|w| up_to(w, 32, &|w| up_to_32(w, x, &length, n), &|w| up_to_64(w, x, &length, n)), &|w| {
                many(w, x, &length, n)
            })
        },
    )
}

fn mixed(w: &mut Words<'_, '_>, a: ExprId) -> ExprId {
    w.folded(a, 47)
}

fn pair(w: &mut Words<'_, '_>, u: ExprId, v: ExprId, by: ExprId) -> ExprId {
    let v = w.set(v);
    let a = w.xor(u, v);
    let a = w.mul(a, by);
    let a = mixed(w, a);
    let b = w.xor(v, a);
    let b = w.mul(b, by);
    let b = mixed(w, b);
    w.mul(b, by)
}

/// `K2 + 2 n`.
fn factor(w: &mut Words<'_, '_>, n: ExprId) -> ExprId {
    let twice = w.left(n, 1);
    let by = w.plus(twice, K2);
    w.set(by)
}

fn bytes(w: &mut Words<'_, '_>, x: ExprId, length: &Dim, n: ExprId) -> ExprId {
    let [a, b, c] = [Dim::zero(), length.floor_div(&2.into()), length - 1].map(|at| w.byte(x, &at));
    let (b, c) = (w.left(b, 8), w.left(c, 2));
    let (y, z) = (w.add(a, b), w.add(n, c));
    let (y, z) = (w.times(y, K2), w.times(z, K0));
    let both = w.xor(y, z);
    let both = mixed(w, both);
    w.times(both, K2)
}

fn up_to_7(w: &mut Words<'_, '_>, x: ExprId, length: &Dim, n: ExprId) -> ExprId {
    let four = |w: &mut Words<'_, '_>, first: Dim| {
        let bytes: Vec<ExprId> = (0..4).map(|k| w.byte(x, &(&first + k))).collect();
        let all = bytes.into_iter().enumerate().map(|(k, byte)| w.left(byte, 8 * k as u64)).collect::<Vec<_>>();
        all.into_iter().reduce(|a, b| w.add(a, b)).expect("four bytes")
    };
    let (a, b) = (four(w, Dim::zero()), four(w, length - 4));
    let a = w.left(a, 3);
    let u = w.add(n, a);
    let by = factor(w, n);
    pair(w, u, b, by)
}

fn up_to_16(w: &mut Words<'_, '_>, x: ExprId, length: &Dim, n: ExprId) -> ExprId {
    let by = factor(w, n);
    let (a, b) = (w.word(x, &Dim::zero()), w.word(x, &(length - 8)));
    let a = w.plus(a, K2);
    let a = w.set(a);
    let c = w.rotated_right(b, 37);
    let c = w.mul(c, by);
    let c = w.add(c, a);
    let d = w.rotated_right(a, 25);
    let d = w.add(d, b);
    let d = w.mul(d, by);
    pair(w, c, d, by)
}

/// `(a + b) >> 43 + c >> 30 + d`, turned around, not shifted.
fn sum(w: &mut Words<'_, '_>, a: ExprId, b: ExprId, c: ExprId, d: ExprId) -> ExprId {
    let both = w.add(a, b);
    let both = w.set(both);
    let (first, second) = (w.rotated_right(both, 43), w.rotated_right(c, 30));
    let sum = w.add(first, second);
    let sum = w.add(sum, d);
    w.set(sum)
}

/// `a + (b + c) >> 18 + d`, turned around.
fn other_sum(w: &mut Words<'_, '_>, a: ExprId, b: ExprId, c: ExprId, d: ExprId) -> ExprId {
    let inner = w.add(b, c);
    let inner = w.set(inner);
    let inner = w.rotated_right(inner, 18);
    let sum = w.add(a, inner);
    w.add(sum, d)
}

fn up_to_32(w: &mut Words<'_, '_>, x: ExprId, length: &Dim, n: ExprId) -> ExprId {
    let by = factor(w, n);
    let (a, b) = (w.word(x, &Dim::zero()), w.word(x, &8.into()));
    let (c, d) = (w.word(x, &(length - 8)), w.word(x, &(length - 16)));
    let (a, c, d) = (w.times(a, K1), w.mul(c, by), w.times(d, K2));
    let [a, c, d] = [a, c, d].map(|value| w.set(value));
    let u = sum(w, a, b, c, d);
    let k2 = w.number(K2);
    let v = other_sum(w, a, b, k2, c);
    pair(w, u, v, by)
}

fn up_to_64(w: &mut Words<'_, '_>, x: ExprId, length: &Dim, n: ExprId) -> ExprId {
    let by = factor(w, n);
    let (a, b) = (w.word(x, &Dim::zero()), w.word(x, &8.into()));
    let (c, d) = (w.word(x, &(length - 8)), w.word(x, &(length - 16)));
    let (a, c, d) = (w.times(a, K2), w.mul(c, by), w.times(d, K2));
    let [a, c, d] = [a, c, d].map(|value| w.set(value));
    let y = sum(w, a, b, c, d);
    let k2 = w.number(K2);
    let v = other_sum(w, a, b, k2, c);
    let z = pair(w, y, v, by);
    let (e, f) = (w.word(x, &16.into()), w.word(x, &24.into()));
    let (g, h) = (w.word(x, &(length - 32)), w.word(x, &(length - 24)));
    let (g, h) = (w.add(y, g), w.add(z, h));
    let (e, g, h) = (w.mul(e, by), w.mul(g, by), w.mul(h, by));
    let [e, g, h] = [e, g, h].map(|value| w.set(value));
    let u = sum(w, e, f, g, h);
    let v = other_sum(w, e, f, a, g);
    pair(w, u, v, by)
}

/// A hash of 32 bytes from a place on, of two seeds.
fn of_32(w: &mut Words<'_, '_>, x: ExprId, at: &Dim, a: ExprId, b: ExprId) -> (ExprId, ExprId) {
    let [first, second, third, last] = [0, 8, 16, 24].map(|n| w.word(x, &(at + n)));
    let a = w.add(a, first);
    let a = w.set(a);
    let b = w.add(b, a);
    let b = w.add(b, last);
    let b = w.set(b);
    let b = w.rotated_right(b, 21);
    let c = w.add(a, second);
    let c = w.add(c, third);
    let c = w.set(c);
    let turned = w.rotated_right(c, 44);
    let b = w.add(b, turned);
    let (first, second) = (w.add(c, last), w.add(b, a));
    (w.set(first), w.set(second))
}

/// The seven words that go over blocks: x, y, z, two of v and two of w.
struct State([LocalId; 7]);

impl State {
    fn read(&self, w: &mut Words<'_, '_>) -> [ExprId; 7] {
        self.0.map(|local| {
            let value = w.at.w.read(local, &[]);
            w.set(value)
        })
    }
    fn assign(&self, w: &mut Words<'_, '_>, values: [ExprId; 7]) {
        let values = values.map(|value| w.set(value));
        self.0.into_iter().zip(values).for_each(|(local, value)| w.at.w.assign(local, &[], value));
    }
    /// A block of 64 bytes from a place on.
    fn block(&self, w: &mut Words<'_, '_>, text: ExprId, at: &Dim, by: ExprId, weights: [u64; 2]) {
        let [x, y, z, v0, v1, w0, w1] = self.read(w);
        let [second, third, sixth, seventh] = [8, 16, 40, 48].map(|n| w.word(text, &(at + n)));
        let turned = |w: &mut Words<'_, '_>, parts: &[ExprId], turn: u64| {
            let sum = parts.iter().copied().reduce(|a, b| w.add(a, b)).expect("there are parts");
            let sum = w.set(sum);
            let sum = w.rotated_right(sum, turn);
            w.mul(sum, by)
        };
        let (x, y) = (turned(w, &[x, y, v0, second], 37), turned(w, &[y, v1, seventh], 42));
        let (high, low) = (w.times(w1, weights[0]), w.times(v0, weights[1]));
        let x = w.xor(x, high);
        let y = w.add(y, low);
        let y = w.add(y, sixth);
        let z = turned(w, &[z, w0], 33);
        let [x, y, z] = [x, y, z].map(|value| w.set(value));
        let (a, b) = (w.mul(v1, by), w.add(x, w0));
        let v = of_32(w, text, at, a, b);
        let (a, b) = (w.add(z, w1), w.add(y, third));
        let of_w = of_32(w, text, &(at + 32), a, b);
        self.assign(w, [z, y, x, v.0, v.1, of_w.0, of_w.1]);
    }
}

fn many(w: &mut Words<'_, '_>, text: ExprId, length: &Dim, n: ExprId) -> ExprId {
    const SEED: u64 = 81;
    let y = SEED.wrapping_mul(K1).wrapping_add(113);
    let z = y.wrapping_mul(K2).wrapping_add(113);
    let z = (z ^ z >> 47).wrapping_mul(K2);
    let state = State([(); 7].map(|()| w.at.w.local(DType::U64, [])));
    let first = w.word(text, &Dim::zero());
    let x = w.plus(first, SEED.wrapping_mul(K2));
    let [y, z, none] = [y, z, 0].map(|value| w.number(value));
    state.assign(w, [x, y, z, none, none, none, none]);
    let blocks = (length - 1).floor_div(&64.into());
    w.at.each(&blocks, LoopKind::Seq, |at, block| {
        let mut w = Words { at };
        let by = w.number(K1);
        state.block(&mut w, text, &(block * 64), by, [1, 1]);
    });
    let [x, y, z, v0, v1, w0, w1] = state.read(w);
    let low = w.and(z, 0xff);
    let low = w.left(low, 1);
    let by = w.plus(low, K1);
    let by = w.set(by);
    let before = w.plus(n, u64::MAX);
    let rest = w.and(before, 63);
    let w0 = w.add(w0, rest);
    let w0 = w.set(w0);
    let v0 = w.add(v0, w0);
    let v0 = w.set(v0);
    let w0 = w.add(w0, v0);
    state.assign(w, [x, y, z, v0, v1, w0, w1]);
    state.block(w, text, &(length - 64), by, [9, 9]);
    let [x, y, z, v0, v1, w0, w1] = state.read(w);
    let first = pair(w, v0, w0, by);
    let y = mixed(w, y);
    let y = w.times(y, K0);
    let first = w.add(first, y);
    let first = w.add(first, z);
    let second = pair(w, v1, w1, by);
    let second = w.add(second, x);
    pair(w, first, second, by)
}
