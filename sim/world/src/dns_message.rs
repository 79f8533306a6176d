//! DNS messages (RFC 1035) as a server of this world reads and makes them, by hand: not with
//! the codec of the client that is tried.
//!
//! Not here: which names there are (`names`).

/// Kinds of records.
pub(super) const A: u16 = 1;
pub(super) const ALIAS: u16 = 5;
pub(super) const AAAA: u16 = 28;

/// How an answer ends.
pub(super) const FINE: u8 = 0;
pub(super) const FAILED: u8 = 2;
pub(super) const NO_NAME: u8 = 3;

/// A question, and the bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: u16,
    /// In small letters, with dots between its labels.
    pub(super) name: String,
    pub(super) kind: u16,
    bytes: Vec<u8>,
}

impl Question {
    /// The same about another name.
    pub(super) fn named(&self, name: &str) -> Question {
        let kind = self.kind.to_be_bytes();
        Question {
            name: name.into(),
            bytes: [labels(name, false), kind.to_vec(), vec![0, 1]].concat(),
            ..self.clone()
        }
    }
}

/// What a server says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) seconds: u32,
    pub(super) data: Vec<u8>,
}

/// Reads a question; `None` if it is none.
pub(super) fn read(message: &[u8]) -> Option<Question> {
    let (head, rest) = message.split_first_chunk::<12>()?;
    let is_question = head[2] & 0x80 == 0 && head[4..6] == [0, 1];
    let mut name: Vec<&[u8]> = Vec::new();
    let mut left = rest;
    while let [length @ 1..=63, more @ ..] = left {
        let (label, more) = more.split_at_checked(usize::from(*length))?;
        name.push(label);
        left = more;
    }
    let &[0, k0, k1, 0, 1, ..] = left else {
        return None;
    };
    let bytes = rest.get(..rest.len() - left.len() + 5)?.to_vec();
    let name = name.join(&b'.').to_ascii_lowercase();
    is_question.then_some(Question {
        id: u16::from_be_bytes([head[0], head[1]]),
        name: String::from_utf8(name).ok()?,
        kind: u16::from_be_bytes([k0, k1]),
        bytes,
    })
}

/// An answer that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Answer<'q> {
    pub(super) question: &'q Question,
    pub(super) id: u16,
    pub(super) code: u8,
    /// It is too long, and comes by TCP.
    pub(super) truncated: bool,
    /// Names are in capitals.
    pub(super) capitals: bool,
    pub(super) records: Vec<Record>,
}

impl Answer<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let [i0, i1] = self.id.to_be_bytes();
        let truncated = if self.truncated { 2 } else { 0 };
        let count = self.records.len() as u8;
        let mut out = vec![i0, i1, 0x81 | truncated, 0x80 | self.code, 0, 1, 0, count];
        out.extend([0; 4]);
        let mut asked = self.question.bytes.clone();
        if self.capitals {
            let name = asked.len() - 4;
            asked[..name].make_ascii_uppercase(); // lengths are below every letter
        }
        out.extend(asked);
        for record in &self.records {
            out.extend(labels(&record.name, self.capitals));
            out.extend(record.kind.to_be_bytes());
            out.extend([0, 1]);
            out.extend(record.seconds.to_be_bytes());
            out.extend((record.data.len() as u16).to_be_bytes());
            out.extend(&record.data);
        }
        out
    }
}

/// A name in labels.
pub(super) fn labels(name: &str, capitals: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    if capitals {
        out.make_ascii_uppercase();
    }
    out
}
