//! Reading on, from a file or a pipe, with a look ahead.

use std::io::{self, Read};

/// Bytes asked for at once.
const READ_SIZE: usize = 64 << 10;

/// A stream with the bytes that were read from it and not used yet.
#[derive(Debug)]
pub struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that were used.
    used: usize,
    /// Bytes of the buffer that were read.
    filled: usize,
    /// Offset of the first unused byte in the stream.
    offset: u64,
    at_end: bool,
}

impl<R: Read> Input<R> {
    /// Begins at offset 0.
    pub fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), used: 0, filled: 0, offset: 0, at_end: false }
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// At least `length` bytes from the present place on; fewer only when the stream ends before. Memory
    /// grows with what there really is to read, not with `length`.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        while self.filled - self.used < length && !self.at_end {
            self.read_more()?;
        }
        Ok(&self.buffer[self.used..self.filled])
    }

    /// Goes on by `length` bytes, which [`peek`](Self::peek) has given.
    pub fn skip(&mut self, length: usize) {
        let length = length.min(self.filled - self.used);
        self.used += length;
        self.offset += length as u64;
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.used > 0 {
            self.buffer.copy_within(self.used..self.filled, 0);
            self.filled -= self.used;
            self.used = 0;
        }
        // Grows by doubling: a long frame is copied a few times at most.
        if self.buffer.len() < self.filled + READ_SIZE {
            self.buffer.resize((self.filled + READ_SIZE).max(2 * self.filled), 0);
        }
        match self.source.read(&mut self.buffer[self.filled..]) {
            Ok(0) => self.at_end = true,
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(3).min(into.len());
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn peek_waits_for_what_it_needs() {
        let data: Vec<u8> = (0..=255).collect();
        let mut input = Input::new(Slow(&data));
        assert_eq!(input.peek(10).unwrap()[..10], data[..10]);
        input.skip(7);
        assert_eq!(input.peek(100).unwrap()[..100], data[7..107]);
        assert_eq!(input.peek(240).unwrap()[..240], data[7..247]);
        input.skip(240);
        assert_eq!(input.offset(), 247);
        assert_eq!(input.peek(1000).unwrap(), &data[247..]);
        input.skip(9);
        assert!(input.peek(1).unwrap().is_empty());
    }

    #[test]
    fn a_great_length_takes_no_memory() {
        let mut input = Input::new(&b"short"[..]);
        assert_eq!(input.peek(1 << 40).unwrap(), b"short");
        assert!(input.buffer.len() <= 2 * READ_SIZE);
    }
}
