//! The plan of the house: which file is on which floor. A file imports from its
//! own floor and from floors below.

/// Folders and files of `src`, and their floors.
const FLOORS: &[(&str, u8)] = &[
    ("src/lab/", 9),
    ("src/service/", 8),
    ("src/event_loop.rs", 7),
    ("src/drive.rs", 7),
    ("src/node.rs", 6),
    ("src/error.rs", 6),
    ("src/socket/", 5),
    ("src/stack/", 4),
    // A waker is known to every table that keeps one.
    ("src/task/waker.rs", 0),
    ("src/task/", 4),
    ("src/table/", 3),
    ("src/rules/", 2),
    ("src/frame/", 1),
    ("src/event.rs", 0),
    ("src/counters.rs", 0),
    ("src/digest.rs", 0),
    ("src/time.rs", 0),
    ("src/scheduler.rs", 0),
    ("src/driver.rs", 0),
    ("src/initial.rs", 0),
    ("src/prefetch.rs", 0),
    ("src/test_list.rs", 0),
    ("src/worded.rs", 0),
];

/// Folders of one floor that do not know each other.
const BESIDE: &[(&str, &str)] = &[("src/stack/", "src/task/")];

/// What may import what all the same: files, or folders that end in `/`.
const ALLOWED: &[(&str, &str)] = &[];

/// Crates that have no floors, but no circles either, by their folders: `sim` with
/// `sim/world` in it.
pub const WITHOUT_FLOORS: &[&str] = &["sim", "bench/host"];

/// How many fields a `Core` may have.
pub const CORE_FIELDS: usize = 14;

/// Folders in which the methods of one type may still stand in several files: the
/// stack's state is one object, until it is made of parts.
pub const OPEN: &[&str] = &[];

/// How many lines a file may have.
pub const FILE_LINES: usize = 500;

/// How many code lines `src` may have, and what does not count because no machine of
/// 64 KiB has it: the laboratory, and storage from an allocator. The first number is of
/// the house, the second of what TCP owes its peers, the third of addresses that come and
/// go, the fourth of datagrams and pings, the fifth of DHCP and names: each of these three is behind
/// a feature. The sixth is of the room in which a digest gathers events, the seventh of what
/// other crates ask of a stack that they run on, the last of what who watches is shown.
pub const CODE_LINES: usize = 8_200 + 1_465 + 708 + 2_190 + 1_678 + 53 + 660 + 229;
pub const UNCOUNTED: &[&str] = &["src/lab/", "src/table/heap.rs", "src/task/heap.rs"];

/// The floor of a file.
pub fn floor(path: &str) -> Option<u8> {
    let found = FLOORS.iter().find(|(place, _)| is_in(path, place));
    found.map(|(_, floor)| *floor)
}

/// Whether these stand beside each other.
pub fn beside(from: &str, to: &str) -> bool {
    let pairs = BESIDE.iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
    pairs
        .into_iter()
        .any(|(a, b)| is_in(from, a) && is_in(to, b))
}

pub fn allowed(from: &str, to: &str) -> bool {
    ALLOWED.iter().any(|(a, b)| is_in(from, a) && is_in(to, b))
}

fn is_in(path: &str, place: &str) -> bool {
    path == place || place.ends_with('/') && path.starts_with(place)
}
