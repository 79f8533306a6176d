//! Messages of Protocol Buffers, written from the outside in: numbers of variable
//! length, eight bytes, and what has a length. Nothing is read.
//!
//! Not here: what a field means.

/// A message in the making.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u32, wire: u64) {
        self.varint(u64::from(field) << 3 | wire);
    }

    /// A number.
    pub(super) fn number(mut self, field: u32, number: u64) -> Self {
        self.key(field, 0);
        self.varint(number);
        self
    }

    /// A number of eight bytes.
    pub(super) fn fixed(mut self, field: u32, number: u64) -> Self {
        self.key(field, 1);
        self.0.extend(number.to_le_bytes());
        self
    }

    /// A text.
    pub(super) fn text(self, field: u32, text: &str) -> Self {
        self.sized(field, text.as_bytes())
    }

    /// A message within this one.
    pub(super) fn message(self, field: u32, message: &Message) -> Self {
        self.sized(field, &message.0)
    }

    fn sized(mut self, field: u32, bytes: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_format() {
        // The examples of the encoding's own documentation.
        let inner = Message::default().number(1, 150);
        assert_eq!(inner.bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().text(2, "testing");
        assert_eq!(text.bytes(), b"\x12\x07testing");
        let outer = Message::default().message(3, &inner);
        assert_eq!(outer.bytes(), [0x1a, 3, 0x08, 0x96, 0x01]);
        let fixed = Message::default().fixed(47, 1);
        assert_eq!(fixed.bytes(), [0xf9, 2, 1, 0, 0, 0, 0, 0, 0, 0]);
        let most = Message::default().number(1, u64::MAX);
        assert_eq!(
            most.bytes(),
            [8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]
        );
    }
}
