//! Images that are built on this machine.

use super::hand::{Place, key};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};
use towpath_provider::{BuildRequest, BuiltImage, ImageBuilder, ImageFile, ProviderErrorKind};
use towpath_provider_oci::{OciBuilder, spec::host_architecture};

async fn build(place: &Place, request: &BuildRequest, by: &str) -> BuiltImage {
    let builder = OciBuilder::new(place.images()).unwrap();
    builder.build(request, &key(by), &|_| {}).await.unwrap()
}

/// Waits until something holds; real processes take real time.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let (since, mut look) = (Instant::now(), tokio::time::interval(Duration::from_millis(10)));
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(20), "{what}");
        look.tick().await;
    }
}

fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // One that is dead and waited for by nobody yet does nothing any more.
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn the_bytes_of_an_image_do_not_change() {
    let place = Place::new();
    place.source("out/bin/orders", "#!/bin/sh\necho orders\n").source("out/conf", "x");
    let program = place.temp.path().join("sources/out/bin/orders");
    fs::set_permissions(program, fs::Permissions::from_mode(0o700)).unwrap();
    let mut request = place.request("");
    request.platform =
        Some(towpath_provider::BuildPlatform { os: "linux".into(), architecture: "amd64".into() });
    request.entrypoint.push("/app/bin/orders".into());
    request.env.insert("PORT".into(), "8080".into());
    request.labels.insert("team".into(), "shop".into());
    let image = build(&place, &request, "a").await;
    // Another digest for the same files looks like a new release to everybody who has built one before.
    assert_eq!(image.digest, "sha256:0638d7a414a19572b7560a05b064f94454ce4a6c1f94fe5ef21d76acfc7b339f");
    assert_eq!(image.name, "orders");
    assert_eq!(image.location, format!("oci:{}:orders:2.1.0", place.images().display()));
    let layout = OciBuilder::new(place.images()).unwrap().layout().clone();
    assert_eq!(layout.image("orders:2.1.0").unwrap().size_bytes(), image.size_bytes);
    assert_eq!(layout.tags().unwrap()[0].0, "orders:2.1.0");
}

#[tokio::test]
async fn two_builds_of_a_program_give_one_digest() {
    let places = [Place::new(), Place::new()];
    let mut digests = Vec::new();
    for place in &places {
        place.source("main.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n");
        // Without the name of the folder, which the compiler would write down.
        let mut request =
            place.request("cc -O1 -ffile-prefix-map=\"$PWD\"=. -o out/hello main.c; ln -sf hello out/hi");
        request.entrypoint.push("/app/hello".into());
        let image = build(place, &request, "a").await;
        let layout = OciBuilder::new(place.images()).unwrap().layout().clone();
        let unpacked = layout.image(&image.digest).unwrap().unpack(place.temp.path().join("run")).unwrap();
        let said = std::process::Command::new(unpacked.program().unwrap()).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), "hello\n");
        assert_eq!(layout.image(&image.digest).unwrap().config().architecture, host_architecture());
        digests.push(image.digest);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_key_that_has_built_answers_with_what_it_has_built() {
    let place = Place::new();
    let request = place.request("echo once >> runs; cp runs out/a");
    let first = build(&place, &request, "a").await;
    assert_eq!(build(&place, &request, "a").await, first);
    assert_eq!(fs::read_to_string(place.temp.path().join("sources/runs")).unwrap(), "once\n");
    // Another key builds anew, and takes the name; what the first has built is found by its key all the same.
    let second = build(&place, &request, "b").await;
    assert_ne!(second.digest, first.digest);
    assert_eq!(build(&place, &request, "a").await.digest, first.digest);
    let builder = OciBuilder::new(place.images()).unwrap();
    assert_eq!(builder.find("orders", "2.1.0").await.unwrap(), Some(second));
    assert_eq!(builder.find("orders", "3.0.0").await.unwrap(), None);
    // What is damaged is built again.
    let layer = builder.layout().image(&first.digest).unwrap().manifest().layers[0].digest.clone();
    let path = place.images().join("blobs/sha256").join(&layer["sha256:".len()..]);
    fs::write(&path, "damaged").unwrap();
    let third = build(&place, &request, "a").await;
    assert_eq!(fs::read_to_string(place.temp.path().join("sources/runs")).unwrap(), "once\nonce\nonce\n");
    builder.layout().image(&third.digest).unwrap().verify().unwrap();
}

