//! The hyperbolic tangent of f32, the error function and its complement where the machine has tables: a polynomial for
//! each of 16 cells of the argument, whose coefficients are looked up.

use super::{math::Math, *};

/// `erf(x)` for `|x| <= 4.11` in cells of 17/64, whose first is about 0, as tables of coefficients; relative error 2^-25.2.
#[allow(clippy::approx_constant, reason = "it is a coefficient among others")]
const ERF_CELLS: [[f32; TABLE]; 6] = [
    [
        0.0, 0.29282323, 0.54752845, 0.740237, 0.8670583, 0.93965334, 0.9757977, 0.9914503, 0.997346, 0.9992774,
        0.9998277, 0.99996406, 0.99999344, 0.999999, 0.9999999, 1.0,
    ],
    [
        1.1283791,
        1.0515084,
        0.850914,
        0.5979624,
        0.3649029,
        0.1933731,
        0.088987716,
        0.035561442,
        0.0123408185,
        0.0037189808,
        0.0009732388,
        0.00022117219,
        4.364731e-05,
        7.479983e-06,
        1.1131672e-06,
        1.4385911e-07,
    ],
    [
        0.0,
        -0.27929968,
        -0.45203957,
        -0.47649762,
        -0.38771117,
        -0.25682753,
        -0.14182694,
        -0.06612289,
        -0.026223933,
        -0.008890149,
        -0.0025847966,
        -0.00064606476,
        -0.00013906385,
        -2.5811523e-05,
        -4.135402e-06,
        -5.7236946e-07,
    ],
    [
        -0.3761217,
        -0.30106872,
        -0.1235554,
        0.053810224,
        0.15298939,
        0.16293901,
        0.1210281,
        0.07011191,
        0.03303809,
        0.012929804,
        0.0042532296,
        0.0011849138,
        0.00028101218,
        5.6940404e-05,
        9.884288e-06,
        1.4729649e-06,
    ],
    [
        0.0,
        0.13197938,
        0.18221827,
        0.13684256,
        0.048238464,
        -0.022004431,
        -0.04875143,
        -0.043015894,
        -0.026408207,
        -0.012573303,
        -0.004842924,
        -0.0015418039,
        -0.00041085776,
        -9.239188e-05,
        -1.7631808e-05,
        -2.8671259e-06,
    ],
    [
        0.11213,
        0.07710357,
        -0.0009821529,
        -0.059122402,
        -0.06587869,
        -0.036907848,
        -0.0051862267,
        0.010870986,
        0.012429581,
        0.008072888,
        0.0038346534,
        0.0014330387,
        0.0004353233,
        0.00010944099,
        2.3024655e-05,
        4.0840973e-06,
    ],
];
const ERF_CELL: f64 = 17.0 / 64.0;

