//! Powers of ten as 128 bits, the first of which is 1: those of 5, and the power of 2 follows from the exponent.

/// The powers that matter: what is below is 0 by whatever 64 bits, what is above is infinite.
pub const LOWEST: i64 = -342;
pub const HIGHEST: i64 = 308;
/// How many there are.
pub const COUNT: usize = (HIGHEST - LOWEST + 1) as usize;

/// Of each power the upper and the lower 64 bits: cut off where the exponent is not negative, and above the exact value, by
/// at most one unit, where it is.
pub fn table() -> Vec<u64> {
    let mut positive = vec![vec![1u32]];
    for n in 0..HIGHEST.max(-LOWEST) as usize {
        let next = times(&positive[n], 5);
        positive.push(next);
    }
    let power = |q: i64| match usize::try_from(q) {
        Ok(n) => first_bits(&positive[n]),
        // 2^b / 5^-q with more than 128 bits, by as many divisions, each of which cuts off.
        Err(_) => {
            let mut quotient = vec![0u32; bits(&positive[-q as usize]) / 32 + 6];
            *quotient.last_mut().expect("it has words") = 1;
            (0..-q).for_each(|_| divide(&mut quotient, 5));
            first_bits(&quotient) + 1
        }
    };
    (LOWEST..=HIGHEST).map(power).flat_map(|power| [(power >> 64) as u64, power as u64]).collect()
}

/// A number, its lowest 32 bits first, times a small one.
fn times(number: &[u32], by: u32) -> Vec<u32> {
    let mut carry = 0;
    let mut product: Vec<u32> = vec![];
    for &word in number {
        carry += u64::from(word) * u64::from(by);
        product.push(carry as u32);
        carry >>= 32;
    }
    product.extend((carry != 0).then_some(carry as u32));
    product
}

/// Divides a number by a small one.
fn divide(number: &mut Vec<u32>, by: u32) {
    let mut rest = 0;
    for word in number.iter_mut().rev() {
        rest = rest << 32 | u64::from(*word);
        *word = (rest / u64::from(by)) as u32;
        rest %= u64::from(by);
    }
    while number.last() == Some(&0) {
        number.pop();
    }
}

/// The bits of a number that is not 0.
fn bits(number: &[u32]) -> usize {
    number.len() * 32 - number.last().map_or(0, |word| word.leading_zeros() as usize)
}

/// The first 128 bits of a number, followed by zeros where it has fewer.
fn first_bits(number: &[u32]) -> u128 {
    let all = bits(number);
    let bit = |n: usize| u128::from(number[n / 32] >> (n % 32) & 1);
    (0..128).fold(0, |value, n| value << 1 | if n < all { bit(all - 1 - n) } else { 0 })
}

#[test]
fn powers_are_those_of_ten() {
    let table = table();
    let power = |q: i64| [0, 1].map(|n| table[(q - LOWEST) as usize * 2 + n]);
    assert_eq!(power(0), [1 << 63, 0]);
    assert_eq!(power(1), [5 << 61, 0]);
    // 0.8, of which the last bit is rounded up.
    assert_eq!(power(-1), [0xcccc_cccc_cccc_cccc, 0xcccc_cccc_cccc_cccd]);
    assert_eq!(power(27)[0], (5u128.pow(27) << (128 - 63) >> 64) as u64);
    assert!(table.iter().step_by(2).all(|top| top >> 63 == 1));
}
