//! What a TPM answers, or whoever sits on the line to it.

mod line;
mod made_up;
mod talks;

use crate::Reached;
use crate::replayed::Replayed;
use line::Line;
use talks::TALKS;
use tpm2::{Patience, Tpm};

/// The first byte says which conversation is held, the rest what is answered ([`line`]).
///
/// Whatever comes, the conversation ends, after few commands more than there are answers; all that the TPM said it had made it was told to
/// flush; nothing secret was said in clear; and no answer was believed that was not authenticated where the command was.
pub fn tpm_answers(bytes: &[u8]) -> Reached {
    let Some((which, answers)) = bytes.split_first() else { return Reached::Nothing };
    let line = Line::new(answers);
    let random = Replayed::default();
    let patience = Patience { until: None, at_most: None, cancelled: &|| false };
    let tpm = Tpm::begin(&line, patience, &random).expect("this line is always there");
    let done = TALKS[usize::from(*which) % TALKS.len()](&tpm);
    drop(tpm);
    line.check();
    match done {
        Ok(()) => {
            assert!(!line.was_forged(), "an answer was believed that is not the TPM's");
            Reached::Accepted
        }
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            if line.believed() { Reached::Read } else { Reached::Nothing }
        }
    }
}