#[tokio::test]
async fn a_build_that_fails_says_its_last_lines_and_leaves_what_was_there() {
    let place = Place::new();
    place.source("out/a", "1");
    let before = build(&place, &place.request(""), "a").await;
    let builder = OciBuilder::new(place.images()).unwrap();
    let lines = Mutex::new(Vec::new());
    let script = "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; echo 'error: no such crate' >&2; exit 7";
    let progress = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let error = builder.build(&place.request(script), &key("b"), &progress).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Invalid);
    let report = format!("{error:?}");
    assert!(report.contains("code: 7") && report.contains("error: no such crate"), "{report}");
    assert!(report.contains("line 99") && !report.contains("line 50\n"), "{report}");
    assert!(lines.lock().unwrap().iter().any(|line| line == "line 0"));
    assert_eq!(builder.find("orders", "2.1.0").await.unwrap(), Some(before));
    for (script, kind) in [
        ("kill -9 $$", ProviderErrorKind::Unavailable),
        ("exec no-such-program-anywhere", ProviderErrorKind::Invalid),
    ] {
        let error = builder.build(&place.request(script), &key("c"), &|_| {}).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
    }
}

#[tokio::test]
async fn commands_hear_nothing_that_was_said_to_the_engine_alone() {
    // Cargo says this to a test, as to every program that it runs.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && std::env::var_os("CARGO_PKG_NAME").is_some());
    let place = Place::new();
    let mut request = place.request("env > out/a");
    request.command_env.insert("CARGO_PKG_VERSION".into(), "asked for".into());
    build(&place, &request, "a").await;
    let heard = fs::read_to_string(place.temp.path().join("sources/out/a")).unwrap();
    let of_cargo = |line: &&str| line.starts_with("CARGO_MANIFEST_") || line.starts_with("CARGO_PKG_");
    assert_eq!(heard.lines().filter(of_cargo).collect::<Vec<_>>(), ["CARGO_PKG_VERSION=asked for"]);
    assert!(heard.contains("PATH=") && heard.contains("SOURCE_DATE_EPOCH="), "{heard}");
}

#[tokio::test]
async fn a_dropped_build_leaves_no_process_and_no_image() {
    let place = Place::new();
    place.source("out/a", "1");
    // A grandchild in the background, and a child in front of it.
    let script = "sh -c 'echo $$ > grandchild; sleep 600' & echo $$ > child; sleep 600";
    let builder = OciBuilder::new(place.images()).unwrap();
    let request = place.request(script);
    let by = key("a");
    let sources = place.temp.path().join("sources");
    let pid = |name: &str| fs::read_to_string(sources.join(name)).unwrap_or_default();
    {
        let mut build = std::pin::pin!(builder.build(&request, &by, &|_| {}));
        let started =
            until("it does not start", || pid("child").ends_with('\n') && pid("grandchild").ends_with('\n'));
        tokio::select! {
            end = &mut build => panic!("it ended: {end:?}"),
            () = started => {}
        }
        assert!(lives(&pid("child")) && lives(&pid("grandchild")), "they run while it is held");
    }
    until("its processes live on", || !lives(&pid("child")) && !lives(&pid("grandchild"))).await;
    assert_eq!(builder.find("orders", "2.1.0").await.unwrap(), None);
    // Nothing holds the folder any more.
    build(&place, &place.request(""), "b").await;
}

/// Where the worker of the next test builds, in the process that is that worker.
const WORKER: &str = "TOWPATH_TEST_BUILDS_IN";

