//! One conversation with a TPM: commands in order, repeated when the TPM asks for that, and what was left in it flushed.

use crate::authorisation::Authorisation;
use crate::error::TpmError;
use crate::response_code::{Meaning, ResponseCode};
use crate::transport::{Conversation, Patience, Transport};
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
        let bytes = self.deliver(&request.to_bytes(&area)?)?;
        let mut answer = Answer::read(&bytes, &request, authorisation.is_some())?;
        match authorisation.check(&request, &mut answer) {
            Ok(()) => Ok(answer),
            Err(error) => {
                answer.handle.into_iter().for_each(|handle| self.flush(handle));
                Err(error)
            }
        }
    }

    /// Sends the same bytes until the TPM has done something with them. It did nothing before: the nonces stay good.
    fn deliver(&self, command: &[u8]) -> Result<Vec<u8>, TpmError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..MOST_TIMES {
            let answer = self.exchange(command, &self.patience)?;
            if !is_busy(&answer) {
                return Ok(answer);
            }
            self.line.borrow_mut().pause(pause, &self.patience)?;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        self.exchange(command, &self.patience)
    }

    fn exchange(&self, command: &[u8], patience: &Patience<'_>) -> Result<Vec<u8>, TpmError> {
        let answer = self.line.borrow_mut().exchange(command, patience);
        answer.map_err(|error| {
            self.state.set(State::GivenUp);
            TpmError::Transport(error)
        })
    }

    /// Takes an object or a session out of the TPM. Nobody hears if that fails: it happens in the end, often after another failure.
    pub(crate) fn flush(&self, handle: u32) {
        let request = Request {
            code: TpmCc::FlushContext,
            handles: &[],
            parameters: Zeroizing::new(handle.to_be_bytes().to_vec()),
            answers_with: AnswerHandles::None,
        };
        let hasty = || self.exchange_hasty(&request);
        let patient = || {
            let patience = Patience { at_most: Some(PATIENT_FLUSH), ..self.patience };
            request.to_bytes(&[]).and_then(|bytes| self.exchange(&bytes, &patience)).map(|_| ())
        };
        let flushed = match self.state.get() {
            State::Talking => patient().or_else(|_| hasty()),
            State::GivenUp => hasty(),
            State::Silent => Ok(()),
        };
        if flushed.is_err() {
            self.state.set(State::Silent);
        }
    }

    fn exchange_hasty(&self, request: &Request<'_>) -> Result<(), TpmError> {
        let patience = Patience { until: None, at_most: Some(HASTY_FLUSH), cancelled: &|| false };
        request.to_bytes(&[]).and_then(|bytes| self.exchange(&bytes, &patience)).map(|_| ())
    }
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
