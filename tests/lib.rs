//! Integration tests and benchmarks of `descope-magiclink`, in a package of their own.
