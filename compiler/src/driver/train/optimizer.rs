//! How gradients change variables: the update rules of Keras 3, with its defaults.
//!
//! A rule is written for one variable, in the type of the variable. The learning rate and the number of steps are variables
//! themselves, so that a caller sees and may change them. `t` is 1 in the first step.

use std::{fmt, str::FromStr};

use super::*;
use crate::{
    base::{Bindings, names::advice},
    loops::{BinaryFn, CompareFn, UnaryFn},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Sgd,
    Adam,
    AdamW,
    RmsProp,
    Adagrad,
    Adadelta,
    Adamax,
    Nadam,
    Ftrl,
    Lion,
    Lamb,
    Adafactor,
}

/// A rule with its numbers, in the order in which the rule declares them.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    pub rule: Rule,
    settings: Vec<(&'static str, f64)>,
}

/// The names, and what can be set, with Keras's defaults.
type Row = (&'static str, Rule, &'static [(&'static str, f64)]);
const ROWS: &[Row] = &[
    ("sgd", Rule::Sgd, &[("lr", 0.01), ("momentum", 0.0), ("nesterov", 0.0)]),
    ("momentum", Rule::Sgd, &[("lr", 0.01), ("momentum", 0.9), ("nesterov", 0.0)]),
    ("nesterov", Rule::Sgd, &[("lr", 0.01), ("momentum", 0.9), ("nesterov", 1.0)]),
    ("adam", Rule::Adam, &[("lr", 0.001), ("beta_1", 0.9), ("beta_2", 0.999), ("epsilon", 1e-7), ("amsgrad", 0.0)]),
    (
        "adamw",
        Rule::AdamW,
        &[
            ("lr", 0.001),
            ("beta_1", 0.9),
            ("beta_2", 0.999),
            ("epsilon", 1e-7),
            ("amsgrad", 0.0),
            ("weight_decay", 0.004),
        ],
    ),
    ("rmsprop", Rule::RmsProp, &[("lr", 0.001), ("rho", 0.9), ("momentum", 0.0), ("epsilon", 1e-7), ("centered", 0.0)]),
    ("adagrad", Rule::Adagrad, &[("lr", 0.001), ("initial_accumulator_value", 0.1), ("epsilon", 1e-7)]),
    ("adadelta", Rule::Adadelta, &[("lr", 0.001), ("rho", 0.95), ("epsilon", 1e-7)]),
    ("adamax", Rule::Adamax, &[("lr", 0.001), ("beta_1", 0.9), ("beta_2", 0.999), ("epsilon", 1e-7)]),
    ("nadam", Rule::Nadam, &[("lr", 0.001), ("beta_1", 0.9), ("beta_2", 0.999), ("epsilon", 1e-7)]),
    (
        "ftrl",
        Rule::Ftrl,
        &[
            ("lr", 0.001),
            ("initial_accumulator_value", 0.1),
            ("l1_regularization_strength", 0.0),
            ("l2_regularization_strength", 0.0),
            ("l2_shrinkage_regularization_strength", 0.0),
            ("beta", 0.0),
        ],
    ),
    ("lion", Rule::Lion, &[("lr", 0.001), ("beta_1", 0.9), ("beta_2", 0.99)]),
    ("lamb", Rule::Lamb, &[("lr", 0.001), ("beta_1", 0.9), ("beta_2", 0.999), ("epsilon", 1e-7)]),
    (
        "adafactor",
        Rule::Adafactor,
        &[
            ("lr", 0.001),
            (adafactor::DECAY, -0.8),
            ("epsilon_1", 1e-30),
            ("epsilon_2", 1e-3),
            ("clip_threshold", 1.0),
            ("relative_step", 1.0),
        ],
    ),
];

/// What every rule takes beside its own numbers. Decay is Keras's, of all variables alike.
const COMMON: &[(&str, f64)] =
    &[("weight_decay", 0.0), ("clipvalue", 0.0), ("clipnorm", 0.0), ("global_clipnorm", 0.0)];

/// `adam:lr=0.01,beta_1=0.8`.
impl FromStr for Optimizer {
    type Err = String;
    fn from_str(text: &str) -> Result<Optimizer, String> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let names: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
        let row = ROWS.iter().find(|row| row.0 == name).ok_or_else(|| advice(name, "optimizers", &names))?;
        let mut settings = row.2.to_vec();
        settings.extend(COMMON.iter().filter(|common| row.2.iter().all(|own| own.0 != common.0)));
        for setting in rest.split(',').filter(|s| !s.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, "1"));
            let key = if key == "learning_rate" { "lr" } else { key };
            let known: Vec<&str> = settings.iter().map(|s| s.0).collect();
            let value = match value {
                "true" => 1.0,
                "false" => 0.0,
                number => number.parse().map_err(|_| format!("`{number}` is not a number for {key}"))?,
            };
            match key == adafactor::DECAY {
                _ if !f64::is_finite(value) => return Err(format!("{key} is a finite number, not {value}")),
                true if value > 0.0 => return Err(format!("{key} is at most 0, not {value}")),
                false if value < 0.0 => return Err(format!("{key} is at least 0, not {value}")),
                _ => {}
            }
            let own = settings.iter_mut().find(|s| s.0 == key).ok_or_else(|| advice(key, "settings", &known))?;
            own.1 = value;
        }
        let optimizer = Optimizer { rule: row.1, settings };
        let clips = ["clipvalue", "clipnorm", "global_clipnorm"].iter().filter(|c| optimizer.get(c) > 0.0).count();
        if clips > 1 {
            return Err("only one of clipvalue, clipnorm and global_clipnorm can be set".into());
        }
        Ok(optimizer)
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ROWS.iter().find(|row| row.1 == self.rule).map_or("", |row| row.0);
        let set: Vec<String> = self.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        write!(f, "{name}:{}", set.join(","))
    }
}

