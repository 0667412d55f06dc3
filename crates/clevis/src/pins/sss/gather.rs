//! All shares at once: the first that suffice decide, and the others are told to stop.

use super::binding::{Binding, bad_binding};
use super::field::Point;
use crate::error::{BindingError, Failure, Name, PinError};
use crate::pin::{self, Ports};
use crypto::{Secret, Share};
use jose::Jwe;
use std::cmp::Reverse;
use std::sync::mpsc;
use std::thread;

/// What one child ended with.
struct Outcome {
    share: usize,
    pin: Option<Name>,
    result: Result<Secret, PinError>,
}

/// Brings as many shares as the threshold needs, or says why each of the others is missing.
///
/// Ends as soon as there are enough, or too few left; what still runs then is cancelled, and waited for as long as its ports
/// take to notice.
pub(super) fn gather(binding: &Binding, ports: &Ports<'_>) -> Result<Vec<Point>, PinError> {
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
                drop(done.send(Outcome { share, pin: None, result: Err(PinError::Thread(error)) }));
            }
        }
        drop(done);
        // With their whole room at once: a vector that grows leaves what it held behind, and nobody wipes that.
        let points = Vec::with_capacity(binding.threshold);
        let mut tally = Tally { binding, points, failures: Vec::new() };
        for outcome in outcomes {
            tally.take(outcome);
            if tally.is_met() {
                cancel.cancel();
                return Ok(tally.points);
            }
            if tally.is_lost() {
                cancel.cancel();
            }
        }
        Err(if ports.cancel.is_cancelled() { PinError::Cancelled } else { tally.too_few() })
    })
}

/// One child, in its own thread.
fn run(share: usize, text: &str, ports: &Ports<'_>) -> Outcome {
    match Jwe::parse_compact(text.as_bytes()) {
        Err(source) => Outcome { share, pin: None, result: Err(PinError::NotAJwe { source }) },
        Ok(jwe) => Outcome { share, pin: pin::pin_name(&jwe).ok(), result: pin::decrypt(&jwe, ports) },
    }
}

struct Tally<'a> {
    binding: &'a Binding,
    points: Vec<Point>,
    failures: Vec<Failure>,
}

impl Tally<'_> {
    fn take(&mut self, outcome: Outcome) {
        let Outcome { share, pin, result } = outcome;
        let point = result.and_then(|secret| {
            let point = Point::read(&self.binding.modulus, &Share::new(secret));
            point.ok_or_else(|| bad_binding(BindingError::OddShare))
        });
        match point {
            Ok(point) => self.points.push(point),
            Err(error) => self.failures.push(Failure { share, pin, error }),
        }
    }

    fn is_met(&self) -> bool {
        self.points.len() >= self.binding.threshold
    }

    /// Whether the threshold cannot be met any more.
    fn is_lost(&self) -> bool {
        self.binding.shares.len() - self.failures.len() < self.binding.threshold
    }

    fn too_few(mut self) -> PinError {
        self.failures.sort_by_key(|failure| (Reverse(failure.error.weight()), failure.share));
        PinError::TooFew { needed: self.binding.threshold, shares: self.binding.shares.len(), failures: self.failures }
    }
}
