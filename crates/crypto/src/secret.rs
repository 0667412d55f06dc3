//! Key material and its roles.

use aws_lc_rs::constant_time;
use std::fmt;
use zeroize::Zeroizing;

/// Key material: wiped when dropped, never printed, compared only in constant time.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes`. A buffer that had to grow has left copies behind: reserve before filling, or use
    /// [`Secret::filled_by`].
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// A copy of bytes that live elsewhere and are wiped there by somebody else.
    pub fn copied_from(bytes: &[u8]) -> Secret {
        Secret::new(bytes.to_vec())
    }

    /// Fills a fresh buffer of `len` bytes in place, so no copy stays on the stack.
    pub fn filled_by(len: usize, fill: impl FnOnce(&mut [u8])) -> Secret {
        let mut bytes = Zeroizing::new(vec![0; len]);
        fill(&mut bytes);
        Secret(bytes)
    }

    /// Like [`Secret::filled_by`], for what may fail.
    ///
    /// # Errors
    /// Whatever `fill` says; the buffer is wiped.
    pub fn try_filled_by<E>(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Secret, E> {
        let mut bytes = Zeroizing::new(vec![0; len]);
        fill(&mut bytes)?;
        Ok(Secret(bytes))
    }

    /// The one way to the bytes. Searching for `expose` lists every use to review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bytes are these, in a time that depends on the lengths alone.
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.0, other).is_ok()
    }

    /// The same buffer after `change`.
    #[must_use]
    pub fn rewritten(mut self, change: impl FnOnce(&mut [u8])) -> Secret {
        change(&mut self.0);
        self
    }

    /// The same bytes in a buffer of `len`, with zeros behind them; the old buffer is wiped.
    #[must_use]
    pub fn lengthened_to(self, len: usize) -> Secret {
        Secret::filled_by(len.max(self.len()), |longer| {
            longer.iter_mut().zip(self.expose()).for_each(|(to, from)| *to = *from);
        })
    }

    /// The first `len` bytes only; what is cut off is wiped.
    #[must_use]
    pub fn shortened_to(mut self, len: usize) -> Secret {
        if let Some(rest) = self.0.get_mut(len..) {
            zeroize::Zeroize::zeroize(rest);
        }
        self.0.truncate(len);
        self
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(Secret);

        impl $name {
            /// Gives a secret this role.
            pub fn new(secret: Secret) -> $name {
                $name(secret)
            }

            /// The one way to the bytes.
            pub fn expose(&self) -> &[u8] {
                self.0.expose()
            }

            /// The secret without its role.
            pub fn secret(&self) -> &Secret {
                &self.0
            }

            /// Takes the role away.
            pub fn into_secret(self) -> Secret {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

role! {
    /// What opens a LUKS keyslot: typed by a person or kept by a pin. Any bytes, also none.
    Passphrase
}
role! {
    /// The key that encrypts a disk's sectors.
    VolumeKey
}
role! {
    /// One share of a threshold secret.
    Share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = || Secret::copied_from(b"planted");
        let shown = format!("{:?} {:?} {:?}", secret(), Passphrase::new(secret()), VolumeKey::new(secret()));
        assert_eq!(shown, "Secret(..) Passphrase(..) VolumeKey(..)");
    }

    #[test]
    fn comparison_sees_every_byte_and_the_length() {
        let secret = Secret::copied_from(b"abc");
        assert!(secret.ct_eq(b"abc"));
        for other in [&b"abd"[..], b"bbc", b"ab", b"abcd", b""] {
            assert!(!secret.ct_eq(other));
        }
        assert!(secret.shortened_to(2).ct_eq(b"ab"));
    }
}
