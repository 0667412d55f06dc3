//! What is added to the compressed initramfs.

use crate::table::{Asked, Limit, markdown};
use boot::root::{Framework, Root};

/// Bytes that cotter may add, scripts and settings included.
const MOST: f64 = 2_000_000.0;

/// The table, and the figures of ours.
pub(super) fn table() -> (String, Vec<Asked>) {
    let mut asked = Vec::new();
    let rows = Framework::BOTH.map(|framework| {
        let plain = Root::plain(framework).initramfs_bytes();
        let [theirs, ours] =
            [Root::with_original(framework), Root::with_cotter(framework)].map(|root| root.initramfs_bytes());
        let added = |with: u64| i64::try_from(with).unwrap() - i64::try_from(plain).unwrap();
        // Far below what a float holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let bytes = added(ours) as f64;
        asked.push(Asked::new(
            format!("{framework}: bytes that cotter adds to the initramfs"),
            Limit::AtMost(MOST),
            bytes,
        ));
        let numbers = [plain, theirs].map(|bytes| bytes.to_string());
        let both = [added(theirs), added(ours)].map(|bytes| bytes.to_string());
        [framework.to_string()].into_iter().chain(numbers).chain(both).collect()
    });
    let columns = ["initramfs of", "bytes", "with the original", "it adds", "cotter adds"];
    (markdown("The compressed initramfs", &columns, &rows), asked)
}
