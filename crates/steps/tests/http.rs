//! Steps that speak HTTP, with real servers on the loopback.
#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use serde_json::json;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use towpath_model::{FailureKind, InDoubt, Json};
use towpath_step::{Observed, Offers, Provider, SecretRef, Step, StepContext, StepError, Undo, UndoEnded};
use towpath_steps::{
    HttpCall, HttpCheck, HttpProbe, HttpReply, HttpRequest, Notify,
    http::{Request, Response, SendError, TRANSPORT, Transport},
};
use towpath_testkit::{ForTest, TestContext};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_json, header, header_exists, method, path},
};

fn cx() -> TestContext {
    StepContext::for_test()
}

/// The key that a call of the step of a test passes on.
fn key() -> String {
    cx().key("call").unwrap().to_string()
}

fn answer(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

/// A server that answers everything so.
async fn always(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    server
}

/// A server that answers each request with the next of these, and the last for ever.
async fn in_turn(answers: &[u16]) -> MockServer {
    let server = MockServer::start().await;
    let (answers, asked) = (answers.to_vec(), AtomicUsize::new(0));
    let next = move |_: &wiremock::Request| {
        let n = asked.fetch_add(1, Ordering::SeqCst);
        answer(answers[n.min(answers.len() - 1)])
    };
    Mock::given(wiremock::matchers::any()).respond_with(next).mount(&server).await;
    server
}

/// A server that reads a request, remembers that it did, writes these bytes and closes; gives its address.
async fn raw(reply: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let effects = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&effects);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(reply).await;
            }
        }
    });
    (address, effects)
}

/// An address at which nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

mod checks {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn tried_again_after_its_time_it_has_its_whole_time_again() {
        let server = always(answer(500)).await;
        let check = HttpCheck::get(server.uri()).every(MINUTE).until(2 * MINUTE);
        let first = cx();
        check.run(&first).await.unwrap_err();
        let recorded = first.recorded();
        assert_eq!(recorded.waits, ["try-1", "try-2"]);
        let again = cx().with_attempt(2).with_checkpoint(recorded.checkpoints.last().unwrap());
        again.sleep("as long as the first took", 2 * MINUTE).await.unwrap();
        let since = again.now();
        assert_eq!(check.run(&again).await.unwrap_err().kind(), FailureKind::Rejected);
        assert_eq!(again.now().since(since), 2 * MINUTE);
        assert_eq!(again.recorded().waits[1..], ["try-3", "try-4"], "waits of their own");
    }

    #[tokio::test]
    async fn what_is_as_it_should_be_is_good_at_once() {
        let body = json!({"status": "ok", "versions": ["v1", "v2"]});
        let server = always(answer(200).set_body_json(body)).await;
        let check =
            HttpCheck::get(server.uri()).contains("v2").equals("/status", "ok").equals("/versions/1", "v2");
        let found = check.run(&cx()).await.unwrap();
        assert_eq!((found.status, found.tries), (200, 1));
        let head = HttpCheck::head(server.uri()).status([200, 204]).run(&cx()).await.unwrap();
        assert_eq!(head.status, 200);
    }

    #[tokio::test]
    async fn what_is_not_says_what_it_is_and_may_pass() {
        let server = always(answer(200).set_body_json(json!({"status": "starting"}))).await;
        let gone = nowhere().await;
        for (check, words) in [
            (HttpCheck::get(server.uri()).status([204]), "the status is 200"),
            (HttpCheck::get(server.uri()).contains("ready"), "the body does not hold \"ready\""),
            (HttpCheck::get(server.uri()).equals("/status", "ok"), "/status of the body is not \"ok\""),
            (HttpCheck::get(server.uri()).equals("/none", &1), "/none of the body is not 1"),
            (HttpCheck::get(gone), "it does not answer: the other side cannot be reached: error"),
        ] {
            let error = check.run(&cx()).await.unwrap_err();
            assert_eq!(error.kind(), FailureKind::Transient, "{error}");
            assert!(error.to_failure().to_string().contains(words), "{error}");
        }
        let impossible = HttpCheck::get("no address").run(&cx()).await.unwrap_err();
        assert_eq!(impossible.kind(), FailureKind::Permanent);
    }

