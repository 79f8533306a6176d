use smoltcp::time::{Duration, Instant};

use crate::Link;
use crate::plan::{Blow, Plan};
use crate::scenario::SCENARIOS;
use crate::stage::{Staging, run};

const SMALL: &str = "cygnet-plan 1
# a comment
time heal=5s limit=60s
host server serve secret=00000000000000aa slots=4 tasks=6 task-bytes=2048 rx=512 tx=512 backlog=2 latency=50us rate=0 queue=1000 mtu=1514
host c1 visit to=server secret=00000000000000bb v6 lanes=1 visits=3 until=5s requests=1 bytes=9 start=1.5ms pause=1s gap=0s goodbye=half latency=1ms rate=0 queue=1000 mtu=1514
at 1.25s cut c1 both   # one way is not enough
at 2s join c1
frame c1 up 4 lose
frame server down 0 late 12us
end
";

#[test]
fn a_plan_is_read_written_and_read_again() {
    let plan: Plan = SMALL.parse().unwrap();
    assert_eq!(
        (plan.places.len(), plan.strikes.len(), plan.facts()),
        (2, 2, 6)
    );
    assert_eq!(plan.strikes[0].at, Instant::from_millis(1250));
    let text = plan.to_string();
    assert_eq!(text.parse::<Plan>().unwrap(), plan);
    assert!(text.contains("frame server down 0 late 12us\n"), "{text}");
}

/// What the text leaves out: rates, from which only the drawn run draws.
fn without_rates(mut plan: Plan) -> Plan {
    let plain = |link: &mut Link| {
        *link = Link {
            latency: link.latency,
            bytes_per_second: link.bytes_per_second,
            queue_bytes: link.queue_bytes,
            mtu: link.mtu,
            tells: link.tells,
            ..Link::LAN
        }
    };
    plan.places
        .iter_mut()
        .for_each(|place| plain(&mut place.link));
    for strike in &mut plan.strikes {
        if let Blow::Link(link) = &mut strike.blow {
            plain(link);
        }
    }
    plan
}

#[test]
fn every_scenario_survives_its_text_and_runs_the_same() {
    for scenario in SCENARIOS {
        let horizon = Duration::from_secs(3);
        let mut plan = scenario.plan(5, horizon);
        let drawn = run(
            &plan,
            Staging {
                seed: Some(5),
                record: true,
                ..Staging::default()
            },
        );
        plan.fates = drawn.fates.clone();
        let read: Plan = plan.to_string().parse().unwrap();
        assert_eq!(read, without_rates(plan));
        let told = run(&read, Staging::default());
        assert_eq!(told.violation, drawn.violation, "{}", scenario.name);
        assert_eq!(
            (told.digest, told.events),
            (drawn.digest, drawn.events),
            "{}",
            scenario.name
        );
    }
}

fn error(text: &str) -> String {
    text.parse::<Plan>().unwrap_err().to_string()
}

/// The small plan with one line changed.
fn with(line: usize, text: &str) -> String {
    let mut lines: Vec<&str> = SMALL.lines().collect();
    lines[line - 1] = text;
    lines.join("\n")
}

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    for (text, expected) in [
        (
            String::new(),
            "1:1: expected `cygnet-plan 1` or `cygnet-plan 2`, found an empty file",
        ),
        (
            with(1, "cygnet-plan 9"),
            "1:13: this program reads versions 1 and 2 of plans, found version \"9\"; a newer \
             one reads it",
        ),
        (
            with(1, "tap: 3"),
            "1:1: expected `cygnet-plan`, found \"tap:\"",
        ),
        (
            with(6, "at 1s cut c9 both"),
            "6:11: expected a host or switch, found \"c9\"; so far there are server, c1",
        ),
        (
            with(6, "at -1s cut c1 both"),
            "6:4: expected a time, found \"-1s\"; none is negative",
        ),
        (
            with(6, "at 1s cut c1 bth"),
            "6:14: expected up, down or both, found \"bth\"; did you mean both?",
        ),
        (
            with(6, "at 1s"),
            "6:6: expected what happens, found the end of the line",
        ),
        (
            with(8, "frame c1 up four lose"),
            "8:13: expected a frame's number, found \"four\"",
        ),
        (
            with(8, "frame c1 up 4 lo"),
            "8:15: expected lose, late, spike, hold, flip or twice, found \"lo\"",
        ),
        (
            with(8, "frame c1 up 4 lose twice"),
            "8:20: expected the end of the line, found \"twice\"",
        ),
        (
            with(9, "frame c1 up 4 lose"),
            "9:15: this frame is told \"lose\" already",
        ),
        (
            with(3, "time heal=9s limit=8s"),
            "3:1: expected limit not before heal",
        ),
        (
            with(3, "time heal=9s limt=9s"),
            "3:14: expected one of heal, limit, found \"limt\"; did you mean limit?",
        ),
        (
            with(3, "honest honest"),
            "3:8: expected the end of the line, found \"honest\"",
        ),
        (
            with(2, "host other"),
            "2:11: expected serve, visit, stranger, liar, dhcp-server, dhcp-client, dns-server or dns-client, found the end of the line",
        ),
        (
            with(10, "# end"),
            "10:6: expected `end` as the last line (was the file cut off?), found the end of the file",
        ),
    ] {
        assert_eq!(error(&text), expected);
    }
}

