//! Where the features of records are.

use serde::{Deserialize, Serialize};

use super::{message::Message, wire::Wire, *};
use crate::{
    loops::{BinaryFn, Bound, CompareFn, LoopKind},
    tensor::DType,
};

/// Which map of a record: the names of its entries are keys, their values messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The features of an `Example`, or of the context of a `SequenceExample`: messages `Feature`.
    Features,
    /// The feature lists of a `SequenceExample`: messages `FeatureList`.
    Lists,
}

/// For each record, a string of operand 0, `[n]`, the messages that belong to the keys, operand 1, `[k]`: parts of the record,
/// `[n, k]`, empty where there is none. Operands 1 to 3 are those of [`Find`], which `seed` belongs to.
///
/// Of entries with one key the last one counts, but an empty feature of the first `firm` keys counts for nothing. A record
/// that is no such message is a fault, and so is a feature that begins with no list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features {
    pub part: Part,
    pub firm: i64,
    pub seed: u64,
}

/// The tag of field `n` whose value has a length.
pub(super) const fn tag(n: u8) -> u8 {
    n << 3 | 2
}

impl Features {
    fn tag(&self) -> u8 {
        match self.part {
            Part::Features => tag(1),
            Part::Lists => tag(2),
        }
    }
    /// The messages of one record.
    fn read(&self, record: &[u8], keys: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let mut found: Vec<Vec<u8>> = vec![vec![]; keys.len()];
        let mut record = Message(record);
        while !record.is_empty() {
            if !record.has(self.tag()) {
                record.skip()?;
                continue;
            }
            let mut map = Message(record.delimited()?);
            while !map.is_empty() {
                let mut entry = map.has(tag(1)).then(|| map.delimited())?.map(Message)?;
                let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
                for _ in 0..2 {
                    if entry.has(tag(1)) {
                        key = entry.delimited()?;
                    } else {
                        value = entry.has(tag(2)).then(|| entry.delimited())??;
                    }
                }
                entry.is_empty().then_some(())?;
                let Some(n) = keys.iter().position(|known| known == key) else { continue };
                if value.is_empty() && (n as i64) < self.firm {
                    continue;
                }
                let is_list = |tag: u8| matches!(tag, 0x0a | 0x12 | 0x1a);
                let begins = value.first().is_none_or(|&first| self.part == Part::Lists || is_list(first));
                begins.then_some(())?;
                found[n] = value.to_vec();
            }
        }
        Some(found)
    }
    /// An entry of a map, whose length is at `place`; the place behind it. What belongs to a key is stored.
    fn entry(
        &self,
        wire: &mut Wire<'_, '_>,
        place: &Dim,
        end: &Dim,
        store: &dyn Fn(&mut Emit<'_>, &Dim, ExprId),
    ) -> Dim {
        let text = wire.text;
        let (first, after) = wire.delimited(place, end);
        let zero = wire.at.w.int(DType::I64, 0);
        let [here, key_start, key_end, value_start, value_end] = [(); 5].map(|()| {
            let local = wire.at.w.local(DType::I64, []);
            wire.at.w.assign(local, &[], zero);
            local
        });
        let start = wire.at.w.index(first);
        wire.at.w.assign(here, &[], start);
        wire.at.each(&2.into(), LoopKind::Seq, |at, _| {
            let mut wire = Wire { at, text };
            let place = wire.at.w.read(here, &[]);
            let place = wire.at.w.set_index(place, None);
            let inside = wire.is_before(&place, &after);
            wire.require(inside);
            let (is_key, is_value) = (wire.has(&place, tag(1)), wire.has(&place, tag(2)));
            let is_key = wire.at.w.set(is_key);
            let known = wire.at.w.binary(BinaryFn::Or, is_key, is_value);
            wire.require(known);
            let (start, next) = wire.delimited(&(&place + 1), &after);
            let [start, next] = [start, next].map(|place| wire.at.w.index(place));
            for (local, new, takes_key) in
                [(key_start, start, true), (key_end, next, true), (value_start, start, false), (value_end, next, false)]
            {
                let old = wire.at.w.read(local, &[]);
                let (yes, no) = if takes_key { (new, old) } else { (old, new) };
                let value = wire.at.w.select(is_key, yes, no);
                let value = wire.at.w.set(value);
                wire.at.w.assign(local, &[], value);
            }
            wire.at.w.assign(here, &[], next);
        });
        let here = wire.at.w.read(here, &[]);
        let last = wire.at.w.index(after.clone());
        let ends = wire.at.w.compare(CompareFn::Eq, here, last);
        wire.require(ends);
        let [key_start, key_end, value_start, value_end] = [key_start, key_end, value_start, value_end].map(|local| {
            let place = wire.at.w.read(local, &[]);
            wire.at.w.set_index(place, None)
        });
        let key = wire.part(&key_start, &key_end);
        let index = Find { seed: self.seed }.emit(wire.at, key);
        let index = wire.at.w.set_index(index, None);
        let keys = wire.at.shape(1)[0].clone();
        let known = vec![Bound { index: index.clone(), extent: keys }];
        wire.at.only_within(known, |at| {
            let mut wire = Wire { at, text };
            let value = wire.part(&value_start, &value_end);
            let full = wire.is_before(&value_start, &value_end);
            let full = wire.bounds(full);
            let some = wire.at.within(
                full,
                |at| {
                    let mut wire = Wire { at, text };
                    if self.part == Part::Features {
                        let lists = [1, 2, 3].map(|n| wire.has(&value_start, tag(n)));
                        let known = lists.into_iter().reduce(|a, b| wire.at.w.binary(BinaryFn::Or, a, b));
                        wire.require(known.expect("there are lists"));
                    }
                    at.w.int(DType::I64, 1)
                },
                |at| at.w.int(DType::I64, 0),
            );
            // An empty one is stored where the key is none of the firm ones.
            let place = wire.at.w.index(&index - self.firm);
            let zero = wire.at.w.int(DType::I64, 0);
            let loose = wire.at.w.compare(CompareFn::Ge, place, zero);
            let some = wire.at.w.compare(CompareFn::Ne, some, zero);
            let counts = wire.at.w.binary(BinaryFn::Or, loose, some);
            let counts = wire.bounds(counts);
            wire.at.only_within(counts, |at| store(at, &index, value));
        });
        after
    }
}

impl Primitive for Features {
    const NAME: &'static str = "features";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], facts: &Facts) -> Infer<TensorType> {
        let [records, keys, displacements, slots] = operands(inputs)?;
        check_strings(records)?;
        if records.rank() != 1 {
            return Err(format!("{records} is no vector of records"));
        }
        Find { seed: self.seed }.infer(&[records, keys, displacements, slots], facts)?;
        Ok(TensorType::new(DType::Str, [records.shape[0].clone(), keys.shape[0].clone()]))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let keys = inputs[1].strings();
        let rows: Option<Vec<_>> = inputs[0].strings().iter().map(|record| self.read(record, keys)).collect();
        Ok(Tensor::from_strings(out, rows.ok_or(Fault::BrokenRecord)?.concat()))
    }
    /// Panics: a record is read as a whole.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("a record is read as a whole")
    }
    /// One pass over each record, whose place is before `stop` where it is within the map.
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        at.each(&shape[0], LoopKind::Seq, |at, row| {
            let record = at.read(0, std::slice::from_ref(row));
            let text = at.w.set(record);
            let (start, zero) = (at.w.start(text), at.w.int(DType::I64, 0));
            let nothing = at.w.span(start, zero);
            let nothing = at.w.set(nothing);
            at.each(&shape[1], LoopKind::Seq, |at, n| at.w.store(out, shape, &[row.clone(), n.clone()], nothing));
            let length = at.w.length(text);
            let length = at.w.set_index(length, None);
            let [place, stop] = [(); 2].map(|()| at.w.local(DType::I64, []));
            [place, stop].into_iter().for_each(|local| at.w.assign(local, &[], zero));
            let store =
                |at: &mut Emit<'_>, n: &Dim, value: ExprId| at.w.store(out, shape, &[row.clone(), n.clone()], value);
            Wire { at, text }.walk(place, &length, 2, |wire, here| {
                let end = wire.at.w.read(stop, &[]);
                let end = wire.at.w.set_index(end, None);
                let next = wire.at.within(
                    vec![Bound { index: here.clone(), extent: end.clone() }],
                    |at| {
                        let mut wire = Wire { at, text };
                        let is_entry = wire.has(here, tag(1));
                        wire.require(is_entry);
                        let next = self.entry(&mut wire, &(here + 1), &end, &store);
                        wire.at.w.index(next)
                    },
                    |at| {
                        let mut wire = Wire { at, text };
                        let is_map = wire.has(here, self.tag());
                        let is_map = wire.bounds(is_map);
                        wire.at.within(
                            is_map,
                            |at| {
                                let (start, end) = Wire { at, text }.delimited(&(here + 1), &length);
                                let end = at.w.index(end);
                                at.w.assign(stop, &[], end);
                                at.w.index(start)
                            },
                            |at| {
                                let next = skip(&mut Wire { at, text }, here, &length);
                                at.w.index(next)
                            },
                        )
                    },
                );
                wire.at.w.assign(place, &[], next);
            });
        });
    }
}

