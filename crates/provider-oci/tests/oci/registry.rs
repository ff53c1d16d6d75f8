//! The client of registries, against a real one, through a proxy that breaks things, and against answers made up.

use super::{
    hand::{Hand, Place, file, key, layer},
    proxy::{Fault, Proxy, Rule},
    server::{Server, USER, has},
};
use std::{fs, path::Path, process::Command, time::Duration};
use towpath_provider::{BuiltImage, ImageBuilder, ProviderErrorKind, Registry};
use towpath_provider_oci::{Credential, Digest, Layout, OciBuilder, RegistryClient, spec::media};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{basic_auth, header, header_exists, method, path, query_param},
};

/// An image of about a megabyte, in a layout of its own.
async fn image(place: &Place) -> BuiltImage {
    place.source("out/big", &"towpath ".repeat(128 << 10)).source("out/small", "x");
    let builder = OciBuilder::new(place.images()).unwrap();
    builder.build(&place.request(""), &key("a"), &|_| {}).await.unwrap()
}

fn client(host: &str) -> RegistryClient {
    RegistryClient::new().unwrap().plain_http(host).chunk_bytes(256 << 10)
}

fn whole(layout: &Path, digest: &str) {
    let image = Layout::open(layout).unwrap().image(digest).unwrap();
    image.verify().unwrap();
    assert_eq!(image.digest().as_str(), digest);
}

