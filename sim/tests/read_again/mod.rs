//! What a plan's reader promises about any text at all: it says what is wrong, or
//! it has read what its own words say again.

use cygnet_world::plan::Plan;

/// # Panics
/// When the promise is broken.
pub fn read_again(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<Plan>() {
        Err(all) => {
            assert!(all.iter().next().is_some(), "a mistake has words");
            for wrong in all.iter() {
                assert!(wrong.line > 0 && wrong.column > 0, "{wrong}");
            }
        }
        Ok(plan) => {
            let written = plan.to_string();
            let again: Result<Plan, _> = written.parse();
            assert_eq!(again.as_ref(), Ok(&plan), "{written}");
            assert_eq!(again.unwrap().to_string(), written);
        }
    }
}
