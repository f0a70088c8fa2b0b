//! What a string that spells a float may look like: as a table of states for the code, and by the definition for the evaluator.

use super::super::strip::is_space;

/// What was read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// White space, or nothing.
    Before,
    Sign,
    /// A first digit 0, and other digits.
    Zero,
    Digits,
    /// A point without a digit, and one with digits on a side.
    Point,
    Fraction,
    ExpMark,
    ExpSign,
    Exp,
    Behind,
    /// The same of base 16.
    HexMark,
    HexDigits,
    HexPoint,
    HexFraction,
    PowMark,
    PowSign,
    Pow,
    HexBehind,
    /// The letters of `infinity`, and of `nan` with what may be in parentheses.
    I,
    In,
    Inf,
    Infi,
    Infin,
    Infini,
    Infinit,
    Infinity,
    InfBehind,
    N,
    Na,
    Nan,
    Open,
    Closed,
    NanBehind,
    /// What spells no float.
    Bad,
}

/// How many states there are.
pub const COUNT: usize = State::Bad as usize + 1;

/// What is no number of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Infinity,
    Nan,
}

/// States as bits.
pub fn set(states: &[State]) -> u64 {
    states.iter().fold(0, |set, &state| set | 1 << state as u64)
}

/// The states in which a string may end.
pub fn accepted() -> u64 {
    use State::*;
    let decimal = set(&[Zero, Digits, Fraction, Exp, Behind]);
    decimal | set(&[HexDigits, HexFraction, Pow, HexBehind]) | of_word(Word::Infinity) | of_word(Word::Nan)
}

/// Those of base 16.
pub fn of_base_16() -> u64 {
    use State::*;
    set(&[HexMark, HexDigits, HexPoint, HexFraction, PowMark, PowSign, Pow, HexBehind])
}

/// Those which a digit of the number leads to.
pub fn of_digits() -> u64 {
    use State::*;
    set(&[Zero, Digits, HexDigits]) | of_fractions()
}

/// Those behind a point.
pub fn of_fractions() -> u64 {
    set(&[State::Fraction, State::HexFraction])
}

/// Those of a whole word.
pub fn of_word(word: Word) -> u64 {
    use State::*;
    match word {
        Word::Infinity => set(&[Inf, Infinity, InfBehind]),
        Word::Nan => set(&[Nan, Closed, NanBehind]),
    }
}

/// By state and byte, 256 of each state: which state follows.
pub fn table() -> Vec<u8> {
    use State::*;
    let mut table = vec![Bad as u8; COUNT * 256];
    let mut leads = |from: &[State], bytes: &dyn Fn(u8) -> bool, to: State| {
        for &from in from {
            (0..=255u8)
                .filter(|&byte| bytes(byte))
                .for_each(|byte| table[from as usize * 256 + usize::from(byte)] = to as u8);
        }
    };
    let digit = |byte: u8| byte.is_ascii_digit();
    let hex = |byte: u8| byte.is_ascii_hexdigit();
    let sign = |byte: u8| matches!(byte, b'+' | b'-');
    let point = |byte: u8| byte == b'.';
    fn letter(of: u8) -> impl Fn(u8) -> bool {
        move |byte| byte.eq_ignore_ascii_case(&of)
    }
    leads(&[Before], &is_space, Before);
    leads(&[Before], &sign, Sign);
    leads(&[Before, Sign, Zero, Digits], &digit, Digits);
    leads(&[Before, Sign], &|byte| byte == b'0', Zero);
    leads(&[Before, Sign], &point, Point);
    leads(&[Zero, Digits], &point, Fraction);
    leads(&[Point, Fraction], &digit, Fraction);
    leads(&[Zero, Digits, Fraction], &letter(b'e'), ExpMark);
    leads(&[ExpMark], &sign, ExpSign);
    leads(&[ExpMark, ExpSign, Exp], &digit, Exp);
    leads(&[Zero, Digits, Fraction, Exp, Behind], &is_space, Behind);
    leads(&[Zero], &letter(b'x'), HexMark);
    leads(&[HexMark, HexDigits], &hex, HexDigits);
    leads(&[HexMark], &point, HexPoint);
    leads(&[HexDigits], &point, HexFraction);
    leads(&[HexPoint, HexFraction], &hex, HexFraction);
    leads(&[HexDigits, HexFraction], &letter(b'p'), PowMark);
    leads(&[PowMark], &sign, PowSign);
    leads(&[PowMark, PowSign, Pow], &digit, Pow);
    leads(&[HexDigits, HexFraction, Pow, HexBehind], &is_space, HexBehind);
    let infinity = [I, In, Inf, Infi, Infin, Infini, Infinit, Infinity];
    for (from, byte, to) in
        [(Before, b'i', I), (Sign, b'i', I), (Before, b'n', N), (Sign, b'n', N), (N, b'a', Na), (Na, b'n', Nan)]
    {
        leads(&[from], &letter(byte), to);
    }
    for (pair, &byte) in infinity.windows(2).zip(b"nfinity") {
        leads(&pair[..1], &letter(byte), pair[1]);
    }
    leads(&[Inf, Infinity, InfBehind], &is_space, InfBehind);
    leads(&[Nan], &|byte| byte == b'(', Open);
    leads(&[Open], &|byte| byte.is_ascii_alphanumeric() || byte == b'_', Open);
    leads(&[Open], &|byte| byte == b')', Closed);
    leads(&[Nan, Closed, NanBehind], &is_space, NanBehind);
    table
}