/// One variable in an update.
pub(super) struct Step<'a, 'b> {
    pub slots: &'a mut Slots<'b>,
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// The variable's value and its gradient.
    pub p: Value,
    pub g: Value,
    /// Scalars repeated to the variable's shape: the learning rate, and the number of the step as a float.
    pub lr: Value,
    pub t: Value,
}

impl Optimizer {
    pub(super) fn get(&self, name: &str) -> f64 {
        self.settings.iter().find(|s| s.0 == name).map_or(0.0, |s| s.1)
    }

    /// The same with another learning rate, unless the rule divides by it.
    pub fn at_rate(mut self, rate: f64) -> Optimizer {
        let own = self.settings.iter_mut().filter(|(name, _)| *name == "lr" && self.rule != Rule::Ftrl);
        own.for_each(|(_, lr)| *lr = rate);
        self
    }

    /// New values of the variables, of what the rule keeps beside each, and of the number of steps.
    pub fn update(
        &self,
        slots: &mut Slots<'_>,
        variables: &[usize],
        values: &[NodeId],
        gradients: &[NodeId],
    ) -> Result<(), String> {
        let (_, lr) = slots.variable(LEARNING_RATE, DType::F32, &[], self.get("lr"))?;
        let (count, iterations) = slots.variable("iterations", DType::I64, &[], 0.0)?;
        let mut c = slots.compose();
        let one = c.number(iterations, 1.0)?;
        let next = c.sum(iterations, one)?;
        let at = |id: &NodeId| Value(id.index());
        let mut clipped: Vec<Value> = gradients.iter().map(at).collect();
        self.clip(&mut c, &mut clipped)?;
        // What multiplies the momenta of all steps before, in Nadam.
        let product = match self.rule {
            Rule::Nadam => Some(slots.variable("momentum_product", DType::F32, &[], 1.0)?),
            _ => None,
        };
        for ((&variable, p), g) in variables.iter().zip(values.iter().map(at)).zip(clipped) {
            let mut c = slots.compose();
            let ty = c.ty(p);
            let shape = ty.concrete(&Bindings::new()).ok_or("a variable's shape is not fixed")?;
            let (lr, t) = (whole(&mut c, lr, &ty)?, whole(&mut c, next, &ty)?);
            let before = product.map(|(_, value)| whole(&mut c, value, &ty)).transpose()?;
            // Before the rule, for every variable alike.
            let decay = self.get("weight_decay");
            let mut value = p;
            if decay > 0.0 {
                let rate = c.scaled(lr, decay)?;
                let loss = c.mul(p, rate)?;
                value = c.sub(p, loss)?;
            }
            let name = slots.name(variable);
            let mut step = Step { slots, name, dtype: ty.dtype, shape, p: value, g, lr, t };
            let updated = match self.rule {
                Rule::Sgd => self.sgd(&mut step)?,
                Rule::Adam | Rule::AdamW => self.adam(&mut step)?,
                Rule::RmsProp => self.rmsprop(&mut step)?,
                Rule::Adagrad => self.adagrad(&mut step)?,
                Rule::Adadelta => self.adadelta(&mut step)?,
                Rule::Adamax => self.adamax(&mut step)?,
                Rule::Nadam => self.nadam(&mut step, before.ok_or("Nadam has a product")?)?,
                Rule::Ftrl => self.ftrl(&mut step)?,
                Rule::Lion => self.lion(&mut step)?,
                Rule::Lamb => self.lamb(&mut step)?,
                Rule::Adafactor => self.adafactor(&mut step)?,
            };
            slots.assign(variable, updated);
        }
        if let Some((number, before)) = product {
            let mut c = slots.compose();
            let t = c.cast(next, DType::F32)?;
            let u = self.schedule(&mut c, t, 0.0)?;
            let after = c.mul(before, u)?;
            slots.assign(number, after);
        }
        slots.assign(count, next);
        Ok(())
    }

