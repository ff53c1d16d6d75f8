//! A service to be rolled out on this machine, and the supervisor of its instances: one program that is told by its
//! environment which of the two it is. Of a hundred requests, `ERRORS` fail.

fn main() {
    towpath::local::supervise_here();
    towpath_tests::release::service::serve();
}
