use cygnet::event::{Reason, Source};
use cygnet::lab::wire::{Faults, Wire};
use cygnet::task::TaskState;
use cygnet::{Backlog, Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks, Turn, turns};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

use super::*;

const GIVEN: Given = Given {
    slots: 8,
    tasks: 16,
};

/// A node as locals of the calling function.
macro_rules! node {
    ($node:ident, $number:literal) => {
        let mut storage: Storage<'_, 8, 1024, 1024> = Storage::new();
        let mut task_storage: TaskStorage<16, 512> = TaskStorage::new();
        let config = Config::new([2, 0, 0, 0, 0, $number], [$number; 16]);
        let mut ethernet = DeviceCapabilities::default();
        ethernet.medium = smoltcp::phy::Medium::Ethernet;
        ethernet.max_transmission_unit = 1514;
        let stack = Stack::new(&mut storage, &config, ethernet).unwrap();
        let own = IpCidr::new(IpAddress::v4(10, 0, 0, $number), 24);
        stack.add_address(own).unwrap();
        let ready: &ReadySet<16> = Box::leak(Box::new(ReadySet::new()));
        let tasks = Tasks::new(&mut task_storage, ready);
        let $node = Node::new(&stack, &tasks);
    };
}

/// A server with three clients, whose first bytes nobody has read: at 1 s, and at 2 s.
fn moments() -> [Moment; 2] {
    node!(server, 1);
    node!(client, 2);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        listener.set_name("parrot");
        while let Ok((mut stream, _)) = listener.accept().await {
            let reads = async move {
                let mut text = [0; 8];
                while let Ok(1..) = stream.read(&mut text).await {}
            };
            server.spawn_named("client", reads).unwrap();
        }
    };
    server.spawn_named("parrot", serve).unwrap();
    for number in 0..3 {
        let asks = async move {
            let to = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7);
            let mut stream = client.connect(to).await.unwrap();
            client.sleep(Duration::from_millis(100 * number)).await;
            stream.write_all(b"hello").await.unwrap();
            std::future::pending::<()>().await;
        };
        client.spawn(asks).unwrap();
    }
    let wire = Wire::<64>::new(Faults::default());
    let (mut left, mut right) = wire.ends();
    let mut now = Instant::ZERO;
    turns(server, |turns_server| {
        turns(client, |turns_client| {
            [1, 2].map(|secs| {
                let until = Instant::from_secs(secs);
                loop {
                    let turns = [
                        turns_server.turn(&mut left, now),
                        turns_client.turn(&mut right, now),
                    ];
                    let next = turns.into_iter().filter_map(|turn| match turn {
                        Turn::Ready => Some(now),
                        Turn::Idle(at) => at,
                        Turn::Done => None,
                    });
                    let next = next.chain(wire.next_delivery()).min();
                    let next = next.unwrap_or(until).max(now + Duration::from_micros(1));
                    if now == until {
                        return Moment::of(server);
                    }
                    now = next.min(until);
                }
            })
        })
    })
}

fn screen() -> Screen {
    let mut screen = Screen::new("cyg0".into(), GIVEN, false);
    for moment in moments() {
        screen.show(moment);
    }
    screen
}

fn buffer(screen: &mut Screen, width: u16, height: u16) -> ratatui::buffer::Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen's rows, without what is empty at their ends.
fn rows(screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
    let buffer = buffer(screen, width, height);
    let row = |y| {
        let cells = (0..width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(row).collect()
}

fn press(screen: &mut Screen, keys: &str) -> Wish {
    let mut last = Wish::Redraw;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '<' => KeyCode::Backspace,
            '^' => KeyCode::Esc,
            letter => KeyCode::Char(letter),
        };
        last = screen.key(KeyEvent::from(code));
    }
    last
}

/// Where the row is that is chosen, in words.
fn chosen(screen: &mut Screen) -> String {
    let buffer = buffer(screen, 80, 24);
    let is_chosen = |y: &u16| buffer[(0, *y)].modifier.contains(Modifier::REVERSED);
    let y = (0..24).find(is_chosen).expect("a row is chosen");
    (0..80).map(|x| buffer[(x, y)].symbol()).collect()
}

