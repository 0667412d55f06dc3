//! Progress of long work, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A spinner with a text beside it, or a bar; it is gone when this is dropped. Without a terminal it is nothing.
pub struct Progress(ProgressBar);

impl Progress {
    /// Work of unknown length.
    pub fn spinner(text: &'static str) -> Progress {
        Progress::shown(|| {
            let bar = ProgressBar::new_spinner().with_message(text);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        })
    }

    /// Work on `bytes` bytes.
    pub fn bytes(bytes: u64) -> Progress {
        Progress::shown(|| {
            let bar = ProgressBar::new(bytes);
            let style = "{bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        })
    }

    /// So much more is done.
    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn shown(make: impl FnOnce() -> ProgressBar) -> Progress {
        Progress(if linux::Terminal::watches_stderr() { make() } else { ProgressBar::hidden() })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