/// A float that Rust reads and rounds.
pub trait Float: std::str::FromStr + std::ops::Neg<Output = Self> + PartialEq {
    const NAN: Self;
    const INFINITY: Self;
    /// The float next to a number of binary digits, of which the last has this exponent; the last of them stands for all
    /// that follow.
    fn of_bits(bits: &[bool], exponent: i64) -> Self;
}

macro_rules! float {
    ($Float:ident, $digits:expr, $least:expr) => {
        impl Float for $Float {
            const NAN: Self = $Float::NAN;
            const INFINITY: Self = $Float::INFINITY;
            fn of_bits(bits: &[bool], exponent: i64) -> Self {
                let Some(first) = bits.iter().position(|&bit| bit) else { return 0.0 };
                let bits = &bits[first..];
                // The exponent of the last bit that a float has here.
                let last = (exponent + bits.len() as i64 - $digits).max($least);
                let kept = (exponent + bits.len() as i64 - last).clamp(-1, bits.len() as i64);
                let (whole, rest) = bits.split_at(kept.max(0) as usize);
                let value = whole.iter().fold(0u64, |value, &bit| value << 1 | u64::from(bit));
                let (half, more) = (kept >= 0 && rest.first() == Some(&true), rest.iter().skip(1).any(|&bit| bit));
                let up = half && (more || value & 1 == 1);
                let unit = if exponent > last { exponent } else { last };
                // Each step is exact, but for the last where the number is infinite.
                let mut result = (value + u64::from(up)) as $Float;
                for _ in 0..unit.unsigned_abs().min(5000) {
                    result *= if unit > 0 { 2.0 } else { 0.5 };
                }
                result
            }
        }
    };
}
float!(f32, 24, -149);
float!(f64, 53, -1074);

/// The float that a string spells, if it does and its digits tell which.
pub fn spelled<F: Float>(s: &[u8]) -> Option<F> {
    let start = s.iter().position(|&byte| !is_space(byte))?;
    let end = s.iter().rposition(|&byte| !is_space(byte))? + 1;
    let text = std::str::from_utf8(&s[start..end]).ok()?.to_ascii_lowercase();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let value: F = unsigned(text)?;
    Some(if negative { -value } else { value })
}

fn unsigned<F: Float>(text: &str) -> Option<F> {
    if matches!(text, "inf" | "infinity") {
        return Some(F::INFINITY);
    }
    if let Some(rest) = text.strip_prefix("nan") {
        let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let plain = |inner: &str| inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return (rest.is_empty() || inner.is_some_and(plain)).then_some(F::NAN);
    }
    let (hex, text) = text.strip_prefix("0x").map_or((false, text), |rest| (true, rest));
    let (number, exponent) = match text.split_once(if hex { 'p' } else { 'e' }) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let power = match exponent {
        Some(exponent) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(())?;
            let size = digits.trim_start_matches('0');
            let size = if size.len() > 12 { 1 << 40 } else { size.parse().unwrap_or(0i64).min(1 << 40) };
            if exponent.starts_with('-') { -size } else { size }
        }
        None => 0,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    let base = if hex { 16 } else { 10 };
    (!digits.is_empty() && digits.bytes().all(|byte| char::from(byte).is_digit(base))).then_some(())?;
    if hex {
        let bits = digits.chars().flat_map(|digit| {
            let digit = digit.to_digit(16).unwrap_or(0);
            (0..4).rev().map(move |n| digit >> n & 1 == 1)
        });
        return Some(F::of_bits(&bits.collect::<Vec<_>>(), power - 4 * fraction.len() as i64));
    }
    let parsed = |digits: &str, dropped: usize| {
        let place = power - fraction.len() as i64 + dropped as i64;
        format!("{digits}e{place}").parse::<F>().ok()
    };
    let digits = digits.trim_start_matches('0');
    if digits.len() <= 19 {
        return parsed(if digits.is_empty() { "0" } else { digits }, 0);
    }
    let (first, rest) = digits.split_at(19);
    let value = parsed(first, rest.len());
    if rest.bytes().all(|digit| digit == b'0') {
        return value;
    }
    let next = first.parse::<u64>().ok()? + 1;
    value.filter(|value| parsed(&next.to_string(), rest.len()).as_ref() == Some(value))
}

#[test]
fn floats_are_read_by_the_definition() {
    for (text, value) in [
        ("0x1.8p-1074", 1e-323),
        ("0x0.8p-1074", 0.0),
        ("0x0.80000000000000000001p-1074", 5e-324),
        ("0x1p-1074", 5e-324),
        ("0x1p1024", f64::INFINITY),
        ("0x1.fffffffffffff8p1023", f64::INFINITY),
        ("0x1.fffffffffffff7ffp1023", f64::MAX),
        ("0x1.00000000000008p0", 1.0),
        ("0x1.000000000000080000000000000001p0", 1.0000000000000002),
        ("0x1p-2000", 0.0),
        (" -12.5e1\t", -125.0),
        ("9007199254740993", 9007199254740992.0),
    ] {
        assert_eq!(spelled::<f64>(text.as_bytes()), Some(value), "{text}");
    }
    for text in ["", "+", "0x", "0x.p1", "1e", "1_0", "- 1", "nan(-)", "infi", "00x1", "1.0000000596046447753906250001"]
    {
        assert_eq!(spelled::<f32>(text.as_bytes()), None, "{text}");
    }
}
