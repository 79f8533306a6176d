//! Several addresses, tried one after the other, the next before the last has failed (RFC
//! 8305).

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;

/// Runs at most two of the futures that `start` gives, in their order, until one succeeds:
/// the next begins when one has failed, or when `pause`, made anew each time, is over. Gives
/// the last error, or `none` if there was no future.
///
/// # Cancel safety
/// **Safe** if the futures are: they are dropped.
pub(crate) async fn race<F, T, E, P>(
    mut start: impl FnMut() -> Option<F>,
    mut pause: impl FnMut() -> P,
    none: E,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    P: Future<Output = ()>,
{
    let (mut first, mut second) = (pin!(None::<F>), pin!(None::<F>));
    let mut until = pin!(None::<P>);
    let mut error = none;
    let mut is_over = false;
    poll_fn(|cx| {
        loop {
            let mut failed = false;
            for lane in [&mut first, &mut second] {
                match lane.as_mut().as_pin_mut().map(|it| it.poll(cx)) {
                    Some(Poll::Ready(Ok(won))) => return Poll::Ready(Some(won)),
                    Some(Poll::Ready(Err(why))) => {
                        error = why;
                        failed = true;
                        lane.set(None);
                    }
                    _ => (),
                }
            }
            let runs = [first.is_some(), second.is_some()];
            if is_over && runs == [false; 2] {
                return Poll::Ready(None);
            }
            let waited = match until.as_mut().as_pin_mut() {
                Some(pause) => pause.poll(cx).is_ready(),
                None => true,
            };
            let may_start = !is_over && runs != [true; 2];
            if !(may_start && (failed || waited || runs == [false; 2])) {
                return Poll::Pending;
            }
            let Some(next) = start() else {
                is_over = true;
                continue;
            };
            until.set(Some(pause()));
            let lane: &mut Pin<&mut Option<F>> = match runs[0] {
                false => &mut first,
                true => &mut second,
            };
            lane.set(Some(next));
        }
    })
    .await
    .ok_or(error)
}
