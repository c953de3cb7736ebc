//! The page flag of a large folio's head.

use super::Description;

/// `PG_head` as a kernel has it (include/linux/page-flags.h).
#[derive(Clone, Copy, Debug)]
pub struct FolioHead {
    mask: Option<u64>,
}

impl FolioHead {
    /// Of the kernel described.
    pub fn new(kernel: &Description) -> Self {
        Self { mask: kernel.page_flag("PG_head") }
    }

    /// Whether the flags are those of a head; `None` when it is not known.
    #[inline]
    pub fn knows(self, flags: u64) -> Option<bool> {
        self.mask.filter(|_| flags != tracer_common::event::UNKNOWN).map(|mask| flags & mask != 0)
    }

    /// The same; so they are taken to be where that is not known.
    #[inline]
    pub fn may_be(self, flags: u64) -> bool {
        self.knows(flags) != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::NamedValue;

    #[test]
    fn what_is_not_known_may_be_a_head() {
        let unknown = FolioHead::new(&Description::default());
        assert_eq!((unknown.knows(0), unknown.may_be(0)), (None, true));
        let page_flags = vec![NamedValue { name: "PG_head".to_owned(), value: 6 }];
        let head = FolioHead::new(&Description { page_flags, ..Description::default() });
        assert_eq!(
            [0, 0x40, tracer_common::event::UNKNOWN].map(|flags| head.knows(flags)),
            [Some(false), Some(true), None]
        );
    }
}
