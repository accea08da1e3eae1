// Package replica answers checks and look-ups from an in-memory replica of SpiceDB's relationships. A Replica is an
// authz.Engine in front of another engine, which answers if the replica cannot answer exactly or recently enough. It
// stores every relationship, follows SpiceDB's Watch, and evaluates permissions with SpiceDB's own query planner
// (package query). docs/replica.md states the guarantees.
package replica
