//! What is told to Prometheus, in its text format 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use super::{proxy::Trouble, service::Service};
use std::{fmt::Write, sync::Arc};
use towpath_provider::Health;

/// The type of what [`page`] makes.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A label's value between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value)));
        let _ = writeln!(self.0, "{name}{{{}}} {value}", labels.collect::<Vec<_>>().join(","));
    }
}

/// Everything that there is to tell.
pub(super) fn page(services: &[Arc<Service>]) -> String {
    let mut page = Page(String::new());
    requests(&mut page, services);
    durations(&mut page, services);
    machinery(&mut page, services);
    standing(&mut page, services);
    page.0
}

fn requests(page: &mut Page, services: &[Arc<Service>]) {
    let name = "towpath_requests_total";
    page.family(name, "counter", "Requests that a release has answered, or should have.");
    for service in services {
        for told in service.meters.told() {
            page.sample(name, &[("service", &service.name), ("version", &told.version)], told.sum.requests);
        }
    }
    let name = "towpath_request_errors_total";
    page.family(name, "counter", "Requests that a release answered with 500 or above, badly, or not at all.");
    for service in services {
        for told in service.meters.told() {
            page.sample(name, &[("service", &service.name), ("version", &told.version)], told.sum.errors);
        }
    }
}

fn durations(page: &mut Page, services: &[Arc<Service>]) {
    let name = "towpath_request_duration_seconds";
    page.family(name, "histogram", "From the head of a request to the end of its answer.");
    for service in services {
        for told in service.meters.told() {
            let (service, version) = (("service", service.name.as_str()), ("version", told.version.as_str()));
            for (bound, count) in told.sum.at_most() {
                let bound = (bound as f64 / 1e6).to_string();
                page.sample(&format!("{name}_bucket"), &[service, version, ("le", &bound)], count);
            }
            page.sample(&format!("{name}_bucket"), &[service, version, ("le", "+Inf")], told.sum.requests);
            page.sample(&format!("{name}_sum"), &[service, version], told.seconds);
            page.sample(&format!("{name}_count"), &[service, version], told.sum.requests);
        }
    }
}

fn machinery(page: &mut Page, services: &[Arc<Service>]) {
    let name = "towpath_proxy_failures_total";
    page.family(name, "counter", "Requests that the proxy itself had to answer with a failure.");
    for service in services {
        let troubles = service.meters.troubles();
        for trouble in Trouble::ALL {
            let count = troubles.get(&trouble).copied().unwrap_or(0);
            page.sample(name, &[("service", &service.name), ("reason", trouble.name())], count);
        }
    }
    let name = "towpath_proxy_sent_again_total";
    page.family(
        name,
        "counter",
        "Requests that were sent once more, because nothing of them had been taken.",
    );
    for service in services {
        page.sample(name, &[("service", &service.name)], service.meters.sent_again());
    }
}

fn standing(page: &mut Page, services: &[Arc<Service>]) {
    let name = "towpath_weight_percent";
    page.family(name, "gauge", "Percent of the traffic that a release gets.");
    for service in services {
        for (version, weight) in service.routes_now().map(|routes| routes.weights).unwrap_or_default() {
            page.sample(name, &[("service", &service.name), ("version", &version)], weight);
        }
    }
    let name = "towpath_instances";
    page.family(name, "gauge", "Instances of a release, by whether they can take traffic.");
    let all = [
        (Health::Starting, "starting"),
        (Health::Healthy, "healthy"),
        (Health::Unhealthy, "unhealthy"),
        (Health::Exited, "exited"),
    ];
    for service in services {
        for release in service.releases_now() {
            for (health, word) in all {
                let count = release.instances.iter().filter(|instance| instance.health == health).count();
                let labels =
                    [("service", service.name.as_str()), ("version", &release.version), ("health", word)];
                page.sample(name, &labels, count);
            }
        }
    }
}
