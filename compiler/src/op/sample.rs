//! Numbers of laws that take as many random words as it needs until one fits.

mod binomial;
mod draws;
mod gamma;
mod hormann;
mod poisson;

use serde::{Deserialize, Serialize};

use self::draws::{Draws, Source};
use super::{
    philox::{self, Blocks},
    *,
};
use crate::tensor::{DType, Scalar};

/// Operand 0 is a key, operand 1 a counter, as those of [`Philox`]; each further one is a parameter of the law, f64 `[n]`.
/// The result is f64 `[samples, n]`. The words of a number lie so many blocks behind the counter as
/// `Law::reserved` says for each number before it; those of one parameter follow each other. [`Fault::AssertionFailed`]
/// where none of many attempts fits: that is as good as impossible for parameters of which the law has numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub law: Law,
    pub samples: Dim,
}

/// What numbers are drawn, and by which method. A fraction is one of `deviates`; a block's last one is the
/// first that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// -log(1 - u) of a fraction. The parameter is not used.
    Exponential,
    /// Of a shape alpha, by Marsaglia and Tsang (A Simple Method for Generating Gamma Variables, 2000).
    Gamma,
    /// Of a rate: fractions are multiplied until their product is at most exp(-rate) (Knuth). For rates below 10.
    PoissonSmall,
    /// Of a rate from 10 on, by Hörmann's transformed rejection (The Transformed Rejection Method for Generating Poisson
    /// Random Variables, 1993).
    PoissonLarge,
    /// Of a count and a probability up to 1/2: geometric numbers are added until the sum exceeds the count. For means below
    /// 10.
    BinomialSmall,
    /// The same for means from 10 on, by Hörmann's transformed rejection (The Generation of Binomial Random Variates, 1993).
    BinomialLarge,
}

impl Law {
    pub const ALL: [Law; 6] =
        [Law::Exponential, Law::Gamma, Law::PoissonSmall, Law::PoissonLarge, Law::BinomialSmall, Law::BinomialLarge];
    pub fn parameters(self) -> usize {
        if matches!(self, Law::BinomialSmall | Law::BinomialLarge) { 2 } else { 1 }
    }
    /// Blocks for each number.
    fn reserved(self) -> i64 {
        if self == Law::BinomialSmall { 42 } else { 256 }
    }
    /// Attempts that are made. A product of fractions below exp(-10), and a sum of ten geometric numbers, take one for each.
    fn rounds(self) -> i64 {
        match self {
            Law::Exponential => 1,
            Law::Gamma => 64,
            Law::PoissonSmall | Law::PoissonLarge | Law::BinomialSmall | Law::BinomialLarge => 128,
        }
    }
}

impl Primitive for Sample {
    const NAME: &'static str = "sample";
    const WHOLE: bool = true;
    fn infer(&self, inputs: &[&TensorType], _: &Facts) -> Infer<TensorType> {
        let Some(([key, counter], parameters)) = inputs.split_first_chunk() else {
            return Err(format!("expected a key, a counter and parameters, got {} operands", inputs.len()));
        };
        philox::check_operands(key, counter)?;
        let wanted = self.law.parameters();
        if parameters.len() != wanted {
            return Err(format!("{:?} has {wanted} parameters, not {}", self.law, parameters.len()));
        }
        let alike = parameters.iter().all(|p| p.dtype == DType::F64 && p.rank() == 1 && p.shape == parameters[0].shape);
        if !alike || is_negative(&self.samples) {
            return Err(format!("{} samples of {} do not fit", self.samples, parameters[0]));
        }
        Ok(TensorType::new(DType::F64, [self.samples.clone(), parameters[0].shape[0].clone()]))
    }
    fn eval(&self, inputs: &[&Tensor], out: &[usize], _: &Bindings) -> Result<Tensor, Fault> {
        let (key, counter) = philox::start(inputs);
        let (samples, columns) = (out[0], out[1]);
        let mut numbers = vec![0.0; samples * columns];
        for column in 0..columns {
            let float = |t: &&Tensor| t.get(column).as_f64().expect("parameters are floats");
            let parameters: Vec<f64> = inputs[2..].iter().map(float).collect();
            for row in 0..samples {
                let behind = (column * samples + row) as u128 * self.law.reserved() as u128;
                let mut source = Source::new(key, counter.wrapping_add(behind));
                let number = self.number(&mut source, &parameters).ok_or(Fault::AssertionFailed)?;
                numbers[row * columns + column] = number;
            }
        }
        Ok(Tensor::from_scalars(DType::F64, out, numbers.into_iter().map(|x| Scalar::from_f64(DType::F64, x))))
    }
    /// Panics: a whole result is written at once.
    fn element(&self, _: &mut Emit<'_>, _: &[Dim]) -> ExprId {
        unreachable!("numbers that fit are written as a whole")
    }
    fn write(&self, at: &mut Emit<'_>, out: BufferId, shape: &[Dim]) {
        let mut draws = Draws::new(at);
        at.each(&shape[1], LoopKind::Seq, |at, column| {
            at.each(&shape[0], LoopKind::Seq, |at, row| {
                let parameters: Vec<ExprId> = (2..at.count())
                    .map(|n| {
                        let x = at.read(n, std::slice::from_ref(column));
                        at.w.set(x)
                    })
                    .collect();
                let blocks = Blocks::new(at);
                let number = column * &shape[0] + row;
                draws.begin(at, blocks, number * self.law.reserved());
                self.emit(at, &draws, &parameters);
                let number = draws.fitting(at);
                at.w.store(out, shape, &[row.clone(), column.clone()], number);
            });
        });
    }
}

impl Sample {
    /// A number by the definition; none where no attempt fits.
    fn number(&self, source: &mut Source, parameters: &[f64]) -> Option<f64> {
        let rounds = self.law.rounds();
        match (self.law, parameters) {
            (Law::Exponential, _) => Some(gamma::exponential(source)),
            (Law::Gamma, &[alpha]) => gamma::number(source, rounds, alpha),
            (Law::PoissonSmall, &[rate]) => poisson::small(source, rounds, rate),
            (Law::PoissonLarge, &[rate]) => poisson::large(source, rounds, rate),
            (Law::BinomialSmall, &[count, prob]) => binomial::small(source, rounds, count, prob),
            (Law::BinomialLarge, &[count, prob]) => binomial::large(source, rounds, count, prob),
            (law, _) => unreachable!("{law:?} has {} parameters", law.parameters()),
        }
    }
    /// Code that draws a number.
    fn emit(&self, at: &mut Emit<'_>, draws: &Draws, parameters: &[ExprId]) {
        let rounds = self.law.rounds();
        match (self.law, parameters) {
            (Law::Exponential, _) => gamma::emit_exponential(at, draws),
            (Law::Gamma, &[alpha]) => gamma::emit(at, draws, rounds, alpha),
            (Law::PoissonSmall, &[rate]) => poisson::emit_small(at, draws, rounds, rate),
            (Law::PoissonLarge, &[rate]) => poisson::emit_large(at, draws, rounds, rate),
            (Law::BinomialSmall, &[count, prob]) => binomial::emit_small(at, draws, rounds, count, prob),
            (Law::BinomialLarge, &[count, prob]) => binomial::emit_large(at, draws, rounds, count, prob),
            (law, _) => unreachable!("{law:?} has {} parameters", law.parameters()),
        }
    }
}
