//! What was measured, a line each:
//!
//! ```text
//! MODE STACK N BUFFER TOTAL UNITS
//! ```

/// The contenders, as the measurements call them, in the order of the columns.
pub const STACKS: [&str; 3] = ["cygnet", "bare", "embassy"];

/// What a contender needed.
pub struct Measured {
    mode: String,
    stack: String,
    pub connections: u64,
    buffer: u64,
    /// Per request or byte.
    pub cost: f64,
}

impl Measured {
    /// Reads a line.
    pub fn parse(line: &str) -> Option<Measured> {
        let [mode, stack, connections, buffer, total, units] =
            line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        Some(Measured {
            mode: mode.into(),
            stack: stack.into(),
            connections: connections.parse().ok()?,
            buffer: buffer.parse().ok()?,
            cost: total.parse::<f64>().ok()? / units.parse::<f64>().ok()?,
        })
    }
}

/// All that was measured.
pub struct Results(pub Vec<Measured>);

impl Results {
    /// Those of one mode and contender.
    pub fn of(&self, mode: &str, stack: &str) -> impl Iterator<Item = &Measured> {
        let wanted = move |one: &&Measured| one.mode == mode && one.stack == stack;
        self.0.iter().filter(wanted)
    }

    /// One cost, if it was measured.
    pub fn cost(&self, mode: &str, stack: &str, connections: u64, buffer: u64) -> Option<f64> {
        let mut found = self.of(mode, stack);
        let found = found.find(|one| (one.connections, one.buffer) == (connections, buffer));
        found.map(|one| one.cost)
    }

    /// The costs of one mode, of what all contenders did: connections, buffer, and
    /// one cost per contender.
    pub fn rows(&self, mode: &str) -> Vec<(u64, u64, [f64; 3])> {
        let row = |one: &Measured| {
            let cost = |stack| self.cost(mode, stack, one.connections, one.buffer);
            let [ours, bare, embassy] = STACKS.map(cost);
            Some((one.connections, one.buffer, [ours?, bare?, embassy?]))
        };
        self.of(mode, STACKS[0]).filter_map(row).collect()
    }

    /// By how much the costs of one active connection differ, as a fraction.
    pub fn spread(&self) -> f64 {
        let ours = || self.of("active", STACKS[0]).map(|one| one.cost);
        ours().fold(0.0, f64::max) / ours().fold(f64::INFINITY, f64::min) - 1.0
    }
}
