//! What the tables come down to: a few ratios, and the limit that each is held
//! to. They are of instruction counts, which repeat, so a limit is just above
//! what was reached and a regression fails `bench/run --check`.
//!
//! Not here: wall time, which depends on the machine.

use crate::results::Results;
use crate::table::table;

/// A cost divided by another one.
struct Ratio {
    name: &'static str,
    /// Mode, contender, connections, buffer.
    over: (&'static str, &'static str, u64, u64),
    under: (&'static str, &'static str, u64, u64),
    limit: f64,
}

const ONE: (&str, &str, u64, u64) = ("active", "cygnet", 1, 256);

const fn ratio(
    name: &'static str,
    over: (&'static str, &'static str, u64, u64),
    under: (&'static str, &'static str, u64, u64),
    limit: f64,
) -> Ratio {
    Ratio {
        name,
        over,
        under,
        limit,
    }
}

const RATIOS: [Ratio; 17] = [
    ratio(
        "an echo over one connection / bare",
        ONE,
        ("active", "bare", 1, 256),
        1.05,
    ),
    ratio(
        "the same with IPv6 built in / bare",
        ("ipv6-active", "cygnet", 1, 256),
        ("ipv6-active", "bare", 1, 256),
        1.11,
    ),
    ratio(
        "8 at once with IPv6 built in / bare",
        ("ipv6-all", "cygnet", 8, 256),
        ("ipv6-all", "bare", 8, 256),
        1.06,
    ),
    ratio(
        "one active of 4,096 / one of 1",
        ("active", "cygnet", 4096, 256),
        ONE,
        1.02,
    ),
    ratio(
        "round robin over 4,096 / one of 1",
        ("round", "cygnet", 4096, 256),
        ONE,
        1.02,
    ),
    ratio("8 at once / one of 1", ("all", "cygnet", 8, 256), ONE, 1.00),
    ratio(
        "64 at once / one of 1",
        ("all", "cygnet", 64, 256),
        ONE,
        1.00,
    ),
    ratio(
        "4,096 at once / one of 1",
        ("all", "cygnet", 4096, 256),
        ONE,
        1.00,
    ),
    ratio(
        "8 at once / bare",
        ("all", "cygnet", 8, 256),
        ("all", "bare", 8, 256),
        1.03,
    ),
    ratio(
        "64 at once / bare",
        ("all", "cygnet", 64, 256),
        ("all", "bare", 64, 256),
        1.00,
    ),
    ratio(
        "a short connection beside 4,095 / beside none",
        ("churn", "cygnet", 4096, 256),
        ("churn", "cygnet", 1, 256),
        1.02,
    ),
    ratio(
        "server sends, 4 KiB buffers / bare",
        ("bulk-down", "cygnet", 1, 4096),
        ("bulk-down", "bare", 1, 4096),
        1.03,
    ),
    ratio(
        "server sends, 64 KiB buffers / bare",
        ("bulk-down", "cygnet", 1, 65536),
        ("bulk-down", "bare", 1, 65536),
        1.00,
    ),
    ratio(
        "server receives, 4 KiB buffers / bare",
        ("bulk-up", "cygnet", 1, 4096),
        ("bulk-up", "bare", 1, 4096),
        1.00,
    ),
    ratio(
        "server receives, 64 KiB buffers / bare",
        ("bulk-up", "cygnet", 1, 65536),
        ("bulk-up", "bare", 1, 65536),
        1.00,
    ),
    ratio(
        "a datagram echoed / an echo over one connection",
        ("datagrams", "cygnet", 1, 64),
        ONE,
        0.60,
    ),
    ratio(
        "a datagram to one of 1,024 sockets / to one of 1",
        ("datagrams", "cygnet", 1024, 64),
        ("datagrams", "cygnet", 1, 64),
        1.01,
    ),
];

/// Appends the table of those that were measured. False when one is over its
/// limit, or when all are wanted and one is missing.
pub fn hold(out: &mut String, results: &Results, all: bool) -> bool {
    let (mut rows, mut held) = (Vec::new(), true);
    for ratio in &RATIOS {
        let cost =
            |(mode, stack, connections, buffer)| results.cost(mode, stack, connections, buffer);
        let (Some(over), Some(under)) = (cost(ratio.over), cost(ratio.under)) else {
            if all {
                eprintln!("not measured: {}", ratio.name);
                held = false;
            }
            continue;
        };
        let value = over / under;
        if value > ratio.limit {
            eprintln!("{}: {value:.3} is over {}", ratio.name, ratio.limit);
            held = false;
        }
        rows.push(vec![
            ratio.name.into(),
            format!("{value:.3}"),
            format!("{:.2}", ratio.limit),
        ]);
    }
    let title = "Ratios of instructions, and the limits that `bench/run --check` holds them to";
    table(out, title, &["", "ratio", "at most"], rows);
    held
}
