//! Kernel stacks: which one an id stands for at this place of the stream.
//!
//! An id is a slot of the kernel's table, which another stack can take (6.12 kernel/bpf/stackmap.c, BPF_F_REUSE_STACKID):
//! from there on it stands for that one. What a reader keeps of a stack differs: frames, functions, a number.

use rustc_hash::FxHashMap;

/// Most frames of stacks that a reader keeps.
pub const MOST_FRAMES: usize = 1 << 20;

/// What is kept of the stacks that ids stand for now.
#[derive(Debug)]
pub struct StackIds<T>(FxHashMap<i32, T>);

impl<T> Default for StackIds<T> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<T> StackIds<T> {
    /// The id stands for another stack from now on, of which this is kept: `None` where there is no room, because the
    /// stack before must not stay under its id. Gives back what was kept of that.
    pub fn stands_for(&mut self, id: i32, stack: Option<T>) -> Option<T> {
        match stack {
            Some(stack) => self.0.insert(id, stack),
            None => self.0.remove(&id),
        }
    }

    /// The same, to be filled: empty where nothing is kept yet.
    pub fn or_default(&mut self, id: i32) -> &mut T
    where
        T: Default,
    {
        self.0.entry(id).or_default()
    }

    /// What is kept of the stack that the id stands for now.
    #[inline]
    pub fn get(&self, id: i32) -> Option<&T> {
        self.0.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_is_not_kept_ends_the_one_before() {
        let mut ids = StackIds::default();
        assert_eq!(ids.stands_for(1, Some("first")), None);
        assert_eq!(ids.stands_for(1, Some("second")), Some("first"));
        assert_eq!((ids.get(1), ids.get(2)), (Some(&"second"), None));
        assert_eq!(ids.stands_for(1, None), Some("second"));
        assert_eq!(ids.get(1), None);
    }
}
