//! What is released: sources are built, pushed, migrated for, sent a part of the traffic, promoted, and what came before is
//! retired; or the service goes back.

use crate::crash::child::Failed;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};
use towpath::{
    Builder, Offering,
    local::Local,
    oci::OciBuilder,
    prelude::*,
    provider::{Database, ImageBuilder, Registry},
    sql::Sqlite,
    stock::deploy::PushImage,
};
use towpath_provider_oci::RegistryClient;

/// The name of the service, its images, its database and its pipelines.
pub const SERVICE: &str = "orders";
/// How long every weight is watched.
const BAKE: Duration = Duration::from_millis(300);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where everything is: the journal, the sources, the migrations, the images, the database, the releases.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Its folder.
    pub folder: PathBuf,
    /// The program that becomes the supervisor.
    pub supervisor: PathBuf,
    /// `host:port` of the registry; without one, images stay where they are built.
    pub registry: Option<String>,
}

/// What a run does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum What {
    /// It releases this version.
    Release(Version),
    /// It goes back to the release that was live before; this is the name of the run.
    Back(String),
}

/// A version to be released.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// What it is called.
    pub name: String,
    /// Of a hundred requests, how many it gets wrong.
    pub errors: u8,
    /// Whether it is refused when it has all of the traffic already.
    pub refused: bool,
    /// The last migration that it needs.
    pub schema: String,
    /// How many of the releases before it are kept.
    pub keep: u32,
}

impl What {
    /// The caller's name of the run.
    pub fn key(&self) -> &str {
        match self {
            What::Release(version) => &version.name,
            What::Back(name) => name,
        }
    }
}

impl Place {
    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.folder.join("journal.db")
    }

    /// Where releases run.
    pub fn local(&self) -> Local {
        Local::at(self.folder.join("releases")).supervisor(&self.supervisor, None::<&str>)
    }

    /// The database of the service.
    pub fn database(&self) -> Sqlite {
        Sqlite::at(self.folder.join("orders.db")).create()
    }

    /// The client of the registry.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn client(&self, host: &str) -> Result<RegistryClient, Failed> {
        Ok(RegistryClient::new()?.plain_http(host))
    }

    /// What the registry calls an image.
    pub fn reference(host: &str, version: &str) -> String {
        format!("{host}/{SERVICE}:{version}")
    }

    /// Gives an engine what the pipelines need.
    ///
    /// # Errors
    /// When the folder of images cannot be opened.
    pub fn bind(&self, engine: Builder) -> Result<Builder, Failed> {
        let builder = OciBuilder::new(self.folder.join("images"))?;
        let engine = engine
            .steps(stock::steps())
            .steps(steps![refuse])
            .bind("builder", Offering::<dyn ImageBuilder>(Arc::new(builder)))
            .bind("production", self.local())
            .bind("production", Offering::<dyn Database>(Arc::new(self.database())));
        Ok(match &self.registry {
            Some(host) => engine.bind("registry", Offering::<dyn Registry>(Arc::new(self.client(host)?))),
            None => engine,
        })
    }

    /// What is run.
    ///
    /// # Errors
    /// When it is no pipeline.
    pub fn pipeline(&self, what: &What) -> Result<Pipeline<Live>, PlanErrors> {
        match what {
            What::Release(version) => self.release(version),
            What::Back(_) => {
                let p = Pipeline::new(SERVICE);
                let back = Rollback::of(SERVICE).to(&Environment::named("production"));
                let back = p.step("back", back.healthy_within(seconds(20))).retry(always());
                p.output(&back).build()
            }
        }
    }

    fn release(&self, version: &Version) -> Result<Pipeline<Live>, PlanErrors> {
        let production = Environment::named("production");
        let p = Pipeline::new(SERVICE);
        let text = |name: &str| self.folder.join(name).display().to_string();
        let mark = format!("printf %s {} > version", version.name);
        let build = BuildImage::new(SERVICE, version.name.as_str())
            .context(text("sources"))
            .command(["sh", "-c", &mark])
            .file("service", "/service")
            .file("version", "/version")
            .entrypoint(["/service"]);
        let image = p.step("build", build).retry(always());
        let pushed = self.registry.as_ref().map(|host| {
            let push = PushImage::new(&image, Place::reference(host, &version.name));
            p.step("push", push).retry(always())
        });
        let release = MakeRelease::new(SERVICE, version.name.as_str(), &image)
            .health("/health")
            .probe(millis(50), seconds(2))
            .env("ERRORS", version.errors.to_string());
        let release = p.step("release", release).retry(always());
        let release = match &pushed {
            Some(pushed) => release.after(pushed),
            None => release,
        };
        let migrate =
            Migrate::expand(&production, SERVICE, text("migrations")).up_to(version.schema.as_str());
        let schema = p.step("migrate", migrate).after(&release).retry(always());
        // A machine that is busy prolongs a bake, and does not ask anybody.
        let canary = Canary::of(&release)
            .to(&production)
            .weights([20, 100])
            .bake(BAKE)
            .every(LOOK_EVERY)
            .prolong(40)
            .hold(seconds(60))
            .healthy_within(seconds(20))
            .drain(seconds(5))
            .judge(ErrorRate::not_worse_than_baseline().requests(10));
        let canary = p.step("canary", canary).after(&schema).retry(always());
        if version.refused {
            p.step("refuse", refuse::of(&canary));
            return p.output(&canary).build();
        }
        let live = p.step("promote", Promote::of(&canary).to(&production)).retry(always());
        let retire = Retire::before(&live).from(&production).keep(version.keep).drain(seconds(5));
        p.step("retire", retire).retry(always());
        p.output(&live).build()
    }
}

/// A life that ends takes an attempt with it, and there are many lives.
fn always() -> RetryPolicy {
    RetryPolicy::fixed(1_000, Duration::ZERO)
}

/// Finds a release bad that nobody else found bad.
#[step("release.refuse/v1", no_effect)]
async fn refuse(_cx: &StepContext, live: Live) -> Result<bool, StepError> {
    Err(StepError::rejected(format!("{} is not what was ordered", live.version)))
}