    /// Of each value, of each variable's length, or of the length of all.
    fn clip(&self, c: &mut Compose<'_>, gradients: &mut [Value]) -> Result<(), String> {
        let (value, own, global) = (self.get("clipvalue"), self.get("clipnorm"), self.get("global_clipnorm"));
        if value > 0.0 {
            for g in gradients.iter_mut() {
                let (low, high) = (c.number(*g, -value)?, c.number(*g, value)?);
                *g = c.binary(BinaryFn::Max, *g, low)?;
                *g = c.binary(BinaryFn::Min, *g, high)?;
            }
        }
        if own > 0.0 {
            for g in gradients.iter_mut() {
                let length = length(c, &[*g])?;
                *g = limited(c, *g, length, own)?;
            }
        }
        if global > 0.0 {
            let length = length(c, gradients)?;
            for g in gradients.iter_mut() {
                *g = limited(c, *g, length, global)?;
            }
        }
        Ok(())
    }

    /// `m = momentum m - lr g; p += m`, or with Nesterov `p += momentum m - lr g`.
    fn sgd(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (lr, g, p) = (s.lr, s.g, s.p);
        let back = s.c().mul(lr, g)?;
        let momentum = self.get("momentum");
        if momentum == 0.0 {
            return s.c().sub(p, back);
        }
        let (slot, m) = s.slot("momentum", 0.0)?;
        let mut c = s.c();
        let kept = c.scaled(m, momentum)?;
        let m = c.sub(kept, back)?;
        let by = if self.get("nesterov") > 0.0 {
            let kept = c.scaled(m, momentum)?;
            c.sub(kept, back)?
        } else {
            m
        };
        let p = c.sum(p, by)?;
        s.slots.assign(slot, m);
        Ok(p)
    }

    /// `m += (g - m)(1 - b1)` and `v += (g^2 - v)(1 - b2)`.
    fn moments(&self, s: &mut Step<'_, '_>) -> Result<(Value, Value), String> {
        let m = s.average("momentum", self.get("beta_1"), s.g)?;
        let g = s.g;
        let square = s.c().square(g)?;
        Ok((m, s.average("velocity", self.get("beta_2"), square)?))
    }