/// `tanh(x)` for x up to 9.2 in cells of a quarter of a power of two of `x + 5/8`, at the low bits of its exponent and the
/// first two of its mantissa, about the middle of each; relative error 2^-24.7.
#[allow(clippy::approx_constant, reason = "it is a coefficient among others")]
const TANH_CELLS: [[f32; TABLE]; 6] = [
    [
        0.92534626, 0.97187275, 0.98955977, 0.9961465, 0.99913883, 0.9998834, 0.9999842, 0.99999785, 0.9999999, 0.0,
        0.1853332, 0.30270973, 0.46211717, 0.63514894, 0.7615942, 0.84828365,
    ],
    [
        0.1437342,
        0.05546335,
        0.020771509,
        0.007692093,
        0.0017215493,
        0.00023316035,
        3.155801e-05,
        4.2709707e-06,
        2.5680694e-07,
        1.0,
        0.96565163,
        0.9083668,
        0.7864478,
        0.5965858,
        0.41997433,
        0.28041485,
    ],
    [
        -0.13301323,
        -0.05390215,
        -0.020553246,
        -0.0076617827,
        -0.0017173196,
        -0.0002327513,
        -3.150565e-05,
        -4.2639394e-06,
        -2.5162097e-07,
        4.4436234e-07,
        -0.17896679,
        -0.27497086,
        -0.36342415,
        -0.3789207,
        -0.3198526,
        -0.23787342,
    ],
    [
        0.07517855,
        0.0339008,
        0.013415712,
        0.005068539,
        0.0011431192,
        0.00015515594,
        2.1006354e-05,
        2.8430525e-06,
        1.6847228e-07,
        -0.33335948,
        -0.28871778,
        -0.2195545,
        -0.09422308,
        0.04180339,
        0.1036053,
        0.10831286,
    ],
    [
        -0.024827488,
        -0.015029454,
        -0.0064843046,
        -0.0025235827,
        -0.0005988366,
        -8.160582e-05,
        -1.105447e-05,
        -1.496249e-06,
        -1.0073687e-07,
        0.0005136898,
        0.11281693,
        0.15769376,
        0.16350122,
        0.09972653,
        0.02815277,
        -0.012232082,
    ],
    [
        0.0010887943,
        0.0044507803,
        0.0023601442,
        0.0009763064,
        0.00023710502,
        3.2531392e-05,
        4.4107856e-06,
        5.9708407e-07,
        3.9500076e-08,
        0.12984104,
        0.097112946,
        0.045934636,
        -0.025654208,
        -0.06337715,
        -0.0463102,
        -0.019378593,
    ],
];
/// The first cell has 0 for its middle, so that the polynomial is without a constant there.
const TANH_MIDDLES: [f32; TABLE] =
    [1.625, 2.125, 2.625, 3.125, 3.875, 4.875, 5.875, 6.875, 8.28125, 0.0, 0.1875, 0.3125, 0.5, 0.75, 1.0, 1.25];
const TANH_START: f64 = 0.625;

/// `exp(x^2) erfc(x)` for x up to 10.1 in cells of a quarter of a power of two of `x + 3/4`, at the low bits of its
/// exponent and the first two of its mantissa; relative error 2^-23.5.
#[allow(clippy::approx_constant, reason = "it is a coefficient among others")]
const ERFC_CELLS: [[f32; TABLE]; 6] = [
    [
        0.3678229,
        0.28497222,
        0.23108725,
        0.19366209,
        0.16633533,
        0.12934527,
        0.10561273,
        0.089156635,
        0.077099174,
        0.060643114,
        1.0,
        0.8732219,
        0.7703465,
        0.61569035,
        0.5069376,
        0.42758358,
    ],
    [
        -0.20881951,
        -0.13097562,
        -0.08848625,
        -0.06323754,
        -0.047198404,
        -0.028944092,
        -0.019445373,
        -0.013921244,
        -0.010440819,
        -0.0064815357,
        -1.128379,
        -0.91007364,
        -0.7432041,
        -0.51268804,
        -0.3679723,
        -0.27321184,
    ],
    [
        0.106740154,
        0.055746574,
        0.031986646,
        0.019756254,
        0.012925491,
        0.0063290275,
        0.0035233013,
        0.002148396,
        0.0014001698,
        0.0006888808,
        0.9999859,
        0.75945354,
        0.5844638,
        0.35930943,
        0.2309409,
        0.15436302,
    ],
    [
        -0.04973508,
        -0.02211145,
        -0.010950052,
        -0.0059140273,
        -0.0033834367,
        -0.0013434768,
        -0.0006253881,
        -0.00032664137,
        -0.0001834629,
        -7.2737195e-05,
        -0.75176936,
        -0.54311574,
        -0.3966458,
        -0.22138159,
        -0.12953882,
        -0.079079755,
    ],
    [
        0.02005428,
        0.007805499,
        0.0034102274,
        0.0016383585,
        0.0007787773,
        0.00025918306,
        0.000103175626,
        4.688861e-05,
        2.144002e-05,
        7.4736536e-06,
        0.492437,
        0.34089422,
        0.23140435,
        0.11918448,
        0.06443678,
        0.036407776,
    ],
    [
        -0.005199004,
        -0.0018470951,
        -0.0007386452,
        -0.0003259627,
        -0.0001124973,
        -3.318136e-05,
        -1.1819739e-05,
        -4.850451e-06,
        -1.5763228e-06,
        -6.1013446e-07,
        -0.24516468,
        -0.16420345,
        -0.092655845,
        -0.045056783,
        -0.023000367,
        -0.012275123,
    ],
];
const ERFC_START: f64 = 0.75;