/// The place behind a field that nobody asks for.
fn skip(wire: &mut Wire<'_, '_>, place: &Dim, end: &Dim) -> Dim {
    let text = wire.text;
    let (tag, next) = wire.varint(place, end);
    let kind = wire.words().and(tag, 7);
    let kind = wire.at.w.cast(DType::I64, kind);
    let kind = wire.at.w.set_index(kind, None);
    let is = |n: i64| vec![Bound { index: &kind - n, extent: Dim::one() }];
    let fixed = |wire: &mut Wire<'_, '_>, bytes: u64| {
        let bytes = wire.words().number(bytes);
        let after = wire.behind(&next, bytes, end);
        wire.at.w.index(after)
    };
    let after = wire.at.within(
        is(0),
        |at| {
            let (_, after) = Wire { at, text }.varint(&next, end);
            at.w.index(after)
        },
        |at| {
            at.within(
                is(2),
                |at| {
                    let (_, after) = Wire { at, text }.delimited(&next, end);
                    at.w.index(after)
                },
                |at| {
                    at.within(
                        is(1),
                        |at| fixed(&mut Wire { at, text }, 8),
                        |at| {
                            let mut wire = Wire { at, text };
                            let (kind, five) = (wire.at.w.index(kind.clone()), wire.at.w.int(DType::I64, 5));
                            let known = wire.at.w.compare(CompareFn::Eq, kind, five);
                            wire.require(known);
                            fixed(&mut wire, 4)
                        },
                    )
                },
            )
        },
    );
    wire.at.w.set_index(after, None)
}
