//! Protocol buffers as the fields that stand in the file, in their order: what changes a message by them keeps every field
//! that smc does not know. A field of bytes may be a message; it is one where it is edited.

use bytes::{Buf, Bytes};
use prost::encoding::{decode_varint, encode_varint};

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(Vec<(u32, Payload)>);

/// What a field holds, by how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Payload {
    Varint(u64),
    Eight([u8; 8]),
    Bytes(Bytes),
    Four([u8; 4]),
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

type Fallible<T> = Result<T, Malformed>;

impl Message {
    pub fn parse(mut bytes: Bytes) -> Fallible<Message> {
        let mut fields = Vec::new();
        while bytes.has_remaining() {
            let tag = varint(&mut bytes)?;
            let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
            let payload = match tag & 7 {
                0 => Payload::Varint(varint(&mut bytes)?),
                1 => Payload::Eight(take(&mut bytes, 8)?[..].try_into().map_err(|_| Malformed)?),
                2 => {
                    let length = varint(&mut bytes)?;
                    Payload::Bytes(take(&mut bytes, length)?)
                }
                5 => Payload::Four(take(&mut bytes, 4)?[..].try_into().map_err(|_| Malformed)?),
                _ => return Err(Malformed),
            };
            fields.push((number, payload));
        }
        Ok(Message(fields))
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        for (number, payload) in &self.0 {
            let number = u64::from(*number) << 3;
            match payload {
                Payload::Varint(value) => {
                    encode_varint(number, &mut out);
                    encode_varint(*value, &mut out);
                }
                Payload::Eight(value) => {
                    encode_varint(number | 1, &mut out);
                    out.extend(value);
                }
                Payload::Bytes(value) => {
                    encode_varint(number | 2, &mut out);
                    encode_varint(value.len() as u64, &mut out);
                    out.extend(value);
                }
                Payload::Four(value) => {
                    encode_varint(number | 5, &mut out);
                    out.extend(value);
                }
            }
        }
        out.into()
    }