    /// By the moments, `p -= m a / (sqrt(v) + e)`, `a = lr sqrt(1 - b2^t) / (1 - b1^t)`.
    fn adam(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (b1, b2, e) = (self.get("beta_1"), self.get("beta_2"), self.get("epsilon"));
        let (p, t, lr) = (s.p, s.t, s.lr);
        let (m, mut v) = self.moments(s)?;
        if self.get("amsgrad") > 0.0 {
            let (slot, most) = s.slot("velocity_hat", 0.0)?;
            v = s.c().binary(BinaryFn::Max, most, v)?;
            s.slots.assign(slot, v);
        }
        let mut c = s.c();
        let (one_less, two_less) = (one_minus_power(&mut c, b1, t)?, one_minus_power(&mut c, b2, t)?);
        let root = c.unary(UnaryFn::Sqrt, two_less)?;
        let a = c.mul(lr, root)?;
        let a = c.div(a, one_less)?;
        let (root, e) = (c.unary(UnaryFn::Sqrt, v)?, c.number(v, e)?);
        let below = c.sum(root, e)?;
        let above = c.mul(m, a)?;
        let by = c.div(above, below)?;
        c.sub(p, by)
    }

    /// `v = rho v + (1 - rho) g^2; d = v + e`, or centred `v - mg^2 + e`; `p -= lr g / sqrt(d)`, by way of a momentum if
    /// there is one.
    fn rmsprop(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (rho, e) = (self.get("rho"), self.get("epsilon"));
        let (g, p, lr) = (s.g, s.p, s.lr);
        let square = s.c().square(g)?;
        let v = s.blend("velocity", rho, square, 0.0)?;
        let mut d = v;
        if self.get("centered") > 0.0 {
            let mean = s.blend("average_gradient", rho, g, 0.0)?;
            let mut c = s.c();
            let square = c.square(mean)?;
            d = c.sub(v, square)?;
        }
        let mut c = s.c();
        let e = c.number(d, e)?;
        let d = c.sum(d, e)?;
        let root = c.unary(UnaryFn::Sqrt, d)?;
        let back = c.mul(lr, g)?;
        let mut by = c.div(back, root)?;
        let momentum = self.get("momentum");
        if momentum > 0.0 {
            let (slot, m) = s.slot("momentum", 0.0)?;
            let mut c = s.c();
            let kept = c.scaled(m, momentum)?;
            by = c.sum(kept, by)?;
            s.slots.assign(slot, by);
        }
        s.c().sub(p, by)
    }

    /// `acc += g^2; p -= lr g / sqrt(acc + e)`.
    fn adagrad(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (g, p, lr) = (s.g, s.p, s.lr);
        let (slot, sum) = s.slot("accumulator", self.get("initial_accumulator_value"))?;
        let mut c = s.c();
        let square = c.square(g)?;
        let sum = c.sum(sum, square)?;
        let e = c.number(sum, self.get("epsilon"))?;
        let below = c.sum(sum, e)?;
        let root = c.unary(UnaryFn::Sqrt, below)?;
        let above = c.mul(lr, g)?;
        let by = c.div(above, root)?;
        let p = c.sub(p, by)?;
        s.slots.assign(slot, sum);
        Ok(p)
    }

    /// `a = rho a + (1 - rho) g^2; d = -sqrt(x + e) g / sqrt(a + e); x = rho x + (1 - rho) d^2; p += lr d`.
    fn adadelta(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (rho, e) = (self.get("rho"), self.get("epsilon"));
        let (g, p, lr) = (s.g, s.p, s.lr);
        let square = s.c().square(g)?;
        let a = s.blend("accumulated_gradient", rho, square, 0.0)?;
        let (slot, x) = s.slot("accumulated_delta", 0.0)?;
        let mut c = s.c();
        let e = c.number(x, e)?;
        let (above, below) = (c.sum(x, e)?, c.sum(a, e)?);
        let (above, below) = (c.unary(UnaryFn::Sqrt, above)?, c.unary(UnaryFn::Sqrt, below)?);
        let d = c.mul(above, g)?;
        let d = c.div(d, below)?;
        let d = c.neg(d)?;
        let square = c.square(d)?;
        let (kept, new) = (c.scaled(x, rho)?, c.scaled(square, 1.0 - rho)?);
        let x = c.sum(kept, new)?;
        let by = c.mul(lr, d)?;
        let p = c.sum(p, by)?;
        s.slots.assign(slot, x);
        Ok(p)
    }

