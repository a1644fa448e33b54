//! The remainder of a large number by pi/2, by as many bits of 2/pi as it needs.
//!
//! M. Payne and R. Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18 (1983): of x 2/pi = m 2^e 2/pi only the
//! bits of 2/pi around 2^-e matter, since those before give multiples of 4. Plain integers, number by number.

use super::double::Double;
use super::trigonometric::{HALF_PI, Quadrant};

/// 2/pi: 1,280 bits behind the point.
const TWO_OVER_PI: [u64; 20] = [
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
];

/// 64 bits of 2/pi from the one with index `from` on, where index 0 is the first behind the point.
fn bits_from(from: usize) -> u64 {
    let (word, shift) = (from / 64, from % 64);
    let at = |word: usize| u128::from(TWO_OVER_PI.get(word).copied().unwrap_or(0));
    ((at(word) << 64 | at(word + 1)) << shift >> 64) as u64
}

/// Where x lies, for any `|x| >= 2^20`; infinities and NaN give NaN.
pub(super) fn reduce_far(x: f64) -> Quadrant<f64> {
    if !x.is_finite() {
        return Quadrant { turn: 0.0, r: Double { high: f64::NAN, low: f64::NAN } };
    }
    let exponent = (x.to_bits() >> 52 & 0x7FF) as i32 - 1_075;
    let mantissa = u128::from(x.to_bits() & 0x000F_FFFF_FFFF_FFFF | 1 << 52);
    // |x| 2/pi = product 2^(exponent - first - 192)
    let first = (exponent - 2).max(0);
    let mut product = [0u64; 4];
    let mut carry = 0;
    for (i, place) in product.iter_mut().enumerate() {
        let word = if i < 3 { bits_from(first as usize + 64 * (2 - i)) } else { 0 };
        let sum = mantissa * u128::from(word) + carry;
        *place = sum as u64;
        carry = sum >> 64;
    }
    // shifted so that the lowest 192 bits are |x| 2/pi modulo 4
    let down = (2 - exponent).max(0) as u32;
    let words: [u64; 3] =
        std::array::from_fn(|i| ((u128::from(product[i + 1]) << 64 | u128::from(product[i])) >> down) as u64);
    let quadrant = words[2] >> 62;
    let mut top = (u128::from(words[2]) << 64 | u128::from(words[1])) << 2 | u128::from(words[0] >> 62);
    let mut rest = words[0] << 2;
    // to the nearest multiple: a fraction of a half or more belongs to the next one
    let above = top >> 127 == 1;
    if above {
        rest = rest.wrapping_neg();
        top = (!top).wrapping_add(u128::from(rest == 0));
    }
    let k = quadrant + u64::from(above);
    let negative = above != x.is_sign_negative();
    let r = times_half_pi(top, rest);
    let sign = if negative { -1.0 } else { 1.0 };
    let k = if x.is_sign_negative() { k.wrapping_neg() } else { k };
    Quadrant { turn: f64::from_bits(k << 62), r: Double { high: sign * r.high, low: sign * r.low } }
}

/// (top 2^64 + rest) 2^-192 pi/2 for a fraction that is not 0.
fn times_half_pi(top: u128, rest: u64) -> Double<f64> {
    let zeros = top.leading_zeros();
    let top = if zeros == 0 { top } else { top << zeros | u128::from(rest) >> (64 - zeros.min(64)) };
    let scale = |bits: i32| f64::from_bits(((1_023 - bits - zeros as i32) as u64) << 52);
    let high = (top >> 75) as f64 * scale(53);
    let low = ((top >> 22) as u64 & ((1 << 53) - 1)) as f64 * scale(106);
    let product = Double::product(high, HALF_PI[0]);
    Double::sum(product.high, high.mul_add(HALF_PI[1], low.mul_add(HALF_PI[0], product.low)))
}
