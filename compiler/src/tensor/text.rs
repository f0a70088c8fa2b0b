//! Strings as kernels have them: elements are spans of bytes that lie elsewhere.

use super::{DType, Scalar, Tensor};

impl Tensor {
    /// Strings as spans, whose bytes lie where `place` says for each string in order. Other tensors stay as they are.
    pub fn to_spans(&self, mut place: impl FnMut(&[u8]) -> u64) -> Tensor {
        if !self.has_strings() {
            return self.clone();
        }
        let span = |string: &Vec<u8>| Scalar::Span(place(string), string.len() as u64);
        let spans: Vec<Scalar> = self.strings().iter().map(span).collect();
        Tensor::from_scalars(DType::Str, self.shape.clone(), spans)
    }
    /// Spans as the strings that `read` finds from a start on, with so many bytes; none where it finds one of them not.
    /// Other tensors stay as they are.
    pub fn to_strings(&self, mut read: impl FnMut(u64, u64) -> Option<Vec<u8>>) -> Option<Tensor> {
        if self.dtype != DType::Str || self.has_strings() {
            return Some(self.clone());
        }
        let string = |span: Scalar| match span {
            Scalar::Span(start, bytes) => read(start, bytes),
            other => panic!("{other:?} is no span"),
        };
        Some(Tensor::from_strings(self.shape.clone(), self.scalars().map(string).collect::<Option<_>>()?))
    }
}

/// A tensor as calls take it: strings by their addresses, in memory that is added to `texts`.
pub fn addressed(tensor: &Tensor, texts: &mut Vec<Vec<u8>>) -> Tensor {
    if !tensor.has_strings() {
        return tensor.clone();
    }
    let text = tensor.strings().concat();
    let mut at = text.as_ptr() as u64;
    texts.push(text);
    tensor.to_spans(|string| {
        at += string.len() as u64;
        at - string.len() as u64
    })
}

/// The strings whose addresses a call left. Other tensors stay as they are.
///
/// # Safety
/// Each span that is not empty is memory that may be read.
pub unsafe fn read_strings(tensor: &Tensor) -> Tensor {
    let string = |start: u64, bytes: u64| match bytes {
        0 => vec![],
        // SAFETY: the caller promises it.
        _ => unsafe { std::slice::from_raw_parts(start as *const u8, bytes as usize).to_vec() },
    };
    tensor.to_strings(|start, bytes| Some(string(start, bytes))).expect("each one is read")
}

/// Where the first byte lies: an address that is not 0, so that a string which was never set shows.
const FIRST: u64 = 0x10000;

/// What spans of an interpreted kernel point into. Machine code has memory in its place, and addresses.
///
/// It is the *arena* too, in which kernels make strings: there is room for so many bytes of these. What is beyond is counted,
/// and a call that counted more than there is room for fails.
#[derive(Clone, Debug)]
pub struct Text {
    bytes: Vec<u8>,
    /// Bytes that kernels may append.
    room: u64,
    /// Bytes that they appended.
    made: u64,
    /// Where the string begins that is being made.
    mark: usize,
}

impl Default for Text {
    /// With room for everything.
    fn default() -> Text {
        Text { bytes: vec![], room: u64::MAX, made: 0, mark: 0 }
    }
}

impl Text {
    /// Says what the arena has room for, and how much of that is taken.
    pub fn make_room(&mut self, room: u64, made: u64) {
        (self.room, self.made) = (room, made);
    }
    /// The bytes that kernels appended, those that had no room included.
    pub fn made(&self) -> u64 {
        self.made
    }
    /// Whether more was appended than there is room for.
    pub fn is_exceeded(&self) -> bool {
        self.made > self.room
    }
    /// Begins a string.
    pub fn begin(&mut self) {
        self.mark = self.bytes.len();
    }
    /// Puts these bytes behind the string that is being made.
    pub fn append(&mut self, bytes: &[u8]) {
        self.made = self.made.saturating_add(bytes.len() as u64);
        if !self.is_exceeded() {
            self.bytes.extend_from_slice(bytes);
        }
    }
    /// Ends the string that is being made and begins the next: where it starts and how long it is.
    pub fn take(&mut self) -> (u64, u64) {
        let bytes = if self.is_exceeded() { 0 } else { self.bytes.len() - self.mark };
        let start = FIRST + self.mark as u64;
        self.begin();
        (start, bytes as u64)
    }
    /// The strings of a tensor as spans, whose bytes are added to the text. Other tensors stay as they are.
    pub fn place(&mut self, tensor: &Tensor) -> Tensor {
        tensor.to_spans(|string| self.add(string))
    }
    /// Adds these bytes. Where they start.
    pub fn add(&mut self, bytes: &[u8]) -> u64 {
        let start = FIRST + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        start
    }
    /// The bytes of a span; none where it leaves the text. An empty one may be anywhere.
    pub fn get(&self, start: u64, bytes: u64) -> Option<&[u8]> {
        if bytes == 0 {
            return Some(&[]);
        }
        let start = usize::try_from(start.checked_sub(FIRST)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(bytes).ok()?)?)
    }
    /// The strings of a tensor of spans; none where one leaves the text. Other tensors stay as they are.
    pub fn read(&self, tensor: &Tensor) -> Option<Tensor> {
        tensor.to_strings(|start, bytes| self.get(start, bytes).map(<[u8]>::to_vec))
    }
}

#[test]
fn what_is_placed_is_read() {
    let strings = Tensor::from_strings([3], vec![b"one".to_vec(), vec![], "zw\u{f6}lf".into()]);
    let mut text = Text::default();
    text.add(b"before");
    let placed = text.place(&strings);
    assert!(!placed.has_strings() && placed.bytes().len() == 3 * DType::Str.size());
    assert_eq!(text.read(&placed), Some(strings));
    text.make_room(3, 0);
    text.begin();
    text.append(b"ab");
    let made = text.take();
    text.append(b"c");
    let (start, bytes) = text.take();
    assert_eq!((text.get(made.0, made.1), text.get(start, bytes)), (Some(&b"ab"[..]), Some(&b"c"[..])));
    text.append(b"d");
    assert_eq!((text.take().1, text.made(), text.is_exceeded()), (0, 4, true));
    let beyond = Tensor::scalar(DType::Str, Scalar::Span(FIRST, 99));
    assert_eq!((text.read(&beyond), text.get(3, 1), text.get(3, 0)), (None, None, Some(&[][..])));
}
