//! What the client does, and what every contender must be ready for.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Echo on one of N connections.
    Active,
    /// Echo on each of N connections in turn, one request in flight.
    Round,
    /// Echo on all N at once: one turn of the server answers all.
    All,
    /// Connect, one echo, close, while N - 1 others are open.
    Churn,
    /// The server sends as fast as the client reads.
    BulkDown,
    /// The client sends as fast as the server reads.
    BulkUp,
}

impl Mode {
    pub fn parse(text: &str) -> Option<Mode> {
        Some(match text {
            "active" => Mode::Active,
            "round" => Mode::Round,
            "all" => Mode::All,
            "churn" => Mode::Churn,
            "bulk-down" => Mode::BulkDown,
            "bulk-up" => Mode::BulkUp,
            _ => return None,
        })
    }
}

/// What a server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Echo,
    Source,
    Sink,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub mode: Mode,
    pub connections: usize,
    /// Receive and transmit buffer of every connection, at both ends.
    pub buffer: usize,
}

impl Plan {
    /// From the words of a command line.
    pub fn parse(mode: &str, connections: &str, buffer: &str) -> Option<Plan> {
        Some(Plan {
            mode: Mode::parse(mode)?,
            connections: connections.parse().ok()?,
            buffer: buffer.parse().ok()?,
        })
    }

    /// How much to let pass before anything is measured.
    pub fn warm_up(&self) -> u64 {
        match self.mode {
            Mode::BulkDown | Mode::BulkUp => 1 << 20,
            Mode::All => self.connections as u64,
            _ => 2,
        }
    }

    pub fn service(&self) -> Service {
        match self.mode {
            Mode::BulkDown => Service::Source,
            Mode::BulkUp => Service::Sink,
            _ => Service::Echo,
        }
    }
}
