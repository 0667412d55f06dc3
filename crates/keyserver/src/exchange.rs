//! One request: HTTP's values in, `tang`'s values through, HTTP's values out, and one line in the log.

use crate::keys::Keys;
use crate::listener::Peer;
use crate::log::{Log, said, shown};
use crate::pace::{Pace, Phase};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, EXPECT, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use tang::server::{self, LONGEST_BODY, Response, ServerRequest};

/// How much of a body that is too long is read and thrown away, so that its sender comes to reading the answer.
const LONGEST_DISCARDED: usize = 1024 * 1024;
/// What is set aside for a body before it has come.
const FIRST_ALLOCATION: usize = 4096;

/// Answers the requests of one connection.
pub(crate) struct Exchange {
    pub(crate) keys: Arc<Keys>,
    pub(crate) log: Arc<Log>,
    pub(crate) peer: Peer,
    pub(crate) pace: Pace,
}

type HttpResponse = hyper::Response<Full<Bytes>>;

enum ReadBody {
    Whole(Vec<u8>),
    /// Nothing of it was kept.
    TooLong(Rest),
}

/// What became of the rest of a body that is too long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Thrown away: the connection is good for another request.
    Read,
    /// Not read.
    Unread,
}

impl Exchange {
    /// Answers one request. An error means that its body broke off or broke the rules: then there is no answer.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> hyper::Result<HttpResponse> {
        self.pace.enter(Phase::Body);
        let (head, body) = request.into_parts();
        let waits_for_leave = head.headers.contains_key(EXPECT);
        let (method, target) = (head.method.as_str(), target_of(&head.uri));
        let (answer, phase) = match read(body, waits_for_leave).await {
            Ok(ReadBody::Whole(body)) => {
                self.pace.enter(Phase::Keys);
                (self.ask(&ServerRequest { method, target: &target, body: &body }).await, Phase::Answer)
            }
            Ok(ReadBody::TooLong(rest)) => {
                let phase = if rest == Rest::Read { Phase::Answer } else { Phase::LastAnswer };
                (Response::refusal(413, "the body is too long"), phase)
            }
            Err(error) => {
                let (peer, method, target) = (&self.peer, shown(method), shown(&target));
                self.log.line(format_args!("{peer} {method} {target} => closed ({error})"));
                return Err(error);
            }
        };
        self.record(method, &target, &answer);
        self.pace.enter(phase);
        Ok(into_http(answer))
    }

    /// Asks the keys, as they are at this moment: the body has been read, so the request began before. What needs no keys
    /// does not wait for them.
    async fn ask(&self, request: &ServerRequest<'_>) -> Response {
        if let Err(refusal) = server::route(request) {
            return refusal;
        }
        match self.keys.current().await {
            Ok(keys) => keys.answer(request),
            Err(reason) => server::answer(Err(&with_causes(&reason)), request),
        }
    }

    /// The original's line; like it, one without method and path for the two statuses that come before both are known.
    fn record(&self, method: &str, target: &str, answer: &Response) {
        let (peer, status, why) = (&self.peer, answer.status, said(&answer.why));
        match status {
            413 | 414 => self.log.line(format_args!("{peer} => {status} ({why})")),
            _ => self.log.line(format_args!("{peer} {} {} => {status} ({why})", shown(method), shown(target))),
        }
    }
}

/// An error and what led to it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    line
}

/// The request target as it was sent, so far as hyper keeps it: a fragment is gone.
fn target_of(uri: &Uri) -> Cow<'_, str> {
    match (uri.authority(), uri.path_and_query()) {
        (None, Some(path)) => Cow::Borrowed(path.as_str()),
        _ => Cow::Owned(uri.to_string()),
    }
}

async fn read(mut body: Incoming, waits_for_leave: bool) -> hyper::Result<ReadBody> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared >= LONGEST_BODY {
        let rest = if waits_for_leave { Rest::Unread } else { discard(body, 0).await? };
        return Ok(ReadBody::TooLong(rest));
    }
    let mut whole = Vec::with_capacity(declared.min(FIRST_ALLOCATION));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue }; // trailer fields mean nothing here
        if whole.len() + data.len() >= LONGEST_BODY {
            return discard(body, whole.len()).await.map(ReadBody::TooLong);
        }
        whole.extend_from_slice(&data);
    }
    Ok(ReadBody::Whole(whole))
}

/// Reads on without keeping anything, up to a limit.
async fn discard(mut body: Incoming, mut read: usize) -> hyper::Result<Rest> {
    while read <= LONGEST_DISCARDED {
        let Some(frame) = body.frame().await else { return Ok(Rest::Read) };
        read = read.saturating_add(frame?.data_ref().map_or(0, Bytes::len));
    }
    Ok(Rest::Unread)
}

fn into_http(answer: Response) -> HttpResponse {
    let body = match answer.body {
        server::Body::Shared(shared) => Bytes::from_owner(shared),
        server::Body::Owned(owned) => Bytes::from(owned),
    };
    let mut response = HttpResponse::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(kind) = answer.content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}
