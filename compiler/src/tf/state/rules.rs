//! What the steps of TensorFlow's optimisers make of variables, element by element, in the order of the operations of its
//! kernels (`tensorflow/core/kernels/training_ops.cc`), which round as they do.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::{
    graph::NodeId,
    loops::{BinaryFn, CompareFn, UnaryFn},
};

/// What the step of an optimiser changes.
pub(super) struct Rule {
    /// As operators name it behind `Apply`.
    name: &'static str,
    /// How many variables are kept beside the one that is trained.
    pub slots: usize,
    /// The new values, of as many variables. Where rows are changed, TensorFlow has some of the sums in another order.
    pub new: for<'t> fn(&Given<'t>) -> Vec<Term<'t>>,
}

const RULES: &[Rule] = &[
    Rule { name: "GradientDescent", slots: 0, new: gradient_descent },
    Rule { name: "ProximalGradientDescent", slots: 0, new: proximal_gradient_descent },
    Rule { name: "Momentum", slots: 1, new: momentum },
    Rule { name: "KerasMomentum", slots: 1, new: keras_momentum },
    Rule { name: "Adagrad", slots: 1, new: adagrad },
    Rule { name: "AdagradV2", slots: 1, new: adagrad_v2 },
    Rule { name: "ProximalAdagrad", slots: 1, new: proximal_adagrad },
    Rule { name: "AdagradDA", slots: 2, new: adagrad_da },
    Rule { name: "Adadelta", slots: 2, new: adadelta },
    Rule { name: "Adam", slots: 2, new: adam },
    Rule { name: "AdamWithAmsgrad", slots: 3, new: adam_with_amsgrad },
    Rule { name: "AdaMax", slots: 2, new: ada_max },
    Rule { name: "RMSProp", slots: 2, new: rms_prop },
    Rule { name: "CenteredRMSProp", slots: 3, new: centered_rms_prop },
    Rule { name: "Ftrl", slots: 2, new: ftrl },
    Rule { name: "FtrlV2", slots: 2, new: ftrl },
    Rule { name: "AddSign", slots: 1, new: add_sign },
    Rule { name: "PowerSign", slots: 1, new: power_sign },
];

pub(super) fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// What a rule gets.
pub(super) struct Given<'t> {
    pub variables: &'t [Term<'t>],
    pub gradient: Term<'t>,
    /// Numbers by name, with their values where those are constants.
    pub numbers: &'t [(&'static str, Term<'t>, Option<f64>)],
    /// The attributes that are true.
    pub flags: &'t [&'static str],
    /// Whether rows are changed; and whether a row has one element.
    pub rows: bool,
    pub single: bool,
}

impl<'t> Given<'t> {
    /// Panics where TensorFlow's definition has other operands.
    fn variables<const N: usize>(&self) -> [Term<'t>; N] {
        self.variables.try_into().expect("the table says how many variables there are")
    }
    /// Panics where TensorFlow's definition has no such operand.
    fn of(&self, name: &str) -> Term<'t> {
        self.optional(name).expect("the operator has this operand")
    }
    fn optional(&self, name: &str) -> Option<Term<'t>> {
        self.numbers.iter().find(|(other, ..)| *other == name).map(|(_, term, _)| *term)
    }
    fn is(&self, name: &str, value: f64) -> bool {
        self.numbers.iter().any(|(other, _, known)| *other == name && *known == Some(value))
    }
    fn flag(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }
}

fn gradient_descent<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let [var] = x.variables();
    vec![var - x.gradient * x.of("alpha")]
}

fn proximal_gradient_descent<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var], rate) = (x.variables(), x.of("alpha"));
    vec![shrunk(x, var - x.gradient * rate, rate) / (1.0 + x.of("l2") * rate)]
}

fn momentum<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, accum], g) = (x.variables(), x.gradient);
    let (rate, momentum) = (x.of("lr"), x.of("momentum"));
    let accum = accum * momentum + g;
    let ahead = if x.rows { rate * momentum * accum } else { accum * momentum * rate };
    let var = if x.flag("use_nesterov") { var - (g * rate + ahead) } else { var - accum * rate };
    vec![var, accum]
}