#[test]
fn it_shows_tasks_with_reasons_connections_totals_and_keys() {
    let mut screen = screen();
    screen.log(vec!["Connection from 10.0.0.2".into()]);
    let shown = rows(&mut screen, 80, 24);
    assert_eq!(shown[0], "cyg0  up 2.0s  slots 3/8  tasks 4/16");
    assert!(shown[1].starts_with("frames in "), "{shown:#?}");
    let has = |words: &[&str]| {
        let all = |row: &&String| words.iter().all(|word| row.contains(word));
        assert!(shown.iter().any(|row| all(&row)), "{words:?}: {shown:#?}");
    };
    has(&["tasks 4"]);
    has(&["parrot", "accept", ":7"]);
    has(&["client", "read", "#0"]);
    has(&["[connections 3]"]);
    has(&["#2", "10.0.0.2:", "parrot", "open", "read"]);
    has(&["Connection from 10.0.0.2"]);
    assert!(
        shown[23].starts_with("q quit  tab list  s sort"),
        "{shown:#?}"
    );
}

#[test]
fn a_connection_shows_what_its_own_task_waits_for() {
    let [_, mut moment] = moments();
    for task in &mut moment.tasks {
        if let TaskState::Waiting(_, Source::Stream(1)) = task.state {
            task.state = TaskState::Waiting(Reason::Write, Source::Stream(1));
        }
    }
    assert_eq!(
        [0, 1, 2].map(|slot| moment.waits_at(slot)),
        ["read", "write", "read"]
    );
}

#[test]
fn the_least_important_columns_go_first_and_what_names_a_row_never() {
    let mut screen = screen();
    let mut heads = |width| {
        let shown = rows(&mut screen, width, 24);
        let head = shown.into_iter().find(|row| row.starts_with("slot^"));
        head.unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        heads(120),
        "slot^ peer service state waits age idle unread unsent next limit window its window"
    );
    assert_eq!(
        heads(80),
        "slot^ peer service state waits age unread unsent next limit"
    );
    assert_eq!(heads(40), "slot^ peer service state");
    assert_eq!(heads(20), "slot^ peer");
}

#[test]
fn rates_are_of_the_last_second() {
    let [mut first, second] = moments();
    first.counters.frames_in = 100;
    let mut screen = Screen::new("cyg0".into(), GIVEN, false);
    screen.show(first.clone());
    let said = rows(&mut screen, 80, 24).join(" ");
    assert!(said.contains("frames in 100 (0/s)"), "{said}");
    let mut later = second.clone();
    later.counters.frames_in = 350;
    screen.show(later.clone());
    let said = rows(&mut screen, 80, 24).join(" ");
    assert!(said.contains("frames in 350 (250/s)"), "{said}");
    later.now += Duration::from_secs(2);
    later.counters.frames_in = 370;
    screen.show(later.clone());
    let said = rows(&mut screen, 80, 24).join(" ");
    assert!(said.contains("frames in 370 (10/s)"), "{said}");
}

#[test]
fn drops_are_told_with_their_reasons_the_most_first() {
    let [_, mut moment] = moments();
    moment.counters.dropped[1] = 3;
    moment.counters.dropped[9] = 50;
    let mut screen = Screen::new("cyg0".into(), GIVEN, false);
    screen.show(moment);
    let said = rows(&mut screen, 80, 24).join("\n");
    assert!(
        said.contains("\ndropped: 50 checksum, 3 not ours\n"),
        "{said}"
    );
}

#[test]
fn any_size_is_drawn_also_before_the_first_moment() {
    let mut empty = Screen::new("cyg0".into(), GIVEN, true);
    let mut full = screen();
    for keys in ["", "?", "^\t", "/x", "^a", "nas", "/parrot\n", "j"] {
        press(&mut empty, keys);
        press(&mut full, keys);
        for width in [1, 2, 3, 10, 39, 80, 300] {
            for height in [1, 2, 3, 4, 5, 11, 12, 13, 24, 60] {
                buffer(&mut empty, width, height);
                buffer(&mut full, width, height);
            }
        }
    }
    let mut full = screen();
    assert_eq!(rows(&mut full, 10, 3)[2], "q quit  ta");
    let narrow = rows(&mut full, 40, 24);
    let all = narrow.join("\n");
    assert!(
        all.contains(" 10.0.0.2:") && all.contains("parrot"),
        "{all}"
    );
    assert!(narrow[23].starts_with("q quit"), "{all}");
}