    /// `u = max(b2 u, |g|); p -= lr m / ((1 - b1^t)(u + e))`.
    fn adamax(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (b1, b2, e) = (self.get("beta_1"), self.get("beta_2"), self.get("epsilon"));
        let (g, p, t, lr) = (s.g, s.p, s.t, s.lr);
        let m = s.average("momentum", b1, g)?;
        let (slot, u) = s.slot("norm", 0.0)?;
        let mut c = s.c();
        let (kept, far) = (c.scaled(u, b2)?, c.unary(UnaryFn::Abs, g)?);
        let u = c.binary(BinaryFn::Max, kept, far)?;
        let less = one_minus_power(&mut c, b1, t)?;
        let e = c.number(u, e)?;
        let sum = c.sum(u, e)?;
        let below = c.mul(less, sum)?;
        let above = c.mul(lr, m)?;
        let by = c.div(above, below)?;
        let p = c.sub(p, by)?;
        s.slots.assign(slot, u);
        Ok(p)
    }

    /// `b1 (1 - 0.5 * 0.96^(t + ahead))`.
    fn schedule(&self, c: &mut Compose<'_>, t: Value, ahead: f64) -> Result<Value, String> {
        let (base, more) = (c.number(t, 0.96)?, c.number(t, ahead)?);
        let at = c.sum(t, more)?;
        let power = c.binary(BinaryFn::Pow, base, at)?;
        let half = c.scaled(power, 0.5)?;
        let one = c.number(t, 1.0)?;
        let rest = c.sub(one, half)?;
        c.scaled(rest, self.get("beta_1"))
    }

    /// `u(t) = b1 (1 - 0.5 * 0.96^t)`, `U = prod u`; `mh = u(t+1) m / (1 - U u(t+1)) + (1 - u(t)) g / (1 - U)`;
    /// `p -= lr mh / (sqrt(v / (1 - b2^t)) + e)`.
    fn nadam(&self, s: &mut Step<'_, '_>, product: Value) -> Result<Value, String> {
        let (b2, e) = (self.get("beta_2"), self.get("epsilon"));
        let (g, p, t, lr) = (s.g, s.p, s.t, s.lr);
        let (m, v) = self.moments(s)?;
        let mut c = s.c();
        let (now, next) = (self.schedule(&mut c, t, 0.0)?, self.schedule(&mut c, t, 1.0)?);
        let one = c.number(t, 1.0)?;
        let all = c.mul(product, now)?;
        let further = c.mul(all, next)?;
        let (rest, rest_further) = (c.sub(one, all)?, c.sub(one, further)?);
        let ahead = c.mul(next, m)?;
        let ahead = c.div(ahead, rest_further)?;
        let share = c.sub(one, now)?;
        let here = c.mul(share, g)?;
        let here = c.div(here, rest)?;
        let mh = c.sum(ahead, here)?;
        let less = one_minus_power(&mut c, b2, t)?;
        let vh = c.div(v, less)?;
        let (root, e) = (c.unary(UnaryFn::Sqrt, vh)?, c.number(v, e)?);
        let below = c.sum(root, e)?;
        let above = c.mul(lr, mh)?;
        let by = c.div(above, below)?;
        c.sub(p, by)
    }

