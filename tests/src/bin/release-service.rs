//! The service that is built, released and rolled back, and nothing else: what an image of it holds is small.

fn main() {
    towpath_tests::release::service::serve();
}