#[tokio::test]
async fn commands_do_not_outlive_their_worker() {
    const NAME: &str = "build::commands_do_not_outlive_their_worker";
    if let Some(folder) = std::env::var_os(WORKER) {
        // The other process: it builds until it is killed.
        let folder = Path::new(&folder);
        let builder = OciBuilder::new(folder.join("images")).unwrap().sources(folder);
        let script = "sh -c 'echo $$ > grandchild; sleep 600' & echo $$ > child; sleep 600";
        let mut request = BuildRequest::new("orders", "1", "sources");
        request.commands.push(["sh", "-c", script].map(String::from).to_vec());
        request.files.push(ImageFile::new("child", "/child"));
        let end = builder.build(&request, &key("worker"), &|_| {}).await;
        panic!("it ended: {end:?}");
    }
    let place = Place::new();
    place.source("main.c", "");
    let pid =
        |name: &str| fs::read_to_string(place.temp.path().join("sources").join(name)).unwrap_or_default();
    let mut worker = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(WORKER, place.temp.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("it does not start", || pid("child").ends_with('\n') && pid("grandchild").ends_with('\n')).await;
    assert!(lives(&pid("child")) && lives(&pid("grandchild")), "they run while their worker lives");
    // SIGKILL: nothing of the worker's own can tidy up.
    worker.kill().unwrap();
    worker.wait().unwrap();
    until("they live on", || !lives(&pid("child")) && !lives(&pid("grandchild"))).await;
}

#[tokio::test]
async fn builds_in_one_folder_follow_one_another() {
    let place = Place::new();
    let script = "[ ! -e busy ]; : > busy; sleep 0.2; echo x >> out/log; rm busy";
    let (request, images) = (place.request(script), place.images());
    let builds = (0..4).map(|n| {
        let (request, images) = (request.clone(), images.clone());
        tokio::spawn(async move {
            // Each with a builder of its own, as processes have.
            let builder = OciBuilder::new(images).unwrap();
            builder.build(&request, &key(&n.to_string()), &|_| {}).await
        })
    });
    for build in builds.collect::<Vec<_>>() {
        build.await.unwrap().unwrap();
    }
    let log = fs::read_to_string(place.temp.path().join("sources/out/log")).unwrap();
    assert_eq!(log, "x\n".repeat(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builders_that_share_a_layout_lose_no_image() {
    let images = Place::new();
    let builds = (0..12).map(|n: u32| {
        let layout = images.images();
        tokio::spawn(async move {
            let place = Place::new();
            place.source("out/a", &n.to_string());
            let mut request = place.request("");
            request.version = n.to_string();
            OciBuilder::new(layout).unwrap().build(&request, &key(&n.to_string()), &|_| {}).await.unwrap()
        })
    });
    for build in builds.collect::<Vec<_>>() {
        build.await.unwrap();
    }
    let layout = OciBuilder::new(images.images()).unwrap().layout().clone();
    let tags = layout.tags().unwrap();
    assert_eq!(tags.len(), 12);
    for (tag, digest) in tags {
        let image = layout.image(&tag).unwrap();
        image.verify().unwrap();
        assert_eq!(image.digest(), &digest);
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_before_anything_runs() {
    let place = Place::new();
    place.source("out/a", "1").source("../secret", "s");
    std::os::unix::fs::symlink("../secret", place.temp.path().join("sources/outside")).unwrap();
    type Flip = fn(&mut BuildRequest);
    let flips: [(&str, Flip); 10] = [
        ("a name with capitals and spaces", |r| r.name = "my orders".into()),
        ("a version with a colon", |r| r.version = "1:2".into()),
        ("no version", |r| r.version = String::new()),
        ("no program", |r| r.commands.push(Vec::new())),
        ("no files", |r| r.files.clear()),
        ("a variable with an equals sign", |r| drop(r.env.insert("A=B".into(), String::new()))),
        ("an argument with a zero byte", |r| r.entrypoint.push("a\0".into())),
        ("a context that is not there", |r| r.context.push_str("/no/such/folder")),
        ("rights of somebody else", |r| r.files[0].mode = Some(0o4755)),
        ("an entry point that is not in it", |r| r.entrypoint.push("/app/none".into())),
    ];
    let builder = OciBuilder::new(place.images()).unwrap();
    for (what, flip) in flips {
        let mut request = place.request("");
        flip(&mut request);
        let error = builder.build(&request, &key("a"), &|_| {}).await.expect_err(what);
        assert_eq!(error.kind(), ProviderErrorKind::Invalid, "{what}: {error:?}");
    }
    for (from, to) in [
        ("../secret", "/a"),
        ("/etc/passwd", "/a"),
        ("outside", "/a"),
        ("none", "/a"),
        ("", "/a"),
        ("out/a", "/../a"),
        ("out/a", "/"),
        ("out", "/app/a"), // and `out/a` is there as `/app/a` already
    ] {
        let mut request = place.request("");
        request.files.push(ImageFile::new(from, to));
        let result = builder.build(&request, &key("a"), &|_| {}).await;
        assert_eq!(result.unwrap_err().kind(), ProviderErrorKind::Invalid, "{from} to {to}");
    }
    assert!(builder.layout().tags().unwrap().is_empty());
}

#[tokio::test]
async fn rights_follow_from_one_bit_or_from_the_request() {
    let place = Place::new();
    place.source("out/plain", "1").source("out/program", "1").source("other", "1");
    let at = |name: &str| place.temp.path().join("sources").join(name);
    fs::set_permissions(at("out/plain"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(at("out/program"), fs::Permissions::from_mode(0o711)).unwrap();
    let mut request = place.request("");
    request.files.push(ImageFile { from: "other".into(), to: "/other".into(), mode: Some(0o640) });
    let image = build(&place, &request, "a").await;
    let layout = OciBuilder::new(place.images()).unwrap().layout().clone();
    let to = layout.image(&image.digest).unwrap().unpack(place.temp.path().join("to")).unwrap().folder;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&to.join("app/plain")), 0o644);
    assert_eq!(mode(&to.join("app/program")), 0o755);
    assert_eq!(mode(&to.join("other")), 0o640);
    assert_eq!(mode(&to.join("app")), 0o755);
}
