//! Copies of a program, which run one after the other where the kernel may skip one, and the notes by which they tell
//! which of them has the work to do.
//!
//! A note is where the call's frame is on its stack, the phase of the programs, and the copy that left it.

use crate::family::Family;

/// Copies of each program, where there are any. The first is 1.
pub const COPIES: u64 = 3;

/// Threads whose notes are in one value of the map of notes; a power of two.
pub const NOTES: usize = 2048;

/// Bits of a note below the place, which is a multiple of 8.
const MARK: u64 = 7;
/// Of these, those of the copy.
const COPY: u64 = 3;

/// Families whose programs have copies, one bit each. On a kernel that preempts tasks in the kernel a program of any
/// family can be skipped; elsewhere only one whose function is called in interrupts, too: drivers map bounce buffers
/// there.
pub const fn families(preempts: bool) -> u32 {
    if preempts { (1 << Family::COUNT) - 1 } else { 1 << Family::Swiotlb as u32 }
}

/// Whether the programs of a family are among `families`.
#[inline(always)]
pub const fn have(families: u32, family: Family) -> bool {
    families >> family as u32 & 1 != 0
}

/// Which of a function's two sets of copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Those at its entry.
    Entry = 0,
    /// Those at its return.
    Return = 1,
}

/// The note of a copy; `place` is a multiple of 8.
#[inline(always)]
pub const fn note(place: u64, phase: Phase, copy: u16) -> u64 {
    place & !MARK | (phase as u64) << 2 | copy as u64
}

/// Whether the note that a copy found, where it leaves `note`, is one of an earlier copy that ran for the same call.
/// It can be left from an earlier call of the same function at the same place, the later copies of which the kernel
/// all skipped: then the copy does nothing, and the call counts as missed.
#[inline(always)]
pub const fn is_done(found: u64, note: u64) -> bool {
    let (found_copy, copy) = (found & COPY, note & COPY);
    (found ^ note) & !COPY == 0 && found_copy != 0 && found_copy < copy
}

/// Whether a note that was found on the same interrupt stack is one of a call that the call of `note` is on top of,
/// and that may go on. Later frames lie below earlier ones.
#[inline(always)]
pub const fn is_of_call_below(found: u64, note: u64) -> bool {
    let is_open = found & COPY != 0 && found & COPY != COPIES;
    is_open && (found & !MARK).cast_signed() > (note & !MARK).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::Phase::{Entry, Return};
    use super::*;

    #[test]
    fn swiotlb_is_called_in_interrupts_on_every_kernel() {
        for family in Family::ALL {
            assert!(have(families(true), family));
            assert_eq!(have(families(false), family), family == Family::Swiotlb);
        }
    }

    /// One stack with one place for notes.
    #[derive(Default)]
    struct Stack {
        word: u64,
        skips: u64,
        rescued: u64,
        seen: u64,
    }

    impl Stack {
        /// A call at a place, with the copies of a phase that the kernel skips.
        fn call(&mut self, place: u64, phase: Phase, skipped: &[u16]) -> u64 {
            let seen = self.seen;
            for copy in 1..=3 {
                if skipped.contains(&copy) {
                    self.skips += u64::from(copy == 1);
                    continue;
                }
                let note = note(place, phase, copy);
                if !is_done(core::mem::replace(&mut self.word, note), note) {
                    self.seen += 1;
                    self.rescued += u64::from(copy != 1);
                }
            }
            self.seen - seen
        }
    }

    #[test]
    fn the_first_copy_that_runs_does_the_work() {
        let mut stack = Stack::default();
        for skipped in [&[][..], &[1], &[2], &[1, 2], &[3], &[1], &[1, 3], &[], &[2, 3], &[]] {
            assert_eq!(stack.call(800, Entry, skipped), 1, "{skipped:?}");
        }
        assert_eq!(stack.call(800, Entry, &[1, 2, 3]), 0);
        assert_eq!(stack.skips - stack.rescued, 1, "what nobody saw");
    }

    #[test]
    fn entry_and_return_have_one_place() {
        let mut stack = Stack::default();
        assert_eq!(stack.call(800, Entry, &[2, 3]), 1);
        assert_eq!(stack.call(800, Return, &[1]), 1);
    }

    #[test]
    fn nothing_is_seen_twice_and_what_is_not_seen_is_counted() {
        // Each sequence of three calls at the same place or another, with any copies skipped.
        let skips = |bits: u32| (1..=3).filter(move |copy| bits >> copy & 1 != 0);
        for calls in 0..16 * 16 * 16_u32 {
            let mut stack = Stack::default();
            let mut all = 0;
            for nth in 0..3 {
                let bits = calls >> (4 * nth) & 15;
                let mut list = [0; 3];
                for (slot, copy) in list.iter_mut().zip(skips(bits)) {
                    *slot = copy;
                }
                assert!(stack.call(if bits & 1 == 0 { 800 } else { 640 }, Entry, &list) <= 1, "{calls:x}");
                all += 1;
            }
            assert_eq!(stack.seen + stack.skips - stack.rescued, all, "{calls:x}");
        }
    }

    #[test]
    fn an_interrupt_leaves_the_notes_of_those_below_it_alone() {
        let below = note((-80_i64).cast_unsigned(), Entry, 1);
        let above = note((-400_i64).cast_unsigned(), Entry, 1);
        assert!(is_of_call_below(below, above) && !is_of_call_below(above, below));
        assert!(!is_of_call_below(below, note((-80_i64).cast_unsigned(), Entry, 2)), "its own call");
        assert!(
            !is_of_call_below(note((-80_i64).cast_unsigned(), Entry, 3), above),
            "nothing comes after the last"
        );
        assert!(!is_of_call_below(0, above), "no note");
    }
}