fn keras_momentum<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, accum], g) = (x.variables(), x.gradient);
    let (rate, momentum) = (x.of("lr"), x.of("momentum"));
    let accum = accum * momentum - g * rate;
    let var = if x.flag("use_nesterov") { var + (accum * momentum - g * rate) } else { var + accum };
    vec![var, accum]
}

fn adagrad<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, accum], g) = (x.variables(), x.gradient);
    let accum = if x.flag("update_slots") { accum + g * g } else { accum };
    vec![var - g * x.of("lr") * accum.inverse_root(), accum]
}

fn adagrad_v2<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, accum], g) = (x.variables(), x.gradient);
    let accum = if x.flag("update_slots") { accum + g * g } else { accum };
    vec![var - g * x.of("lr") / (accum.root() + x.of("epsilon")), accum]
}

fn proximal_adagrad<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, accum], g) = (x.variables(), x.gradient);
    let accum = accum + g * g;
    let rate = x.of("lr") * accum.inverse_root();
    vec![shrunk(x, var - g * rate, rate) / (1.0 + x.of("l2") * rate), accum]
}

/// `x` brought nearer to 0 by `l1 * rate`, and no further. An `l1` below 0 counts as 0.
fn shrunk<'t>(x: &Given<'t>, var: Term<'t>, rate: Term<'t>) -> Term<'t> {
    if x.is("l1", 0.0) {
        return var;
    }
    var.sign() * (var.abs() - rate * positive(x, "l1")).max(0.0)
}

/// A number, or 0 where it is not more than that.
fn positive<'t>(x: &Given<'t>, name: &str) -> Term<'t> {
    let (number, zero) = (x.of(name), x.of(name).number(0.0));
    number.where_(CompareFn::Gt, zero, number, zero)
}

fn adagrad_da<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([_, sum, squares], g) = (x.variables(), x.gradient);
    let (rate, l1, l2, steps) = (x.of("lr"), positive(x, "l1"), x.of("l2"), x.of("global_step"));
    let (sum, squares) = (sum + g, squares + g * g);
    let var = if x.rows && !x.single {
        // At step 0 this has no value.
        -sum.sign() * (sum.abs() / steps - l1).max(0.0) / (l2 + squares.root() / (steps * rate))
    } else {
        -(rate * sum.sign() * (sum.abs() - steps * l1).max(0.0)) / (l2 * (steps * rate) + squares.root())
    };
    vec![var, sum, squares]
}

fn adadelta<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, accum, updates], g) = (x.variables(), x.gradient);
    let (rho, epsilon) = (x.of("rho"), x.of("epsilon"));
    let accum = accum * rho + g * g * (1.0 - rho);
    let update = (updates + epsilon).root() * (accum + epsilon).inverse_root() * g;
    vec![var - update * x.of("lr"), accum, updates * rho + update * update * (1.0 - rho)]
}

/// The learning rate of Adam, corrected for the means' beginning at 0.
fn corrected_rate<'t>(x: &Given<'t>) -> Term<'t> {
    x.of("lr") * (1.0 - x.of("beta2_power")).root() / (1.0 - x.of("beta1_power"))
}

fn adam<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, m, v], g, rate) = (x.variables(), x.gradient, corrected_rate(x));
    let (beta1, beta2) = (x.of("beta1"), x.of("beta2"));
    let (m, v) = (m + (g - m) * (1.0 - beta1), v + (g * g - v) * (1.0 - beta2));
    let along = if x.flag("use_nesterov") { g * (1.0 - beta1) + beta1 * m } else { m };
    vec![var - along * rate / (v.root() + x.of("epsilon")), m, v]
}

fn adam_with_amsgrad<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, m, v, most], g, rate) = (x.variables(), x.gradient, corrected_rate(x));
    let (m, v) = (m + (g - m) * (1.0 - x.of("beta1")), v + (g * g - v) * (1.0 - x.of("beta2")));
    let most = most.greater(v);
    vec![var - m * rate / (most.root() + x.of("epsilon")), m, v, most]
}