    #[tokio::test]
    async fn it_waits_durably_until_it_is_good_often_enough() {
        let server = in_turn(&[503, 200, 500, 200, 200]).await;
        let cx = cx();
        let since = cx.now();
        let check = HttpCheck::get(server.uri()).successes(2).every(MINUTE).until(60 * MINUTE);
        let found = check.run(&cx).await.unwrap();
        assert_eq!(found.tries, 5, "a failure between two successes counts");
        assert_eq!(cx.recorded().waits, ["try-1", "try-2", "try-3", "try-4"]);
        assert_eq!(cx.now().since(since), 4 * MINUTE);
        // Entered again after the last wait, it asks once more and no more often.
        let server = in_turn(&[200]).await;
        let again = StepContext::for_test().with_checkpoint(&cx.recorded().checkpoints[3]);
        let check = HttpCheck::get(server.uri()).successes(2).every(MINUTE).until(60 * MINUTE);
        assert_eq!(check.run(&again).await.unwrap().tries, 5);
        assert!(again.recorded().waits.is_empty());
    }

    #[tokio::test]
    async fn when_its_time_is_over_it_is_rejected_with_the_last_reason() {
        let server = always(answer(503)).await;
        let error =
            HttpCheck::get(server.uri()).every(MINUTE).until(10 * MINUTE).run(&cx()).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Rejected);
        let told = error.to_failure().to_string();
        assert_eq!(told, "it was not as it should be within 600s: the status is 503");
        assert_eq!(server.received_requests().await.unwrap().len(), 11);
        let often = HttpCheck::get(server.uri()).every(Duration::from_millis(1)).until(MINUTE);
        let error = often.run(&cx()).await.unwrap_err();
        assert!(error.to_string().contains("ask less often"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_one_that_may_come_another_time() {
        let server = always(answer(200).set_delay(MINUTE)).await;
        let check = HttpCheck::get(server.uri()).timeout(Duration::from_millis(100));
        assert_eq!(check.run(&cx()).await.unwrap_err().kind(), FailureKind::Transient);
    }

    #[tokio::test]
    async fn redirects_are_answers() {
        let server = always(answer(302).insert_header("location", "/elsewhere")).await;
        assert!(HttpCheck::get(server.uri()).run(&cx()).await.is_err());
        assert_eq!(HttpCheck::get(server.uri()).status([302]).run(&cx()).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn secrets_are_sent_and_told_to_nobody() {
        let server = MockServer::start().await;
        let good = Mock::given(header("authorization", "Bearer hunter2-hunter2"))
            .and(header("x-key", "hunter3-hunter3"));
        good.respond_with(answer(200).set_body_string("you are hunter2-hunter2")).mount(&server).await;
        let cx = cx().with_secret("token", "hunter2-hunter2\n").with_secret("key", "hunter3-hunter3");
        let check = HttpCheck::get(server.uri())
            .bearer(SecretRef::named("token"))
            .secret_header("X-Key", SecretRef::named("key"))
            .contains("nobody");
        let error = check.run(&cx).await.unwrap_err();
        assert!(error.to_string().contains("does not hold \"nobody\""), "{error}");
        let all = format!("{error:?} {:?} {}", cx.recorded(), serde_json::to_string(&check).unwrap());
        assert!(!all.contains("hunter2") && !all.contains("hunter3"), "{all}");
    }
}

mod calls {
    use super::*;

    #[tokio::test]
    async fn a_call_carries_one_key_over_its_attempts() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/orders"))
            .and(header("content-type", "application/json"))
            .and(body_json(json!({"version": "v2"})))
            .and(header_exists("idempotency-key"))
            .respond_with(answer(201).insert_header("Location", "/orders/7").set_body_json(json!({"id": 7})))
            .mount(&server)
            .await;
        let request = HttpRequest::post(format!("{}/orders", server.uri())).json(&json!({"version": "v2"}));
        let call = HttpCall::new(request).keep_headers(["Location", "X-None"]);
        for attempt in 1..=2 {
            let reply = call.run(&cx().with_attempt(attempt)).await.unwrap();
            assert_eq!((reply.status, reply.left_out), (201, 0));
            assert_eq!(reply.headers, [("location".to_owned(), "/orders/7".to_owned())].into());
            assert_eq!(reply.body.as_str(), r#"{"id":7}"#);
        }
        let sent = server.received_requests().await.unwrap();
        let keys: Vec<_> =
            sent.iter().map(|r| r.headers["idempotency-key"].to_str().unwrap().to_owned()).collect();
        assert_eq!(keys, [key(), key()]);
    }

    async fn class(call: HttpCall) -> (FailureKind, Option<Duration>) {
        let error: StepError = call.run(&cx()).await.unwrap_err();
        (error.kind(), error.delay())
    }

    #[tokio::test]
    async fn statuses_say_whether_to_send_it_again() {
        use FailureKind::{Permanent, Transient, Unknown};
        for (status, once, repeatable) in [
            (400, Permanent, Permanent),
            (302, Permanent, Permanent),
            (408, Unknown, Transient),
            (429, Transient, Transient),
            (500, Unknown, Transient),
            (503, Unknown, Transient),
            (504, Unknown, Transient),
        ] {
            let server = always(answer(status)).await;
            assert_eq!(class(HttpCall::new(HttpRequest::post(server.uri()))).await.0, once, "POST {status}");
            assert_eq!(
                class(HttpCall::new(HttpRequest::put(server.uri()))).await.0,
                repeatable,
                "PUT {status}"
            );
            let told = HttpCall::new(HttpRequest::post(server.uri())).idempotent();
            assert_eq!(class(told).await.0, repeatable, "POST with a key that is known, {status}");
        }
        let there = always(answer(409)).await;
        let call = HttpCall::new(HttpRequest::post(there.uri())).also_ok([409]);
        assert_eq!(call.run(&cx()).await.unwrap().status, 409);
    }

    #[tokio::test]
    async fn who_asks_to_wait_is_waited_for() {
        let server = always(answer(429).insert_header("retry-after", "17")).await;
        let call = HttpCall::new(HttpRequest::post(server.uri()));
        assert_eq!(class(call).await, (FailureKind::Transient, Some(Duration::from_secs(17))));
        // The clock of the test begins at 2030-01-01.
        let server = always(answer(503).insert_header("retry-after", "Tue, 01 Jan 2030 00:00:30 GMT")).await;
        let call = HttpCall::new(HttpRequest::post(server.uri()));
        assert_eq!(class(call).await, (FailureKind::Transient, Some(Duration::from_secs(30))));
    }

    #[tokio::test]
    async fn a_failure_holds_the_status_and_the_beginning_of_the_answer() {
        let server = always(answer(422).set_body_string("x".repeat(5_000))).await;
        let error = HttpCall::new(HttpRequest::post(server.uri())).run(&cx()).await.unwrap_err();
        assert_eq!(error.to_string(), "POST was answered with the status 422");
        let details: serde_json::Value = error.to_failure().details.unwrap().read().unwrap();
        assert_eq!((&details["status"], details["body"].as_str().unwrap().len()), (&json!(422), 1_024));
    }

    #[tokio::test]
    async fn what_was_sent_and_not_answered_is_in_doubt_and_what_was_not_sent_is_not() {
        // The effect happened each time.
        for reply in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":",
            b"this is not http\r\n\r\n",
        ] {
            let (address, effects) = raw(reply).await;
            let call = HttpCall::new(HttpRequest::post(address)).idempotent();
            assert_eq!(class(call).await.0, FailureKind::Unknown, "{:?}", String::from_utf8_lossy(reply));
            assert_eq!(
                effects.load(Ordering::SeqCst),
                1,
                "it was sent once, and never again behind our back"
            );
        }
        let server = always(answer(200).set_delay(Duration::from_secs(60))).await;
        let late = HttpCall::new(HttpRequest::post(server.uri())).timeout(Duration::from_millis(200));
        assert_eq!(class(late).await.0, FailureKind::Unknown);
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
        let refused = HttpCall::new(HttpRequest::post(nowhere().await));
        assert_eq!(class(refused).await.0, FailureKind::Transient);
        // A server that does not speak TLS: nothing of the request has reached it.
        let (address, _) = raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let tls = HttpCall::new(HttpRequest::post(address.replace("http://", "https://")));
        assert_eq!(class(tls).await.0, FailureKind::Transient);
        for url in ["ftp://127.0.0.1/", "not an address", "http://127.0.0.1/{what}"] {
            assert_eq!(class(HttpCall::new(HttpRequest::post(url))).await.0, FailureKind::Permanent, "{url}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_no_json_or_too_long_is_a_text() {
        let server = always(answer(200).set_body_raw("{\"id\":", "application/json")).await;
        let call = HttpCall::new(HttpRequest::get(server.uri()));
        assert_eq!(call.run(&cx()).await.unwrap().body.read::<String>().unwrap(), "{\"id\":");
        let server = always(answer(200).set_body_string(format!("[{}]", "1,".repeat(1_000)))).await;
        let reply = HttpCall::new(HttpRequest::get(server.uri())).body_limit(10).run(&cx()).await.unwrap();
        assert_eq!((reply.body.read::<String>().unwrap().as_str(), reply.left_out), ("[1,1,1,1,1", 1_992));
    }

    #[tokio::test]
    async fn a_secret_that_ends_with_a_newline_does_not_come_back() {
        let server = always(answer(200).set_body_json(json!({"you": "hunter2-hunter2"}))).await;
        let call = HttpCall::new(HttpRequest::post(server.uri()).bearer(SecretRef::named("token")));
        let reply = call.run(&cx().with_secret("token", "hunter2-hunter2\n")).await.unwrap();
        assert_eq!(reply.body.as_str(), r#"{"you":"[secret token]"}"#);
    }

    #[tokio::test]
    async fn an_address_is_undone_at_its_own_place_or_not_at_all() {
        let server = always(answer(200)).await;
        let url = format!("{}/orders/{{output/body/id}}", server.uri());
        let call = HttpCall::new(HttpRequest::post(server.uri())).undo(HttpRequest::delete(url));
        for id in ["", ".", ".."] {
            let output: HttpReply = serde_json::from_value(
                json!({"status": 200, "headers": {}, "body": {"id": id}, "left_out": 0}),
            )
            .unwrap();
            let undo = Undo { before: None, output: Some(output), checkpoint: None, ended: UndoEnded::Done };
            let error = call.compensate(&cx(), undo).await.unwrap_err();
            assert_eq!(error.kind(), FailureKind::NeedsOperator, "{id:?}: {error}");
        }
        assert!(server.received_requests().await.unwrap().is_empty(), "nothing else is deleted");
    }

    #[tokio::test]
    async fn secrets_do_not_come_back() {
        let body = json!({"you": "hunter2-hunter2"});
        let server = always(answer(200).insert_header("x-echo", "hunter2-hunter2").set_body_json(body)).await;
        let request = HttpRequest::post(server.uri()).bearer(SecretRef::named("token"));
        let call = HttpCall::new(request).keep_headers(["x-echo"]);
        let reply = call.run(&cx().with_secret("token", "hunter2-hunter2")).await.unwrap();
        assert_eq!(reply.body.as_str(), r#"{"you":"[secret token]"}"#);
        assert_eq!(reply.headers["x-echo"], "[secret token]");
    }

    #[tokio::test]
    async fn observe_asks_by_the_key_of_the_call() {
        let server = MockServer::start().await;
        let url = format!("{}/orders/{{key}}", server.uri());
        let call = HttpCall::new(HttpRequest::post(server.uri()))
            .observe(HttpProbe::new(HttpRequest::get(url)).equals("/status", "placed"));
        for (reply, seen) in [
            (answer(200).set_body_json(json!({"status": "placed"})), "done"),
            (answer(200).set_body_json(json!({"status": "draft"})), "not done"),
            (answer(404), "not done"),
            (answer(410), "not done"),
            (answer(500), "unknown"),
        ] {
            server.reset().await;
            Mock::given(path(format!("/orders/{}", key()))).respond_with(reply).mount(&server).await;
            for _ in 0..2 {
                let said = match Step::observe(&call, &cx()).await.unwrap() {
                    Observed::Done(reply) => {
                        assert_eq!(reply.body.as_str(), r#"{"status":"placed"}"#);
                        "done"
                    }
                    Observed::NotDone => "not done",
                    Observed::Unknown(_) => "unknown",
                    other => panic!("{other:?}"),
                };
                assert_eq!(said, seen);
            }
        }
    }

    fn undo_of(output: Option<HttpReply>) -> Undo<HttpReply> {
        let ended = if output.is_some() { UndoEnded::Done } else { UndoEnded::Failed };
        Undo { before: None, output, checkpoint: None, ended }
    }

    fn reply(body: serde_json::Value) -> HttpReply {
        HttpReply { status: 201, headers: [].into(), body: Json::of(&body).unwrap(), left_out: 0 }
    }

    #[tokio::test]
    async fn undo_names_what_the_call_made_and_can_be_repeated() {
        let server = MockServer::start().await;
        let orders = Arc::new(Mutex::new(vec!["/orders/a%2Fb".to_owned()]));
        let there = Arc::clone(&orders);
        let delete = move |request: &wiremock::Request| {
            let mut there = there.lock().unwrap();
            let before = there.len();
            there.retain(|order| order != request.url.path());
            answer(if there.len() < before { 204 } else { 404 })
        };
        Mock::given(method("DELETE")).respond_with(delete).mount(&server).await;
        let at = |tail: &str| HttpRequest::delete(format!("{}/orders/{tail}", server.uri()));
        let call = HttpCall::new(HttpRequest::post(server.uri())).undo(at("{output/body/id}"));
        for _ in 0..2 {
            let undo = undo_of(Some(reply(json!({"id": "a/b"}))));
            call.compensate(&cx().undoing(), undo).await.unwrap();
            assert!(orders.lock().unwrap().is_empty());
        }
        let blind = call.compensate(&cx().undoing(), undo_of(None)).await.unwrap_err();
        assert_eq!(blind.kind(), FailureKind::NeedsOperator, "nobody knows which");
        let by_key = HttpCall::new(HttpRequest::post(server.uri())).undo(at("{key}"));
        by_key.compensate(&cx().undoing(), undo_of(None)).await.unwrap();
        let sent = server.received_requests().await.unwrap();
        assert_eq!(sent[2].url.path(), format!("/orders/{}", key()), "the key of the work");
        assert_ne!(sent[2].headers["idempotency-key"].to_str().unwrap(), key(), "undoing has its own");
        let failing = always(answer(500)).await;
        let call = HttpCall::new(HttpRequest::post(failing.uri())).undo(HttpRequest::delete(failing.uri()));
        let error = call.compensate(&cx().undoing(), undo_of(None)).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Transient);
    }

    #[test]
    fn what_happens_in_doubt_is_that_of_the_method_or_of_the_author() {
        let doubt = |call: HttpCall| call.declared().in_doubt;
        assert_eq!(doubt(HttpCall::new(HttpRequest::get("x"))), InDoubt::NoEffect);
        assert_eq!(doubt(HttpCall::new(HttpRequest::put("x"))), InDoubt::Idempotent);
        assert_eq!(doubt(HttpCall::new(HttpRequest::delete("x"))), InDoubt::Idempotent);
        assert_eq!(doubt(HttpCall::new(HttpRequest::post("x"))), InDoubt::AskOperator);
        assert_eq!(doubt(HttpCall::new(HttpRequest::new("PATCH", "x"))), InDoubt::AskOperator);
        assert_eq!(doubt(HttpCall::new(HttpRequest::post("x")).no_effect()), InDoubt::NoEffect);
        let seen =
            HttpCall::new(HttpRequest::post("x")).observe(HttpProbe::new(HttpRequest::get("y"))).declared();
        assert!(seen.in_doubt == InDoubt::Observe && seen.methods.observe && !seen.methods.compensate);
    }
}

/// A transport without a network.
struct Fake(Mutex<Vec<String>>);

#[towpath_engine::async_trait]
impl Transport for Fake {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        self.0.lock().unwrap().push(format!("{request:?} {} {}", request.method, request.url));
        Ok(Response { status: 200, body: b"null".to_vec(), ..Response::default() })
    }
}

impl Provider for Fake {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Transport>(self);
    }
}

#[tokio::test]
async fn what_an_engine_binds_is_what_sends() {
    let fake = Arc::new(Fake(Mutex::default()));
    let cx = cx().with_provider(TRANSPORT, Arc::clone(&fake)).with_secret("token", "hunter2-hunter2");
    let request = HttpRequest::get("https://a.example/").bearer(SecretRef::named("token"));
    HttpCall::new(request).run(&cx).await.unwrap();
    let sent = fake.0.lock().unwrap().clone();
    assert!(sent[0].ends_with("GET https://a.example/"), "{sent:?}");
    assert!(!sent[0].contains("hunter2"), "its debug form hides what it carries");
}

#[tokio::test]
async fn a_webhook_gets_the_text_beside_what_the_request_says() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/hook/hunter2-hunter2"))
        .and(body_json(json!({"channel": "ops", "text": "it has failed"})))
        .and(header("idempotency-key", cx().key("tell").unwrap().as_str()))
        .respond_with(answer(200))
        .mount(&server)
        .await;
    let cx = cx().with_secret("hook", &format!("{}/hook/hunter2-hunter2\n", server.uri()));
    let chat = HttpRequest::to_secret("POST", SecretRef::named("hook")).json(&json!({"channel": "ops"}));
    let notice = Notify::webhook(chat, "it has failed");
    assert!(notice.declared().best_effort);
    notice.run(&cx).await.unwrap();
    server.reset().await;
    let again =
        StepContext::for_test().with_secret("hook", &format!("{}/hook/hunter2-hunter2", server.uri()));
    let error = notice.run(&again).await.unwrap_err();
    let told = format!("{error:?} {}", error.to_failure());
    assert!(told.contains("status 404") && !told.contains("hunter2"), "{told}");
}
