//! Types and values: what flows along an edge, and what the evaluator and the loader hold. Knows nothing of graphs.

mod dtype;
mod host;
mod narrow;
mod scalar;
mod text;

use std::fmt;

pub use dtype::DType;
pub use host::{Tensor, flat_index, for_each_index};
pub use narrow::{Layout, Narrow};
pub use scalar::Scalar;
pub use text::{Text, addressed, read_strings};

use crate::base::{Bindings, Dim};

/// Extents, outermost axis first; row-major throughout.
pub type Shape = Vec<Dim>;

/// The type of a value: element type and symbolic shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    pub dtype: DType,
    pub shape: Shape,
}

impl TensorType {
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> TensorType {
        TensorType { dtype, shape: shape.into() }
    }
    pub fn scalar(dtype: DType) -> TensorType {
        TensorType::new(dtype, [])
    }
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
    /// The number of elements.
    pub fn count(&self) -> Dim {
        count(&self.shape)
    }
    /// The shape under `bind`, or the first symbol that has no value; extents below zero (an impossible window) become 0.
    pub fn concrete(&self, bind: &Bindings) -> Option<Vec<usize>> {
        concrete(&self.shape, bind)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<_> = self.shape.iter().map(Dim::to_string).collect();
        write!(f, "{}[{}]", self.dtype, dims.join(","))
    }
}

/// The product of the extents.
pub fn count(shape: &[Dim]) -> Dim {
    shape.iter().fold(Dim::from(1), |n, d| n * d.clone())
}

/// Each extent under `bind`; `None` when a symbol is unbound, an extent is negative or arithmetic overflows.
pub fn concrete(shape: &[Dim], bind: &Bindings) -> Option<Vec<usize>> {
    shape.iter().map(|d| usize::try_from(d.eval(bind)?).ok()).collect()
}

/// `i8[2,3]`, the other way round from [`TensorType`]'s `Display`.
impl std::str::FromStr for TensorType {
    type Err = String;
    fn from_str(text: &str) -> Result<TensorType, String> {
        let (dtype, rest) = text.split_once('[').ok_or_else(|| format!("expected `dtype[dims]`, got `{text}`"))?;
        let dims = rest.strip_suffix(']').ok_or_else(|| format!("expected `]` at the end of `{text}`"))?;
        let shape = crate::base::dim::split_list(dims).into_iter().map(str::parse).collect::<Result<Shape, _>>()?;
        Ok(TensorType { dtype: dtype.parse()?, shape })
    }
}
