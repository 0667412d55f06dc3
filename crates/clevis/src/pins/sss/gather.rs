//! All shares at once: the first that suffice decide, and the others are told to stop.

use super::binding::Binding;
use super::tally::{Outcome, Tally};
use crate::error::{PinError, ShareName};
use crate::pin::{self, Opened, Ports};
use jose::Jwe;
use std::sync::mpsc;
use std::thread;

/// Opens `jwe`, whose header says `binding`, with as many shares as the threshold needs, or says why it stays closed.
///
/// Ends as soon as a set of shares opens it, or none can any more; what still runs then is cancelled, and waited for as long as its
/// ports take to notice. The deadline of the ports is that of every child.
pub(super) fn gather(binding: &Binding, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
    let cancel = ports.cancel.child();
    let inner = Ports { cancel: &cancel, ..*ports };
    let inner = &inner;
    thread::scope(|scope| {
        let (done, outcomes) = mpsc::channel();
        for (share, text) in binding.shares.iter().enumerate() {
            let report = done.clone();
            // Nobody listens any more once the threshold is met; then the outcome is of no use.
            let child = move || drop(report.send(run(share, text, inner)));
            let started = thread::Builder::new().name(format!("share {}", share + 1)).spawn_scoped(scope, child);
            if let Err(error) = started {
                let name = ShareName { share, pin: None };
                drop(done.send(Outcome { name, result: Err(PinError::Thread(error)) }));
            }
        }
        drop(done);
        let mut tally = Tally::new(binding, jwe);
        for outcome in outcomes {
            if let Some(opened) = tally.take(outcome) {
                cancel.cancel();
                return Ok(opened);
            }
            if tally.is_lost() {
                cancel.cancel();
            }
        }
        Err(if ports.cancel.is_cancelled() { PinError::Cancelled } else { tally.into_error() })
    })
}

/// One child, in its own thread.
fn run(share: usize, text: &str, ports: &Ports<'_>) -> Outcome {
    let (pin, result) = match Jwe::parse_compact(text.as_bytes()) {
        Err(source) => (None, Err(PinError::NotAJwe { source })),
        Ok(jwe) => (pin::pin_name(&jwe).ok(), pin::open(&jwe, ports)),
    };
    Outcome { name: ShareName { share, pin }, result }
}