fn skopeo(arguments: &[&str]) -> String {
    let out = Command::new("skopeo").args(["--insecure-policy"]).args(arguments).output().unwrap();
    assert!(out.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[tokio::test]
async fn skopeo_reads_what_is_built_and_what_is_pushed() {
    const NAME: &str = "skopeo_reads_what_is_built_and_what_is_pushed";
    if !has(NAME, "skopeo") {
        return;
    }
    let Some(server) = Server::open(NAME).await else { return };
    let place = Place::new();
    let mut request = place.source("out/orders", "x").request("");
    request.labels.insert("team".into(), "shop".into());
    let builder = OciBuilder::new(place.images()).unwrap();
    let image = builder.build(&request, &key("a"), &|_| {}).await.unwrap();
    let seen: serde_json::Value = serde_json::from_str(&skopeo(&["inspect", &image.location])).unwrap();
    assert_eq!(
        (seen["Digest"].as_str(), seen["Labels"]["team"].as_str()),
        (Some(&*image.digest), Some("shop"))
    );
    // Theirs to the registry, ours from it: the same digest.
    let host = server.address.to_string();
    let theirs = format!("docker://{host}/theirs:1");
    skopeo(&["copy", "--preserve-digests", "--dest-tls-verify=false", &image.location, &theirs]);
    let registry = client(&host);
    let pulled = place.temp.path().join("pulled");
    let reference = format!("{host}/theirs:1");
    let found = registry.pull(&reference, &pulled, &key("a")).await.unwrap();
    assert_eq!((&found.digest, &found.name), (&image.digest, &format!("{host}/theirs")));
    whole(&pulled, &image.digest);
    Layout::open(&pulled).unwrap().image(&reference).unwrap().unpack(place.temp.path().join("to")).unwrap();
    assert_eq!(fs::read_to_string(place.temp.path().join("to/app/orders")).unwrap(), "x");
    // Ours to the registry, theirs from it.
    registry.push(&image, &format!("{host}/ours:1"), &key("a")).await.unwrap();
    let seen = skopeo(&["inspect", "--tls-verify=false", &format!("docker://{host}/ours:1")]);
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Digest"].as_str(), Some(&*image.digest));
    // And with layers that are compressed, as others make them.
    let zipped = format!("oci:{}:zipped:1", place.temp.path().join("zipped").display());
    skopeo(&["copy", "--dest-compress", &image.location, &zipped]);
    let (layout, name) = Layout::locate(&zipped).unwrap();
    layout.image(&name.unwrap()).unwrap().unpack(place.temp.path().join("zipped-to")).unwrap();
    assert_eq!(fs::read_to_string(place.temp.path().join("zipped-to/app/orders")).unwrap(), "x");
}

#[tokio::test]
async fn an_upload_that_breaks_is_brought_to_its_end() {
    let Some(server) = Server::open("an_upload_that_breaks_is_brought_to_its_end").await else { return };
    let place = Place::new();
    let image = image(&place).await;
    let faults = [
        ("PATCH", Fault::CutRequest(100 << 10)),
        ("PATCH", Fault::CutRequest(0)),
        ("PATCH", Fault::LostAnswer),
        ("PATCH", Fault::Answer("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")),
        ("POST", Fault::LostAnswer),
        ("PUT", Fault::LostAnswer),
        ("PUT", Fault::Answer("HTTP/1.1 502 Oh\r\ncontent-length: 0\r\n\r\n")),
        ("HEAD", Fault::CutAnswer(10)),
    ];
    for (n, (method, fault)) in faults.into_iter().enumerate() {
        // There are two blobs; the larger one goes in several pieces.
        for after in 0..if method == "PATCH" { 3 } else { 2 } {
            let proxy = Proxy::to(server.address).await;
            proxy.rule(Rule { method, path: "blobs/", fault: fault.clone(), after, times: 1 });
            let reference = format!("{}/broken-{n}-{after}:1", proxy.host);
            let pushed = client(&proxy.host).push(&image, &reference, &key("a")).await;
            let pushed =
                pushed.unwrap_or_else(|e| panic!("{method} {fault:?} {after}: {e:?} {:#?}", proxy.seen()));
            assert_eq!(proxy.hits(), 1, "{method} {fault:?} after {after} did not hit: {:#?}", proxy.seen());
            assert_eq!(pushed.digest, image.digest);
            let to = place.temp.path().join(format!("{n}-{after}"));
            client(&proxy.host).pull(&reference, &to, &key("a")).await.unwrap();
            whole(&to, &image.digest);
        }
    }
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_where_it_stood() {
    let Some(server) = Server::open("a_download_that_breaks_goes_on_where_it_stood").await else { return };
    let place = Place::new();
    let image = image(&place).await;
    let proxy = Proxy::to(server.address).await;
    let reference = format!("{}/orders:1", proxy.host);
    let registry = client(&proxy.host);
    registry.push(&image, &reference, &key("a")).await.unwrap();
    for times in 1..=2 {
        proxy.rule(Rule {
            method: "GET",
            path: "blobs/",
            fault: Fault::CutAnswer(300 << 10),
            after: 0,
            times: 1,
        });
        let to = place.temp.path().join(format!("to-{times}"));
        registry.pull(&reference, &to, &key("a")).await.unwrap();
        assert_eq!(proxy.hits(), times);
        let ranges = proxy.seen().iter().filter(|line| line.contains(" bytes=")).count();
        assert_eq!(ranges as u64, times, "{:#?}", proxy.seen());
        whole(&to, &image.digest);
    }
    // Again and again: it is given up, and nothing is kept under the name.
    proxy.rule(Rule { method: "GET", path: "blobs/", fault: Fault::CutAnswer(400), after: 0, times: 100 });
    let to = place.temp.path().join("never");
    let error = registry.pull(&reference, &to, &key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Unavailable, "{error:?}");
    assert!(Layout::open(&to).unwrap().tags().unwrap().is_empty());
    let left = fs::read_dir(to.join("blobs/sha256")).unwrap().count();
    assert_eq!(left, 0, "what came half is not kept");
}

#[tokio::test]
async fn a_name_and_a_password_are_shown_where_they_are_wanted() {
    let Some(server) = Server::with_password("a_name_and_a_password_are_shown_where_they_are_wanted").await
    else {
        return;
    };
    let place = Place::new();
    let image = image(&place).await;
    let host = server.address.to_string();
    let reference = format!("{host}/orders:1");
    let (user, password) = USER;
    let known = client(&host).credential(&host, Credential::basic(user, password));
    assert_eq!(known.push(&image, &reference, &key("a")).await.unwrap().digest, image.digest);
    assert_eq!(known.resolve(&reference).await.unwrap().unwrap().digest, image.digest);
    known.pull(&reference, &place.temp.path().join("to"), &key("a")).await.unwrap();
    whole(&place.temp.path().join("to"), &image.digest);
    let strangers = [
        client(&host),
        client(&host).credential(&host, Credential::basic(user, "wrong secret")),
        client(&host).credential("another.example", Credential::basic(user, password)),
    ];
    for stranger in strangers {
        let error = stranger.resolve(&reference).await.unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Unauthenticated);
        let error = stranger.push(&image, &format!("{host}/other:1"), &key("a")).await.unwrap_err();
        assert_eq!(error.kind(), ProviderErrorKind::Unauthenticated);
        let shown = format!("{error:?} {error} {stranger:?}");
        assert!(!shown.contains("wrong secret") && !shown.contains(password), "{shown}");
    }
}

/// A registry of answers that are made up: this manifest, and these blobs.
async fn serves(server: &MockServer, manifest: &[u8], blobs: &[(String, Vec<u8>)]) {
    let answer = |bytes: &[u8]| ResponseTemplate::new(200).set_body_raw(bytes.to_vec(), media::MANIFEST);
    Mock::given(method("GET"))
        .and(path("/v2/orders/manifests/1"))
        .respond_with(answer(manifest))
        .mount(server)
        .await;
    for (digest, bytes) in blobs {
        let at = format!("/v2/orders/blobs/{digest}");
        Mock::given(method("GET")).and(path(at)).respond_with(answer(bytes)).mount(server).await;
    }
}

/// Blobs by their digests.
type Blobs = Vec<(String, Vec<u8>)>;

/// The manifest, the blobs and the digest of an image that was made by hand.
fn by_hand(place: &Place) -> (Vec<u8>, Blobs, String) {
    let layout = Hand::of([layer(&[file("a", "1")])]).write(&place.temp.path().join("hand"));
    let image = layout.image("hand:1").unwrap();
    let read = |digest: &str| {
        fs::read(layout.folder().join("blobs/sha256").join(&digest["sha256:".len()..])).unwrap()
    };
    let blobs = [&image.manifest().config.digest, &image.manifest().layers[0].digest];
    let blobs = blobs.map(|digest| (digest.clone(), read(digest))).to_vec();
    (read(image.digest().as_str()), blobs, image.digest().to_string())
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_never_kept() {
    let place = Place::new();
    let (manifest, blobs, digest) = by_hand(&place);
    for n in 0..blobs.len() {
        for longer in [false, true] {
            let server = MockServer::start().await;
            let mut bad = blobs.clone();
            match longer {
                true => bad[n].1.push(0),
                false => bad[n].1[0] ^= 1,
            }
            serves(&server, &manifest, &bad).await;
            let host = server.address().to_string();
            let to = place.temp.path().join(format!("to-{n}-{longer}"));
            let error = client(&host).pull(&format!("{host}/orders:1"), &to, &key("a")).await.unwrap_err();
            assert_eq!(error.kind(), ProviderErrorKind::Unexpected, "{error:?}");
            let layout = Layout::open(&to).unwrap();
            assert!(layout.tags().unwrap().is_empty());
            assert!(!to.join("blobs/sha256").join(&bad[n].0["sha256:".len()..]).exists());
        }
    }
    // Asked for by its digest, a manifest is held against that.
    let server = MockServer::start().await;
    let host = server.address().to_string();
    let other = Digest::of(b"another");
    let answer = ResponseTemplate::new(200).set_body_raw(manifest.clone(), media::MANIFEST);
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let error = client(&host)
        .pull(&format!("{host}/orders@{other}"), &place.temp.path().join("by-digest"), &key("a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Unexpected, "{error:?}");
    assert_ne!(other.as_str(), digest);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_errors() {
    let bodies: [(&[u8], &str, ProviderErrorKind); 6] = [
        (b"", media::MANIFEST, ProviderErrorKind::Invalid),
        (b"{", media::MANIFEST, ProviderErrorKind::Invalid),
        (b"[]", media::INDEX, ProviderErrorKind::Invalid),
        (br#"{"schemaVersion":2,"manifests":[]}"#, media::INDEX, ProviderErrorKind::Unsupported),
        (b"<html>", "text/html", ProviderErrorKind::Unsupported),
        (
            br#"{"schemaVersion":2,"config":{"digest":"sha256:../../etc/passwd","size":1},"layers":[]}"#,
            media::MANIFEST,
            ProviderErrorKind::Invalid,
        ),
    ];
    let temp = tempfile::tempdir().unwrap();
    for (body, media_type, kind) in bodies {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(200).set_body_raw(body, media_type);
        Mock::given(method("GET")).respond_with(answer).mount(&server).await;
        let host = server.address().to_string();
        let pulled =
            client(&host).pull(&format!("{host}/orders:1"), &temp.path().join("to"), &key("a")).await;
        let error = pulled.unwrap_err();
        assert_eq!(error.kind(), kind, "{} {error:?}", String::from_utf8_lossy(body));
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_not_taken_any_more() {
    let server = MockServer::start().await;
    let host = server.address().to_string();
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"registry.example\",scope=\"repository:orders:pull\"",
        server.uri()
    );
    let found = ResponseTemplate::new(200)
        .insert_header("docker-content-digest", Digest::of(b"x").as_str())
        .insert_header("content-length", "7")
        .insert_header("content-type", media::MANIFEST);
    let at = || Mock::given(method("HEAD")).and(path("/v2/orders/manifests/1"));
    at().and(header("authorization", "Bearer first"))
        .respond_with(found.clone())
        .up_to_n_times(2)
        .with_priority(1)
        .mount(&server)
        .await;
    at().and(header("authorization", "Bearer second"))
        .respond_with(found)
        .with_priority(1)
        .mount(&server)
        .await;
    let refuses = ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str());
    at().respond_with(refuses).with_priority(5).mount(&server).await;
    for (n, token) in [r#"{"token":"first"}"#, r#"{"access_token":"second"}"#].into_iter().enumerate() {
        Mock::given(method("GET"))
            .and(path("/token"))
            .and(query_param("service", "registry.example"))
            .and(query_param("scope", "repository:orders:pull"))
            .and(basic_auth("ci", "a secret"))
            .respond_with(ResponseTemplate::new(200).set_body_string(token))
            .up_to_n_times(1)
            .with_priority(n as u8 + 1)
            .expect(1)
            .mount(&server)
            .await;
    }
    let registry = client(&host).credential(&host, Credential::basic("ci", "a secret"));
    for _ in 0..4 {
        let found = registry.resolve(&format!("{host}/orders:1")).await.unwrap().unwrap();
        assert_eq!(found.digest, Digest::of(b"x").as_str());
    }
    // The third was refused once; and a repository has a token of its own.
    let asked = server.received_requests().await.unwrap();
    let tokens = asked.iter().filter(|request| request.url.path() == "/token").count();
    assert_eq!((tokens, asked.len()), (2, 4 + 2 + 2));
    let shown = format!("{registry:?}");
    assert!(!shown.contains("first") && !shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn credentials_go_to_nobody_else() {
    let place = Place::new();
    let (manifest, blobs, digest) = by_hand(&place);
    let (registry, store) = (MockServer::start().await, MockServer::start().await);
    let host = registry.address().to_string();
    let signed = || header("authorization", "Basic Y2k6YSBzZWNyZXQ=");
    let answer = ResponseTemplate::new(200).set_body_raw(manifest, media::MANIFEST);
    Mock::given(path("/v2/orders/manifests/1")).and(signed()).respond_with(answer).mount(&registry).await;
    for (digest, bytes) in &blobs {
        let there = ResponseTemplate::new(307)
            .insert_header("location", format!("{}/{digest}?signature=1", store.uri()));
        let at = format!("/v2/orders/blobs/{digest}");
        Mock::given(path(at)).and(signed()).respond_with(there).with_priority(1).mount(&registry).await;
        let bytes = ResponseTemplate::new(200).set_body_bytes(bytes.clone());
        Mock::given(path(format!("/{digest}"))).respond_with(bytes).mount(&store).await;
    }
    let refuses = ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=x");
    Mock::given(method("GET")).respond_with(refuses).with_priority(9).mount(&registry).await;
    Mock::given(header_exists("authorization"))
        .respond_with(ResponseTemplate::new(400))
        .with_priority(1)
        .mount(&store)
        .await;
    let client = client(&host).credential(&host, Credential::basic("ci", "a secret"));
    let to = place.temp.path().join("to");
    client.pull(&format!("{host}/orders:1"), &to, &key("a")).await.unwrap();
    whole(&to, &digest);
    let asked: Vec<Request> = store.received_requests().await.unwrap();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_registry_is_not_followed_to_plain_http() {
    // Nothing listens there: who asks for HTTPS is not answered, and who is sent to HTTP does not go.
    let server = MockServer::start().await;
    let host = server.address().to_string();
    let error = RegistryClient::new().unwrap().resolve(&format!("{host}/orders:1")).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Unavailable, "{error:?}");
    let asked = server.received_requests().await.unwrap_or_default();
    assert!(asked.is_empty(), "nothing was said in plain words");
}

#[tokio::test]
async fn who_asks_to_wait_is_waited_for_or_told_of() {
    let server = MockServer::start().await;
    let host = server.address().to_string();
    let reference = format!("{host}/orders:1");
    let soon = ResponseTemplate::new(429).insert_header("retry-after", "1");
    Mock::given(method("HEAD")).respond_with(soon).up_to_n_times(1).with_priority(1).mount(&server).await;
    Mock::given(method("HEAD"))
        .respond_with(ResponseTemplate::new(404))
        .with_priority(2)
        .mount(&server)
        .await;
    let since = std::time::Instant::now();
    assert_eq!(client(&host).resolve(&reference).await.unwrap(), None);
    assert!(since.elapsed() >= Duration::from_secs(1), "{:?}", since.elapsed());
    // For long is not waited for here.
    server.reset().await;
    let late = ResponseTemplate::new(429).insert_header("retry-after", "3600");
    Mock::given(method("HEAD")).respond_with(late).expect(1).mount(&server).await;
    let error = client(&host).resolve(&reference).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ProviderErrorKind::RateLimited, Some(Duration::from_secs(3_600)))
    );
    // What may pass is tried a few times, and what may not is not.
    for (status, kind, tries) in [
        (500, ProviderErrorKind::Unavailable, 5),
        (403, ProviderErrorKind::Forbidden, 1),
        (418, ProviderErrorKind::Unexpected, 1),
        (400, ProviderErrorKind::Invalid, 1),
    ] {
        server.reset().await;
        Mock::given(method("HEAD"))
            .respond_with(ResponseTemplate::new(status))
            .expect(tries)
            .mount(&server)
            .await;
        assert_eq!(client(&host).resolve(&reference).await.unwrap_err().kind(), kind, "{status}");
        server.verify().await;
    }
}

#[tokio::test]
async fn an_upload_goes_on_from_where_the_other_side_says() {
    let place = Place::new();
    let image = image(&place).await;
    let server = MockServer::start().await;
    let host = server.address().to_string();
    let proxy = Proxy::to(*server.address()).await;
    // A registry that keeps what came of a broken chunk, as the specification wants it: 100 KiB of the first.
    let on = |status, range: Option<&str>| {
        let answer = ResponseTemplate::new(status).insert_header("location", "/v2/orders/blobs/uploads/here");
        range.into_iter().fold(answer, |answer, range| answer.insert_header("range", range))
    };
    Mock::given(method("HEAD")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    Mock::given(method("POST")).respond_with(on(202, None)).mount(&server).await;
    Mock::given(method("GET"))
        .and(path("/v2/orders/blobs/uploads/here"))
        .respond_with(on(204, Some("0-102399")))
        .mount(&server)
        .await;
    Mock::given(method("PATCH")).respond_with(on(202, None)).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ResponseTemplate::new(201)).mount(&server).await;
    proxy.aim("PATCH", "uploads", Fault::CutRequest(100 << 10));
    client(&proxy.host).push(&image, &format!("{}/orders:1", proxy.host), &key("a")).await.unwrap();
    assert_eq!(proxy.hits(), 1, "it was cut");
    let patches: Vec<String> = proxy.seen().into_iter().filter(|line| line.starts_with("PATCH")).collect();
    assert!(patches[0].ends_with(" 0-262143"), "{patches:#?}");
    assert!(patches[1].ends_with(" 102400-364543"), "it goes on where the other side stands: {patches:#?}");
    // What came, put together by its ranges, is the layer.
    let layer =
        Layout::open(place.images()).unwrap().image(&image.digest).unwrap().manifest().layers[0].clone();
    let mut bytes = vec![0; usize::try_from(layer.size).unwrap()];
    let path = place.images().join("blobs/sha256").join(&layer.digest["sha256:".len()..]);
    bytes[..102_400].copy_from_slice(&fs::read(path).unwrap()[..102_400]);
    for request in server.received_requests().await.unwrap().iter().filter(|r| r.method.as_str() == "PATCH") {
        let range = request.headers["content-range"].to_str().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        if to < bytes.len() && request.body.len() == to + 1 - from && bytes.len() > 1 << 20 {
            bytes[from..=to].copy_from_slice(&request.body);
        }
        if to + 1 == bytes.len() {
            break;
        }
    }
    assert_eq!(Digest::of(&bytes).as_str(), layer.digest);
    assert_ne!(host, proxy.host);
}
