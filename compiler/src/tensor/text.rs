//! The bytes of strings as kernels have them: elements are spans of one long text.

use super::{DType, Scalar, Tensor};

/// Where the first byte lies: an address that is not 0, so that a string which was never set shows.
const FIRST: u64 = 0x10000;

/// What spans of an interpreted kernel point into. Machine code has memory in its place, and addresses.
#[derive(Clone, Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// The strings of a tensor as spans, whose bytes are added to the text. Other tensors stay as they are.
    pub fn place(&mut self, tensor: &Tensor) -> Tensor {
        if !tensor.has_strings() {
            return tensor.clone();
        }
        let spans: Vec<Scalar> = tensor.strings().iter().map(|s| self.add(s)).collect();
        Tensor::from_scalars(DType::Str, tensor.shape.clone(), spans)
    }
    /// A span of these bytes, which are added.
    pub fn add(&mut self, bytes: &[u8]) -> Scalar {
        let start = FIRST + self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        Scalar::Span(start, bytes.len() as u64)
    }
    /// The bytes of a span; none where it leaves the text. An empty one may be anywhere.
    pub fn get(&self, start: u64, bytes: u64) -> Option<&[u8]> {
        if bytes == 0 {
            return Some(&[]);
        }
        let start = usize::try_from(start.checked_sub(FIRST)?).ok()?;
        self.0.get(start..start.checked_add(usize::try_from(bytes).ok()?)?)
    }
    /// The strings of a tensor of spans; none where one leaves the text. Other tensors stay as they are.
    pub fn read(&self, tensor: &Tensor) -> Option<Tensor> {
        if tensor.dtype != DType::Str || tensor.has_strings() {
            return Some(tensor.clone());
        }
        let string = |span: Scalar| match span {
            Scalar::Span(start, bytes) => self.get(start, bytes).map(<[u8]>::to_vec),
            _ => None,
        };
        Some(Tensor::from_strings(tensor.shape.clone(), tensor.scalars().map(string).collect::<Option<_>>()?))
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
    let beyond = Tensor::scalar(DType::Str, Scalar::Span(FIRST, 99));
    assert_eq!((text.read(&beyond), text.get(3, 1), text.get(3, 0)), (None, None, Some(&[][..])));
}
