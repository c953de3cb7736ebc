//! The first and the last of many.

use std::collections::VecDeque;

/// Keeps that many from the beginning and as many from the end.
#[derive(Debug)]
pub struct Kept<T> {
    most: usize,
    first: Vec<T>,
    last: VecDeque<T>,
    left_out: u64,
}

impl<T> Kept<T> {
    /// Keeps `most` of each.
    pub const fn new(most: usize) -> Self {
        Self { most, first: Vec::new(), last: VecDeque::new(), left_out: 0 }
    }

    /// Takes the next one.
    pub fn push(&mut self, value: T) {
        if self.first.len() < self.most {
            self.first.push(value);
            return;
        }
        if self.last.len() >= self.most {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(value);
    }

    /// Those taken last, the last one first.
    pub fn recent(&mut self) -> impl Iterator<Item = &mut T> {
        self.last.iter_mut().rev().chain(self.first.iter_mut().rev())
    }

    /// The first ones, how many were left out behind them, and the last ones.
    pub fn into_parts(self) -> (Vec<T>, u64, VecDeque<T>) {
        (self.first, self.left_out, self.last)
    }
}