fn ada_max<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, m, v], g) = (x.variables(), x.gradient);
    let (m, v) = (m + (g - m) * (1.0 - x.of("beta1")), (x.of("beta2") * v).greater(g.abs()));
    vec![var - x.of("lr") / (1.0 - x.of("beta1_power")) * (m / (v + x.of("epsilon"))), m, v]
}

/// A moving average.
fn moved<'t>(x: &Given<'t>, average: Term<'t>, value: Term<'t>) -> Term<'t> {
    let rho = x.of("rho");
    if x.rows { average * rho + value * (1.0 - rho) } else { average + (value - average) * (1.0 - rho) }
}

/// What the gradient over the root of its variance adds to the momentum.
fn with_momentum<'t>(x: &Given<'t>, momentum: Term<'t>, variance: Term<'t>) -> Term<'t> {
    let (g, rate) = (x.gradient, x.of("lr"));
    let more = if x.rows { variance.inverse_root() * rate * g } else { g * rate / variance.root() };
    momentum * x.of("momentum") + more
}

fn rms_prop<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, squares, momentum], g) = (x.variables(), x.gradient);
    let squares = moved(x, squares, g * g);
    let momentum = with_momentum(x, momentum, squares + x.of("epsilon"));
    vec![var - momentum, squares, momentum]
}

fn centered_rms_prop<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, mean, squares, momentum], g, epsilon) = (x.variables(), x.gradient, x.of("epsilon"));
    let (squares, mean) = (moved(x, squares, g * g), moved(x, mean, g));
    let square = mean * mean;
    let variance = if x.rows { squares + epsilon - square } else { squares - square + epsilon };
    let momentum = with_momentum(x, momentum, variance);
    vec![var - momentum, mean, squares, momentum]
}

/// Both versions: the second one has a number more.
fn ftrl<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, accum, linear], g) = (x.variables(), x.gradient);
    let (rate, l1, l2) = (x.of("lr"), x.of("l1"), x.of("l2"));
    let to_power = |x: &Given<'t>, accum: Term<'t>| match x.is("lr_power", -0.5) {
        true => accum.root(),
        false => accum.power(-x.of("lr_power")),
    };
    let more = accum + g * g;
    let (before, after) = (to_power(x, accum), to_power(x, more));
    let along = x.optional("l2_shrinkage").map_or(g, |shrinkage| g + 2.0 * shrinkage * var);
    let (linear, l1, quadratic) = if x.flag("multiply_linear_by_lr") {
        (linear + (along * rate - (after - before) * var), l1 * rate, after + 2.0 * l2 * rate)
    } else {
        (linear + (along - (after - before) / rate * var), l1, after / rate + 2.0 * l2)
    };
    let var = if x.rows {
        // Where the divisor is 0 too, this has no value.
        (linear.lesser(l1).greater(-l1) - linear) / quadratic
    } else {
        let shrunk = (l1 * linear.sign() - linear) / quadratic;
        linear.abs().where_(CompareFn::Gt, l1, shrunk, shrunk.number(0.0))
    };
    vec![var, more, linear]
}

fn add_sign<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, m], g, beta) = (x.variables(), x.gradient, x.of("beta"));
    let m = m * beta + g * (1.0 - beta);
    let agree = g.sign() * m.sign();
    vec![var - x.of("lr") * (x.of("alpha") + x.of("sign_decay") * agree) * g, m]
}

fn power_sign<'t>(x: &Given<'t>) -> Vec<Term<'t>> {
    let ([var, m], g, beta) = (x.variables(), x.gradient, x.of("beta"));
    let m = m * beta + g * (1.0 - beta);
    let agree = g.sign() * m.sign();
    let scale = (x.of("logbase") * x.of("sign_decay") * agree).unary(UnaryFn::Exp);
    vec![var - x.of("lr") * scale * g, m]
}

