//! The engine inside an axum service: `POST /deploys/4f2c` starts a run, `GET /deploys/4f2c` says where it stands.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use axum::{Json, Router, extract::Path, extract::State, http::StatusCode, routing::post};
use towpath::prelude::*;

type Answer = Result<Json<String>, (StatusCode, String)>;

#[step("service.deploy/v1", idempotent)]
async fn deploy(_cx: &StepContext, commit: String) -> Result<String, StepError> {
    Ok(format!("shop:{commit}"))
}

fn checkout() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("checkout");
    let live = p.step("deploy", deploy::of(&p.param("commit")));
    p.output(&live).build()
}

/// Starts a run. The commit is its key: however often somebody asks, there is one.
async fn start(State(engine): State<Engine>, Path(commit): Path<String>) -> Answer {
    let pipeline = engine.pipeline("checkout").ok_or_else(|| failed("no such pipeline"))?;
    let plan = pipeline.with(params! { commit }).map_err(failed)?;
    let run = engine.run(plan, &commit).await.map_err(failed)?;
    Ok(Json(run.id().to_string()))
}

async fn show(State(engine): State<Engine>, Path(commit): Path<String>) -> Answer {
    let found = engine.find("checkout", &commit).await.map_err(failed)?;
    let row = found.ok_or_else(|| (StatusCode::NOT_FOUND, format!("nobody deployed {commit}")))?;
    Ok(Json(row.listing.status.to_string()))
}

fn failed(error: impl ToString) -> (StatusCode, String) {
    (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let open = Engine::open("sqlite:service.db").steps(steps![deploy]).pipelines([checkout()?]);
    let engine = open.start().await?;
    let app = Router::new().route("/deploys/{commit}", post(start).get(show)).with_state(engine.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    // What runs has its grace; what is left goes on at the next start.
    engine.shutdown().await?;
    Ok(())
}
