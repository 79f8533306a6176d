//! Initial sequence numbers. A peer that can foresee them can speak for others,
//! and smoltcp's come from a generator whose state three of them give away. So
//! ours are a keyed hash of the connection plus a clock (`secrets.rs`), and smoltcp
//! is brought to draw exactly that number: every connection begins in a
//! throw-away `Interface`, whose generator can be
//! seeded, and the generator runs backwards as easily as forwards.
//!
//! Not here: sequence numbers that must be recognised later (`cookie.rs`).

use smoltcp::wire::TcpSeqNumber;

/// smoltcp's generator: `state = state * MULTIPLIER + INCREMENT`.
const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;
/// `MULTIPLIER * INVERSE == 1`.
const INVERSE: u64 = inverse(MULTIPLIER);

/// How often an `Interface` draws before a connection does, and that draw: one
/// is for IPv4's identification. Link layers that another crate switches on
/// draw too; then a sequence number is another than the one wished for, and as
/// hard to foresee.
pub(crate) const DRAWS: u32 = 2;

/// The seed from which the `draws`th number drawn is `isn`.
pub(crate) fn seed(isn: TcpSeqNumber, draws: u32) -> u64 {
    // With the top three bits zero, a draw is these 32 and no others.
    let wanted = u64::from(isn.0 as u32) << 29;
    // An interface draws again where it may not use a zero. A seed for which
    // it would will not do; one in 250 is such.
    for low in 0..64 {
        let mut state = wanted | low;
        let mut again = false;
        for back in 0..draws {
            again |= back > 0 && is_drawn_again(drawn(state));
            state = state.wrapping_sub(INCREMENT).wrapping_mul(INVERSE);
        }
        if !again {
            return state;
        }
    }
    wanted
}

/// Whether an interface has no use for this number, be it for a link layer's
/// sequence number, of 8 bits, or for an identification, of 16 folded ones.
fn is_drawn_again(drawn: u32) -> bool {
    drawn & 0xff == 0 || drawn as u16 == (drawn >> 16) as u16
}

/// What smoltcp makes of a state.
fn drawn(state: u64) -> u32 {
    (state >> (29 - (state >> 61))) as u32
}

const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd; // right in the last three bits
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_runs_backwards() {
        assert_eq!(MULTIPLIER.wrapping_mul(INVERSE), 1);
        // Before the last, an interface would have drawn an identification of zero.
        for isn in [0, 1, -1, i32::MIN, 0x1234_5678, -616_614_033] {
            for draws in 1..5 {
                let mut state = seed(TcpSeqNumber(isn), draws);
                for left in (0..draws).rev() {
                    state = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
                    let number = drawn(state);
                    let folded = (number ^ number >> 16) as u16;
                    assert!(
                        left == 0 || (folded != 0 && number as u8 != 0),
                        "drawn again"
                    );
                }
                assert_eq!(drawn(state) as i32, isn);
            }
        }
    }
}
