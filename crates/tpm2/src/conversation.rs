//! One conversation with a TPM: commands in order, repeated when the TPM asks for that, and what was left in it flushed.

use crate::authorisation::Authorisation;
use crate::error::TpmError;
use crate::response_code::{Meaning, ResponseCode};
use crate::transport::{Conversation, Patience, Transport, TransportError};
use crate::wire::{Answer, AnswerHandles, Request};
use crypto::Random;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;
use tpm2_protocol::data::TpmCc;
use zeroize::Zeroizing;

/// How long to wait before a command that the TPM wants again is sent again; it doubles up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// How often a command is sent. With the pauses that is some twelve seconds, more than a self test takes.
const MOST_TIMES: u32 = 44;
/// The same for a flush, in less than a second.
const MOST_FLUSHES: u32 = 8;
/// How long a flush may take while somebody still waits for the result, and when nobody does any more.
const PATIENT_FLUSH: Duration = Duration::from_secs(1);
const HASTY_FLUSH: Duration = Duration::from_millis(15);

/// A conversation with a TPM.
pub struct Tpm<'a> {
    line: RefCell<Box<dyn Conversation + 'a>>,
    patience: Patience<'a>,
    random: &'a dyn Random,
    state: Cell<State>,
}

/// Whether it is worth saying anything more.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Talking,
    /// A command brought no answer. What is left in the TPM is flushed in haste.
    GivenUp,
    /// Nor did a flush.
    Silent,
}

impl<'a> Tpm<'a> {
    /// Begins a conversation; `patience` is for all of it.
    ///
    /// # Errors
    /// [`TpmError::Transport`].
    pub fn begin(
        transport: &'a dyn Transport,
        patience: Patience<'a>,
        random: &'a dyn Random,
    ) -> Result<Tpm<'a>, TpmError> {
        let line = RefCell::new(transport.begin(&patience)?);
        Ok(Tpm { line, patience, random, state: Cell::new(State::Talking) })
    }

    pub(crate) fn random(&self) -> &'a dyn Random {
        self.random
    }

    /// One command and its answer, checked as far as its authorisation goes. What was made by a command whose answer is not believed is
    /// flushed.
    pub(crate) fn run(
        &self,
        mut request: Request<'_>,
        mut authorisation: Authorisation<'_>,
    ) -> Result<Answer, TpmError> {
        let area = authorisation.area(&mut request, self.random)?;
        let bytes = self.deliver(&request.to_bytes(&area)?, &self.patience, MOST_TIMES)?;
        let answer = Answer::read(&bytes, &request, authorisation.is_some());
        answer.and_then(|mut answer| authorisation.check(&request, &mut answer).map(|()| answer)).inspect_err(|_| {
            made_by(&request, &bytes).into_iter().for_each(|handle| self.flush(handle));
        })
    }

    /// Sends the same bytes until the TPM has done something with them. It did nothing before: the nonces stay good.
    fn deliver(&self, command: &[u8], patience: &Patience<'_>, most_times: u32) -> Result<Vec<u8>, TpmError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..most_times {
            let answer = self.exchange(command, patience)?;
            if !is_busy(&answer) {
                return Ok(answer);
            }
            self.line.borrow_mut().pause(pause, patience)?;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        self.exchange(command, patience)
    }

    fn exchange(&self, command: &[u8], patience: &Patience<'_>) -> Result<Vec<u8>, TpmError> {
        let answer = self.line.borrow_mut().exchange(command, patience);
        answer.map_err(|error| {
            if matches!(error, TransportError::TimedOut { .. } | TransportError::Cancelled) {
                self.state.set(State::GivenUp);
            }
            TpmError::Transport(error)
        })
    }

    /// Takes an object or a session out of the TPM. Nobody hears if that fails: it happens in the end, often after another failure.
    pub(crate) fn flush(&self, handle: u32) {
        let Some(command) = flush_of(handle) else { return };
        let patient = Patience { at_most: Some(PATIENT_FLUSH), ..self.patience };
        let hasty = Patience { until: None, at_most: Some(HASTY_FLUSH), cancelled: &|| false };
        let flushed = match self.state.get() {
            State::Talking => {
                let flushed = self.deliver(&command, &patient, MOST_FLUSHES);
                flushed.or_else(|_| self.exchange(&command, &hasty)).is_ok()
            }
            State::GivenUp => {
                let later = self.line.borrow_mut().say_later(&command);
                later || self.exchange(&command, &hasty).is_ok()
            }
            State::Silent => true,
        };
        if !flushed {
            self.state.set(State::Silent);
        }
    }
}

/// What takes this out of the TPM.
fn flush_of(handle: u32) -> Option<Zeroizing<Vec<u8>>> {
    let request = Request {
        code: TpmCc::FlushContext,
        handles: &[],
        parameters: Zeroizing::new(handle.to_be_bytes().to_vec()),
        answers_with: AnswerHandles::None,
    };
    request.to_bytes(&[]).ok()
}

/// The commands that leave something in the TPM.
const LEAVING: [TpmCc; 4] = [TpmCc::CreatePrimary, TpmCc::Load, TpmCc::LoadExternal, TpmCc::StartAuthSession];

/// The command that takes out of the TPM again what `command` has left there, by its answer, for which nobody waits any more. Nothing if it
/// has left nothing.
pub fn flush_behind(command: &[u8], answer: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let code = command.get(6..10)?;
    let leaves = LEAVING.iter().any(|leaving| leaving.value().to_be_bytes() == *code);
    made(answer).filter(|_| leaves).and_then(flush_of)
}

/// What a command made whose answer is not believed, if the answer goes so far.
fn made_by(request: &Request<'_>, answer: &[u8]) -> Option<u32> {
    made(answer).filter(|_| request.answers_with == AnswerHandles::One)
}

/// The handle in an answer that begins with one. Only an object or a session is flushed, and no TPM has made anything else.
fn made(answer: &[u8]) -> Option<u32> {
    let done = answer.get(6..10)? == [0; 4];
    let handle = u32::from_be_bytes(answer.get(10..14)?.try_into().ok()?);
    Some(handle).filter(|handle| done && matches!(handle >> 24, 0x02 | 0x03 | 0x80))
}

/// Whether the TPM wants the same command again.
fn is_busy(answer: &[u8]) -> bool {
    let code = answer.get(6..10).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
    code.is_some_and(|code| ResponseCode::new(code).meaning() == Meaning::Again)
}

impl fmt::Debug for Tpm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tpm(..)")
    }
}
