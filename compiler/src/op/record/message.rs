//! What evaluators read of messages, by definition: fields from the front, each with a tag.

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m>(pub &'m [u8]);

impl<'m> Message<'m> {
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
    /// The next byte where it is this tag.
    pub fn has(&mut self, tag: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == tag => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
    /// A number of ten bytes at most, of seven bits each, the lowest first; what is above 64 bits is lost.
    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for n in 0..10 {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
    pub fn bytes(&mut self, count: u64) -> Option<&'m [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
    /// A length and as many bytes.
    pub fn delimited(&mut self) -> Option<&'m [u8]> {
        let length = self.varint()?;
        self.bytes(length)
    }
    /// A field that nobody asks for, with its tag. Groups are none.
    pub fn skip(&mut self) -> Option<()> {
        match self.varint()? & 7 {
            0 => self.varint().map(drop),
            1 => self.bytes(8).map(drop),
            2 => self.delimited().map(drop),
            5 => self.bytes(4).map(drop),
            _ => None,
        }
    }
}