    /// The bytes of all fields with a number, in their order.
    pub fn all(&self, number: u32) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter(move |(own, _)| *own == number).filter_map(|(_, payload)| match payload {
            Payload::Bytes(bytes) => Some(bytes),
            _ => None,
        })
    }
    /// The bytes of a field that stands once; the last one counts, as protocol buffers have it.
    pub fn bytes(&self, number: u32) -> Option<&Bytes> {
        self.all(number).last()
    }
    /// A text, empty where the field is absent or no text.
    pub fn text(&self, number: u32) -> &str {
        self.bytes(number).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// An integer, 0 where the field is absent.
    pub fn varint(&self, number: u32) -> u64 {
        let own = self.0.iter().filter(|(own, _)| *own == number).filter_map(|(_, payload)| match payload {
            Payload::Varint(value) => Some(*value),
            _ => None,
        });
        own.last().unwrap_or(0)
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Edits every message with a field number in turn; those that the function leaves alone keep their bytes.
    pub fn edit(&mut self, number: u32, mut f: impl FnMut(usize, &mut Message) -> Fallible<()>) -> Fallible<()> {
        let mut nth = 0;
        for (own, payload) in &mut self.0 {
            let Payload::Bytes(bytes) = payload else { continue };
            if *own != number {
                continue;
            }
            let before = Message::parse(bytes.clone())?;
            let mut after = before.clone();
            f(nth, &mut after)?;
            if after != before {
                *bytes = after.encode();
            }
            nth += 1;
        }
        Ok(())
    }
    /// Edits the entry of a map with a key that is a text, if there is one: the message that is its value.
    pub fn edit_entry(&mut self, map: u32, key: &str, mut f: impl FnMut(&mut Message) -> Fallible<()>) -> Fallible<()> {
        self.edit(map, |_, entry| if entry.text(1) == key { entry.edit(2, |_, value| f(value)) } else { Ok(()) })
    }
    /// Maps the bytes of every field with a number.
    pub fn map(&mut self, number: u32, mut f: impl FnMut(&Bytes) -> Option<Bytes>) {
        for (own, payload) in &mut self.0 {
            if let Payload::Bytes(bytes) = payload
                && *own == number
                && let Some(new) = f(bytes)
            {
                *bytes = new;
            }
        }
    }
    /// Keeps the fields of bytes with a number that the function says yes to, and all others.
    pub fn retain(&mut self, number: u32, mut f: impl FnMut(usize, &Bytes) -> bool) {
        let mut nth = 0;
        self.0.retain(|(own, payload)| match payload {
            Payload::Bytes(bytes) if *own == number => {
                nth += 1;
                f(nth - 1, bytes)
            }
            _ => true,
        });
    }
    /// Adds a field of bytes behind all others.
    pub fn push(&mut self, number: u32, bytes: impl Into<Bytes>) {
        self.0.push((number, Payload::Bytes(bytes.into())));
    }
    /// Sets a field of bytes in place of those that are there.
    pub fn set(&mut self, number: u32, bytes: impl Into<Bytes>) {
        let bytes = Payload::Bytes(bytes.into());
        let at = self.0.iter().position(|(own, _)| *own == number).unwrap_or(self.0.len());
        self.0.retain(|(own, _)| *own != number);
        self.0.insert(at.min(self.0.len()), (number, bytes));
    }
    /// Sets a field that is an integer.
    pub fn set_varint(&mut self, number: u32, value: u64) {
        self.0.retain(|(own, _)| *own != number);
        self.0.insert(0, (number, Payload::Varint(value)));
    }
}

fn take(bytes: &mut Bytes, length: u64) -> Fallible<Bytes> {
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    if length > bytes.len() { Err(Malformed) } else { Ok(bytes.split_to(length)) }
}

fn varint(bytes: &mut Bytes) -> Fallible<u64> {
    decode_varint(bytes).map_err(|_| Malformed)
}

#[test]
fn what_is_not_edited_stays_as_it_is() {
    // Fields 1: 300, 2: "ab", 3: four bytes, 2: a message with 1: 5, 4: eight bytes.
    let bytes = Bytes::from_static(b"\x08\xac\x02\x12\x02ab\x1d1234\x12\x02\x08\x05\x2112345678");
    let message = Message::parse(bytes.clone()).unwrap();
    assert_eq!(message.encode(), bytes);
    assert_eq!((message.text(2), message.all(2).count()), ("\u{8}\u{5}", 2));
    let mut edited = message.clone();
    edited.retain(2, |nth, _| nth == 1);
    let seven = |inner: &mut Message| {
        inner.set_varint(1, 7);
        Ok(())
    };
    assert_eq!(edited.edit(2, |_, inner| seven(inner)), Ok(()));
    assert_eq!(message.clone().edit(2, |_, inner| seven(inner)), Err(Malformed), "a text is no message");
    assert_eq!(edited.encode(), &b"\x08\xac\x02\x1d1234\x12\x02\x08\x07\x2112345678"[..]);
    for bad in [&b"\x08"[..], b"\x12\x05ab", b"\x0b", b"\x1d123", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
        assert_eq!(Message::parse(Bytes::copy_from_slice(bad)), Err(Malformed));
    }
}

/// Every message on the way to what is edited, of all models here, is written as it was read.
#[test]
fn models_are_written_as_they_were_read() {
    // Numbers of fields, one behind the other, that lead to messages.
    const PATHS: &[&[u32]] = &[
        &[2, 1],
        &[2, 2, 1, 5, 2, 1, 7, 2],
        &[2, 2, 2, 1, 1, 2, 7, 2],
        &[2, 2, 2, 1, 3, 5, 2, 1, 7, 2],
        &[2, 2, 2, 1, 4],
        &[2, 2, 2, 1, 5, 2, 1, 7, 2],
        &[2, 2, 2, 1, 7, 2, 1, 2, 1, 7],
        &[2, 4, 2, 1],
        &[2, 5, 2, 2, 2, 3, 2],
        &[2, 7, 1, 7, 2, 2],
        &[2, 7, 2, 2, 3],
        &[2, 7, 2, 2, 4],
    ];
    fn walk(message: &Bytes, path: &[u32]) -> usize {
        let parsed = Message::parse(message.clone()).expect("a message");
        assert_eq!(parsed.encode(), message);
        let Some((first, rest)) = path.split_first() else { return 1 };
        parsed.all(*first).map(|inner| walk(inner, rest)).sum()
    }
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests");
    let folders =
        ["models", "learn", "learn/frozen", "learn/heads"].map(|folder| std::fs::read_dir(format!("{tests}/{folder}")));
    let files = folders.into_iter().flatten().flatten().flatten();
    let read = files.filter_map(|folder| std::fs::read(folder.path().join("saved_model.pb")).ok());
    let counts = read.map(|bytes| PATHS.iter().map(|path| walk(&bytes.clone().into(), path)).sum::<usize>());
    assert!(counts.filter(|count| *count > 10).count() > 40);
}
