//! The constants of a model as its kernels read them: tensors as they are, or in panels.
//!
//! Panels are laid out when they are stored, row by row, so that a matrix is in memory once. Strings are stored as where they
//! begin, counted from the weight's own first byte, and how long they are, and behind all that the bytes: so nothing needs to be
//! relocated.

use std::collections::HashMap;

use crate::{
    base::{Arena, Id},
    tensor::{DType, Scalar, Tensor, Text},
};

/// Elements that may stand behind the last of a matrix in panels, at most.
const MOST_BEHIND: usize = 64;

/// How the elements of matrices become panels (see `plan::pack`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    pub groups: usize,
    /// Whether the groups are ranges of columns of one matrix, and not matrices.
    pub ranges: bool,
    pub depth: usize,
    /// Of a group.
    pub columns: usize,
    /// Columns of a full panel.
    pub panel: usize,
    /// Zeros behind the last element.
    pub behind: usize,
}

impl Panels {
    /// Whether the elements stay in their order, with nothing behind them.
    fn is_identity(&self) -> bool {
        self.columns <= self.panel && (!self.ranges || self.groups == 1) && self.behind == 0
    }

    /// The bytes of the panels, in order, where `from` are those of the matrices and an element has `size`.
    fn each_part(&self, from: &[u8], size: usize, f: &mut dyn FnMut(&[u8])) {
        for group in 0..self.groups {
            // Elements from the first of this group, and from one depth to the next.
            let (first, step) = match self.ranges {
                false => (group * self.depth * self.columns, self.columns),
                true => (group * self.columns, self.groups * self.columns),
            };
            for start in (0..self.columns).step_by(self.panel) {
                let width = self.panel.min(self.columns - start);
                for k in 0..self.depth {
                    let at = (first + k * step + start) * size;
                    f(&from[at..at + width * size]);
                }
            }
        }
        // An element has 16 bytes at most.
        f(&[0; MOST_BEHIND * 16][..self.behind * size]);
    }
}

/// A constant buffer.
#[derive(Clone, Debug)]
pub struct Weight {
    tensor: Tensor,
    panels: Option<Panels>,
    /// The bytes of strings, of which `tensor` has the spans.
    text: Vec<u8>,
}

pub type WeightId = Id<Weight>;

impl Weight {
    pub fn dtype(&self) -> DType {
        self.tensor.dtype
    }
    /// Elements, zeros behind them included.
    pub fn count(&self) -> usize {
        self.tensor.count() + self.panels.map_or(0, |p| p.behind)
    }
    pub fn bytes(&self) -> usize {
        self.count() * self.tensor.dtype.size() + self.text.len()
    }
    /// The bytes of strings, which are the last and have no byte order.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
    /// The bytes of the elements in order, in parts that are whole ones.
    pub fn each_part(&self, f: &mut dyn FnMut(&[u8])) {
        match &self.panels {
            Some(panels) => panels.each_part(self.tensor.bytes(), self.tensor.dtype.size(), f),
            None => f(self.tensor.bytes()),
        }
    }
    /// The bytes, as they are stored.
    pub fn stored(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes());
        self.each_part(&mut |part| bytes.extend_from_slice(part));
        bytes.extend_from_slice(&self.text);
        bytes
    }
    /// The bytes as a kernel finds them when it is interpreted: strings are spans of `text`, which gets their bytes.
    pub fn placed(&self, text: &mut Text) -> Vec<u8> {
        if self.tensor.dtype != DType::Str {
            return self.stored();
        }
        let base = text.add(&self.stored());
        let moved = self.tensor.scalars().map(|span| match span {
            Scalar::Span(start, bytes) => Scalar::Span(base + start, bytes),
            other => panic!("{other:?} is no span"),
        });
        Tensor::from_scalars(DType::Str, self.tensor.shape.clone(), moved).bytes().to_vec()
    }
    fn is_same(&self, other: &Weight) -> bool {
        let (a, b) = (&self.tensor, &other.tensor);
        (a.dtype, a.count(), self.panels) == (b.dtype, b.count(), other.panels)
            && (a.same_data(b) || a.bytes() == b.bytes() && self.text == other.text)
    }
}

/// Constant buffers of all entries, each stored once.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    pub all: Arena<Weight>,
}

