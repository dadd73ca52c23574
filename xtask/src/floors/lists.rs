//! Each crate's floors, from the ground up. To add a crate, or a file, edit this table and nothing else.
//!
//! A name is a file or a folder below the crate's source folder, without `.rs`; the longest name that
//! fits a file decides. Files import from their own floor or from one below it, and no two files import
//! each other, be it through others. The root (`lib.rs`, or `main.rs`) stands on top of all.

/// The floors of one crate.
#[derive(Debug)]
pub(crate) struct Floors {
    /// The source folder, below the root of the project.
    pub(crate) folder: &'static str,
    /// False for a layout that the tree has not reached yet: nothing is checked then.
    pub(crate) holds: bool,
    /// From the ground up.
    pub(crate) floors: &'static [&'static [&'static str]],
    pub(crate) exceptions: &'static [Exception],
}

/// An import that may run upwards or round.
#[derive(Debug)]
pub(crate) struct Exception {
    /// The file that imports, as a name of a floor is written.
    pub(crate) from: &'static str,
    /// The file that it imports.
    pub(crate) to: &'static str,
    /// Why that is well.
    #[expect(dead_code, reason = "for who reads the table")]
    pub(crate) reason: &'static str,
}

pub(crate) const CRATES: [Floors; 6] = [
    Floors {
        folder: "src",
        holds: true,
        floors: &[
            &["secret", "clock", "delivery", "code", "defaults", "sync"],
            &["store"],
            &["error"],
            &["jwt", "config", "transport"],
            &["raw"],
            &["jwks"],
            &["user"],
            &["session"],
            &["client"],
            &["session/calls"],
            &["magic_link"],
            &["management"],
            &["schema", "fuzzing", "guide"],
        ],
        exceptions: &[
            Exception {
                from: "raw/client",
                to: "raw/hooks",
                reason: "the generated client holds what the hooks need, and they are its methods",
            },
            Exception {
                from: "raw/client",
                to: "raw/call",
                reason: "the client's methods make calls, and a call is sent by the client",
            },
            Exception {
                from: "session/validator",
                to: "session/validator_builder",
                reason: "`SessionValidator::builder()` is how one begins, and the builder makes a validator",
            },
        ],
    },
    Floors {
        folder: "web/src",
        holds: true,
        floors: &[
            &[
                "audit",
                "cookies/cookie_header",
                "cookies/set_cookie",
                "cookies/tokens",
            ],
            &["cookies/session_cookies"],
            &["cookies/builder", "cookies/families"],
            &["cookies"],
            &["redirect", "origin", "service_error", "guarded_body"],
            &["rejection"],
            &["session_layer"],
            &["session_service"],
            &["require"],
            &["landing/error", "landing/address", "landing/purpose"],
            &[
                "landing/form",
                "landing/used_links",
                "landing/browser_binding",
                "landing/texts",
                "landing/send_guard",
            ],
            &["landing/view"],
            &["landing/page"],
            &["landing/link", "landing/builder", "landing/service"],
            &["landing/pages_layer", "landing/press", "landing/sign_out"],
            &["landing"],
            &["extract"],
        ],
        exceptions: &[],
    },
    Floors {
        folder: "redis/src",
        holds: true,
        floors: &[&["garbage", "sealing"], &["store"]],
        exceptions: &[],
    },
    Floors {
        folder: "emulator/src",
        holds: true,
        floors: &[
            &["random", "address", "nearest"],
            &["error"],
            &["settings"],
            &["state"],
            &["operations"],
            &["handles"],
            &["http"],
            &["control"],
            &["service"],
            &["server"],
            &["emulator", "builder"],
            &["cli"],
        ],
        exceptions: &[Exception {
            from: "emulator",
            to: "builder",
            reason: "`Emulator::builder()` is how one begins, and the builder makes an `Emulator`",
        }],
    },
    Floors {
        folder: "codegen/src",
        holds: true,
        floors: &[
            &["error"],
            &["generate/load"],
            &["generate/document"],
            &["generate/prepare"],
            &["generate/lint", "generate/generator", "generate/project"],
            &["generate/follow"],
            &["generate/passes"],
            &["generate"],
            &["review/yaml"],
            &["review/facts"],
            &["review/compare"],
            &["review/divergences", "review/advice"],
            &["review"],
        ],
        exceptions: &[],
    },
    Floors {
        folder: "xtask/src",
        holds: true,
        floors: &[
            &["output"],
            &["run"],
            &["floors/lists"],
            &["floors/reading"],
            &["floors"],
            &["public_api"],
            &["codegen", "deps", "semver", "snapshots", "tidy", "upstream"],
        ],
        exceptions: &[],
    },
];