    /// `L += (g + 2 shr p) - (n^.5 - acc^.5) / lr p` with `n = acc + g^2`; `q = n^.5 / lr + 2 (l2 + beta / (2 lr))`;
    /// `p = (clip(L, -l1, l1) - L) / q`.
    fn ftrl(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (g, p, lr) = (s.g, s.p, s.lr);
        let (sum_slot, acc) = s.slot("accumulator", self.get("initial_accumulator_value"))?;
        let (linear_slot, linear) = s.slot("linear", 0.0)?;
        let (l1, l2) = (self.get("l1_regularization_strength"), self.get("l2_regularization_strength"));
        let (shrink, beta) = (self.get("l2_shrinkage_regularization_strength"), self.get("beta"));
        let mut c = s.c();
        let shrunk = c.scaled(p, 2.0 * shrink)?;
        let with = c.sum(g, shrunk)?;
        let square = c.square(g)?;
        let n = c.sum(acc, square)?;
        let (new_root, old_root) = (c.unary(UnaryFn::Sqrt, n)?, c.unary(UnaryFn::Sqrt, acc)?);
        let moved = c.sub(new_root, old_root)?;
        let sigma = c.div(moved, lr)?;
        let part = c.mul(sigma, p)?;
        let by = c.sub(with, part)?;
        let linear = c.sum(linear, by)?;
        let rate = c.div(new_root, lr)?;
        let half_beta = c.number(lr, beta / 2.0)?;
        let smoothing = c.div(half_beta, lr)?;
        let l2 = c.number(lr, l2)?;
        let strength = c.sum(l2, smoothing)?;
        let strength = c.scaled(strength, 2.0)?;
        let q = c.sum(rate, strength)?;
        let (low, high) = (c.number(linear, -l1)?, c.number(linear, l1)?);
        let clipped = c.binary(BinaryFn::Max, linear, low)?;
        let clipped = c.binary(BinaryFn::Min, clipped, high)?;
        let above = c.sub(clipped, linear)?;
        let p = c.div(above, q)?;
        s.slots.assign(sum_slot, n);
        s.slots.assign(linear_slot, linear);
        Ok(p)
    }

    /// `p -= lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g`.
    fn lion(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (b1, b2) = (self.get("beta_1"), self.get("beta_2"));
        let (g, p, lr) = (s.g, s.p, s.lr);
        let (slot, m) = s.slot("momentum", 0.0)?;
        let mut c = s.c();
        let (kept, new) = (c.scaled(m, b1)?, c.scaled(g, 1.0 - b1)?);
        let ahead = c.sum(kept, new)?;
        let zero = c.number(ahead, 0.0)?;
        let (up, down) = (c.compare(CompareFn::Gt, ahead, zero)?, c.compare(CompareFn::Lt, ahead, zero)?);
        let (less, more) = (c.sub(p, lr)?, c.sum(p, lr)?);
        let rest = c.select(down, more, p)?;
        let p = c.select(up, less, rest)?;
        let (kept, new) = (c.scaled(m, b2)?, c.scaled(g, 1.0 - b2)?);
        let m = c.sum(kept, new)?;
        s.slots.assign(slot, m);
        Ok(p)
    }

    /// `r = mh / (sqrt(vh) + e)`; `p -= lr r |p| / |r|`, where a length of 0 counts for nothing.
    fn lamb(&self, s: &mut Step<'_, '_>) -> Result<Value, String> {
        let (b1, b2, e) = (self.get("beta_1"), self.get("beta_2"), self.get("epsilon"));
        let (p, t, lr) = (s.p, s.t, s.lr);
        let (m, v) = self.moments(s)?;
        let mut c = s.c();
        let (less_1, less_2) = (one_minus_power(&mut c, b1, t)?, one_minus_power(&mut c, b2, t)?);
        let (mh, vh) = (c.div(m, less_1)?, c.div(v, less_2)?);
        let (root, e) = (c.unary(UnaryFn::Sqrt, vh)?, c.number(v, e)?);
        let below = c.sum(root, e)?;
        let r = c.div(mh, below)?;
        let (of_p, of_r) = (length(&mut c, &[p])?, length(&mut c, &[r])?);
        let (zero, one) = (c.number(of_p, 0.0)?, c.number(of_p, 1.0)?);
        let (p_is, r_is) = (c.compare(CompareFn::Gt, of_p, zero)?, c.compare(CompareFn::Gt, of_r, zero)?);
        let both = c.binary(BinaryFn::And, p_is, r_is)?;
        let ratio = c.div(of_p, of_r)?;
        let ratio = c.select(both, ratio, one)?;
        let by = times(&mut c, lr, ratio)?;
        let by = c.mul(by, r)?;
        c.sub(p, by)
    }
}

