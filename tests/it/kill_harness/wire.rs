//! The messages of PostgreSQL's protocol, version 3: a type and a length, and the first ones of a
//! client without a type.

use std::io::{ErrorKind, Read, Result};

/// The type of a message that has none.
pub const UNTYPED: u8 = b'-';

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// One message, with its type and length as they are sent.
pub struct Frame {
    pub tag: u8,
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Reads the next message; `None` where the other side has closed, in the middle of one too.
    pub fn read(from: &mut impl Read, typed: bool) -> Result<Option<Frame>> {
        let head = if typed { 5 } else { 4 };
        let mut bytes = vec![0; head];
        if !filled(from, &mut bytes)? {
            return Ok(None);
        }
        let mut length = [0; 4];
        length.copy_from_slice(&bytes[head - 4..]);
        bytes.resize(head - 4 + u32::from_be_bytes(length) as usize, 0);
        if !filled(from, &mut bytes[head..])? {
            return Ok(None);
        }
        let tag = if typed { bytes[0] } else { UNTYPED };
        Ok(Some(Frame { tag, bytes }))
    }

    /// Whether it asks for encryption, which comes before the start-up.
    pub fn asks_for_encryption(&self) -> bool {
        self.tag == UNTYPED && matches!(self.number(4), Some(SSL_REQUEST | GSS_REQUEST))
    }

    /// The process ID in a server's `BackendKeyData`.
    pub fn process_id(&self) -> Option<i32> {
        let is_key = self.tag == b'K';
        let number = self.number(5).filter(|_| is_key)?;
        i32::try_from(number).ok()
    }

    fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// What it says: the SQL of a query, the tag of a completed command, the first value of a row,
    /// the code of an error.
    pub fn text(&self) -> String {
        let body = self.bytes.get(5..).unwrap_or_default();
        let text = |bytes: &[u8]| {
            let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        match self.tag {
            b'Q' | b'C' => text(body),
            b'D' => {
                let length = self
                    .number(7)
                    .and_then(|length| usize::try_from(length).ok());
                text(length.and_then(|l| body.get(6..6 + l)).unwrap_or_default())
            }
            b'E' => {
                let fields = body.split(|byte| *byte == 0);
                let code = fields
                    .into_iter()
                    .find_map(|field| field.strip_prefix(b"C"));
                text(code.unwrap_or_default())
            }
            _ => String::new(),
        }
    }
}

/// Fills the buffer; false where the other side has closed.
fn filled(from: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
