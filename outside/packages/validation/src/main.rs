//! Validation without a client and without a network, by keys that are given. The token lives until the year 2200; its
//! private key is gone.

use descope_magiclink::{SessionToken, SessionValidator};

const TOKEN: &str = include_str!("token.txt");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let validator = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
        .key_set(include_str!("keys.json"))
        .build()?;
    let session = validator.validate_cached(&SessionToken::new(TOKEN.trim()))?;
    assert_eq!(session.user_id(), "U2joe");
    assert!(session.has_roles(["admin"]));

    let other = TOKEN.trim().replacen("eyJpc3Mi", "eyJpc3Mj", 1);
    validator
        .validate_cached(&SessionToken::new(other))
        .expect_err("it was changed");
    Ok(())
}
