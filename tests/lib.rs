//! Integration tests of `descope-magiclink`, in a package of their own.
