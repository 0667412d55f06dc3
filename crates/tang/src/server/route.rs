//! Which request asks for what, before any key is looked at.

use super::response::Response;

/// Targets of this length in bytes and beyond are refused.
pub const LONGEST_TARGET: usize = 4096;
/// Bodies of this length in bytes and beyond are refused.
pub const LONGEST_BODY: usize = 65536;

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct ServerRequest<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The request target as it was sent, query included: a query makes it another path.
    pub target: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// The advertisement.
    Advertisement,
    /// The advertisement with one more signature, by the key with this thumbprint.
    SignedAdvertisement(&'a str),
    /// One exchange with the key with this thumbprint.
    Recovery(&'a str),
}

/// Finds out what is asked for: `/adv`, `/adv/THUMBPRINT`, `/rec/THUMBPRINT`, with any number of slashes in front, between, and
/// behind `adv` alone.
///
/// # Errors
/// The response to send instead: 414, 413, 404 or 405.
pub fn route<'a>(request: &ServerRequest<'a>) -> Result<Route<'a>, Response> {
    if request.target.len() >= LONGEST_TARGET {
        return Err(Response::refusal(414, "the target is too long"));
    }
    if request.body.len() >= LONGEST_BODY {
        return Err(Response::refusal(413, "the body is too long"));
    }
    let (route, method) = find(request.target).ok_or_else(|| Response::refusal(404, "no such path"))?;
    if request.method == method { Ok(route) } else { Err(Response::refusal(405, "not the method of this path")) }
}

fn find(target: &str) -> Option<(Route<'_>, &'static str)> {
    let path = target.trim_start_matches('/');
    if path.len() == target.len() {
        return None;
    }
    if let Some(rest) = path.strip_prefix("adv") {
        if rest.bytes().all(|b| b == b'/') {
            return Some((Route::Advertisement, "GET"));
        }
        return thumbprint(rest).map(|thumbprint| (Route::SignedAdvertisement(thumbprint), "GET"));
    }
    thumbprint(path.strip_prefix("rec")?).map(|thumbprint| (Route::Recovery(thumbprint), "POST"))
}

/// `/+([0-9A-Za-z_-]+)$`
fn thumbprint(rest: &str) -> Option<&str> {
    let text = rest.trim_start_matches('/');
    let has_slash = text.len() < rest.len();
    let is_word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    (has_slash && is_word).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &str, target: &str) -> Result<String, u16> {
        route(&ServerRequest { method, target, body: b"" }).map(|r| format!("{r:?}")).map_err(|r| r.status)
    }

    #[test]
    fn paths_as_the_original_takes_them() {
        for target in ["/adv", "/adv/", "//adv///", "/adv//"] {
            assert_eq!(status("GET", target), Ok("Advertisement".into()), "{target}");
        }
        assert_eq!(status("GET", "/adv/aB-_9"), Ok("SignedAdvertisement(\"aB-_9\")".into()));
        assert_eq!(status("GET", "//adv//x"), Ok("SignedAdvertisement(\"x\")".into()));
        assert_eq!(status("POST", "//rec//x"), Ok("Recovery(\"x\")".into()));
        for target in [
            "", "/", "adv", "/advx", "/adv/x/", "/adv/x y", "/adv?x=1", "/adv/%41", "/rec", "/rec/", "/rec/x/",
            "/recx", "*",
        ] {
            for method in ["GET", "POST"] {
                assert_eq!(status(method, target), Err(404), "{method} {target}");
            }
        }
    }

    #[test]
    fn a_known_path_with_another_method_is_405() {
        for method in ["POST", "HEAD", "PUT", "get"] {
            assert_eq!(status(method, "/adv"), Err(405));
            assert_eq!(status(method, "/adv/x"), Err(405));
        }
        for method in ["GET", "HEAD", "PUT"] {
            assert_eq!(status(method, "/rec/x"), Err(405));
        }
    }

    #[test]
    fn long_requests_are_refused() {
        let target = format!("/adv/{}", "x".repeat(LONGEST_TARGET - 5));
        assert_eq!(status("GET", &target), Err(414));
        assert!(status("GET", &target[1..].replacen("adv", "/adv", 1)).is_err_and(|s| s == 414));
        assert!(status("GET", &format!("/adv/{}", "x".repeat(LONGEST_TARGET - 6))).is_ok());
        let body = vec![b' '; LONGEST_BODY];
        let request = ServerRequest { method: "POST", target: "/rec/x", body: &body };
        assert_eq!(route(&request).map_err(|r| r.status), Err(413));
        assert!(route(&ServerRequest { body: &body[1..], ..request }).is_ok());
    }
}
