// Package experiment compares the variations of an optimization (R11): who entered, who of them is mature,
// who converted and what that is worth, whether the difference is one, and what to do about it.
//
// [Load] asks ClickHouse once for as many optimizations as wanted; runs note what it returns for all of them
// (results_history), and [Known] reads that again. docs/statistics.md has the formulas and what they mean.
package experiment
