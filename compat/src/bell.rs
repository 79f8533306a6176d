//! Between drivers that wake whoever asked in vain, and a loop that looks at its ready set.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Waker};

/// What a driver rings when a frame arrived or room was made.
#[derive(Debug, Default)]
pub struct Bell {
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    /// A bell that nobody hears yet.
    pub const fn new() -> Self {
        Bell {
            waker: RefCell::new(None),
        }
    }

    /// The task that hears it, and that runs the driver's `runner`; with
    /// `core::future::pending()` where there is none. It ends when the runner
    /// does.
    ///
    /// # Cancel safety
    /// As safe as `runner`. Afterwards nobody hears the bell.
    pub async fn task<F: Future>(&self, runner: F) -> F::Output {
        let mut runner = pin!(runner);
        poll_fn(|cx| {
            if self.heard_by(cx.waker()) {
                // Whatever came before is looked at in the next turn.
                cx.waker().wake_by_ref();
            }
            runner.as_mut().poll(cx)
        })
        .await
    }

    /// From now on this one hears it. True: it is the first.
    pub(crate) fn heard_by(&self, waker: &Waker) -> bool {
        let mut heard = self.waker.borrow_mut();
        match &mut *heard {
            Some(before) => {
                before.clone_from(waker);
                false
            }
            none => {
                *none = Some(waker.clone());
                true
            }
        }
    }

    /// Lets a driver be asked, with the waker of the task that hears.
    pub(crate) fn ask<R>(&self, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let heard = self.waker.borrow().clone();
        let waker = heard.as_ref().unwrap_or(Waker::noop());
        f(&mut Context::from_waker(waker))
    }
}
