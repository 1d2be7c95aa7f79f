//! RSA keys of one broken generator (CVE-2017-15361), whose private half can be computed from the public one.
//!
//! Their primes are powers of 65537 modulo many small primes, so their modulus is one, too. A sound modulus is that for all of these
//! primes by accident once in about 2^27 keys; such an unlucky key is refused as well, and its owner makes another one.

/// The odd primes that the generator's first product is made of.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
const GENERATOR: u32 = 65_537;

/// Whether this modulus (big-endian) looks like one of those.
pub(super) fn is_suspect(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|prime| is_power(rest(modulus, *prime), *prime))
}

fn rest(number: &[u8], prime: u32) -> u32 {
    number
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

/// Whether `wanted` is a power of the generator modulo `prime`.
fn is_power(wanted: u32, prime: u32) -> bool {
    let step = GENERATOR % prime;
    let mut power = 1;
    for _ in 0..prime {
        if power == wanted {
            return true;
        }
        power = power * step % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_found() {
        // 65537 = 1 (mod 2^16), and a power of itself modulo everything.
        assert!(is_suspect(&[1, 0, 1]));
        assert!(is_suspect(&[1]));
        assert!(!is_suspect(&[3]));
        assert_eq!(rest(&[1, 0, 1], 7), 65_537 % 7);
    }
}
