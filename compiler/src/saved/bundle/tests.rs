//! Every form of bundle reads; every damage is told.

use std::sync::Arc;

use bytes::Bytes;
use prost::{Message, encoding::encode_varint};
use smc_proto::{DataType, SavedSlice, SavedSliceMeta, SavedTensorSliceMeta, SavedTensorSlices, TensorProto};

use super::{
    Bundle, Slice,
    writer::{Writer, table},
};
use crate::{saved::files::Memory, tensor::Tensor};

fn open(files: Memory) -> Bundle {
    Bundle::open(Arc::new(files), "v").unwrap().unwrap()
}

fn read(writer: &Writer, key: &str) -> Result<Tensor, String> {
    open(writer.finish("v")).read(key, None).map_err(|d| d.message)
}

#[test]
fn plain_tensors_read_in_every_layout() {
    for (snappy, big_endian, padding) in [(false, false, 0), (true, false, 3), (false, true, 0), (true, true, 64)] {
        let mut w = Writer { snappy, big_endian, padding, ..Default::default() };
        for n in 0..10 {
            w.floats(format!("layer/{n}").as_bytes(), n % 3, &[2], &[n as f32, -0.5]);
        }
        w.strings(b"words", &[2, 1], &["a".repeat(300).as_bytes(), b""]);
        w.raw(b"flags", 0, DataType::DtBool, &[2], &[1, 0]);
        let complex: Vec<u8> =
            [1f32, 2.0].iter().flat_map(|x| if big_endian { x.to_be_bytes() } else { x.to_le_bytes() }).collect();
        w.raw(b"complex", 1, DataType::DtComplex64, &[1], &complex);
        w.floats(b"none", 0, &[0, 7], &[]);
        let bundle = open(w.finish("v"));
        for n in 0..10 {
            assert_eq!(bundle.read(&format!("layer/{n}"), None).unwrap(), Tensor::from_f32([2], &[n as f32, -0.5]));
        }
        assert_eq!(bundle.read("words", None).unwrap().strings(), ["a".repeat(300).into_bytes(), vec![]]);
        assert_eq!(bundle.read("flags", None).unwrap().bytes(), [1, 0]);
        assert_eq!(bundle.read("complex", None).unwrap().get(0), crate::tensor::Scalar::C64(1.0, 2.0));
        assert_eq!(bundle.read("none", None).unwrap().shape, [0, 7]);
        assert_eq!(bundle.keys().count(), 14);
        assert!(bundle.ty("layer/3").unwrap().shape.admits(&[2]) && bundle.ty("no").is_none());
    }
}

