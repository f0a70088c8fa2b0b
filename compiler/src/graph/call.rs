//! Calls of functions of the user's: operators with several results that own no graphs.
//!
//! Operands and results are whole tensors of the types that the import found. The first extent of a result may be what the
//! function says: then the result has room for the most that it can be, what lies behind the rows of the function means nothing,
//! and one more result, an i64 scalar, says how many these are. What the function does is known to nobody here, so nothing
//! is folded, moved out of a loop or differentiated; two calls of one function of one kind are one call where it has no effect.

use std::any::Any;

use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    base::{Bindings, Symbol},
    loops::Fault,
    op::{Attribute, Control, Evaluation, Function, Stop},
    tensor::{DType, Scalar},
};

/// A call of `int symbol(const struct smc_operand *inputs, const struct smc_operand *outputs, const void *attributes)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub symbol: String,
    #[serde(with = "types")]
    pub operands: Vec<TensorType>,
    #[serde(with = "types")]
    pub outputs: Vec<TensorType>,
    /// The outputs of which the function says the first extent, ascending.
    pub counted: Vec<usize>,
    /// In the order of the struct.
    pub attributes: Vec<(String, Attribute)>,
    /// Whether it runs though nobody asks for its results; such calls run in the order of the graph.
    pub effect: bool,
    /// The function in this process, where there is one.
    #[serde(skip)]
    pub function: Option<Function>,
}

/// The same function, operands and attributes.
impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        (&self.symbol, &self.operands, &self.outputs) == (&other.symbol, &other.operands, &other.outputs)
            && (&self.counted, &self.attributes, self.effect) == (&other.counted, &other.attributes, other.effect)
    }
}

impl Call {
    /// The values of the attributes.
    pub fn values(&self) -> Vec<Attribute> {
        self.attributes.iter().map(|(_, value)| value.clone()).collect()
    }
    /// The types of all results: the outputs, their numbers of rows, and a 0 where there would be none.
    pub fn results(&self) -> Vec<TensorType> {
        let count = self.counted.len() + usize::from(self.outputs.is_empty());
        self.outputs.iter().cloned().chain(vec![TensorType::scalar(DType::I64); count]).collect()
    }
    /// All dims of its types.
    pub fn dims(&self) -> impl Iterator<Item = &Dim> {
        self.operands.iter().chain(&self.outputs).flat_map(|ty| &ty.shape)
    }
    /// All results for these operands, by the function.
    pub fn run(&self, inputs: &[&Tensor], bind: &Bindings) -> Result<Vec<Tensor>, Fault> {
        let function = self.function.as_ref().ok_or(Fault::OperatorFailed)?;
        let shape = |ty: &TensorType| (ty.dtype, ty.concrete(bind).expect("symbols are bound"));
        let outputs: Vec<_> = self.outputs.iter().map(shape).collect();
        let outputs = function.call(inputs, &outputs, &self.values()).map_err(|_| Fault::OperatorFailed)?;
        let rows = self.counted.iter().map(|&n| Tensor::scalar(DType::I64, Scalar::Int(outputs[n].1)));
        let rows: Vec<Tensor> = rows.collect();
        let nothing = outputs.is_empty().then(|| Tensor::scalar(DType::I64, Scalar::Int(0)));
        Ok(outputs.into_iter().map(|(tensor, _)| tensor).chain(rows).chain(nothing).collect())
    }
}

impl Control for Call {
    fn infer(&self, inputs: &[&TensorType]) -> Infer<Vec<TensorType>> {
        let show = |types: &[&TensorType]| types.iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(", ");
        if !inputs.iter().copied().eq(&self.operands) {
            let own: Vec<_> = self.operands.iter().collect();
            return Err(format!("`{}` takes {}, not {}", self.symbol, show(&own), show(inputs)));
        }
        if let Some(n) = self.counted.iter().find(|&&n| self.outputs.get(n).is_none_or(|ty| ty.rank() == 0)) {
            return Err(format!("`{}` cannot say how many rows its output {n} has", self.symbol));
        }
        Ok(self.results())
    }
    fn eval(&self, inputs: &[&Tensor], bind: &Bindings, _: Evaluation<'_>) -> Result<Vec<Tensor>, Stop> {
        self.run(inputs, bind).map_err(Stop::Fault)
    }
    fn symbols(&self) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = vec![];
        for symbol in self.dims().flat_map(Dim::symbols) {
            if !symbols.contains(&symbol) {
                symbols.push(symbol);
            }
        }
        symbols
    }
    fn has_effect(&self) -> bool {
        self.effect
    }
    fn is(&self, other: &dyn Control) -> bool {
        !self.effect && other.as_any().downcast_ref() == Some(self)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Types as people write them.
mod types {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::TensorType;

    pub fn serialize<S: Serializer>(types: &[TensorType], s: S) -> Result<S::Ok, S::Error> {
        types.iter().map(TensorType::to_string).collect::<Vec<_>>().serialize(s)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<TensorType>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}
