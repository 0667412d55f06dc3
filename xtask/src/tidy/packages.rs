//! Which outside packages may not come in at all, whoever asks for them.

use super::fault::Fault;

/// Packages that would be a second cryptographic library in the binary, with the reason.
const BANNED: &[(&str, &str)] = &[
    ("ring", "rustls runs on AWS-LC here; some dependency needs `default-features = false`"),
    ("openssl", "its C library would be a second copy of what AWS-LC does"),
    ("openssl-sys", "its C library would be a second copy of what AWS-LC does"),
    ("native-tls", "TLS is rustls on AWS-LC"),
];

/// `tree` is what `cargo tree --prefix=none --format={p}` prints: a name and a version on each line.
pub(super) fn check(tree: &str) -> Vec<Fault> {
    let names = |name: &str| tree.lines().any(|line| line.split_whitespace().next() == Some(name));
    let banned = BANNED.iter().filter(|(name, _)| names(name));
    banned.map(|(name, why)| Fault::new(format!("package {name}"), format!("is in `cargo tree`: {why}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_package_is_found_by_its_whole_name() {
        assert_eq!(check("cotter v0.1.0 (/w)\nrustls v0.23.1\nopenssl-probe v0.1.6\nstring v1.0.0\n"), Vec::new());
        let found = check("cotter v0.1.0\nring v0.17.8\nring v0.17.8 (*)\n");
        assert_eq!(found.len(), 1);
    }
}