impl Weights {
    /// The id of a tensor with these bytes, adding it when there is none.
    pub fn add(&mut self, tensor: Tensor) -> WeightId {
        let (tensor, text) = if tensor.has_strings() { spans(&tensor) } else { (tensor, vec![]) };
        self.add_weight(Weight { tensor, panels: None, text })
    }
    /// The id of these matrices in panels, adding them when there are none.
    pub fn add_panels(&mut self, tensor: Tensor, panels: Panels) -> WeightId {
        assert!(panels.behind <= MOST_BEHIND);
        let panels = Some(panels).filter(|p| !p.is_identity());
        self.add_weight(Weight { tensor, panels, text: vec![] })
    }
    fn add_weight(&mut self, weight: Weight) -> WeightId {
        let known = self.all.iter().find(|(_, w)| w.is_same(&weight)).map(|(id, _)| id);
        known.unwrap_or_else(|| self.all.push(weight))
    }
    /// Byte offsets in the order of the ids, each a multiple of 64, and the total.
    pub fn layout(&self) -> (Vec<u64>, u64) {
        let mut offsets = vec![];
        let end = self.all.iter().fold(0u64, |end, (_, w)| {
            let at = end.next_multiple_of(64);
            offsets.push(at);
            at + w.bytes() as u64
        });
        (offsets, end)
    }
}

/// Strings as spans that count from the first of these spans, and the bytes, each string's once.
fn spans(tensor: &Tensor) -> (Tensor, Vec<u8>) {
    let first = tensor.count() * DType::Str.size();
    let (mut text, mut known) = (vec![], HashMap::new());
    let spans = tensor.to_spans(|string| {
        let start = *known.entry(string.to_vec()).or_insert_with(|| {
            text.extend_from_slice(string);
            text.len() - string.len()
        });
        (first + start) as u64
    });
    (spans, text)
}

#[test]
fn strings_lie_behind_their_spans() {
    let strings =
        |words: &[&str]| Tensor::from_strings([words.len()], words.iter().map(|w| w.as_bytes().to_vec()).collect());
    let mut weights = Weights::default();
    let one = weights.add(strings(&["a", "", "bc", "a"]));
    assert_eq!(weights.add(strings(&["a", "", "bc", "a"])), one);
    // Equal spans of other bytes.
    assert_ne!(weights.add(strings(&["x", "", "yz", "x"])), one);
    let weight = &weights.all[one];
    assert_eq!((weight.count(), weight.bytes(), weight.text()), (4, 4 * 16 + 3, &b"abc"[..]));
    let mut text = Text::default();
    text.add(b"elsewhere");
    let placed = Tensor::from_bytes(DType::Str, [4], weight.placed(&mut text));
    assert_eq!(text.read(&placed), Some(strings(&["a", "", "bc", "a"])));
}

#[test]
fn equal_bytes_are_stored_once() {
    let values = |shape: [usize; 2], from: f32| {
        let numbers: Vec<f32> = (0..shape[0] * shape[1]).map(|n| n as f32 + from).collect();
        Tensor::from_f32(shape, &numbers)
    };
    let panels = |panel, behind| Panels { groups: 1, ranges: false, depth: 4, columns: 16, panel, behind };
    let mut weights = Weights::default();
    let one = weights.add(values([4, 16], 0.0));
    // Another tensor with the same bytes, another shape, and panels that change nothing.
    assert_eq!(weights.add(values([16, 4], 0.0)), one);
    assert_eq!(weights.add_panels(values([4, 16], 0.0), panels(16, 0)), one);
    let two = weights.add_panels(values([4, 16], 0.0), panels(8, 0));
    assert_eq!(weights.add_panels(values([4, 16], 0.0), panels(8, 0)), two);
    assert!(two != one && weights.add(values([4, 16], 1.0)) != one);
    let stored: Vec<f32> =
        weights.all[two].stored().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!((stored[7], stored[8], stored[32], stored[63]), (7.0, 16.0, 8.0, 63.0));
    let padded = weights.add_panels(values([4, 16], 0.0), panels(8, 3));
    assert_eq!((weights.all[padded].count(), weights.all[padded].bytes()), (67, 268));
    assert!(weights.all[padded].stored()[256..].iter().all(|&b| b == 0));
}
