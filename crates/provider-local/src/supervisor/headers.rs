//! What a proxy does to the head of a message: RFC 9110, 7.6.

use hyper::{
    HeaderMap, Method, Request, Response, Uri, Version,
    header::{self, HeaderName, HeaderValue},
};
use std::net::{IpAddr, SocketAddr};

/// Headers of one connection only, which are not passed on: RFC 9110, 7.6.1, and two of older servers.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Adds an element to a list, such as that of those whom a message has passed.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok());
    let list = before.chain([element]).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::try_from(list) {
        headers.insert(name, value);
    }
}

fn via(version: Version) -> &'static str {
    if version == Version::HTTP_10 { "1.0 towpath" } else { "1.1 towpath" }
}

/// Makes the head of a request ready to be passed on.
pub(super) fn pass_on<B>(request: &mut Request<B>, from: IpAddr, listening: SocketAddr) {
    let version = request.version();
    // An absolute address names the host as well; what is sent is the path, and the host in its header.
    let host = request.uri().authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok());
    if request.method() != Method::CONNECT
        && let Some(path) = request.uri().path_and_query().cloned()
        && host.is_some()
    {
        *request.uri_mut() = Uri::from(path);
    }
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    strip(headers);
    // The proxy itself has said "continue" by the time it reads the body.
    headers.remove(header::EXPECT);
    if let Some(host) = host {
        headers.insert(header::HOST, host);
    } else if !headers.contains_key(header::HOST)
        && let Ok(host) = HeaderValue::try_from(listening.to_string())
    {
        headers.insert(header::HOST, host);
    }
    append(headers, FORWARDED_FOR, &from.to_string());
    if !headers.contains_key(FORWARDED_HOST)
        && let Some(host) = headers.get(header::HOST).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
    if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    append(headers, header::VIA, via(version));
}

/// Makes the head of an answer ready to be passed back.
pub(super) fn pass_back<B>(response: &mut Response<B>) {
    let version = response.version();
    *response.version_mut() = Version::HTTP_11;
    strip(response.headers_mut());
    append(response.headers_mut(), header::VIA, via(version));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(request: Request<()>) -> Request<()> {
        let mut request = request;
        pass_on(&mut request, [10, 0, 0, 7].into(), ([127, 0, 0, 1], 8080).into());
        request
    }

    #[test]
    fn what_is_for_one_connection_is_not_passed_on() {
        let mut request = Request::get("/a?b=c").header("host", "shop.example");
        for (name, value) in [
            ("connection", "keep-alive, X-Mine"),
            ("connection", "x-other"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "x"),
            ("expect", "100-continue"),
            ("transfer-encoding", "chunked"),
            ("authorization", "kept"),
        ] {
            request = request.header(name, value);
        }
        let request = passed(request.body(()).unwrap());
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let wanted =
            ["authorization", "host", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        assert_eq!(names, wanted);
        assert_eq!(request.uri(), "/a?b=c");
    }

    #[test]
    fn it_says_for_whom_and_by_whom_a_request_is_passed_on() {
        let request = Request::get("/")
            .header("host", "shop.example")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-proto", "https")
            .header("via", "1.1 edge");
        let request = passed(request.body(()).unwrap());
        let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(header("x-forwarded-for"), "192.0.2.1, 10.0.0.7");
        assert_eq!(header("x-forwarded-host"), "shop.example");
        assert_eq!(header("x-forwarded-proto"), "https", "who stands before it knows better");
        assert_eq!(header("via"), "1.1 edge, 1.1 towpath");
    }

    #[test]
    fn an_absolute_address_and_an_old_version_are_sent_as_what_every_server_takes() {
        let request = Request::get("http://shop.example:1/a?b").header("host", "x").version(Version::HTTP_10);
        let request = passed(request.body(()).unwrap());
        assert_eq!((request.uri().to_string().as_str(), request.version()), ("/a?b", Version::HTTP_11));
        assert_eq!(request.headers()["host"], "shop.example:1");
        assert_eq!(request.headers()["via"], "1.0 towpath");
        let request = passed(Request::get("/").version(Version::HTTP_10).body(()).unwrap());
        assert_eq!(request.headers()["host"], "127.0.0.1:8080");
        let options = Request::options("*").header("host", "x").body(()).unwrap();
        assert_eq!(passed(options).uri(), "*");
    }
}
