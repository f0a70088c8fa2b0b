//! FarmHash's `Fingerprint64` (Geoff Pike, <https://github.com/google/farmhash>, `farmhashna`), by which
//! models hash strings, and which tells their files apart.

pub const K0: u64 = 0xc3a5_c85c_97cb_3127;
pub const K1: u64 = 0xb492_b66f_be98_f273;
pub const K2: u64 = 0x9ae1_6a3b_2f90_404f;

fn word(s: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(s[at..at + 8].try_into().expect("eight bytes"))
}

fn mixed(word: u64) -> u64 {
    word ^ word >> 47
}

/// A hash of two words.
fn pair(u: u64, v: u64, by: u64) -> u64 {
    let a = mixed((u ^ v).wrapping_mul(by));
    mixed((v ^ a).wrapping_mul(by)).wrapping_mul(by)
}

/// A hash of 32 bytes from a place on, of two seeds.
fn of_32(s: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let [w, x, y, z] = [0, 8, 16, 24].map(|n| word(s, at + n));
    let a = a.wrapping_add(w);
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    let a = a.wrapping_add(x).wrapping_add(y);
    (a.wrapping_add(z), b.wrapping_add(a.rotate_right(44)).wrapping_add(c))
}

/// The fingerprint of these bytes.
pub fn fingerprint64(s: &[u8]) -> u64 {
    let n = s.len();
    let by = K2.wrapping_add(n as u64 * 2);
    match n {
        0 => K2,
        1..=3 => {
            let [a, b, c] = [0, n / 2, n - 1].map(|at| u64::from(s[at]));
            let (y, z) = (a + (b << 8), n as u64 + (c << 2));
            mixed(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2)
        }
        4..=7 => {
            let [a, b] =
                [0, n - 4].map(|at| u64::from(u32::from_le_bytes(*s[at..].first_chunk().expect("four bytes"))));
            pair(n as u64 + (a << 3), b, by)
        }
        8..=16 => {
            let (a, b) = (word(s, 0).wrapping_add(K2), word(s, n - 8));
            let c = b.rotate_right(37).wrapping_mul(by).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(by);
            pair(c, d, by)
        }
        17..=32 => {
            let (a, b) = (word(s, 0).wrapping_mul(K1), word(s, 8));
            let (c, d) = (word(s, n - 8).wrapping_mul(by), word(s, n - 16).wrapping_mul(K2));
            let u = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
            pair(u, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), by)
        }
        33..=64 => {
            let (a, b) = (word(s, 0).wrapping_mul(K2), word(s, 8));
            let (c, d) = (word(s, n - 8).wrapping_mul(by), word(s, n - 16).wrapping_mul(K2));
            let y = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
            let z = pair(y, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), by);
            let (e, f) = (word(s, 16).wrapping_mul(by), word(s, 24));
            let g = y.wrapping_add(word(s, n - 32)).wrapping_mul(by);
            let h = z.wrapping_add(word(s, n - 24)).wrapping_mul(by);
            let u = e.wrapping_add(f).rotate_right(43).wrapping_add(g.rotate_right(30)).wrapping_add(h);
            pair(u, e.wrapping_add(f.wrapping_add(a).rotate_right(18)).wrapping_add(g), by)
        }
        _ => of_many(s),
    }
}

/// Of more than 64 bytes: 56 bytes of state go over blocks of 64, the last of which may overlap the one before.
fn of_many(s: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let n = s.len();
    let mut x = SEED;
    let mut y = SEED.wrapping_mul(K1).wrapping_add(113);
    let mut z = mixed(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let (mut v, mut w) = ((0u64, 0u64), (0u64, 0u64));
    x = x.wrapping_mul(K2).wrapping_add(word(s, 0));
    let last = (n - 1) / 64 * 64;
    for at in (0..last).step_by(64) {
        x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(word(s, at + 8)).rotate_right(37).wrapping_mul(K1);
        y = y.wrapping_add(v.1).wrapping_add(word(s, at + 48)).rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y = y.wrapping_add(v.0).wrapping_add(word(s, at + 40));
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        v = of_32(s, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = of_32(s, at + 32, z.wrapping_add(w.1), y.wrapping_add(word(s, at + 16)));
        (x, z) = (z, x);
    }
    let by = K1.wrapping_add((z & 0xff) << 1);
    let at = n - 64;
    w.0 = w.0.wrapping_add((n as u64 - 1) & 63);
    v.0 = v.0.wrapping_add(w.0);
    w.0 = w.0.wrapping_add(v.0);
    x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(word(s, at + 8)).rotate_right(37).wrapping_mul(by);
    y = y.wrapping_add(v.1).wrapping_add(word(s, at + 48)).rotate_right(42).wrapping_mul(by);
    x ^= w.1.wrapping_mul(9);
    y = y.wrapping_add(v.0.wrapping_mul(9)).wrapping_add(word(s, at + 40));
    z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(by);
    v = of_32(s, at, v.1.wrapping_mul(by), x.wrapping_add(w.0));
    w = of_32(s, at + 32, z.wrapping_add(w.1), y.wrapping_add(word(s, at + 16)));
    (x, z) = (z, x);
    let first = pair(v.0, w.0, by).wrapping_add(mixed(y).wrapping_mul(K0)).wrapping_add(z);
    pair(first, pair(v.1, w.1, by).wrapping_add(x), by)
}

/// What the operators of the models' own framework give, in its version 2.21.
#[test]
fn fingerprints_are_those_of_models() {
    let long = "0123456789abcdef".repeat(4) + "X";
    for (text, fingerprint) in [
        ("", 0x9ae1_6a3b_2f90_404f),
        ("a", 0xb345_4265_b6df_75e3),
        ("hello", 0xb48b_e5a9_3138_0ce8),
        (&long, 13717024825487548489),
    ] {
        assert_eq!(fingerprint64(text.as_bytes()), fingerprint, "{text}");
    }
}