/// `ln 2` to 12 bits.
const LN2_SHORT: f64 = 2839.0 / 4096.0;

impl Math<'_> {
    /// The polynomial of the cell that an index names.
    fn of_cell(&mut self, cells: &[[f32; TABLE]; 6], index: ExprId, u: ExprId) -> ExprId {
        let (index, u) = (self.name(index), self.name(u));
        let [rest @ .., last] = cells;
        let last = self.table(*last, index);
        rest.iter().rev().fold(last, |sum, &entries| {
            let c = self.table(entries, index);
            self.mul_add(sum, u, c)
        })
    }
    /// `erf` of a magnitude, by cells of one width.
    pub fn erf_by_cells(&mut self, size: ExprId) -> ExprId {
        // From 3.92 on the function rounds to 1; the last cell ends at 4.117.
        let size = self.at_most(size, 4.1);
        let size = self.name(size);
        let (inverse, magic) = (self.c(1.0 / ERF_CELL), self.c(self.magic()));
        let sum = self.mul_add(size, inverse, magic);
        let sum = self.name(sum);
        let (index, number) = (self.bits(sum), self.add_c(sum, -self.magic()));
        let width = self.c(-ERF_CELL);
        let u = self.mul_add(number, width, size);
        self.of_cell(&ERF_CELLS, index, u)
    }
    /// `tanh` of a magnitude, by cells of a quarter of a power of two each.
    pub fn tanh_by_cells(&mut self, size: ExprId) -> ExprId {
        // From 9.02 on the function rounds to 1.
        let x = self.at_most(size, 9.2);
        let x = self.name(x);
        let y = self.add_c(x, TANH_START);
        let bits = self.bits(y);
        let index = self.shr(bits, 21);
        let index = self.name(index);
        let middle = self.table(TANH_MIDDLES, index);
        let u = self.sub(x, middle);
        self.of_cell(&TANH_CELLS, index, u)
    }
    /// `erfc` of a magnitude, by cells of a quarter of a power of two each, and `exp(-x^2)` by sixteenths.
    pub fn erfc_by_cells(&mut self, size: ExprId) -> ExprId {
        let x = self.at_most(size, 10.1);
        let x = self.name(x);
        let y = self.add_c(x, ERFC_START);
        let y = self.name(y);
        let bits = self.bits(y);
        let index = self.shr(bits, 21);
        let cell = self.i(-1 << 21);
        let start = self.both(bits, cell);
        let start = self.float_of_bits(start);
        let u = self.sub(y, start);
        let scaled = self.of_cell(&ERFC_CELLS, index, u);
        // -x^2 = n ln 2 - r. The first part of ln 2 times n is exact, so that r has no error of x^2.
        let magic = self.magic() / TABLE as f64;
        let (square, inverse, shift) = (self.mul(x, x), self.c(-std::f64::consts::LOG2_E), self.c(magic));
        let sum = self.mul_add(square, inverse, shift);
        let sum = self.name(sum);
        let n = self.add_c(sum, -magic);
        let n = self.name(n);
        let (high, low) = (self.mul_c(n, LN2_SHORT), self.c(std::f64::consts::LN_2 - LN2_SHORT));
        let r = self.mul_add(x, x, high);
        let r = self.mul_add(n, low, r);
        let index = self.bits(sum);
        let r = self.name(r);
        let y = self.exp_of_sixteenths(Some(scaled), index, r, -1.0);
        self.scaled(y, n)
    }
}