#[test]
fn partitioned_tensors_are_put_together() {
    let mut w = Writer::default();
    w.partitioned(b"w", &[3, 2], &[(2, 1, &[5.0, 6.0]), (0, 2, &[1.0, 2.0, 3.0, 4.0])]);
    let bundle = open(w.finish("v"));
    assert_eq!(bundle.read("w", None).unwrap(), Tensor::from_f32([3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let part = |text| bundle.read("w", Some(&Slice::parse(text).unwrap().1)).map_err(|d| d.message);
    assert_eq!(part("3 2 2,1:0,2"), Ok(Tensor::from_f32([1, 2], &[5.0, 6.0])), "a stored part");
    assert_eq!(part("3 2 1,2:1,1"), Ok(Tensor::from_f32([2, 1], &[4.0, 6.0])), "a part across two");
    assert!(part("3 2 2,2:0,2").is_err());
    assert_eq!(bundle.keys().collect::<Vec<_>>(), ["w"]);

    let mut twice = Writer::default();
    twice.partitioned(b"w", &[2, 1], &[(0, 1, &[1.0]), (0, 1, &[1.0])]);
    assert_eq!(read(&twice, "w"), Err("checkpoint tensor `w`: its slices do not cover it exactly once".into()));
    let mut short = Writer::default();
    short.partitioned(b"w", &[1 << 40, 1], &[(0, 1, &[1.0])]);
    assert!(read(&short, "w").unwrap_err().contains("do not cover"));
    let mut outside = Writer::default();
    outside.partitioned(b"w", &[2, 1], &[(0, 1, &[1.0]), (1, 2, &[1.0, 2.0])]);
    assert!(read(&outside, "w").unwrap_err().contains("outside"));
}

/// A checkpoint of version 1 in two files, with one tensor in a piece in each.
fn version_1(change: impl Fn(&mut Vec<SavedTensorSlices>)) -> Memory {
    let file = |slice: &Slice, values: &[f32], others: &[(&str, TensorProto)]| {
        let mut listed = vec![(b"w".to_vec(), slice.clone(), DataType::DtFloat, super::writer::shape(&[3]))];
        let mut data = vec![TensorProto { float_val: values.to_vec(), ..Default::default() }];
        for (name, value) in others {
            let dtype = if value.string_val.is_empty() { DataType::DtHalf } else { DataType::DtString };
            listed.push((name.as_bytes().to_vec(), Slice(vec![(0, None)]), dtype, super::writer::shape(&[2])));
            data.push(value.clone());
        }
        let tensor = listed.iter().map(|(name, slice, dtype, shape)| SavedSliceMeta {
            name: String::from_utf8(name.clone()).unwrap(),
            shape: Some(shape.clone()),
            r#type: *dtype as i32,
            slice: vec![slice.to_proto()],
        });
        let meta = SavedTensorSliceMeta { tensor: tensor.collect(), versions: None };
        let mut messages = vec![SavedTensorSlices { meta: Some(meta), data: None }];
        messages.extend(data.into_iter().map(|data| SavedTensorSlices {
            meta: None,
            data: Some(SavedSlice { data: Some(data), ..Default::default() }),
        }));
        change(&mut messages);
        let keys = listed.iter().map(|(name, slice, _, _)| slice.key(name));
        let mut entries: Vec<_> =
            std::iter::once(vec![]).chain(keys).zip(messages.iter().map(|m| m.encode_to_vec())).collect();
        entries.sort();
        Bytes::from(table(&entries, true))
    };
    let halves = TensorProto { half_val: vec![0x3c00, 0xbc00], ..Default::default() };
    let words = TensorProto { string_val: vec!["a".into(), "".into()], ..Default::default() };
    let slice = |start, length| Slice(vec![(start, length)]);
    let first = file(&slice(0, Some(2)), &[1.0, 2.0], &[("h", halves)]);
    let second = file(&slice(2, Some(1)), &[3.0], &[("s", words)]);
    let path = |shard| format!("v-0000{shard}-of-00002");
    Memory([(path(0), first), (path(1), second)].into())
}

#[test]
fn checkpoints_of_version_1_are_read() {
    let files = version_1(|_| ());
    let bundle = open(files.clone());
    assert_eq!(bundle.keys().collect::<Vec<_>>(), ["h", "s", "w"]);
    assert_eq!(bundle.read("w", None).unwrap(), Tensor::from_f32([3], &[1.0, 2.0, 3.0]));
    let part = |text| bundle.read("w", Some(&Slice::parse(text).unwrap().1)).unwrap();
    assert_eq!(part("3 2,1"), Tensor::from_f32([1], &[3.0]), "a stored part");
    assert_eq!(part("3 1,2"), Tensor::from_f32([2], &[2.0, 3.0]), "a part across two");
    assert_eq!(bundle.read("s", None).unwrap().strings(), [&b"a"[..], b""]);
    assert_eq!(bundle.read("h", None).unwrap().get(1), crate::tensor::Scalar::F32(-1.0));
    assert!(bundle.same_content("h", "h") && !bundle.same_content("h", "w"));
    assert_eq!(bundle.listed_in().len(), 2);

    let whole = Memory([("v".to_string(), files.0["v-00001-of-00002"].clone())].into());
    assert!(open(whole).read("w", None).unwrap_err().message.contains("do not cover it"));
    let mut without = files;
    without.0.remove("v-00000-of-00002");
    let problem = Bundle::open(Arc::new(without), "v").err().unwrap().to_string();
    assert!(
        problem.contains("a file of the checkpoint is missing") && problem.contains("v-00000-of-00002"),
        "{problem}"
    );
}

#[test]
fn damage_of_version_1_is_told() {
    let opened = |change: &dyn Fn(&mut Vec<SavedTensorSlices>)| Bundle::open(Arc::new(version_1(change)), "v");
    let refused = |change: &dyn Fn(&mut Vec<SavedTensorSlices>), with: &str| {
        let message = opened(change).err().unwrap().to_string();
        assert!(message.contains(with), "{message}");
    };
    let tensor = |messages: &mut Vec<SavedTensorSlices>| messages[0].meta.as_mut().unwrap().tensor[0].clone();
    refused(&|m| m[0].meta = None, "does not list its tensors");
    refused(&|m| m[0].meta.as_mut().unwrap().tensor[0].name = "x".into(), "tensor `x` lacks a slice");
    refused(&|m| m[0].meta.as_mut().unwrap().tensor[0].shape = Some(super::writer::shape(&[1])), "a slice outside");
    refused(&|m| m[0].meta.as_mut().unwrap().tensor[0].shape = Some(super::writer::shape(&[-1])), "no fixed shape");
    refused(
        &|m| {
            let again = SavedSliceMeta { r#type: DataType::DtInt32 as i32, ..tensor(m) };
            m[0].meta.as_mut().unwrap().tensor.push(again);
        },
        "two types or shapes",
    );
    let short = opened(&|m| m[1].data.as_mut().unwrap().data.as_mut().unwrap().float_val.truncate(0)).unwrap().unwrap();
    assert!(short.read("w", None).unwrap_err().message.contains("0 values are stored"));
    let huge = opened(&|m| m[0].meta.as_mut().unwrap().tensor[1].shape = Some(super::writer::shape(&[1 << 50])));
    assert!(huge.unwrap().unwrap().read("h", None).unwrap_err().message.contains("2 values are stored"));
}

#[test]
fn damage_is_told() {
    let writer = || {
        let mut w = Writer::default();
        w.floats(b"w", 0, &[2], &[1.0, 2.0]);
        w.strings(b"s", &[2], &[b"ab", b"c"]);
        w
    };
    let fails = |key: &str, damage: &dyn Fn(&mut Writer), with: &str| {
        let mut w = writer();
        damage(&mut w);
        let message = read(&w, key).unwrap_err();
        assert!(message.contains(with), "{message}");
    };
    fails("w", &|w| w.entry(b"w").crc32c ^= 1, "checksum");
    fails("s", &|w| w.entry(b"s").crc32c ^= 1, "checksum");
    fails("w", &|w| w.entry(b"w").offset = i64::MAX, "of a file of");
    fails("w", &|w| w.entry(b"w").offset = -1, "of a file of");
    fails("w", &|w| w.entry(b"w").size = i64::MAX, "of a file of");
    fails("w", &|w| w.entry(b"w").size = 7, "7 bytes are stored");
    fails("w", &|w| w.entry(b"w").shard_id = 1, "data file 1 of 1");
    fails("w", &|w| w.entry(b"w").shape = Some(super::writer::shape(&[1 << 62, 1 << 62])), "too large");
    fails("w", &|w| w.entry(b"w").shape = Some(super::writer::shape(&[-1])), "not fixed");
    fails("w", &|w| w.entry(b"w").dtype = DataType::DtResource as i32, "resource");
    fails("s", &|w| w.entry(b"s").shape = Some(super::writer::shape(&[1 << 40])), "cannot hold");
    fails("s", &|w| w.entry(b"s").shape = Some(super::writer::shape(&[1])), "checksum");
    fails("no", &|_| (), "no tensor `no`");

    let mut files = writer().finish("v");
    files.0.remove("v.data-00000-of-00001");
    let problem = open(files).read("w", None).unwrap_err();
    assert!(problem.message.contains("is missing") && problem.place.file.unwrap().ends_with("v.data-00000-of-00001"));
}

#[test]
fn hostile_tables_are_refused() {
    let refused = |bytes: Vec<u8>, with: &str| {
        let message = super::table::read(&bytes.into()).unwrap_err();
        assert!(message.contains(with), "{message}");
    };
    refused(vec![], "too short");
    refused(vec![0; 100], "does not end");
    let good = table(&[(b"a".into(), vec![1; 100]), (b"b".into(), vec![2; 100])], true);
    assert_eq!(super::table::read(&good.clone().into()).unwrap().len(), 2);
    let mut flipped = good.clone();
    flipped[3] ^= 4;
    refused(flipped, "checksum");
    refused(table(&[(b"b".into(), vec![]), (b"a".into(), vec![])], false), "order");
    let mut footer = vec![];
    encode_varint(0, &mut footer);
    encode_varint(0, &mut footer);
    encode_varint(u64::MAX, &mut footer);
    encode_varint(u64::MAX, &mut footer);
    footer.resize(40, 0);
    footer.extend(0xdb47_7524_8b80_fb57u64.to_le_bytes());
    refused(footer, "outside");
    // Keys that share long prefixes would take the square of the file's size.
    let keys: Vec<_> = (0..20_000u32).map(|n| ([&[7; 20_000][..], &n.to_be_bytes()].concat(), vec![])).collect();
    let chunk: Vec<_> = keys.iter().step_by(10).cloned().collect();
    refused(super::writer::one_block(&chunk), "expand");
}

/// Every layout is rewritten in its own order of bytes; what stays has the bytes and checksums that it had.
#[test]
fn rewritten_bundles_hold_what_was_given() {
    for (snappy, big_endian, padding) in [(false, false, 0), (true, false, 3), (false, true, 0), (true, true, 64)] {
        let mut w = Writer { snappy, big_endian, padding, ..Default::default() };
        for n in 0..40 {
            w.floats(format!("layer/{n}").as_bytes(), n % 3, &[2], &[n as f32, -0.5]);
        }
        w.strings(b"words", &[2], &[b"ab", b""]);
        w.partitioned(b"parts", &[3, 2], &[(2, 1, &[5.0, 6.0]), (0, 2, &[1.0, 2.0, 3.0, 4.0])]);
        w.raw(b"variant", 1, DataType::DtVariant, &[], b"anything");
        // Damage that is not touched stays what it is.
        w.floats(b"damaged", 1, &[1], &[1.0]);
        w.entry(b"damaged").crc32c ^= 1;
        let files = w.finish("v");
        let bundle = open(files.clone());
        let words = Tensor::from_strings([2], vec![b"longer than it was".to_vec(), b"".to_vec()]);
        let four = Tensor::from_f32([2], &[44.0, f32::NAN]);
        let parts = Tensor::from_f32([3, 2], &[1.0, 2.0, 3.0, 4.5, 5.0, 6.0]);
        let given = [
            ("words", &words),
            ("layer/4", &four),
            ("parts", &parts),
            ("layer/3", &bundle.read("layer/3", None).unwrap()),
        ];
        let mut changes = std::collections::BTreeMap::new();
        given.iter().for_each(|(key, value)| changes.extend(bundle.with_parts(key, &[(None, value)]).unwrap()));
        assert_eq!(changes.len(), 3, "of the parts one changes");
        changes.insert(b"layer/1".to_vec(), super::Change::Gone);
        changes.insert(
            b"zz".to_vec(),
            super::Change::Value(DataType::DtInt4, Tensor::from_bytes(crate::tensor::DType::I8, [2], vec![7, 0xf8])),
        );
        let new = bundle.rewritten(changes).unwrap();
        assert_eq!(
            new.keys().collect::<Vec<_>>(),
            ["v.data-00000-of-00003", "v.data-00001-of-00003", "v.data-00002-of-00003", "v.index"]
        );
        let mut whole = files.clone();
        whole.0.extend(new.iter().map(|(path, pieces)| (path.clone(), pieces.read(&files, 0..pieces.size()).unwrap())));
        let again = open(whole);
        for (key, value) in given {
            assert!(again.read(key, None).unwrap() == *value, "{key}");
        }
        assert_eq!(again.read("zz", None).unwrap().to_i64s(), Some(vec![7, -8]));
        assert!(again.read("layer/1", None).is_err());
        assert_eq!(again.read("layer/39", None).unwrap(), Tensor::from_f32([2], &[39.0, -0.5]));
        let stored = |bundle: &Bundle, key: &str| {
            let entry = &bundle.entries[key.as_bytes()];
            (bundle.stored_bytes(key, entry).unwrap(), entry.crc32c, entry.dtype, entry.shape.clone())
        };
        for key in ["variant", "damaged", "layer/39"] {
            assert_eq!(stored(&again, key), stored(&bundle, key), "{key}");
        }
        assert_eq!(again.big_endian(), big_endian);
    }
}

#[test]
fn tables_of_many_blocks_are_read_again() {
    let value = |n: u32| vec![n as u8; 100 + n as usize % 50];
    let entries: Vec<_> = (0..5000u32).map(|n| (format!("layer/{n:05}/kernel").into_bytes(), value(n))).collect();
    let bytes = Bytes::from(super::table::write(&entries));
    let read: Vec<_> = super::table::read(&bytes).unwrap().into_iter().map(|(k, v)| (k, v.to_vec())).collect();
    assert!(read == entries && bytes.len() < 800_000);
    let empty = super::table::write(&[]);
    assert!(super::table::read(&empty.into()).unwrap().is_empty());
}

/// Entries that lie, under checksums that are right.
#[test]
fn lying_entries_are_refused_or_read() {
    let mut state = 1u64;
    let mut random = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut read = 0;
    for _ in 0..3000 {
        let mut w = Writer::default();
        w.floats(b"a", 0, &[2, 3], &[0.5; 6]);
        w.strings(b"s", &[2], &[b"ab", b"c"]);
        w.partitioned(b"w", &[3, 1], &[(0, 2, &[1.0, 2.0]), (2, 1, &[3.0])]);
        let keys: Vec<_> = w.entries.keys().cloned().collect();
        let key = keys[random(keys.len() as u64) as usize].clone();
        let number = (random(u64::MAX) as i64) << random(33) >> random(64);
        let entry = w.entry(&key);
        match random(8) {
            0 => entry.dtype = random(30) as i32,
            1 => entry.shape.iter_mut().flat_map(|s| &mut s.dim).for_each(|d| d.size = number),
            2 => entry.shape = Some(super::writer::shape(&vec![number; random(4) as usize])),
            3 => entry.offset = number,
            4 => entry.size = number,
            5 => entry.shard_id = number as i32,
            6 => entry.slices.iter_mut().flat_map(|s| &mut s.extent).for_each(|e| e.start = number),
            _ => {
                let again = entry.slices.clone();
                entry.slices.extend(again);
            }
        }
        let bundle = open(w.finish("v"));
        let part = Slice::parse("3 1 1,2:0,1").unwrap().1;
        read += ["a", "s", "w"].iter().filter(|key| bundle.read(key, None).is_ok()).count();
        read += usize::from(bundle.read("w", Some(&part)).is_ok());
    }
    assert!((6000..12000).contains(&read), "{read}");
}
