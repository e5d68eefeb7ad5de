//! Quotation marks of CSV that are not what they seem: never closed, or with text behind the closing one.
//! A reader of CSV takes either silently, with all lines up to the next mark as one field.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::rc::Rc;

/// A mark at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stray {
    /// Number of the record, from 0 on; empty lines are none.
    pub(super) record: u64,
    /// 1-based line of the mark.
    pub(super) line: u64,
    /// Line on which the record ends.
    pub(super) last_line: u64,
    /// What is wrong.
    pub(super) what: &'static str,
}

/// Marks at fault in the order of the file, found as it is read.
#[derive(Clone, Default)]
pub(super) struct Strays(Rc<RefCell<VecDeque<Stray>>>);

impl Strays {
    /// The one of a record, once; those of earlier records are forgotten.
    pub(super) fn of(&self, record: u64) -> Option<Stray> {
        let mut strays = self.0.borrow_mut();
        while strays.front().is_some_and(|one| one.record < record) {
            strays.pop_front();
        }
        strays.pop_front_if(|one| one.record == record)
    }
}

/// Where in a record a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the start of a field; whether it is the first of its record.
    Field { is_first: bool },
    /// In a field without marks.
    Bare,
    /// Between marks.
    Quoted,
    /// Behind a mark that closes the field or is the first half of one that stands for itself.
    Mark,
}

/// Bytes on their way to a reader of CSV.
pub(super) struct Quotes<R> {
    inner: R,
    delimiter: u8,
    at: At,
    record: u64,
    line: u64,
    opened: u64,
    /// The fault of the record being read.
    fault: Option<(u64, &'static str)>,
    strays: Strays,
}

impl<R: Read> Quotes<R> {
    /// Reads from `inner`, whose first line is number `line`.
    pub(super) fn new(inner: R, delimiter: u8, line: u64) -> Self {
        let at = At::Field { is_first: true };
        let strays = Strays::default();
        Self { inner, delimiter, at, record: 0, line, opened: 0, fault: None, strays }
    }

    /// What is found while this is read.
    pub(super) fn strays(&self) -> Strays {
        self.strays.clone()
    }

    fn look(&mut self, byte: u8) {
        let is_end = byte == b'\n' || byte == b'\r';
        self.at = match (self.at, byte) {
            (At::Field { .. }, b'"') => {
                self.opened = self.line;
                At::Quoted
            }
            (At::Quoted, b'"') => At::Mark,
            (At::Quoted, _) => At::Quoted,
            (At::Mark, b'"') => At::Quoted,
            (_, byte) if byte == self.delimiter => At::Field { is_first: false },
            (At::Field { is_first: true }, _) if is_end => At::Field { is_first: true },
            (_, _) if is_end => {
                self.end_record();
                At::Field { is_first: true }
            }
            (At::Mark, _) => {
                self.fault.get_or_insert((self.opened, "is followed by more text where it closes"));
                At::Bare
            }
            (At::Field { .. } | At::Bare, _) => At::Bare,
        };
        self.line += u64::from(byte == b'\n');
    }

    fn end_record(&mut self) {
        if let Some((line, what)) = self.fault.take() {
            let stray = Stray { record: self.record, line, last_line: self.line, what };
            self.strays.0.borrow_mut().push_back(stray);
        }
        self.record += 1;
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        for &byte in &buffer[..n_read] {
            self.look(byte);
        }
        if n_read == 0 && !buffer.is_empty() && self.at != (At::Field { is_first: true }) {
            if self.at == At::Quoted {
                self.fault = Some((self.opened, "is never closed"));
            }
            self.end_record();
            self.at = At::Field { is_first: true };
        }
        Ok(n_read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strays(text: &str) -> Vec<(u64, u64, u64)> {
        let mut quotes = Quotes::new(text.as_bytes(), b',', 1);
        let found = quotes.strays();
        std::io::copy(&mut quotes, &mut std::io::sink()).unwrap();
        (0..10)
            .filter_map(|record| found.of(record))
            .map(|one| (one.record, one.line, one.last_line))
            .collect()
    }

    #[test]
    fn marks_that_open_close_and_stand_for_themselves_are_sound() {
        let sound = "a,b\n\n\"x\ny\",\"z \"\"w\"\"\"\r\n5\" pipe,\"\"\nlast,\"one\"";
        assert_eq!(strays(sound), []);
    }

    #[test]
    fn text_behind_a_mark_and_marks_without_end_are_found_with_their_lines() {
        assert_eq!(strays("a,b\n1,\"Best\" sofa\n2,x\n"), [(1, 2, 2)]);
        assert_eq!(strays("a,b\n1,\"Best\n2,x\n3,\"y z\n4,w\n"), [(1, 2, 4)]);
        assert_eq!(strays("a,b\r\n\r\n1,\"Best\r\n2,x\r\n"), [(1, 3, 5)]);
    }
}