/// How a node is made of others.
pub(super) enum Made {
    Number(f64),
    Unary(UnaryFn, NodeId),
    Binary(BinaryFn, NodeId, NodeId),
    Sign(NodeId),
    /// Where a comparison holds, and where not.
    Select(CompareFn, [NodeId; 2], [NodeId; 2]),
}

/// A node, of which arithmetic makes others. Numbers are broadcast.
#[derive(Clone, Copy)]
pub(super) struct Term<'t> {
    pub id: NodeId,
    pub make: &'t dyn Fn(Made) -> NodeId,
}

impl<'t> Term<'t> {
    fn made(self, what: Made) -> Term<'t> {
        Term { id: (self.make)(what), ..self }
    }
    fn number(self, value: f64) -> Term<'t> {
        self.made(Made::Number(value))
    }
    fn unary(self, f: UnaryFn) -> Term<'t> {
        self.made(Made::Unary(f, self.id))
    }
    fn binary(self, f: BinaryFn, other: Term<'t>) -> Term<'t> {
        self.made(Made::Binary(f, self.id, other.id))
    }
    fn abs(self) -> Term<'t> {
        self.unary(UnaryFn::Abs)
    }
    fn root(self) -> Term<'t> {
        self.unary(UnaryFn::Sqrt)
    }
    fn inverse_root(self) -> Term<'t> {
        1.0 / self.root()
    }
    fn power(self, exponent: Term<'t>) -> Term<'t> {
        self.binary(BinaryFn::Pow, exponent)
    }
    fn sign(self) -> Term<'t> {
        self.made(Made::Sign(self.id))
    }
    fn greater(self, other: Term<'t>) -> Term<'t> {
        self.binary(BinaryFn::Max, other)
    }
    fn lesser(self, other: Term<'t>) -> Term<'t> {
        self.binary(BinaryFn::Min, other)
    }
    fn max(self, value: f64) -> Term<'t> {
        self.greater(self.number(value))
    }
    /// `yes` where this compares so with another one, and else `no`.
    fn where_(self, f: CompareFn, other: Term<'t>, yes: Term<'t>, no: Term<'t>) -> Term<'t> {
        self.made(Made::Select(f, [self.id, other.id], [yes.id, no.id]))
    }
}

impl<'t> Neg for Term<'t> {
    type Output = Term<'t>;
    fn neg(self) -> Term<'t> {
        self.unary(UnaryFn::Neg)
    }
}

impl<'t> Add for Term<'t> {
    type Output = Term<'t>;
    fn add(self, other: Term<'t>) -> Term<'t> {
        self.binary(BinaryFn::Add, other)
    }
}

impl<'t> Sub for Term<'t> {
    type Output = Term<'t>;
    fn sub(self, other: Term<'t>) -> Term<'t> {
        self.binary(BinaryFn::Sub, other)
    }
}

impl<'t> Mul for Term<'t> {
    type Output = Term<'t>;
    fn mul(self, other: Term<'t>) -> Term<'t> {
        self.binary(BinaryFn::Mul, other)
    }
}

impl<'t> Div for Term<'t> {
    type Output = Term<'t>;
    fn div(self, other: Term<'t>) -> Term<'t> {
        self.binary(BinaryFn::Div, other)
    }
}

impl<'t> Add<Term<'t>> for f64 {
    type Output = Term<'t>;
    fn add(self, other: Term<'t>) -> Term<'t> {
        other.number(self) + other
    }
}

impl<'t> Sub<Term<'t>> for f64 {
    type Output = Term<'t>;
    fn sub(self, other: Term<'t>) -> Term<'t> {
        other.number(self) - other
    }
}

impl<'t> Mul<Term<'t>> for f64 {
    type Output = Term<'t>;
    fn mul(self, other: Term<'t>) -> Term<'t> {
        other.number(self) * other
    }
}

impl<'t> Div<Term<'t>> for f64 {
    type Output = Term<'t>;
    fn div(self, other: Term<'t>) -> Term<'t> {
        other.number(self) / other
    }
}
