//! What ends a pause between two tries: news of the network or of the TPM. A try that may go better now is made now.

use clevis::Cancel;
use linux::{DirectoryWatch, LinkNews};
use std::fs;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How soon a cancel is noticed.
const NOTICE: Duration = Duration::from_millis(50);
/// Between two looks at a kernel that tells no news.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Rung by who has news, heard by all who wait.
#[derive(Debug, Default)]
pub struct Bell {
    count: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// How often it was rung.
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings it.
    pub fn ring(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    /// Waits until it is rung for more than the `seen`th time, and at most for `limit`.
    pub fn wait(&self, seen: u64, limit: Duration, cancel: &Cancel) {
        let end = Instant::now() + limit;
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count == seen && !cancel.is_cancelled() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            count = self.rung.wait_timeout(count, left.min(NOTICE)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for `limit`, whatever is rung.
    pub fn rest(&self, limit: Duration, cancel: &Cancel) {
        let end = Instant::now() + limit;
        while !cancel.is_cancelled() && Instant::now() < end {
            self.wait(self.count(), end.saturating_duration_since(Instant::now()), cancel);
        }
    }

    /// Rings it for each change of interfaces, addresses and routes, and calls `then`. Who has no news of them waits out the pauses.
    pub fn follow_links(&self, cancel: &Cancel, then: impl Fn()) {
        let Ok(news) = LinkNews::listen() else { return };
        while !cancel.is_cancelled() {
            if news.wait(NOTICE) {
                then();
                self.ring();
            }
        }
    }

    /// Rings it when a TPM comes.
    pub fn follow_tpms(&self, cancel: &Cancel) {
        let (devices, mut known) = (Path::new("/dev"), tpms());
        let watch = DirectoryWatch::of(devices);
        let mut looked = Instant::now();
        while !cancel.is_cancelled() {
            if watch.wait(NOTICE) || looked.elapsed() > LOOK_AGAIN {
                let now = tpms();
                if now > known {
                    self.ring();
                }
                (known, looked) = (now, Instant::now());
            }
        }
    }
}

fn tpms() -> usize {
    let is_tpm = |name: std::ffi::OsString| name.to_string_lossy().starts_with("tpm");
    fs::read_dir("/dev").map_or(0, |entries| entries.flatten().filter(|entry| is_tpm(entry.file_name())).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_end_a_pause_and_are_not_lost_between_two() {
        let (bell, cancel, long) = (Bell::default(), Cancel::new(), Duration::from_secs(600));
        let seen = bell.count();
        bell.ring();
        bell.wait(seen, long, &cancel);
        let seen = bell.count();
        bell.wait(seen, Duration::from_millis(1), &cancel);
        std::thread::scope(|scope| {
            scope.spawn(|| bell.wait(seen, long, &cancel));
            bell.ring();
        });
        let start = Instant::now();
        bell.rest(Duration::from_millis(5), &cancel);
        assert!(start.elapsed() >= Duration::from_millis(5));
        cancel.cancel();
        bell.wait(bell.count(), long, &cancel);
        bell.rest(long, &cancel);
    }
}
