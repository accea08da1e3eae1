// Package replica answers checks and look-ups from memory. Its engine stands in front of another one: it holds every
// relationship that SpiceDB holds, follows SpiceDB's Watch, and evaluates permissions with SpiceDB's own query planner, package
// query. What it cannot answer exactly, or not recently enough, the engine behind it answers. docs/replica.md says what is
// guaranteed.
package replica
