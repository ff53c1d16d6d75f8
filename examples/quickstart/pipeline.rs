//! The pipeline of the orders service: what a team would write.

use crate::place;
use towpath::prelude::*;

#[rustfmt::skip] // As it is shown.
pub(crate) fn orders() -> Result<Pipeline<Live>, PlanErrors> {
    let p = Pipeline::new("orders");
    let (version, errors, schema) = (p.param::<String>("version"), p.param::<String>("errors"), p.param::<String>("schema"));
    let production = Environment::named("production").accepts::<Approved<Release>>();

    let build = BuildImage::new("orders", &version).command(place::cargo_build())
        .command_env("ORDERS_VERSION", &version).command_env("ORDERS_ERRORS_PER_MILLE", &errors)
        .file("examples/orders", "/orders").entrypoint(["/orders"]);
    let image = p.step("build", build);
    let report = p.step("scan", ScanImage::new(&image).cargo_lock(place::CARGO_LOCK).reports(place::reports()).fail_on(Severity::High));
    let release = MakeRelease::new("orders", &version, &image).instances(2).health("/health").env("ORDERS_DB", place::database());
    let release = p.step("release", release).after(&report);
    let preview = p.preview_of("preview", &production);
    let ok = p.step("approve", Approval::of(&release).showing(&preview));
    let schema = p.step("migrate", Migrate::expand(&production, "orders", place::MIGRATIONS).up_to(&schema).for_release(&ok));
    let canary = Canary::of(&ok).to(&production).weights([10, 50, 100]).bake(seconds(2)).every(millis(500))
        .judge(ErrorRate::not_worse_than_baseline());
    let canary = p.step("canary", canary).after(&schema);
    let verified = p.step("verify", HttpCheck::get(place::url("/orders")).successes(3).every(millis(100)).until(seconds(10))).after(&canary);
    let live = p.step("promote", Promote::of(&canary).to(&production)).after(&verified);
    p.step("retire", Retire::before(&live).from(&production).keep(1));
    p.output(&live).build()
}