#[test]
fn keys_sort_and_reverse_and_the_chosen_row_stays_chosen() {
    let mut screen = screen();
    assert!(chosen(&mut screen).contains("#0 "));
    press(&mut screen, "jj");
    let last = chosen(&mut screen);
    assert!(last.contains("#2 "), "{last}");
    press(&mut screen, "r");
    assert_eq!(chosen(&mut screen), last);
    let shown = rows(&mut screen, 80, 24);
    let at = |words: &str| shown.iter().position(|row| row.contains(words));
    assert!(
        at("#2 10") < at("#1 10") && at("#1 10") < at("#0 10"),
        "{shown:#?}"
    );
    assert!(at("slotv").is_some(), "{shown:#?}");
    press(&mut screen, "s");
    assert!(
        rows(&mut screen, 80, 24)
            .iter()
            .any(|row| row.contains("peerv"))
    );
    // Keys are for the list that is marked.
    press(&mut screen, "\tss");
    let shown = rows(&mut screen, 80, 24);
    assert!(shown.iter().any(|row| row.contains("[tasks 4]")));
    let tasks = shown.iter().skip_while(|row| !row.contains("[tasks"));
    let names: Vec<&String> = tasks.skip(2).take(4).collect();
    assert!(
        names[0].contains("accept") && names[1].contains("read"),
        "{names:?}"
    );
}

#[test]
fn a_filter_is_typed_and_taken_away() {
    let mut screen = screen();
    press(&mut screen, "/#2x<");
    let shown = rows(&mut screen, 80, 24);
    assert_eq!(shown[22], "rows with #2_   (enter, esc)");
    assert!(
        shown.iter().any(|row| row.contains("[connections 1]")),
        "{shown:#?}"
    );
    // It waits at that connection.
    assert!(
        shown.iter().any(|row| row.contains(" tasks 1 ")),
        "{shown:#?}"
    );
    press(&mut screen, "\n");
    let shown = rows(&mut screen, 80, 24).join("\n");
    assert!(shown.contains("[connections 1] with \"#2\""), "{shown}");
    press(&mut screen, "^");
    assert!(
        rows(&mut screen, 80, 24)
            .join("\n")
            .contains("[connections 3]")
    );
    // A letter that is typed is no key.
    assert_eq!(press(&mut screen, "/q"), Wish::Redraw);
}

#[test]
fn an_abort_asks_first_and_means_the_row_that_was_chosen() {
    let mut screen = screen();
    press(&mut screen, "ja");
    let asked = rows(&mut screen, 80, 24)[22].clone();
    assert!(asked.starts_with("abort #1 10.0.0.2:"), "{asked}");
    assert_eq!(press(&mut screen, "n"), Wish::Redraw);
    press(&mut screen, "a");
    // The connection is gone meanwhile: another row is chosen then, and not aborted.
    let [_, mut later] = moments();
    later.connections.remove(1);
    screen.show(later);
    match press(&mut screen, "y") {
        Wish::Abort(connection) => assert_eq!(connection.slot, 1),
        other => panic!("{other:?}"),
    }
    press(&mut screen, "\ta");
    assert!(rows(&mut screen, 80, 24)[22].starts_with("choose a connection first"));
}

#[test]
fn it_stands_still_helps_and_quits() {
    let mut screen = screen();
    press(&mut screen, "p");
    assert!(screen.is_paused() && rows(&mut screen, 80, 24)[0].starts_with("PAUSED  cyg0"));
    press(&mut screen, "p");
    assert!(!screen.is_paused());
    press(&mut screen, "?");
    let help = rows(&mut screen, 80, 24).join("\n");
    assert!(help.contains("abort the chosen connection"), "{help}");
    // The key that ends the help does nothing else.
    assert_eq!(press(&mut screen, "q"), Wish::Redraw);
    assert_eq!(press(&mut screen, "q"), Wish::Quit);
    let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut screen, "/");
    assert_eq!(screen.key(control), Wish::Quit);
}

#[test]
fn without_colors_there_are_none() {
    let [_, mut moment] = moments();
    moment.counters.dropped[1] = 3;
    for (color, colored) in [(true, true), (false, false)] {
        let mut screen = Screen::new("cyg0".into(), GIVEN, color);
        screen.show(moment.clone());
        screen.log(vec!["Connection".into()]);
        let buffer = buffer(&mut screen, 80, 24);
        let plain = [Color::Reset, Color::default()];
        let found = buffer.content.iter().any(|cell| !plain.contains(&cell.fg));
        assert_eq!(found, colored);
    }
}

#[test]
fn the_same_as_text_has_every_column_and_every_limit() {
    let [_, moment] = moments();
    let lines = text::whole("cyg0", &moment, GIVEN);
    let text = lines.join("\n");
    assert!(text.starts_with("cyg0  up 2.0s  slots 3/8"), "{text}");
    for words in [
        "waits for",
        "its window",
        "limits of #0: write 2m00s stands still",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        lines
            .iter()
            .filter(|line| line.contains(" parrot "))
            .count()
            >= 4,
        "{text}"
    );
}
