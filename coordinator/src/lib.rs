//! Decides and talks to people: what is fitted (`config`, `starts`), how it is going (`outcome`, `progress`), what came
//! of it (`run_dir`, `report`, `predict`). The commands are in [`cli`]; who computes is in [`crew`]; the one loop is in [`fit`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use nlsq_coordinator::fit::{Problem, fit};
//! use nlsq_engine::data::memory::Memory;
//! use nlsq_engine::data::source::{Layout, Weighting};
//! use nlsq_engine::params::Parameter;
//!
//! let t: Vec<f64> = (0..100).map(|k| f64::from(k) / 50.0).collect();
//! let y = t.iter().enumerate().map(|(k, t)| 3.0 * t + 1.0 + if k % 2 == 0 { 0.1 } else { -0.1 }).collect();
//! let layout =
//!     Layout { variables: vec!["t".into()], y: "y".into(), weighting: Weighting::None, mask: None };
//! let points = Memory::new(layout, vec![t, y])?;
//!
//! let free = |name: &str| Parameter {
//!     name: name.to_string(),
//!     start: 0.0,
//!     min: f64::NEG_INFINITY,
//!     max: f64::INFINITY,
//!     fixed: false,
//! };
//! let line = Problem::new("a*t + b", &["t"], vec![free("a"), free("b")])?;
//! let outcome = fit(line, Arc::new(points), 2, &mut ())?;
//! assert!((outcome.parameters[0].value - 3.0).abs() < 0.02);
//! assert_eq!(outcome.dof, 98);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crew;
pub mod fit;
pub mod outcome;
pub mod predict;
pub mod progress;
pub mod report;
pub mod run_dir;
pub mod starts;