impl Step<'_, '_> {
    pub fn c(&mut self) -> Compose<'_> {
        self.slots.compose()
    }
    /// What the rule keeps beside the variable: its number and value.
    fn slot(&mut self, what: &str, initial: f64) -> Result<(usize, Value), String> {
        self.slot_of(what, &self.shape.clone(), initial)
    }
    /// The same in a shape of its own.
    pub fn slot_of(&mut self, what: &str, shape: &[usize], initial: f64) -> Result<(usize, Value), String> {
        let name = format!("{}/{what}", self.name);
        self.slots.variable(&name, self.dtype, shape, initial)
    }
    /// `a += (x - a)(1 - rate)`, from 0 on.
    fn average(&mut self, what: &str, rate: f64, x: Value) -> Result<Value, String> {
        let (slot, a) = self.slot(what, 0.0)?;
        let mut c = self.c();
        let far = c.sub(x, a)?;
        let by = c.scaled(far, 1.0 - rate)?;
        let a = c.sum(a, by)?;
        self.slots.assign(slot, a);
        Ok(a)
    }
    /// `a = rate a + (1 - rate) x`.
    fn blend(&mut self, what: &str, rate: f64, x: Value, initial: f64) -> Result<Value, String> {
        let (slot, a) = self.slot(what, initial)?;
        let mut c = self.c();
        let (kept, new) = (c.scaled(a, rate)?, c.scaled(x, 1.0 - rate)?);
        let a = c.sum(kept, new)?;
        self.slots.assign(slot, a);
        Ok(a)
    }
}

/// `1 - base^t`.
fn one_minus_power(c: &mut Compose<'_>, base: f64, t: Value) -> Result<Value, String> {
    let (base, one) = (c.number(t, base)?, c.number(t, 1.0)?);
    let power = c.binary(BinaryFn::Pow, base, t)?;
    c.sub(one, power)
}

/// The square root of the sum of all squares, an f32 scalar.
fn length(c: &mut Compose<'_>, all: &[Value]) -> Result<Value, String> {
    let mut total: Option<Value> = None;
    for &x in all {
        let x = c.cast(x, DType::F32)?;
        let square = c.square(x)?;
        let axes = (0..c.shape(x).len()).collect();
        let sum = c.summed(square, axes)?;
        let sum = c.reshape(sum, &[])?;
        total = Some(match total {
            Some(total) => c.sum(total, sum)?,
            None => sum,
        });
    }
    let total = total.ok_or("there is nothing to measure")?;
    c.unary(UnaryFn::Sqrt, total)
}

/// `x * limit / max(length, limit)`.
fn limited(c: &mut Compose<'_>, x: Value, length: Value, limit: f64) -> Result<Value, String> {
    let limit = c.number(length, limit)?;
    let most = c.binary(BinaryFn::Max, length, limit)?;
    let ratio = c.div(limit, most)?;
    times(c, x, ratio)
}

/// A tensor times a scalar.
fn times(c: &mut Compose<'_>, x: Value, scalar: Value) -> Result<Value, String> {
    let ty = c.ty(x);
    let scalar = whole(c, scalar, &ty)?;
    c.mul(x, scalar)
}

/// A scalar in the type of a tensor, repeated to its shape.
fn whole(c: &mut Compose<'_>, scalar: Value, ty: &TensorType) -> Result<Value, String> {
    let scalar = c.cast(scalar, ty.dtype)?;
    let scalar = c.reshape(scalar, &vec![1.into(); ty.rank()])?;
    c.broadcast(scalar, &ty.shape)
}

#[test]
fn optimizers_are_read() {
    let adam: Optimizer = "adam:lr=0.01,amsgrad".parse().unwrap();
    assert_eq!((adam.get("lr"), adam.get("amsgrad"), adam.get("beta_2")), (0.01, 1.0, 0.999));
    assert!("adam:rho=1".parse::<Optimizer>().is_err() && "adam:lr=x".parse::<Optimizer>().is_err());
    assert!("adafactor:beta_2_decay=-0.7".parse::<Optimizer>().is_ok());
    assert!("adafactor:beta_2_decay=0.7".parse::<Optimizer>().is_err() && "sgd:lr=-1".parse::<Optimizer>().is_err());
    assert!("sgd:clipnorm=1,clipvalue=1".parse::<Optimizer>().is_err() && "sdg".parse::<Optimizer>().is_err());
    assert_eq!(adam.to_string().parse::<Optimizer>().unwrap(), adam);
}