#[test]
fn a_plan_cut_off_anywhere_is_an_error_and_never_a_panic() {
    for end in 0..SMALL.len() - 1 {
        let cut = &SMALL[..end];
        let read = cut.parse::<Plan>();
        assert!(read.is_err() || cut.ends_with("end"), "{end}");
    }
}

/// What a person writes: only what matters.
const SHORT: &str = "cygnet-plan 1
host server serve
host c1 visit
at 3s cut c1
frame c1 up 17 lose
end
";

#[test]
fn what_is_left_out_has_a_default_and_is_written_out() {
    let reading = super::read(SHORT).unwrap();
    let plan = &reading.plan;
    assert_eq!(plan.heal, Instant::from_secs(10));
    assert_eq!(plan.limit, Instant::from_secs(610));
    let text = plan.to_string();
    for words in [
        "time heal=10s limit=610s\n",
        " slots=16 tasks=24 task-bytes=2048 rx=2048 tx=2048 backlog=8 asks=20s latency=50us \
         rate=0 queue=262144 mtu=1514\n",
        " lanes=1 visits=all until=10s requests=3 bytes=600 start=0s pause=100ms gap=20ms \
         goodbye=close patience=none latency=50us",
        "at 3s cut c1 both\n",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let read: Plan = text.parse().unwrap();
    assert_eq!(read, *plan);
    // Nothing is left out of what is written.
    let again = super::read(&text).unwrap();
    assert!(again.times_left_out.is_empty());
    assert!(again.left_out.iter().all(Vec::is_empty), "{again:?}");
    assert_eq!(reading.times_left_out, ["heal=10s", "limit=610s"]);
    assert!(reading.left_out[1].contains(&"to=server".to_owned()));
    assert!(reading.left_out[1].contains(&"until=heal".to_owned()));
    // It runs, and hosts differ by their names.
    let done = run(plan, Staging::default());
    assert_eq!(done.violation, None);
    assert!(done.visits > 10, "{}", done.visits);
    let secret = |line: usize| {
        let line = text.lines().nth(line).unwrap();
        line.split(' ')
            .find(|word| word.starts_with("secret="))
            .unwrap()
            .to_owned()
    };
    assert_ne!(secret(2), secret(3));
}

#[test]
fn defaults_follow_what_is_said() {
    for (line, words) in [
        ("host server serve slots=40", " slots=40 tasks=48 "),
        ("time heal=3s", "time heal=3s limit=603s\n"),
        ("time limit=70s", "time heal=10s limit=70s\n"),
        (
            "host s2 serve latency=5ms\nat 1s link s2 rate=9000",
            "at 1s link s2 latency=5ms rate=9000 ",
        ),
        (
            "host x serve\nhost l liar shrink",
            " visits=1 until=4s bytes=600 ",
        ),
        (
            "host x serve\nattacker m syn",
            "attacker m syn to=x secret=",
        ),
    ] {
        // The time of the heal may come last.
        let heal = if line.starts_with("time") {
            ""
        } else {
            "time heal=4s\n"
        };
        let host = if line.contains("serve") {
            ""
        } else {
            "host x serve\n"
        };
        let plan: Plan = format!("cygnet-plan 1\n{host}{line}\n{heal}end\n")
            .parse()
            .unwrap();
        let text = plan.to_string();
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(text.parse::<Plan>().unwrap(), plan);
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "cygnet-plan 1
time heal=5 limit=3s
host server serv
host c1 visit to=server lanes=0 bytes=swan gap=1s gap=2s
host c1 visit
host c2 visti
at 3s cut c2
at 3s ct c1
frame c1 up 17 loose
frame c9 up 17 lose
";
    assert_eq!(
        error(text),
        "\
2:11: expected a time such as 3s or 20ms, found \"5\"
3:13: expected serve, visit, stranger, liar, dhcp-server, dhcp-client, dns-server or dns-client, found \"serv\"; did you mean serve?
4:31: expected lanes from 1 to 1024, found 0
4:39: expected bytes from 1 to 1073741824, found \"swan\"
4:51: gap is given twice; say it once
5:6: \"c1\" is there already; give this one another name
6:9: expected serve, visit, stranger, liar, dhcp-server, dhcp-client, dns-server or dns-client, found \"visti\"; did you mean visit?
8:7: expected cut, join, unplug, plug, link, crash, boot, pause, resume, drift or jump, found \"ct\"; did you mean cut?
9:16: expected lose, late, spike, hold, flip or twice, found \"loose\"; did you mean lose?
10:7: expected a host or switch, found \"c9\"; so far there are server, c1, c2
10:20: expected `end` as the last line (was the file cut off?), found the end of the file"
    );
}

#[test]
fn bad_plans_are_refused_with_what_to_do() {
    let plan = |version: u32, lines: &str| format!("cygnet-plan {version}\n{lines}\nend\n");
    for (text, expected) in [
        (
            plan(3, "host server serve"),
            "1:13: this program reads versions 1 and 2 of plans, found version \"3\"; a newer one \
             reads it",
        ),
        (
            plan(0, "host server serve"),
            "1:13: this program reads versions 1 and 2 of plans, found version \"0\"; say \
             `cygnet-plan 1`, or 2 for a plan of a test",
        ),
        (
            plan(1, "time heal=1s"),
            "3:4: expected a line `host NAME serve`: a world without hosts proves nothing, found \
             the end of the file",
        ),
        (
            plan(2, "test swan seed 1\nlink a-b"),
            "4:4: expected a line `host NAME`, found the end of the file",
        ),
        (
            plan(1, "host a serve\nhost a serve"),
            "3:6: \"a\" is there already; give this one another name",
        ),
        (
            plan(2, "test swan seed 1\nhost a\nhost a"),
            "4:6: \"a\" is there already; give this one another name",
        ),
        (
            plan(1, "host a serve loss=150%"),
            "2:14: loss is a rate, and a plan has none, and 150% is above 100 %: say which \
             frames, such as `frame NAME up 17 lose`; `sim world --plan-out` writes those that \
             it drew",
        ),
        (
            plan(1, "host c visit"),
            "2:13: expected a server above this line, such as `host server serve`, found the \
             end of the line",
        ),
        (
            plan(1, "host a serve\nhost b serve\nhost c visit"),
            "4:13: expected to=…, one of a, b, found the end of the line",
        ),
        (
            plan(1, "host a serve\nhost c visit to=c"),
            "3:17: expected a host or switch, found \"c\"; so far there are a",
        ),
        (
            plan(1, "host a serve\nhost c visit\nhost d visit to=c"),
            "4:17: \"c\" is no server",
        ),
        (
            plan(1, "host a serve on=a"),
            "2:17: expected a host or switch, found \"a\"; there is none yet",
        ),
        (
            plan(1, "switch s\nhost a serve on=t"),
            "3:17: expected a host or switch, found \"t\"; so far there are s",
        ),
        (
            plan(1, "switch s\nhost a serve\nat 1s crash s"),
            "4:7: \"s\" is no host; only hosts can crash",
        ),
        (
            plan(2, "test swan seed 1\nlink a-b\nhost a\nat 1s cut a"),
            "5:7: \"a\" is a host; only links can be cut",
        ),
        (
            plan(
                2,
                "test swan seed 1\nlink a-b\nhost a\nat 1s link a-b mtu=600",
            ),
            "5:23: the test makes this link, so nothing can be left out here; a healthy one \
             has latency=50us rate=0 queue=262144",
        ),
        (
            plan(1, "host a serve v6=1"),
            "2:14: expected one of secret, slots, tasks, task-bytes, rx, tx, backlog, asks, \
             latency, rate, queue, mtu, tells, on, found \"v6\"",
        ),
        (
            plan(1, "host a serve tells=yes"),
            "2:20: tells has no value; say tells alone, or leave it out",
        ),
        (
            plan(1, "host a serve secret=12"),
            "2:21: expected 16 hex digits, found \"12\"; left out, they follow from the name",
        ),
    ] {
        assert_eq!(error(&text), expected, "{text}");
    }
}

#[test]
fn the_grammar_knows_every_word_and_its_plans_are_read() {
    let grammar = include_str!("grammar.md");
    let words = [
        &super::place::LINK[..],
        &super::place::SERVE,
        &super::place::VISIT,
        &super::place::CALL,
        &super::place::ATTACK,
        &super::strike::BLOWS,
        &super::strike::TWISTS,
        &crate::lie::Lie::ALL.map(crate::lie::Lie::word),
        &crate::lie::Habit::ALL.map(crate::lie::Habit::word),
        &crate::attack::Attack::ALL.map(crate::attack::Attack::word),
    ];
    for word in words.concat() {
        assert!(
            grammar.contains(&format!("`{word}")) || grammar.contains(&format!("| `{word}`")),
            "{word} is not in the grammar"
        );
    }
    let mut plans = 0;
    for block in grammar.split("```text\n").skip(1) {
        let text = block.split("```").next().unwrap();
        if text.starts_with("cygnet-plan") {
            let plan: Result<Plan, _> = text.parse();
            let plan = plan.unwrap_or_else(|error| panic!("{error}\n{text}"));
            if !plan.is_of_test() {
                let done = run(&plan, Staging::default());
                assert_eq!((done.violation, done.never_came), (None, None));
            }
            plans += 1;
        }
    }
    assert_eq!(plans, 2);
}

#[test]
fn a_plan_is_told_in_words() {
    let words = super::read(SHORT).unwrap().explain();
    for line in [
        "A plan that was written by hand, in the text's version 1.\n",
        "Faults end at 10s; everything must be finished at 610s. Default: heal=10s limit=610s.\n",
        "  server: serves echo on port 7: 16 connections of 2048 and 2048 bytes, 24 tasks of 2048 \
         bytes, 8 may wait for accept, a silent peer is asked after 20s\n",
        "  c1: visits server over IPv4, 1 at a time, as often as it can until 10s: ",
        "      default: to=server secret=",
        "  at 3s c1 is cut off, both ways\n",
        "  c1 up 17 is lost\n",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
    // Every scenario's plan has words, and says that nothing is a default.
    for scenario in SCENARIOS {
        let plan = scenario.plan(3, Duration::from_secs(3));
        let words = super::read(&plan.to_string()).unwrap().explain();
        assert!(words.starts_with("A plan of the scenario "), "{words}");
        assert!(!words.to_lowercase().contains("default"), "{words}");
        for place in &plan.places {
            assert!(words.contains(&format!("\n  {}: ", place.name)), "{words}");
        }
    }
}

#[test]
fn a_host_that_has_its_address_from_another_names_a_server_that_gives_some() {
    let plan = |line: &str| format!("cygnet-plan 1\nhost echo serve\n{line}\nend\n");
    let text = "host d dhcp-server lease=2s forgets odd\nhost c dhcp-client link-local";
    let reading = super::read(&plan(text)).unwrap();
    let written = reading.plan.to_string();
    let server = "host d dhcp-server secret=";
    assert!(written.contains(server), "{written}");
    assert!(
        written.contains(" lease=2s first=256 count=16 forgets odd latency="),
        "{written}"
    );
    assert!(
        written.contains("host c dhcp-client to=d secret="),
        "{written}"
    );
    assert_eq!(written.parse::<Plan>().unwrap(), reading.plan);
    let words = reading.explain();
    assert!(
        words.contains("d: gives 16 addresses from number 256 on, each for 2s; until the faults"),
        "{words}"
    );
    assert_eq!(
        error(&plan("host c dhcp-client to=echo")),
        "3:23: \"echo\" is no DHCP server"
    );
    assert_eq!(
        error(&plan("host c dhcp-client")),
        "3:19: expected a server above this line, such as `host dhcp dhcp-server`, found the end \
         of the line"
    );
}
