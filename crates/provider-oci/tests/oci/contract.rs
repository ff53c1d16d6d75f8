//! The suites of contracts: what is real, and a fake that others may use as a model, keep the same promises.

use super::{
    hand::{Place, key},
    proxy::{Fault, Proxy},
    server::Server,
};
use async_trait::async_trait;
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use towpath_provider::{
    BuildRequest, BuiltImage, ImageBuilder, Registry,
    contract::{self, World, image::ImageWorld, registry::RegistryWorld},
};
use towpath_provider_oci::{OciBuilder, RegistryClient};

async fn pass(time: Duration) {
    let mut pass = tokio::time::interval_at(tokio::time::Instant::now() + time, time);
    pass.tick().await;
}

struct Builds {
    place: Place,
    builder: OciBuilder,
}

impl Builds {
    fn request(&self, name: &str, version: &str, script: &str) -> BuildRequest {
        let mut request = self.place.request(script);
        (request.name, request.version) = (name.into(), version.into());
        request
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.place.temp.path().join("sources").join(name)).unwrap_or_default()
    }
}

#[async_trait]
impl ImageWorld for Builds {
    fn builder(&self) -> &dyn ImageBuilder {
        &self.builder
    }
    async fn good(&self, name: &str, version: &str, text: &str) -> BuildRequest {
        let script = format!("echo x >> runs; printf %s {text} > out/a; echo built {text}");
        self.request(name, version, &script)
    }
    async fn failing(&self, name: &str, version: &str, words: &str) -> BuildRequest {
        self.request(name, version, &format!("echo '{words}'; exit 3"))
    }
    async fn endless(&self, name: &str, version: &str) -> BuildRequest {
        self.request(name, version, "echo $$ > running; sleep 600")
    }
    async fn builds(&self) -> u64 {
        self.text("runs").lines().count() as u64
    }
    async fn is_running(&self) -> bool {
        let pid = self.text("running");
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !pid.trim().is_empty() && !stat.is_empty() && !stat.contains(") Z ")
    }
    async fn pass(&self, time: Duration) {
        pass(time).await;
    }
}

#[tokio::test]
async fn the_builder_keeps_the_contract() {
    let place = Place::new();
    let builder = OciBuilder::new(place.images()).unwrap();
    contract::image::all(&Builds { place, builder }).await;
}

struct Pushes {
    place: Place,
    proxy: Proxy,
    registry: RegistryClient,
    count: AtomicU32,
    _server: Server,
}

impl Pushes {
    fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    async fn build(&self, text: &str, images: PathBuf) -> BuiltImage {
        self.place.source("out/a", text);
        let mut request = self.place.request("");
        request.version = text.into();
        OciBuilder::new(images).unwrap().build(&request, &key(text), &|_| {}).await.unwrap()
    }
}

#[async_trait]
impl World for Pushes {
    async fn arm(&self, fault: contract::Fault) -> bool {
        let fault = match fault {
            contract::Fault::LostAnswer => Fault::LostAnswer,
            // So long that the client does not wait for it.
            contract::Fault::Unavailable => {
                Fault::Answer("HTTP/1.1 503 Busy\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n")
            }
        };
        self.proxy.aim("PUT", "/manifests/", fault);
        true
    }
    async fn hits(&self) -> u64 {
        self.proxy.hits()
    }
    async fn pass(&self, time: Duration) {
        pass(time).await;
    }
}

#[async_trait]
impl RegistryWorld for Pushes {
    fn registry(&self) -> &dyn Registry {
        &self.registry
    }
    fn reference(&self, name: &str) -> String {
        format!("{}/contract/{name}-{}:1", self.proxy.host, self.next())
    }
    async fn image(&self, text: &str) -> BuiltImage {
        self.build(text, self.place.images()).await
    }
    async fn damaged(&self, text: &str) -> BuiltImage {
        let images = self.place.temp.path().join(format!("damaged-{}", self.next()));
        let image = self.build(text, images.clone()).await;
        let layout = towpath_provider_oci::Layout::open(&images).unwrap();
        let layer = layout.image(&image.digest).unwrap().manifest().layers[0].digest.clone();
        let path = images.join("blobs/sha256").join(&layer["sha256:".len()..]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[600] ^= 1;
        fs::write(path, bytes).unwrap();
        image
    }
    fn folder(&self, name: &str) -> PathBuf {
        self.place.temp.path().join(format!("{name}-{}", self.next()))
    }
    async fn effects(&self) -> u64 {
        ["POST", "PATCH", "PUT"].iter().map(|method| self.proxy.count(method, "/v2/") as u64).sum()
    }
}

#[tokio::test]
async fn the_client_of_registries_keeps_the_contract() {
    let Some(server) = Server::open("the_client_of_registries_keeps_the_contract").await else { return };
    let proxy = Proxy::to(server.address).await;
    let registry = RegistryClient::new().unwrap().plain_http(&proxy.host);
    let world = Pushes { place: Place::new(), proxy, registry, count: AtomicU32::new(0), _server: server };
    contract::registry::all(&world).await;
}
