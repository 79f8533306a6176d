//! What this process has had of the machine so far.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What the processor gave this thread.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Bytes of memory that the kernel gave this process, without files; 0 where it
/// does not say.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    1024 * kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
}
