//! What goes wrong, from its line: with a place at a time, or with one frame.

use smoltcp::time::Instant;

use super::lex::Line;
use super::place::{LINK, link};
use super::read::Reader;
use super::wrong::PlanError;
use crate::fate::{FrameId, Twist, Way};
use crate::plan::{Blow, Role, Strike};

/// What can happen to a link, and to a host.
const TO_LINKS: [&str; 5] = ["cut", "join", "unplug", "plug", "link"];
pub(super) const BLOWS: [&str; 11] = [
    "cut", "join", "unplug", "plug", "link", "crash", "boot", "pause", "resume", "drift", "jump",
];
/// What can happen to a frame.
pub(super) const TWISTS: [&str; 6] = ["lose", "late", "spike", "hold", "flip", "twice"];

impl Reader {
    pub(super) fn strike(&mut self, line: &mut Line<'_>) -> Result<(), PlanError> {
        let at = Instant::ZERO + line.word("a time")?.time()?;
        let does = line.word("what happens")?;
        if !BLOWS.contains(&does.text) {
            return Err(does.none_of(&BLOWS));
        }
        let name = line.word("a host or switch")?;
        let place = self.known(name)?;
        let (what, named) = (does.text, name.text);
        let to_link = TO_LINKS.contains(&what);
        if to_link && self.plan.places[place].role == Role::Host {
            let wrong = format!("{named:?} is a host; only links can be {what}");
            return Err(does.wrong(wrong));
        }
        if !to_link && !self.is(place, Role::is_host) {
            let wrong = format!("{named:?} is no host; only hosts can {what}");
            return Err(does.wrong(wrong));
        }
        let blow = match what {
            "cut" => cut(line)?,
            "join" => Blow::Join,
            "unplug" => Blow::Unplug,
            "plug" => Blow::Plug,
            "link" => self.change(place, line),
            "crash" => Blow::Crash,
            "boot" => Blow::Boot,
            "pause" => Blow::Pause,
            "resume" => Blow::Resume,
            "jump" => Blow::Jump(line.word("how far ahead")?.time()?),
            _ => drift(line)?,
        };
        self.plan.strikes.push(Strike { at, place, blow });
        Ok(())
    }

    /// A link's new nature; numbers that are left out stay as the place's own line has
    /// them.
    fn change(&mut self, place: usize, line: &mut Line<'_>) -> Blow {
        let mut options = line.options(&LINK);
        let to = link(&mut options, self.plan.places[place].link);
        let of_test = self.plan.places[place].role == Role::Link;
        let left_out = options.close(&mut self.errors);
        if let (true, false) = (of_test, left_out.is_empty()) {
            let words: Vec<&str> = left_out.iter().map(|words| &**words).collect();
            let missing = words.join(" ");
            self.errors.push(line.end().wrong(format!(
                "the test makes this link, so nothing can be left out here; a healthy one \
                 has {missing}"
            )));
        }
        Blow::Link(to)
    }

    pub(super) fn fate(&mut self, line: &mut Line<'_>) -> Result<(), PlanError> {
        let name = line.word("a host or switch")?;
        let place = self.known(name)?;
        if self.plan.places[place].role == Role::Host {
            let wrong = format!("{:?} is a host; frames are counted on links", name.text);
            return Err(name.wrong(wrong));
        }
        let way = line.word("up or down")?;
        let frame = FrameId {
            link: place as u32,
            way: match way.text {
                "up" => Way::Forth,
                "down" => Way::Back,
                _ => return Err(way.none_of(&["up", "down"])),
            },
            number: line.number("a frame's number", 0, u64::MAX)?,
        };
        let word = line.word("what happens to the frame")?;
        let twist = match word.text {
            "lose" => Twist::Lose,
            "late" => Twist::Late(line.word("a time")?.time()?),
            "spike" => Twist::Spike(line.word("a time")?.time()?),
            "hold" => Twist::Hold(line.word("a time")?.time()?),
            "twice" => Twist::Twice(line.word("a time")?.time()?),
            "flip" => Twist::Flip(line.number("a bit", 0, u64::MAX)?),
            _ => return Err(word.none_of(&TWISTS)),
        };
        match self.plan.fates.add(frame, twist) {
            true => Ok(()),
            false => {
                let told = word.text;
                Err(word.wrong(format!("this frame is told {told:?} already")))
            }
        }
    }
}

/// Both ways, if nobody says which.
fn cut(line: &mut Line<'_>) -> Result<Blow, PlanError> {
    let (up, down) = match line.is_empty() {
        true => (true, true),
        false => {
            let way = line.word("")?;
            match way.text {
                "up" => (true, false),
                "down" => (false, true),
                "both" => (true, true),
                _ => return Err(way.none_of(&["up", "down", "both"])),
            }
        }
    };
    Ok(Blow::Cut { up, down })
}

fn drift(line: &mut Line<'_>) -> Result<Blow, PlanError> {
    let word = line.word("parts per million, such as +500ppm")?;
    let number = word.text.strip_suffix("ppm");
    let ppm: Option<i32> = number.and_then(|text| text.parse().ok());
    let ppm = ppm.filter(|ppm| (-900_000..=100_000_000).contains(ppm));
    ppm.map(Blow::Drift).ok_or_else(|| {
        let found = word.text;
        word.wrong(format!(
            "expected -900000ppm to +100000000ppm, found {found:?}"
        ))
    })
}
