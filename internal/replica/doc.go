// Package replica is an in-memory replica of SpiceDB's relationships that answers checks and look-ups. It is an
// authz.Engine in front of another engine. It stores every relationship, follows SpiceDB's Watch, and evaluates
// permissions with SpiceDB's own query planner (package query). If it cannot answer exactly or recently enough, the
// engine behind it answers. docs/replica.md states the guarantees.
package replica
