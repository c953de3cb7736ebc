//! Puts the calls of a thread on as few rows as they nest in.
//!
//! A viewer takes the beginnings and ends on a row as a stack. Calls nest, but they come in the order of their ends,
//! an outer one after all inner ones, and two cases would come out wrong: a beginning at the same time as that of an
//! inner call, which was written before it, and an overlap, which clocks of two CPUs can make. Such a call goes to
//! the next row, with its own times.

use std::collections::VecDeque;

/// Calls that are kept apart on a row. Before them all is taken as one call.
const MOST: usize = 128;

/// The rows of one thread.
#[derive(Debug, Default)]
pub struct Nesting {
    rows: Vec<VecDeque<(u64, u64)>>,
}

impl Nesting {
    /// The row for a call from `begin` to `end`, 0 for all that nest.
    pub fn row(&mut self, begin: u64, end: u64) -> usize {
        let row = self.rows.iter_mut().position(|row| place(row, begin, end));
        row.unwrap_or_else(|| {
            self.rows.push(VecDeque::from([(begin, end)]));
            self.rows.len() - 1
        })
    }
}

/// Puts a call among those of a row, which do not overlap; `false` when it does not nest with them.
fn place(row: &mut VecDeque<(u64, u64)>, begin: u64, end: u64) -> bool {
    // An interrupt may send its event before the call that it interrupted at its very end does. Were the times the
    // same, its beginning would come before that end.
    let later = row.iter().rev().take_while(|(start, _)| *start > end).count();
    let top = row.len() - later;
    let mut inner = top;
    while inner > 0 {
        let (start, stop) = row[inner - 1];
        if stop <= begin && start < begin {
            break;
        }
        if start <= begin || stop > end {
            return false;
        }
        inner -= 1;
    }
    row.drain(inner..top);
    row.insert(inner, (begin, end));
    if row.len() > MOST
        && let Some((start, _)) = row.pop_front()
    {
        row[0].0 = start;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(calls: &[(u64, u64)]) -> Vec<usize> {
        let mut nesting = Nesting::default();
        calls.iter().map(|(begin, end)| nesting.row(*begin, *end)).collect()
    }

    #[test]
    fn calls_nest() {
        assert_eq!(rows(&[(2, 3), (3, 4), (1, 5), (6, 7)]), [0; 4]);
        assert_eq!(rows(&[(2, 5), (1, 5)]), [0, 0]);
        assert_eq!(rows(&[(5, 6), (1, 4)]), [0, 0]);
    }

    #[test]
    fn what_does_not_nest_has_a_row_of_its_own() {
        assert_eq!(rows(&[(2, 3), (2, 5)]), [0, 1]);
        assert_eq!(rows(&[(2, 6), (4, 8), (5, 9)]), [0, 1, 2]);
    }

    /// What a viewer makes of a row: its packets sorted by time, those of the same time as they were written.
    fn read(packets: &[(u64, Option<usize>)]) -> Vec<(usize, u64, u64)> {
        let mut sorted = packets.to_vec();
        sorted.sort_by_key(|(time, _)| *time);
        let (mut stack, mut calls) = (Vec::new(), Vec::new());
        for (time, call) in sorted {
            match call {
                Some(call) => stack.push((call, time)),
                None => {
                    let (call, begin) = stack.pop().expect("an end has a beginning");
                    calls.push((call, begin, time));
                }
            }
        }
        assert!(stack.is_empty());
        calls.sort_unstable();
        calls
    }

    proptest! {
        #[test]
        fn a_viewer_reads_what_was_written(calls in prop::collection::vec((0_u64..60, 1_u64..20), 0..300)) {
            let mut nesting = Nesting::default();
            let mut rows: Vec<Vec<(u64, Option<usize>)>> = Vec::new();
            let mut expected = Vec::new();
            for (index, (begin, length)) in calls.iter().enumerate() {
                let row = nesting.row(*begin, begin + length);
                rows.resize(rows.len().max(row + 1), Vec::new());
                rows[row].extend([(*begin, Some(index)), (begin + length, None)]);
                expected.push((index, *begin, begin + length));
            }
            let mut seen: Vec<_> = rows.iter().flat_map(|row| read(row)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
