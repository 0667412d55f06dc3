//! Messages over TCP: each behind its length (RFC 1035, section 4.2.2).

/// A message with its length in front; `None` if it has more than 65535 bytes.
pub fn framed(message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).ok()?;
    Some([&length.to_be_bytes()[..], message].concat())
}

/// What has arrived of a connection. It holds no more than one message and what came with the end of it.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    bytes: Vec<u8>,
}

impl Stream {
    /// Adds what arrived, in pieces of any length; take the messages out before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes to take from the connection at most, so that a server that sends without end fills no memory.
    pub fn room(&self) -> usize {
        (usize::from(u16::MAX) + 2).saturating_sub(self.bytes.len())
    }

    /// The next message that is whole.
    pub fn next_message(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = rest.get(..length)?.to_vec();
        self.bytes.drain(..length + 2);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_message_has_room() {
        let long = framed(&[7; 65535]).unwrap();
        let mut stream = Stream::default();
        assert_eq!(stream.room(), long.len());
        stream.push(&long);
        assert_eq!((stream.room(), stream.next_message().map(|message| message.len())), (0, Some(65535)));
        assert_eq!(framed(&[0; 65536]), None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6), piece in 1_usize..9) {
            let whole: Vec<u8> = messages.iter().flat_map(|message| framed(message).unwrap()).collect();
            let (mut stream, mut found) = (Stream::default(), Vec::new());
            for piece in whole.chunks(piece) {
                stream.push(piece);
                found.extend(std::iter::from_fn(|| stream.next_message()));
            }
            prop_assert_eq!(found, messages);
        }
    }
}
